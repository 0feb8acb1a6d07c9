"""Keeps the wrong password of a client from locking the gateway: its logins are held back after some refusals.

``login_guard`` decides; here is what a request and its answer tell it. ``Guarded`` is used without the option
``accounts`` only, ``LoginLock`` also with it. No user name may get into a log line or an error.
"""

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from smgw_proxy_addon.errors import ConnectionLostError, LoginHeldBackError, SilentCloseError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.ppc_session import PpcSession
from smgw_proxy_addon.http.digest import Challenge, DigestError, parse_authorization, parse_challenges
from smgw_proxy_addon.http.headers import values
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.proxy.login_guard import LoginGuard, Who
from smgw_proxy_addon.proxy.source import Answered, Client, Transparent

_LOGGER: Final = logging.getLogger(__name__)

_LOGIN_NEEDED: Final = 401
_LOWEST_ERROR: Final = 400
_USERNAME: Final = re.compile(rb'\busername\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', re.IGNORECASE)
"""A login is sent with each request: the whole header is parsed only if it was refused."""


@dataclass(frozen=True)
class _Login:
    """A login of a client; ``who`` is ``LoginGuard.identify``."""

    header: bytes = field(repr=False)
    who: Who = field(repr=False)


class LoginLock:
    """Lets one login of a user go at a time, because gateways lock up after a few wrong ones."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def acquire(self, client: Client, clock: Callable[[], float]) -> AsyncIterator[None]:
        """Wait for the lock, and keep it until the end of the context.

        A request that waits here may have a place at the gateway already: the scheduler does not count it as waiting,
        the timeout of the slow client that has the lock does.
        """
        self._waiting += 1
        try:
            with client.record.wait(clock):
                await self._lock.acquire()
        finally:
            self._waiting -= 1
        timeout = client.slow_timeout
        others_wait = timeout.others_wait
        timeout.others_wait = lambda: self._waiting > 0 or bool(others_wait and others_wait())
        try:
            yield
        finally:
            timeout.others_wait = others_wait
            self._lock.release()


@dataclass(eq=False, repr=False)
class Guarded:
    """Asks ``source`` and holds logins back; ``session`` is PPC's, ``clock`` gives monotonic seconds."""

    source: Transparent
    guard: LoginGuard
    session: PpcSession
    clock: Callable[[], float]
    _locks: WeakValueDictionary[Who, LoginLock] = field(default_factory=WeakValueDictionary, init=False)

    def addresses(self) -> tuple[str, ...]:
        """Return from where logins were held back and none was accepted since."""
        return self.guard.addresses(self.clock())

    def ask(self, request: GatewayRequest, client: Client) -> AbstractAsyncContextManager[Answered]:
        """Ask as the source does. Raises ``LoginHeldBackError`` without asking the gateway."""
        login = self._login_of(request, client)
        if login:
            self._check(login)
        return self.source.ask(request, client, partial(self._exchange, login, client))

    def _login_of(self, request: GatewayRequest, client: Client) -> _Login | None:
        """Return the login that a request tries; None in the middle of a session, where PPC asks for it again."""
        if not request.has_login:
            return None
        cgi = ppc_session.read_request(request.target, request.headers, request.body)
        if self.session.is_held_by(cgi):
            return None
        header = b", ".join(values(request.headers, b"authorization"))
        found = _USERNAME.search(header)
        username = (found[1] or found[2] or b"") if found else b""
        return _Login(header, self.guard.identify(client.address, username))

    def _check(self, login: _Login) -> None:
        seconds = math.ceil(self.guard.seconds_left(login.who, self.clock()))
        if seconds:
            error = LoginHeldBackError(seconds=f"{seconds}")
            error.retry_after = seconds
            raise error

    async def _exchange(
        self, login: _Login | None, client: Client, connection: Connection, request: GatewayRequest
    ) -> Answer:
        if login is None:
            answer = await connection.exchange(request)
        else:
            answer = await self._log_in(login, client, connection, request)
        if answer.status == _LOGIN_NEEDED:
            for challenge in _challenges(answer):
                self.guard.handed_out(challenge.nonce, self.clock())
        return answer

    async def _log_in(self, login: _Login, client: Client, connection: Connection, request: GatewayRequest) -> Answer:
        """Send a login: one at a time of each user name and address until one was accepted."""
        if self.guard.trusts(login.who, self.clock()):
            return await self._judged(login, connection, request)
        async with self._locks.setdefault(login.who, LoginLock()).acquire(client, self.clock):
            self._check(login)  # again, after the waits
            client.check()
            return await self._judged(login, connection, request)

    async def _judged(self, login: _Login, connection: Connection, request: GatewayRequest) -> Answer:
        try:
            answer = await connection.exchange(request)
        except SilentCloseError:
            self._refuse(login, _nonce_of(login))
            raise
        except ConnectionLostError:
            self._refuse(login, None)
            raise
        if answer.status == _LOGIN_NEEDED:
            if not any(each.stale for each in _challenges(answer)):
                self._refuse(login, _nonce_of(login))
        elif answer.status < _LOWEST_ERROR:
            self.guard.accepted(login.who, self.clock())
        return answer

    def _refuse(self, login: _Login, nonce: str | None) -> None:
        seconds = self.guard.refused(login.who, nonce, self.clock())
        if seconds:
            _LOGGER.warning(
                "The gateway refused several logins in a row from %s: a program there has a wrong password. Its "
                "logins are held back for %.0f s, so that the gateway does not lock itself",
                login.who[0],
                seconds,
            )


def _challenges(answer: Answer) -> Iterator[Challenge]:
    for value in values(answer.headers, b"www-authenticate"):
        yield from parse_challenges(value.decode("utf-8", "surrogateescape"))


def _nonce_of(login: _Login) -> str | None:
    try:
        return parse_authorization(login.header.decode("utf-8", "surrogateescape")).nonce
    except DigestError:
        return None
