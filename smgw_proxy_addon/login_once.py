"""Login once: clients log in at the proxy, and the proxy logs in at the gateway, with its own connection's nonces.

Owns what a request goes through in that mode: the client's login is checked before anything else happens and goes no
further, and the gateway sees the account's own. A request is sent twice in one case only: the gateway answered it
with 401, which is how it asks for the login. A 401 of the gateway never reaches a client, because it asks for a login
that only the proxy can give. No user name, password or nonce may get into a log line or an error.
"""

import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from smgw_proxy_addon.asking import Client, Course, Transparent
from smgw_proxy_addon.errors import (
    ClientGoneError,
    ConnectionLostError,
    GatewayLoginPausedError,
    GatewayLoginRefusedError,
    GatewayLoginStoppedError,
    LoginExpiredError,
    SilentCloseError,
)
from smgw_proxy_addon.gateway_http import Connection
from smgw_proxy_addon.gateway_login import Attempt, GatewayLogin, Standing
from smgw_proxy_addon.gateway_messages import Answer, GatewayRequest
from smgw_proxy_addon.login_memory import Verdict, Verdicts
from smgw_proxy_addon.porter import Porter
from smgw_proxy_addon.rewrite import Headers
from smgw_proxy_addon.shared_answers import SharedAnswers
from smgw_proxy_addon.trial import Trial, Turn

_LOGGER: Final = logging.getLogger(__name__)

LARGEST_RESENT: Final = 1_000_000
"""Bytes of a body that are kept for the answer to a 401. A larger one is sent once, as it comes."""

_LOGIN_NEEDED: Final = 401
_LOWEST_ERROR: Final = 400
_LONGEST_REFUSAL: Final = 1_000_000
_KEPT_FROM_CLIENTS: Final = frozenset({b"www-authenticate", b"authentication-info"})


