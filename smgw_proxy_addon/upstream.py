"""The gateway side: our own small HTTP/1.1 connection, and the pool that spares the gateway.

A request is sent once, on one connection, and never again. No cookies, no redirects, no decompression, no added
headers: the gateway sees what it would see directly. h11 reads the answers; what is sent is written here byte for
byte, because Digest signs the target and gateways care about the case of header names.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal

import h11

from smgw_proxy_addon.errors import (
    BadAnswerError,
    BusyError,
    CertificateChangedError,
    ClientGoneError,
    ConnectionLostError,
    ConnectTimeoutError,
    GatewayError,
    HandshakeError,
    NameUnknownError,
    QueueTimeoutError,
    ReadTimeoutError,
    RefusedError,
    SilentCloseError,
    TruncatedAnswerError,
    UnreachableError,
)
from smgw_proxy_addon.gateway_tls import GatewayTrust, UntrustedError, client_context
from smgw_proxy_addon.rewrite import Headers
from smgw_proxy_addon.schedule import Lifetime, Schedule, Ticket, Turn
from smgw_proxy_addon.trust import Certificate

_LOGGER: Final = logging.getLogger(__name__)

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the gateway has to answer our close_notify."""

FRESH: Final = 2.0
"""Seconds after an answer in which a connection that closes cannot have been idle for too long."""

_READ_SIZE: Final = 65536
_MAX_HEAD: Final = 262144


OnStep = Callable[[Literal["tcp", "tls"], float], None]
"""Is told each step of a new connection when it is done, and how many seconds it took."""


