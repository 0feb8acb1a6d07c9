"""Login once: clients log in at the proxy, and the proxy logs in at the gateway.

Owns what a request goes through in that mode: the client's login is checked before anything else happens and goes no
further; then the request may share another one's answer, or the gateway is asked with the account's own login. Loaded
with accounts only.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.auth.authenticator import Authenticator
from smgw_proxy_addon.auth.client_login import ClientLogin
from smgw_proxy_addon.auth.exchange import replace_login
from smgw_proxy_addon.auth.gateway_login import PAUSES, GatewayLogin
from smgw_proxy_addon.auth.ppc_logout import PpcLogout
from smgw_proxy_addon.config.accounts import AccountOutcomes
from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.proxy.coalescing import SharedAnswers
from smgw_proxy_addon.proxy.source import Answered, Client, Transparent


class LoginOnce:
    """Asks the gateway for clients that have one of the options' accounts, with the account's own login.

    ``clock`` gives monotonic seconds; ``save`` is given what the gateway says of the accounts; ``pauses`` replaces
    ``gateway_login.PAUSES``.
    """

    def __init__(
        self,
        options: Options,
        pool: Pool,
        clock: Callable[[], float],
        save: Callable[[AccountOutcomes], None],
        pauses: Sequence[float] | None = None,
    ) -> None:
        logins = [
            GatewayLogin(
                each.username,
                each.password,
                algorithm=options.digest_algorithm,
                random=secrets.token_bytes,
                pauses=pauses or PAUSES,
            )
            for each in options.accounts
        ]
        self.logins = GatewayLogins(Transparent(pool, clock), logins, clock, save)
        self.ppc_logout = PpcLogout(self.logins, pool.session)
        pool.log_out_holders(self.ppc_logout.log_out_holder)
        self._authenticator = Authenticator(ClientLogin(options.accounts, secrets.token_bytes), clock)
        self._shared = SharedAnswers(options.cache_seconds, clock, slowest=options.read_timeout)

    @asynccontextmanager
    async def ask(self, request: GatewayRequest, client: Client) -> AsyncIterator[Answered]:
        """Check the client's login, then ask.

        Raises what ``Authenticator.authenticate`` does before anything was done.
        """
        account = await self._authenticator.authenticate(request, client)
        async with self.ask_as(account, request, client) as answered:
            yield answered

    @asynccontextmanager
    async def ask_as(self, account: int, request: GatewayRequest, client: Client) -> AsyncIterator[Answered]:
        """Ask for a client that is known to belong to the account with this position."""
        fetch = partial(self.ppc_logout.ask, account)
        async with self._shared.ask(str(account), replace_login(request, None), client, fetch) as answered:
            yield answered

    async def close(self) -> None:
        """Log out of a session that is still open."""
        await self.ppc_logout.close()
