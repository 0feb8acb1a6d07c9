"""One connection of a client: requests are read ahead within bounds, and answered in their order by one task.

The flow: bytes → ``messages.RequestReader`` → a ``Request`` → the handler → the answer. Nothing is decided here about
requests and answers but how they are framed.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

from smgw_proxy_addon.errors import ClientGoneError, ProxyError
from smgw_proxy_addon.http.headers import Headers
from smgw_proxy_addon.http.messages import LAST_CHUNK, chunk
from smgw_proxy_addon.read_buffer import BufferedReader
from smgw_proxy_addon.server.limits import Awaited, Stage
from smgw_proxy_addon.server.messages import (
    LARGEST_HEAD,
    Request,
    RequestReader,
    answer_head,
)
from smgw_proxy_addon.server.output import Output
from smgw_proxy_addon.server.slow_clients import SlowClientTimeout
from smgw_proxy_addon.tls_transport import TlsTransport
from smgw_proxy_addon.wakeup import Wakeup

HALF_CLOSED: Final = 2.0
"""Seconds that a client's request has to reach the gateway if it closes its side right behind it, as scripts do.

Then it is taken for gone, as is at once a client that closes later: it has given up.
"""

_RIGHT_BEHIND: Final = 0.25
"""Seconds between the last bytes of a request and that end."""

_LINGER: Final = 2.0
"""Seconds in which a client may still send what nobody reads: closing before would take the answer away from it."""

_LINGER_BYTES: Final = 32_000_000
"""Bytes that it may send meanwhile; one whose head was too large has to stop sooner."""

_PIECE: Final = 16_384
"""Bytes that are read at once: at most so many make requests before the bound is looked at."""


Handler = Callable[[Request, "ClientConnection"], Awaitable[None]]
"""Answers a request, or has its connection end without an answer; raises nothing but CancelledError."""


class ClientConnection(BufferedReader):
    """One connection of a client, from its acceptance to its end; with a ``context``, at the port for HTTPS.

    ``unsent_in_all`` counts the bytes that all clients together have not taken. ``secure``: it is over TLS, as its
    first byte tells. ``gone`` is done when the client has left, ``lost`` when the connection has ended.
    ``half_closed``: the client sends no more.
    """

    def __init__(
        self,
        handler: Handler,
        unsent_in_all: Callable[[], int],
        accepted: socket.socket,
        peer: str,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self.socket = accepted
        self.peer = peer
        self.local = ""
        self.context = context
        self.secure = False
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.since = self._loop.time()
        """When the last answer ended or, before the first one, it came (seconds of the loop)."""
        self._awaited: tuple[Awaited, int] | None = (Awaited.OPENING, 0)
        self._awaited_since = self.since
        self.output = Output(accepted, unsent_in_all)
        self.reader = RequestReader()
        self._request: Request | None = None  # the one whose turn it is
        self._chunked = False
        self._unread = b""  # came in beyond what is read ahead
        self._paused = False  # nothing more is read from the client
        self._heard = 0.0  # when the last bytes came in
        self.half_closed = False
        self._leaving: asyncio.TimerHandle | None = None
        self._discarded: int | None = None  # bytes, since nothing that comes in is read any more
        self._news = Wakeup()

    # For the acceptor

    @property
    def stage(self) -> Stage:
        """What the connection does."""
        if self._request is None:
            return Stage.IDLE if self.reader.heads else Stage.NEW
        return Stage.AT_WORK if self._request.complete else Stage.SENDING

    @property
    def ready(self) -> bool:
        """Whether it can read requests: it is open, and the TLS handshake is done."""
        return self.output.raw is not None

    def awaited(self, now: float) -> tuple[Awaited | None, float]:
        """Return what of its client is waited for, and for how long without progress, as far as looks can tell."""
        awaited = self._awaits()
        if awaited != self._awaited:
            self._awaited, self._awaited_since = awaited, now
        return awaited and awaited[0], now - self._awaited_since

    def _awaits(self) -> tuple[Awaited, int] | None:
        """Return what it waits for, None while it is at work; the number changes when there is some of it."""
        if not self.ready:
            return Awaited.OPENING, 0
        if self._request is not None:
            return None
        if not self.output.writable.is_set() or not self.output.open:
            return Awaited.READING, self.output.unsent
        if self.reader.in_head:
            return Awaited.HEAD, self.reader.heads
        return None if self.reader.requests else (Awaited.REQUEST, self.reader.heads)

    async def serve(self) -> None:
        """Answer one request after the other until the connection has ended."""
        try:
            while request := await self._next():
                await self._handler(request, self)
                if request.keeps_alive and (request.pieces or not request.complete):
                    await self._skip_body(request)
                if self.reader.requests:
                    await asyncio.sleep(0)  # between requests that came together, others have their turn
                self._request = None
                self.since = self._loop.time()
                if not (request.keeps_alive and self.output.open):
                    break
                await self.output.writable.wait()  # the acceptor ends what takes too long
            await self._end()
        finally:
            self.abort()

    def reject(self, error: ProxyError) -> None:
        """Answer with an error what has come in of a head, and end the connection."""
        self.reader.refuse(error)
        self._news.set()

    def abort(self) -> None:
        """Drop it at once."""
        if self.output.raw is not None:
            self.output.raw.abort()

    @property
    def misplaced(self) -> bool:
        """Whether it speaks plain HTTP at the port for HTTPS."""
        return self.context is not None and not self.secure

    # For the handler, while the request is its

    def take_body(self) -> bytes | None:
        """Give what has come in of the request's body, nothing at its end; None if that is to be waited for.

        Raises ``ClientGoneError``, or what is wrong with the body.
        """
        request = cast("Request", self._request)
        if request.pieces:
            piece = b"".join(request.pieces)
            request.pieces.clear()
            self.reader.waiting -= len(piece)
            if self._paused:
                self._read_on()
            return piece
        request.check()
        if request.complete:
            return b""
        if self._has_left:
            raise ClientGoneError
        return None

    async def wait_for_body(self, seconds: float) -> None:
        """Wait until something has come in, at most for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news

    def answer(
        self, request: Request, status: int, reason: bytes, headers: Headers, whole: bytes | None = None
    ) -> None:
        """Send the head of the answer and, at once with it, its ``whole`` body; or the body follows with ``send``.

        ``headers`` without the framing of this hop. Raises ``ClientGoneError``.
        """
        head, self._chunked = answer_head(request, status, reason, headers)
        request.answered = True
        if whole is None:
            self.output.write(head)
        elif self._chunked:
            self.output.write(head + chunk(whole) + LAST_CHUNK)
        else:
            self.output.write(head + whole)

    async def send(self, piece: bytes, slow_timeout: SlowClientTimeout) -> None:
        """Send a piece of the body, however slowly the client reads. Raises as ``Output`` does."""
        self.output.write(chunk(piece) if self._chunked else piece)
        await self.output.drain(slow_timeout)

    def finish(self) -> None:
        """End the body. Raises ``ClientGoneError``."""
        if self._chunked:
            self.output.write(LAST_CHUNK)

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, over which requests can be read from now on."""
        raw = transport.raw if isinstance(transport, TlsTransport) else cast("asyncio.Transport", transport)
        self.local = address(raw.get_extra_info("sockname"))
        self.output.attach(raw, cast("asyncio.Transport", transport))

    def data_received(self, data: bytes | memoryview) -> None:
        """Read requests, as far as they are read ahead."""
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > (LARGEST_HEAD if self.reader.oversized else _LINGER_BYTES):
                self.abort()
            return
        self._heard = self._loop.time()
        self._unread += data
        self._read_on()

    def eof_received(self) -> bool:
        """Learn that the client sends no more; without TLS it may still read. Returns whether to keep it open."""
        self.half_closed = True
        nothing_to_answer = self._request is None and not self.reader.requests
        stays = not (self.secure or nothing_to_answer or self._discarded is not None)
        if stays and self._loop.time() - self._heard > _RIGHT_BEHIND:
            self._leave()
        elif stays:
            self._leaving = self._loop.call_later(HALF_CLOSED, self._leave)
        self._news.set()
        return stays

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell those who wait for this client. May be called twice."""
        if self.lost.done():
            return
        self.lost.set_result(None)
        if self._leaving:
            self._leaving.cancel()
        self._leave()
        self._unread = b""
        self.reader.close()
        self.output.detach()
        self._news.set()

    def pause_writing(self) -> None:
        """Wait before more is written."""
        self.output.writable.clear()

    def resume_writing(self) -> None:
        """Write on."""
        self.output.writable.set()

    # Inside

    @property
    def _has_left(self) -> bool:
        return self.half_closed or self.lost.done()

    async def _next(self) -> Request | None:
        """Wait for the next request; None if there will be none."""
        reader = self.reader
        while not reader.requests:
            if reader.ended or self._has_left:
                return None
            await self._news
        self._request = reader.requests.popleft()
        if self._paused:
            self._read_on()
        return self._request

    def _read_on(self) -> None:
        """Read what has come in until enough is read ahead, and then no more from the client."""
        reader, data, read = self.reader, self._unread, 0
        while read < len(data) and not reader.full:
            reader.feed(data[read : read + _PIECE])
            read += _PIECE
        self._unread = data = data[read:]
        if reader.oversized and self._request is not None:
            self.abort()  # the answer of the request at work may take longer than this is to be kept
        elif self.output.raw is not None and self._paused is not (bool(data) or reader.full):
            self._paused = not self._paused
            if self._paused:
                self.output.raw.pause_reading()
            else:
                self.output.raw.resume_reading()
        self._news.set()

    def _leave(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    async def _skip_body(self, request: Request) -> None:
        """Read the rest of the body of an answered request, if that does not take long."""
        skipped, deadline = 0, self._loop.time() + _LINGER
        with suppress(ProxyError):
            while (piece := self.take_body()) != b"" and skipped < _LINGER_BYTES and self._loop.time() < deadline:
                if piece is None:
                    await self.wait_for_body(deadline - self._loop.time())
                else:
                    skipped += len(piece)
        request.keeps_alive = request.complete

    async def _end(self) -> None:
        """Close the connection. What a client still sends is read: unread, it would take the answer with it."""
        may_send = self._unread or not self.reader.settled
        if self.output.raw is not None and self.output.open and may_send and not self.half_closed:
            self._unread, self._discarded = b"", 0
            self.output.end()
            self.output.raw.resume_reading()
            await asyncio.wait({self.lost}, timeout=_LINGER)
        self.output.close()
        await self.lost


def address(socket_address: object) -> str:
    """Give a socket's address as text, an IPv4 one that came in over IPv6 as IPv4 (RFC 4291 section 2.5.5.2)."""
    host = str(socket_address[0]) if isinstance(socket_address, tuple) else ""
    return host.removeprefix("::ffff:") if "." in host else host
