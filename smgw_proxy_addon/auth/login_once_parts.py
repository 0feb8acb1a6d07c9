"""What login once consists of, put together. Loaded with accounts only: without them nothing of it is needed."""

import secrets
from collections.abc import Callable, Sequence

from smgw_proxy_addon.auth.authenticator import Porter
from smgw_proxy_addon.auth.client_login import ClientLogin
from smgw_proxy_addon.auth.gateway_login import RESTS, GatewayLogin
from smgw_proxy_addon.auth.login_once import LoginOnce, OwnLogins
from smgw_proxy_addon.auth.ppc_logout import SessionKeeper
from smgw_proxy_addon.config.accounts import Pasts
from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.proxy.coalescing import SharedAnswers
from smgw_proxy_addon.proxy.source import Transparent


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
    pool.log_out_holders(keeper.give_way)
    shared = SharedAnswers(options.cache_seconds, clock, drain_timeout=options.read_timeout)
    return LoginOnce(porter, shared, keeper), own, keeper
