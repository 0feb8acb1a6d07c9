"""The way to the gateway: how connections are made, what goes wrong with them, and the pool that spares the gateway.

Connections are few, handed out in fair order, kept while they are idle, and closed cleanly.
"""

import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from smgw_proxy_addon.errors import (
    CertificateChangedError,
    ConnectTimeoutError,
    HandshakeError,
    NameUnknownError,
    OutOfDescriptorsError,
    ProxyError,
    RefusedError,
    UnreachableError,
)
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import CLOSE_TIMEOUT, Connection
from smgw_proxy_addon.gateway.ppc_session import SessionLease
from smgw_proxy_addon.gateway.queue import Turns
from smgw_proxy_addon.gateway.scheduler import Claim, Lifetime, Schedule, Ticket
from smgw_proxy_addon.gateway.tls import GatewayTrust, UntrustedError, client_context
from smgw_proxy_addon.http.messages import Answer

OnStep = Callable[[Literal["tcp", "tls"], float], None]
"""Is told each step of a new connection when it is done, and how many seconds it took."""


_PIN_AGE: Final = 1.0
"""Seconds after which a thread looks for the pin's file again; in between, and at once, the event loop does."""


OWN: Final = Claim()
"""The claim of the proxy's own examinations: they never log in."""


class Connector:
    """Makes connections to one gateway, and names what goes wrong."""

    def __init__(
        self,
        trust: GatewayTrust,
        *,
        host: str,
        port: int,
        server_name: str | None,
        connect_timeout: float,
        read_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self.trust = trust
        self._host = host
        self._port = port
        self._server_name = server_name
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._clock = clock
        self._context = client_context(trust.judge)

    async def connect(self, on_step: OnStep | None = None) -> Connection:
        """Connect, shake hands, check and store the certificate: after this, requests may be sent.

        Raises ``GatewayError`` and ``OutOfDescriptorsError``.
        """
        with self.trust.handshake():
            connection = await self._shake_hands(on_step)
            der = connection.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            try:
                connection.certificate = await self.trust.settle(der)
            except BaseException as error:
                connection.abort()
                if isinstance(error, CertificateChangedError):
                    await self.trust.report(error, der)
                raise
        return connection

    async def _shake_hands(self, on_step: OnStep | None) -> Connection:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._open(on_step or _ignore)
        except TimeoutError:
            raise ConnectTimeoutError(target=self._host, seconds=f"{self._connect_timeout:g}") from None
        except UntrustedError as error:
            traceback.clear_frames(error.__traceback__)
            problem, der = error.problem, error.der
        except (OSError, UnicodeError) as error:
            # asyncio keeps the error in a frame of its own traceback, and with it the connection and its buffer of
            # 256 kB: the collector, which counts objects and not bytes, would come for them much too late.
            traceback.clear_frames(error.__traceback__)
            raise _named(error, self._host) from None
        await self.trust.report(problem, der)
        raise problem

    async def _open(self, on_step: OnStep) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        # One address after the other, not in a race: a gateway is not to see two connections for one.
        for position, (family, *_, address) in enumerate(addresses, start=1):
            connecting = socket.socket(family, socket.SOCK_STREAM)
            connecting.setblocking(False)
            begun = self._clock()
            try:
                await loop.sock_connect(connecting, address)
                break
            except BaseException as error:
                connecting.close()
                if position == len(addresses) or not isinstance(error, OSError):
                    raise
        connected = self._clock()
        on_step("tcp", connected - begun)
        _, connection = await loop.create_connection(
            lambda: Connection(read_timeout=self._read_timeout, clock=self._clock),
            sock=connecting,
            ssl=self._context,
            server_hostname=self._server_name or "",
            ssl_shutdown_timeout=CLOSE_TIMEOUT,
        )
        on_step("tls", self._clock() - connected)
        return connection


def _named(error: OSError | UnicodeError, target: str) -> ProxyError:
    """Translate what the operating system or TLS says into the proxy's words."""
    if OutOfDescriptorsError.is_behind(error):
        return OutOfDescriptorsError(str(error))
    if isinstance(error, socket.gaierror | UnicodeError):
        return NameUnknownError(str(error), target=target)
    if isinstance(error, ssl.SSLError):
        return HandshakeError(error.reason or type(error).__name__, target=target)
    if isinstance(error, ConnectionRefusedError):
        return RefusedError(target=target)
    if isinstance(error, ConnectionError):
        return HandshakeError("the connection was closed during the handshake", target=target)
    return UnreachableError(error.strerror or str(error), target=target)


@dataclass
class Lease:
    """A place at the gateway with a connection, and the seconds it took to get them.

    ``answered`` is to be told the head of the answer as soon as it is there: it decides over PPC's session. Untold,
    it leaves the session as it was.
    """

    connection: Connection
    reused: bool
    waited: float
    connecting: float
    answered: Callable[[Answer], None]


@dataclass(frozen=True)
class PoolStatus:
    """How busy the gateway is: requests at it, its places, requests that wait for one.

    ``kept_for`` are the seconds since the idle connection was made, None if there is none.
    """

    active: int
    places: int
    waiting: int
    kept_for: float | None


class Pool:
    """The connections to one gateway: few places, handed out in fair order, idle ones kept for a while."""

    def __init__(
        self,
        connector: Connector,
        schedule: Schedule,
        lifetime: Lifetime,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._schedule = schedule
        self._turns = Turns(schedule, clock)
        self._lifetime = lifetime
        self._clock = clock
        self._idle: dict[Connection, float] = {}
        """With the moment up to which each is kept."""
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._trusted: float | None = None

    @asynccontextmanager
    async def lease(
        self, gone: asyncio.Future[None], on_step: OnStep | None = None, *, claim: Claim = OWN
    ) -> AsyncIterator[Lease]:
        """Wait for a place, then for a connection; the place is free again at the end of the context.

        ``gone`` is done when the client has left: it loses its place in the queue (``ClientGoneError``).
        Raises ``BusyError`` when too many wait, or it waits for too long, ``SessionBusyError`` when that was for
        another client's session, and ``GatewayError`` or
        ``OutOfDescriptorsError`` when there is no connection to be had.
        """
        asked = self._clock()
        ticket = await self._turns.take(claim, gone)
        try:
            granted = self._clock()
            connection, reused = await self._connection(on_step)
            try:
                took = self._clock() - granted
                yield Lease(connection, reused, granted - asked, took, partial(self._answered, ticket))
            finally:
                await self._put_back(connection)
        finally:
            self._turns.leave(ticket)

    def log_out(self, on_session_over: Callable[[], None]) -> None:
        """Let somebody see to the logout of a holder of the session that others wait for; it may be told again."""
        self._schedule.session.logs_out = True
        self._turns.on_session_over = on_session_over

    @property
    def session(self) -> SessionLease:
        """Who holds the gateway's session, to be read only."""
        return self._schedule.session

    def status(self) -> PoolStatus:
        """Tell how busy the gateway is."""
        oldest = min((connection.opened for connection in self._idle), default=None)
        kept_for = None if oldest is None else self._clock() - oldest
        return PoolStatus(self._schedule.active, self._schedule.places, self._schedule.waiting, kept_for)

    def others_wait(self) -> bool:
        """Tell whether anybody waits for a place."""
        return self._schedule.waiting > 0

    def send_away(self) -> None:
        """Let nobody wait any longer (``ShuttingDownError``)."""
        self._turns.send_away()

    async def close(self) -> None:
        """Close every idle connection cleanly."""
        self._turns.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self._idle):
            self._retire(connection)
        await self._closed()

    def _answered(self, ticket: Ticket, answer: Answer) -> None:
        if ticket.claim.cgi is not None:
            outcome = ppc_session.read(ticket.claim.cgi, answer.status, answer.headers)
            self._schedule.note(ticket, outcome, self._clock())

    async def _connection(self, on_step: OnStep | None) -> tuple[Connection, bool]:
        trust = self._connector.trust
        now = self._clock()
        recently = self._trusted is not None and now - self._trusted < _PIN_AGE
        if not (self._idle and recently and trust.unchanged()):
            await trust.refresh()
            self._trusted = now
        while self._idle:
            connection = next(reversed(self._idle))
            if not connection.quiet():
                # A close, or bytes that nobody asked for: let the event loop read them.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if connection not in self._idle:
                continue
            if connection.reusable and trust.accepts(connection.certificate):
                self._take(connection)
                return connection, True
            self._retire(connection)
        # The gateway is not to see the next one before the last is gone.
        await self._closed()
        if self._trusted != now:
            await trust.refresh()
        return await self._connector.connect(on_step), False

    async def _put_back(self, connection: Connection) -> None:
        now = self._clock()
        keep = self._lifetime.keep(now - connection.opened, now)
        if not connection.reusable:
            # It may still be at work on the request, or in the middle of its answer.
            connection.abort()
        elif keep <= 0:
            await connection.close()
        else:
            self._idle[connection] = now + keep
            connection.on_idle_end = lambda closed: self._ended(connection, now, closed=closed)
            if self._sweeper is None or self._sweeper.when() > asyncio.get_running_loop().time() + keep:
                self._sweep()

    def _ended(self, connection: Connection, since: float, *, closed: bool) -> None:
        """Let go of an idle connection that has ended; learn from the gateway if it closed it."""
        now = self._clock()
        if closed:
            self._lifetime.gateway_closed(now - since, now)
        self._retire(connection)

    def _sweep(self) -> None:
        """Close what was idle for long enough. One timer for all: requests come far more often than it fires."""
        now = self._clock()
        for connection in [connection for connection, until in self._idle.items() if until <= now]:
            self._retire(connection)
        if self._sweeper:
            self._sweeper.cancel()
        self._sweeper = None
        if self._idle:
            delay = min(self._idle.values()) - now
            self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _take(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.on_idle_end = None

    def _retire(self, connection: Connection) -> None:
        self._take(connection)
        closing = asyncio.create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _closed(self) -> None:
        """Wait until the connections that are being closed are gone."""
        if self._closing:
            await asyncio.gather(*self._closing)


def _ignore(_step: str, _seconds: float) -> None:
    """Stand in for an ``OnStep`` that nobody asked for."""
