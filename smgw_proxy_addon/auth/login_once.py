"""Login once: clients log in at the proxy, and the proxy logs in at the gateway, with its own connection's nonces.

Owns what a request goes through in that mode: the client's login is checked before anything else happens and goes no
further, and the gateway sees the account's own. A 401 of the gateway never reaches a client, because it asks for a
login that only the proxy can give. No user name, password or nonce may get into a log line or an error.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from smgw_proxy_addon.auth.authenticator import Porter
from smgw_proxy_addon.auth.exchange import AccountExchange, ClosedAfterChallengeError, LoginLock, with_login
from smgw_proxy_addon.auth.gateway_login import GatewayLogin, Standing
from smgw_proxy_addon.config.accounts import Past, Pasts
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.http.rewrite import Headers
from smgw_proxy_addon.proxy.coalescing import SharedAnswers
from smgw_proxy_addon.proxy.source import Client, Timings, Transparent

_LOGGER: Final = logging.getLogger(__name__)

LARGEST_RESENT: Final = 1_000_000
"""Bytes of a body that are kept for the answer to a 401. A larger one is sent once, as it comes."""

_KEPT_FROM_CLIENTS: Final = frozenset({b"www-authenticate", b"authentication-info"})


class AccountSource(Protocol):
    """Gives the answer to a request of an account, which is told by its position."""

    def ask(
        self, account: int, request: GatewayRequest, client: Client, timings: Timings
    ) -> AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask as ``asking.Source`` does; the request has no login."""
        ...


class LoginOnce:
    """Lets in who has an account, and asks ``source`` for them, but what others of the account have just asked."""

    def __init__(self, porter: Porter, shared: SharedAnswers, source: AccountSource) -> None:
        self._porter = porter
        self._shared = shared
        self._source = source

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, client: Client, timings: Timings
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Check the client's login, then ask. Raises what ``Porter.admit`` does before anything was done."""
        account = await self._porter.admit(request, client, timings)
        fetch = partial(self._source.ask, account)
        async with self._shared.ask(str(account), with_login(request, None), client, timings, fetch) as answered:
            yield answered

    async def close(self) -> None:
        """Give up what is in flight."""
        await self._shared.close()


class OwnLogins:
    """Asks the gateway with the accounts' own logins, in their order; ``clock`` gives monotonic seconds.

    ``remember`` is told after each request what the gateway has said of them.
    """

    def __init__(
        self,
        source: Transparent,
        logins: Sequence[GatewayLogin],
        clock: Callable[[], float],
        remember: Callable[[Pasts], None],
    ) -> None:
        self._source = source
        self._remember = remember
        self._clock = clock
        self._logins = tuple(logins)
        self._locks = tuple(LoginLock() for _ in logins)
        self._told = list(self.standings)

    @property
    def standings(self) -> tuple[Standing, ...]:
        """What the gateway thinks of each account."""
        return tuple(login.standing for login in self._logins)

    @property
    def stopped(self) -> tuple[int, ...]:
        """The numbers, from 1, of the accounts with which nothing is sent any more."""
        return tuple(number for number, login in enumerate(self._logins, start=1) if login.stopped)

    @property
    def initials(self) -> tuple[str, ...]:
        """The first letter of each account's user name."""
        return tuple(login.initial for login in self._logins)

    def recall(self, pasts: Pasts) -> None:
        """Go on from what the gateway said before the program started: accounts that were stopped stay so."""
        for number, past in pasts.items():
            self._logins[number - 1].recall(past, self._clock())
        self._told = list(self.standings)
        for number, login in enumerate(self._logins, start=1):
            if login.stopped:
                _LOGGER.error(
                    "The login of account %d was refused earlier; nothing is sent with it until the options change "
                    "or somebody has it tried again on the status page",
                    number,
                )
            elif login.standing is not Standing.UNKNOWN:
                _LOGGER.warning(
                    "The gateway did not take the last login of account %d before the start; nothing is sent with it "
                    "for %.0f s",
                    number,
                    login.rest(self._clock()),
                )

    def retry(self, account: int) -> bool:
        """Let an account be tried again because a person says so; tells whether it was stopped."""
        if account not in range(len(self._logins)) or not self._logins[account].stopped:
            return False
        self._logins[account].retry()
        self._told[account] = self._logins[account].standing
        self._keep()
        return True

    @asynccontextmanager
    async def ask(
        self, account: int, request: GatewayRequest, client: Client, timings: Timings
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask with the account's login; see ``AccountSource``.

        Raises ``GatewayLoginStoppedError`` and ``GatewayLoginPausedError`` before anything was sent,
        ``GatewayLoginRefusedError``, and ``LoginExpiredError`` if the request could not be sent again.
        """
        login = self._logins[account]
        exchange = AccountExchange(login, self._locks[account], client, timings, self._clock)
        request = await _kept_whole(request)
        async with AsyncExitStack() as stack:
            enter = partial(self._source.ask, request, client, timings)
            try:
                answer, body = await stack.enter_async_context(enter(exchange=exchange.first))
            except ClosedAfterChallengeError:
                answer, body = await stack.enter_async_context(enter(exchange=exchange.second))
            finally:
                self._keep()
                self._tell(account, login.standing)
            yield replace(answer, headers=_for_clients(answer.headers)), body

    def _keep(self) -> None:
        pasts = enumerate((login.past for login in self._logins), start=1)
        self._remember({number: past for number, past in pasts if past != Past()})

    def _tell(self, account: int, now: Standing) -> None:
        """Log once what has changed for an account."""
        before = self._told[account]
        if now is before:
            return
        self._told[account] = now
        if now is Standing.STOPPED:
            _LOGGER.error(
                "The gateway refused the login of account %d twice in a row: nothing is sent with it any more, until "
                "the options change or somebody has it tried again on the status page",
                account + 1,
            )
        elif now is Standing.DOUBTED:
            _LOGGER.warning(
                "The gateway closed the connection instead of answering the login of account %d, which it took "
                "before; it is tried again, with pauses",
                account + 1,
            )
        elif now is Standing.REFUSED:
            _LOGGER.warning("The gateway refused the login of account %d", account + 1)
        elif now is Standing.ACCEPTED:
            _LOGGER.info("The gateway accepts the login of account %d", account + 1)


async def _kept_whole(request: GatewayRequest) -> GatewayRequest:
    """Read a body that comes in pieces, so that it can be sent again; one that is too large stays as it is."""
    if isinstance(request.body, bytes | None):
        return request
    kept = bytearray()
    async for piece in request.body:
        kept += piece
        if len(kept) > LARGEST_RESENT:
            return replace(request, body=_continued(bytes(kept), request.body))
    return replace(request, body=bytes(kept))


async def _continued(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for piece in rest:
        yield piece


def _for_clients(headers: Headers) -> Headers:
    return [header for header in headers if header[0].lower() not in _KEPT_FROM_CLIENTS]
