"""The way to the gateway: how connections are made, what goes wrong with them, and the pool that spares the gateway.

Connections are few, handed out first come, first served, kept while they are idle, and closed cleanly.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from smgw_proxy_addon.errors import (
    BusyError,
    CertificateChangedError,
    ClientGoneError,
    ConnectTimeoutError,
    GatewayError,
    HandshakeError,
    NameUnknownError,
    QueueTimeoutError,
    RefusedError,
    ShuttingDownError,
    UnreachableError,
)
from smgw_proxy_addon.gateway_http import CLOSE_TIMEOUT, READ_SIZE, Connection
from smgw_proxy_addon.gateway_tls import GatewayTrust, UntrustedError, client_context
from smgw_proxy_addon.schedule import Lifetime, Schedule, Ticket, Turn

OnStep = Callable[[Literal["tcp", "tls"], float], None]
"""Is told each step of a new connection when it is done, and how many seconds it took."""


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

        Raises ``GatewayError``.
        """
        with self.trust.handshake():
            reader, writer = await self._shake_hands(on_step)
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            try:
                certificate = await self.trust.settle(der)
            except BaseException as error:
                writer.transport.abort()
                if isinstance(error, CertificateChangedError):
                    await self.trust.report(error, der)
                raise
        return Connection(reader, writer, certificate, read_timeout=self._read_timeout, clock=self._clock)

    async def _shake_hands(self, on_step: OnStep | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._open(on_step or _ignore)
        except TimeoutError:
            raise ConnectTimeoutError(target=self._host, seconds=f"{self._connect_timeout:g}") from None
        except UntrustedError as error:
            await self.trust.report(error.problem, error.der)
            raise error.problem from None
        except (OSError, UnicodeError) as error:
            raise _named(error, self._host) from None

    async def _open(self, on_step: OnStep) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
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
        streams = await asyncio.open_connection(
            sock=connecting,
            limit=READ_SIZE,
            ssl=self._context,
            server_hostname=self._server_name or "",
            ssl_shutdown_timeout=CLOSE_TIMEOUT,
        )
        on_step("tls", self._clock() - connected)
        return streams


def _named(error: OSError | UnicodeError, target: str) -> GatewayError:
    """Translate what the operating system or TLS says into the proxy's words."""
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
    """A place at the gateway with a connection, and the seconds it took to get them."""

    connection: Connection
    reused: bool
    waited: float
    connecting: float


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
    """The connections to one gateway: few places, first come, first served, idle ones kept for a while."""

    def __init__(
        self,
        connector: Connector,
        schedule: Schedule,
        lifetime: Lifetime,
        *,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._schedule = schedule
        self._lifetime = lifetime
        self._patience = patience
        self._clock = clock
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._idle: dict[Connection, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def lease(self, gone: asyncio.Future[None], on_step: OnStep | None = None) -> AsyncIterator[Lease]:
        """Wait for a place, then for a connection; the place is free again at the end of the context.

        ``gone`` is done when the client has left: it loses its place in the queue (``ClientGoneError``).
        Raises ``BusyError`` when too many wait, or it waits for too long, and ``GatewayError`` when there is no
        connection to be had.
        """
        asked = self._clock()
        if gone.done():
            raise ClientGoneError
        ticket = self._schedule.ask()
        if ticket.turn is Turn.REFUSED:
            raise BusyError
        try:
            if ticket.turn is Turn.WAIT:
                await self._wait_for_turn(ticket, gone)
            granted = self._clock()
            connection, reused = await self._connection(on_step)
            try:
                yield Lease(connection, reused, granted - asked, self._clock() - granted)
            finally:
                await self._put_back(connection)
        finally:
            following = self._schedule.leave(ticket)
            if following is not None and not self._turns[following].done():
                self._turns[following].set_result(None)

    def status(self) -> PoolStatus:
        """Tell how busy the gateway is."""
        oldest = min((connection.opened for connection in self._idle), default=None)
        kept_for = None if oldest is None else self._clock() - oldest
        return PoolStatus(self._schedule.active, self._schedule.places, self._schedule.waiting, kept_for)

    def send_away(self) -> None:
        """Let nobody wait any longer (``ShuttingDownError``)."""
        for turn in self._turns.values():
            turn.cancel()

    async def close(self) -> None:
        """Close every idle connection cleanly."""
        await asyncio.gather(*(self._retire(connection) for connection in list(self._idle)))

    async def _wait_for_turn(self, ticket: Ticket, gone: asyncio.Future[None]) -> None:
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({turn, gone}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._turns[ticket]
        if turn.cancelled():
            raise ShuttingDownError
        if gone.done():
            raise ClientGoneError
        if not turn.done():
            raise QueueTimeoutError(seconds=f"{self._patience:g}")

    async def _connection(self, on_step: OnStep | None) -> tuple[Connection, bool]:
        trust = self._connector.trust
        await trust.refresh()
        while self._idle:
            connection = next(reversed(self._idle))
            if connection.reusable and trust.accepts(connection.certificate):
                await self._stop_watching(connection)
                if await connection.quiet():
                    return connection, True
                await connection.close()
            else:
                await self._retire(connection)
        return await self._connector.connect(on_step), False

    async def _put_back(self, connection: Connection) -> None:
        now = self._clock()
        keep = self._lifetime.keep(now - connection.opened, now)
        if connection.reusable and keep > 0:
            self._idle[connection] = asyncio.create_task(self._watch(connection, now, keep))
        elif connection.reusable:
            await connection.close()
        else:
            # It may still be at work on the request, or in the middle of its answer.
            connection.abort()

    async def _watch(self, connection: Connection, since: float, keep: float) -> None:
        """Keep an idle connection for ``keep`` seconds; learn from the gateway if it closes it before."""
        try:
            async with asyncio.timeout(keep):
                if await connection.closed_by_gateway():
                    now = self._clock()
                    self._lifetime.gateway_closed(now - since, now)
        except TimeoutError:
            pass
        connection.reusable = False
        await connection.close()
        self._idle.pop(connection, None)

    async def _stop_watching(self, connection: Connection) -> None:
        watcher = self._idle.pop(connection)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)

    async def _retire(self, connection: Connection) -> None:
        if connection.reusable:
            await self._stop_watching(connection)
            await connection.close()
        else:
            # Its watcher is closing it. The gateway is not to see the next one before this one is gone.
            await asyncio.gather(self._idle[connection], return_exceptions=True)


def _ignore(_step: str, _seconds: float) -> None:
    """Stand in for an ``OnStep`` that nobody asked for."""
