"""One request of an account at the gateway: sent, and once more if the gateway asks for the login.

Owns when the account's login goes with a request, and what the gateway's answer says of it. A request is sent again
after a 401; ``gateway.connection`` says when it is sent again after a connection that ended. No user name, password
or nonce may get into a log line or an error.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from smgw_proxy_addon.auth.gateway_login import Attempt, GatewayLogin
from smgw_proxy_addon.errors import (
    ConnectionLostError,
    GatewayLoginPausedError,
    GatewayLoginRefusedError,
    GatewayLoginStoppedError,
    LoginExpiredError,
    NotSentError,
    SilentCloseError,
    StaleConnectionError,
)
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT, drain
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.http.headers import values
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.proxy.guarded import LoginLock
from smgw_proxy_addon.proxy.source import Client

_LOGIN_NEEDED: Final = 401
_LOWEST_ERROR: Final = 400
_DRAIN_SECONDS: Final = 10.0
"""For the body of a 401; after that the request goes on over another connection."""


class ClosedAfterChallengeError(Exception):
    """The gateway asked for the login and closed the connection."""


@dataclass(eq=False, repr=False)
class AccountExchange:
    """One request of an account: sent, and once more if the gateway asks for the login.

    ``lock`` is the account's: one login at a time goes while the password may be wrong. ``may_reuse`` tells whether
    the login may go out on the connection that asked for it.
    """

    login: GatewayLogin
    lock: LoginLock
    client: Client
    clock: Callable[[], float]
    may_reuse: Callable[[Connection], Awaitable[bool]]

    def __post_init__(self) -> None:
        self._check_allowed()

    async def send(self, connection: Connection, request: GatewayRequest) -> Answer:
        """Send the request, and again on the same connection after a 401.

        Raises ``ClosedAfterChallengeError`` if it has to be sent again on another one, with ``resend``.
        """
        async with self._wait_until_allowed():
            attempt = None
            # While the password may be wrong, it is sent only where it is asked for: a page that needs no login would
            # seem to prove it. A stream is the exception: it cannot be sent again.
            if self.login.proven or request.stream is not None:
                attempt = self.login.attempt(request.method, request.target, self.clock())
            answer = await self._exchange(connection, request, attempt)
            if answer.status != _LOGIN_NEEDED:
                return answer
            await self._read_challenge(connection, answer, attempt)
            if request.stream is not None:
                raise LoginExpiredError
            self.client.check()
            if not await self.may_reuse(connection):
                raise ClosedAfterChallengeError
            if attempt is None:
                self._check_allowed()
                with _not_sent_means_closed():
                    return await self._log_in(connection, request)
        with _not_sent_means_closed():
            return await self.resend(connection, request)

    async def resend(self, connection: Connection, request: GatewayRequest) -> Answer:
        """Send the request with the answer to a challenge that was just asked."""
        async with self._wait_until_allowed():
            return await self._log_in(connection, request)

    async def _log_in(self, connection: Connection, request: GatewayRequest) -> Answer:
        attempt = self.login.attempt(request.method, request.target, self.clock())
        if attempt is None:
            raise GatewayLoginRefusedError("no challenge that may be answered")
        answer = await self._exchange(connection, request, attempt)
        if answer.status != _LOGIN_NEEDED:
            return answer
        await self._read_challenge(connection, answer, attempt)
        raise LoginExpiredError

    @asynccontextmanager
    async def _wait_until_allowed(self) -> AsyncIterator[None]:
        """Wait while another login shows whether the password is right, unless that is known."""
        if self.login.proven:
            self._check_allowed()  # again, after the wait for the gateway
            yield
            return
        async with self.lock.acquire(self.client, self.clock):
            self._check_allowed()
            self.client.check()
            yield

    async def _exchange(self, connection: Connection, request: GatewayRequest, attempt: Attempt | None) -> Answer:
        proven = self.login.proven and attempt is not None and not attempt.fresh
        try:
            answer = await connection.exchange(replace(replace_login(request, attempt), login_proven=proven))
        except NotSentError:
            raise  # the login was not sent either: this says nothing of it
        except ConnectionLostError as error:
            # A gateway may refuse a login by closing before it has the whole body.
            idle = not isinstance(error, SilentCloseError)
            if attempt and self.login.closed_silently(attempt, self.clock(), idle=idle):
                raise GatewayLoginRefusedError("closed without an answer") from None
            if isinstance(error, StaleConnectionError):
                raise
            raise ConnectionLostError(error.detail) from None
        if attempt and answer.status < _LOWEST_ERROR:
            self.login.accepted(values(answer.headers, b"authentication-info"), attempt)
        return answer

    async def _read_challenge(self, connection: Connection, answer: Answer, attempt: Attempt | None) -> None:
        refused = self.login.challenged(values(answer.headers, b"www-authenticate"), attempt, self.clock())
        await drain(connection.body(), limit=DRAIN_LIMIT, seconds=_DRAIN_SECONDS)
        if refused:
            raise GatewayLoginRefusedError

    def _check_allowed(self) -> None:
        if self.login.stopped:
            raise GatewayLoginStoppedError
        if pause := math.ceil(self.login.pause_left(self.clock())):
            error = GatewayLoginPausedError(seconds=f"{pause}")
            error.retry_after = pause
            raise error


@contextmanager
def _not_sent_means_closed() -> Iterator[None]:
    """Have the answer to a challenge go out on another connection if this one ended before."""
    try:
        yield
    except NotSentError:
        raise ClosedAfterChallengeError from None


def replace_login(request: GatewayRequest, attempt: Attempt | None) -> GatewayRequest:
    """Put the proxy's own login, or none, into the place of the client's."""
    headers = [header for header in request.headers if header[0].lower() != b"authorization"]
    if attempt:
        headers.append((b"Authorization", attempt.authorization))
    return replace(request, headers=headers, has_login=attempt is not None)