@dataclass(frozen=True)
class GatewayRequest:
    """What is sent: end-to-end headers, the body whole or in pieces (``None``: no body)."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None
    chunked: bool
    has_login: bool

    def head(self) -> bytes:
        """Give the request line and headers as they go over the wire."""
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target)]
        lines += [b"%b: %b" % header for header in self.headers]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join([*lines, b"", b""])


@dataclass(frozen=True)
class Answer:
    """The head of the gateway's answer; ``headers`` in the gateway's own case and order."""

    status: int
    reason: bytes
    headers: Headers


class Connection:
    """One TLS connection to the gateway, for one exchange at a time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        certificate: Certificate,
        *,
        read_timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = h11.Connection(h11.CLIENT)
        self._read_timeout = read_timeout
        self._clock = clock
        self.certificate = certificate
        self.opened = clock()
        self.answered: float | None = None
        self.reusable = True
        self._heard = False
        self._ended = False

    async def exchange(self, request: GatewayRequest) -> Answer:
        """Send a request and wait for the head of its answer.

        Raises ``GatewayError``: lost, silent, not HTTP, too slow; and what the request's body raises.
        """
        kept_idle = self.answered is not None and self._clock() - self.answered >= FRESH
        self.reusable = self._heard = False  # until this exchange has come to its end
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        # h11 is told the method alone: whether an answer has a body depends on it. Its own bytes are not used.
        self._parser.send(h11.Request(method=request.method, target=b"/", headers=[(b"Host", b"gateway")]))
        self._parser.send(h11.EndOfMessage())
        try:
            if request.body is None or isinstance(request.body, bytes):
                self._writer.write(request.head() + _framed(request.body or b"", chunked=request.chunked))
                await self._drain()
                return await self._read_head(self._read_timeout)
            return await self._exchange_streaming(request, request.body)
        except (OSError, EOFError) as error:
            if request.has_login and not kept_idle:
                raise SilentCloseError(str(error)) from None
            raise ConnectionLostError(str(error)) from None

    async def body(self) -> AsyncIterator[bytes]:
        """Give the answer's body piece by piece, decoded from its transfer coding.

        Raises ``TruncatedAnswerError``, ``BadAnswerError`` or ``ReadTimeoutError`` in the middle of it.
        """
        try:
            while not isinstance(event := await self._next_event(self._read_timeout), h11.EndOfMessage):
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
        except (OSError, EOFError) as error:
            raise TruncatedAnswerError(str(error)) from None
        self.answered = self._clock()
        self.reusable = (
            self._parser.our_state is h11.DONE
            and self._parser.their_state is h11.DONE
            and not self._parser.trailing_data[0]
            and not self._writer.is_closing()
        )

    @property
    def open(self) -> bool:
        """Tell whether neither side has closed the connection, as far as is known here."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def wait_for_end(self) -> None:
        """Wait until an idle connection is closed by the gateway, or holds bytes that nobody asked for."""
        with suppress(OSError):
            await self._reader.read(1)

    async def close(self) -> None:
        """Close cleanly, with close_notify; by force if the gateway does not play along."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()

    async def _exchange_streaming(self, request: GatewayRequest, pieces: AsyncIterator[bytes]) -> Answer:
        """Send a large body while listening: a gateway may answer, 401 say, before it has all of it."""
        sending = asyncio.create_task(self._send_pieces(request, pieces))
        receiving = asyncio.create_task(self._read_head(None))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                return receiving.result()
            sending.result()
            async with asyncio.timeout(self._read_timeout):
                return await receiving
        except TimeoutError:
            raise ReadTimeoutError(seconds=f"{self._read_timeout:g}") from None
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _send_pieces(self, request: GatewayRequest, pieces: AsyncIterator[bytes]) -> None:
        self._writer.write(request.head())
        async for piece in pieces:
            self._writer.write(_chunk(piece) if request.chunked else piece)
            await self._drain()
        if request.chunked:
            self._writer.write(_LAST_CHUNK)
            await self._drain()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._read_timeout):
                await self._writer.drain()
        except TimeoutError:
            raise ReadTimeoutError(seconds=f"{self._read_timeout:g}") from None

    async def _read_head(self, seconds: float | None) -> Answer:
        while True:
            event = await self._next_event(seconds)
            if isinstance(event, h11.Response):
                return Answer(event.status_code, bytes(event.reason), list(event.headers.raw_items()))
            # Interim answers (RFC 9110 section 15.2) end here: no client waits for one.

    async def _next_event(self, seconds: float | None) -> h11.Event:
        try:
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(seconds):
                    data = await self._reader.read(_READ_SIZE)
                if not data and not self._heard:
                    raise EOFError("closed without an answer")
                self._heard = True
                self._ended = not data
                self._parser.receive_data(data)
        except TimeoutError:
            raise ReadTimeoutError(seconds=f"{self._read_timeout:g}") from None
        except h11.RemoteProtocolError as error:
            # What h11 says may quote the gateway: only its kind is passed on.
            raise (TruncatedAnswerError if self._ended else BadAnswerError)(type(error).__name__) from None
        if isinstance(event, type):
            raise BadAnswerError("a switch of protocols that nobody asked for")
        return event


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
            limit=_READ_SIZE,
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
            if following is not None:
                self._turns[following].set_result(None)

    async def close(self) -> None:
        """Close every idle connection cleanly."""
        await asyncio.gather(*(self._retire(connection) for connection in list(self._idle)))

    async def _wait_for_turn(self, ticket: Ticket, gone: asyncio.Future[None]) -> None:
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({turn, gone}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._turns[ticket]
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
                if connection.open:
                    return connection, True
                await connection.close()
            else:
                await self._retire(connection)
        return await self._connector.connect(on_step), False

    async def _put_back(self, connection: Connection) -> None:
        now = self._clock()
        keep = self._lifetime.keep(now - connection.opened)
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
                await connection.wait_for_end()
        except TimeoutError:
            pass
        else:
            self._lifetime.gateway_closed(self._clock() - since)
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


_LAST_CHUNK: Final = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    # An empty chunk would end the body.
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _framed(body: bytes, *, chunked: bool) -> bytes:
    return _chunk(body) + _LAST_CHUNK if chunked else body
