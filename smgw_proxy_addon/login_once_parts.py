"""What login once consists of, put together. Loaded with accounts only: without them nothing of it is needed."""

import secrets
from collections.abc import Callable, Sequence

from smgw_proxy_addon.accounts import Pasts
from smgw_proxy_addon.asking import Transparent
from smgw_proxy_addon.client_login import ClientLogin
from smgw_proxy_addon.gateway_login import RESTS, GatewayLogin
from smgw_proxy_addon.login_once import LoginOnce, OwnLogins
from smgw_proxy_addon.options import Options
from smgw_proxy_addon.porter import Porter
from smgw_proxy_addon.session_keeper import SessionKeeper
from smgw_proxy_addon.shared_answers import SharedAnswers
from smgw_proxy_addon.upstream import Pool


def login_once(
    options: Options,
    pool: Pool,
    transparent: Transparent,
    clock: Callable[[], float],
    remember: Callable[[Pasts], None],
    rests: Sequence[float] | None,
) -> tuple[LoginOnce, OwnLogins, SessionKeeper]:
    """Make what asks the gateway with the options' accounts; see ``OwnLogins`` and ``Proxy``."""
    porter = Porter(ClientLogin(options.accounts, secrets.token_bytes), clock)
    logins = [
        GatewayLogin(
            each.username,
            each.password,
            algorithm=options.digest_algorithm,
            random=secrets.token_bytes,
            rests=rests or RESTS,
        )
        for each in options.accounts
    ]
    own = OwnLogins(transparent, logins, clock, remember)
    keeper = SessionKeeper(own)
    pool.log_out(keeper.give_way)
    shared = SharedAnswers(options.cache_seconds, clock, drain_timeout=options.read_timeout)
    return LoginOnce(porter, shared, keeper), own, keeper