class AccountSource(Protocol):
    """Gives the answer to a request of an account, which is told by its position."""

    def ask(
        self, account: int, request: GatewayRequest, client: Client, course: Course
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
        self, request: GatewayRequest, client: Client, course: Course
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Check the client's login, then ask. Raises what ``Porter.admit`` does before anything was done."""
        account = await self._porter.admit(request, client, course)
        fetch = partial(self._source.ask, account)
        async with self._shared.ask(str(account), _with_login(request, None), client, course, fetch) as answered:
            yield answered

    async def close(self) -> None:
        """Give up what is in flight."""
        await self._shared.close()


class OwnLogins:
    """Asks the gateway with the accounts' own logins, in their order; ``clock`` gives monotonic seconds.

    ``remember`` is told what the gateway has said of them whenever that changes.
    """

    def __init__(
        self,
        source: Transparent,
        logins: Sequence[GatewayLogin],
        clock: Callable[[], float],
        remember: Callable[[Verdicts], None],
    ) -> None:
        self._source = source
        self._remember = remember
        self._clock = clock
        self._logins = tuple(logins)
        self._trials = tuple(Trial() for _ in logins)
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
    def _verdicts(self) -> Verdicts:
        return {
            number: Verdict.REFUSED if login.stopped else Verdict.TAKEN
            for number, login in enumerate(self._logins, start=1)
            if login.stopped or login.taken
        }

    @property
    def initials(self) -> tuple[str, ...]:
        """The first letter of each account's user name."""
        return tuple(login.initial for login in self._logins)

    def recall(self, verdicts: Verdicts) -> None:
        """Go on from what the gateway said before the program started: accounts that were stopped stay so."""
        for number, verdict in sorted(verdicts.items()):
            if verdict is Verdict.TAKEN:
                self._logins[number - 1].rely()
                continue
            self._logins[number - 1].stop()
            self._told[number - 1] = Standing.STOPPED
            _LOGGER.error(
                "The login of account %d was refused earlier; nothing is sent with it until the options change or "
                "somebody has it tried again on the status page",
                number,
            )

    def retry(self, account: int) -> bool:
        """Let an account be tried again because a person says so; tells whether it was stopped."""
        if account not in range(len(self._logins)) or not self._logins[account].stopped:
            return False
        self._logins[account].retry()
        self._told[account] = self._logins[account].standing
        self._remember(self._verdicts)
        return True

    @asynccontextmanager
    async def ask(
        self, account: int, request: GatewayRequest, client: Client, course: Course
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask with the account's login; see ``AccountSource``.

        Raises ``GatewayLoginStoppedError`` and ``GatewayLoginPausedError`` before anything was sent,
        ``GatewayLoginRefusedError``, and ``LoginExpiredError`` if the request could not be sent again.
        """
        login = self._logins[account]
        exchange = _Exchange(login, partial(self._trials[account].turn, course.hold), client, self._clock)
        request = await _kept_whole(request)
        async with AsyncExitStack() as stack:
            enter = partial(self._source.ask, request, client, course)
            try:
                answer, body = await stack.enter_async_context(enter(exchange=exchange.first))
            except _ClosedAfterChallengeError:
                answer, body = await stack.enter_async_context(enter(exchange=exchange.second))
            finally:
                self._tell(account, login.standing)
            yield replace(answer, headers=_for_clients(answer.headers)), body

    def _tell(self, account: int, now: Standing) -> None:
        """Log once what has changed for an account."""
        before = self._told[account]
        if now is before:
            return
        self._told[account] = now
        self._remember(self._verdicts)
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


class _ClosedAfterChallengeError(Exception):
    """The gateway asked for the login and closed the connection."""


class _Exchange:
    """One request of an account: sent, and once more if the gateway asks for the login.

    ``trial`` gives the account's turn: it lets one login at a time go while the password may be wrong.
    """

    def __init__(self, login: GatewayLogin, trial: Turn, client: Client, clock: Callable[[], float]) -> None:
        self._login = login
        self._trial = trial
        self._clock = clock
        self._client = client
        self._check()

    async def first(self, connection: Connection, request: GatewayRequest) -> Answer:
        """Send the request, and again on the same connection after a 401.

        Raises ``_ClosedAfterChallengeError`` if it has to be sent again on another one, with ``second``.
        """
        async with self._turn():
            attempt = None
            # While the password may be wrong, only where it is asked for: a page that needs no login would seem to
            # prove it. What cannot be sent again has no other chance.
            if self._login.proven or not isinstance(request.body, bytes | None):
                attempt = self._login.attempt(request.method, request.target, self._clock())
            answer = await self._send(connection, request, attempt)
            if answer.status != _LOGIN_NEEDED:
                return answer
            if await self._challenged(connection, answer, attempt):
                raise GatewayLoginRefusedError
            if not isinstance(request.body, bytes | None):
                raise LoginExpiredError
            if self._client.gone.done():
                raise ClientGoneError
            if not connection.reusable:
                raise _ClosedAfterChallengeError
            if attempt is None:
                self._check()
                return await self._log_in(connection, request)
        return await self.second(connection, request)

    async def second(self, connection: Connection, request: GatewayRequest) -> Answer:
        """Send the request with the answer to a challenge that was just asked."""
        async with self._turn():
            return await self._log_in(connection, request)

    async def _log_in(self, connection: Connection, request: GatewayRequest) -> Answer:
        attempt = self._login.attempt(request.method, request.target, self._clock())
        if attempt is None:
            raise GatewayLoginRefusedError("no challenge that may be answered")
        answer = await self._send(connection, request, attempt)
        if answer.status != _LOGIN_NEEDED:
            return answer
        if await self._challenged(connection, answer, attempt):
            raise GatewayLoginRefusedError
        raise LoginExpiredError

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait while another login shows whether the password is right: a gateway locks up after a few wrong ones."""
        if self._login.proven:
            self._check()  # again: it was waiting for the gateway
            yield
            return
        async with self._trial():
            self._check()
            if self._client.gone.done():
                raise ClientGoneError
            yield

    async def _send(self, connection: Connection, request: GatewayRequest, attempt: Attempt | None) -> Answer:
        try:
            answer = await connection.exchange(_with_login(request, attempt))
        except ConnectionLostError as error:
            # Lost is also what a gateway closed as soon as it had the login, before it had the whole body.
            idle = not isinstance(error, SilentCloseError)
            if attempt and self._login.closed_silently(attempt, self._clock(), idle=idle):
                raise GatewayLoginRefusedError("closed without an answer") from None
            raise ConnectionLostError(error.detail) from None
        if attempt and answer.status < _LOWEST_ERROR:
            self._login.accepted(values(answer.headers, b"authentication-info"), attempt)
        return answer

    async def _challenged(self, connection: Connection, answer: Answer, attempt: Attempt | None) -> bool:
        refused = self._login.challenged(values(answer.headers, b"www-authenticate"), attempt, self._clock())
        read = 0
        async for piece in connection.body():
            read += len(piece)
            if read > _LONGEST_REFUSAL:
                break  # the connection is not used again then
        return refused

    def _check(self) -> None:
        if self._login.stopped:
            raise GatewayLoginStoppedError
        if rest := self._login.rest(self._clock()):
            raise GatewayLoginPausedError(math.ceil(rest))


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Give the values of all headers of one name, which is in lower case."""
    return [value for each, value in headers if each.lower() == name]


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


def _with_login(request: GatewayRequest, attempt: Attempt | None) -> GatewayRequest:
    """Put our login, or none, into the place of any other."""
    headers = [header for header in request.headers if header[0].lower() != b"authorization"]
    if attempt:
        headers.append((b"Authorization", attempt.authorization))
    return replace(request, headers=headers, has_login=attempt is not None)


def _for_clients(headers: Headers) -> Headers:
    return [header for header in headers if header[0].lower() not in _KEPT_FROM_CLIENTS]
