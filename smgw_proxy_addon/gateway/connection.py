"""One connection to the gateway: HTTP/1.1 with one exchange at a time.

A request is sent once; ``StaleConnectionError`` says that it may be sent again. No cookies, no redirects, no
decompression, no added headers. Requests are written byte for byte, because Digest signs the target and some gateways
depend on the case of header names.
"""

import asyncio
import math
import select
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

from smgw_proxy_addon.errors import (
    ConnectionLostError,
    GatewayError,
    GatewayWantsCertificateError,
    NotSentError,
    ReadTimeoutError,
    SilentCloseError,
    StaleConnectionError,
)
from smgw_proxy_addon.gateway.messages import AnswerParser
from smgw_proxy_addon.gateway.tls import wants_certificate
from smgw_proxy_addon.http.messages import LAST_CHUNK, Answer, GatewayRequest, chunk
from smgw_proxy_addon.tls_transport import TlsTransport
from smgw_proxy_addon.trust.policy import Certificate
from smgw_proxy_addon.wakeup import Wakeup

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the gateway gets to answer close_notify."""

FRESH: Final = 2.0
"""Seconds after an answer. A connection that closes within them was not closed for being idle."""

_SAFE: Final = frozenset({b"GET", b"HEAD"})
"""Methods of requests that may be sent twice (RFC 9110 section 9.2.2)."""

_READ_AHEAD: Final = 65536
"""Bytes of a body that may be buffered; with more, reading from the gateway pauses."""


class Connection(asyncio.Protocol):
    """One TLS connection to the gateway, for one exchange at a time.

    ``certificate`` is what the gateway showed. ``on_idle_end`` is called when an idle connection ends, with True if
    the gateway closed it in order. ``opened`` and ``answered`` (the end of the last answer) are times of ``clock``.
    ``closed_after`` are the seconds from the last answer until the gateway closed in order without having said so;
    None if it did not.
    """

    certificate: Certificate
    transport: TlsTransport

    def __init__(self, *, read_timeout: float, clock: Callable[[], float]) -> None:
        self._read_timeout = read_timeout
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._parser: AnswerParser | None = None
        self._ended = False
        self._news = Wakeup()
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._deadline = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._written = False
        """Whether a byte of the request was written."""
        self._sent = False
        self._input = select.poll()
        self.on_idle_end: Callable[[bool], None] | None = None
        self.opened = clock()
        self.answered: float | None = None
        self.closed_after: float | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last one, if any, was sent and answered completely."""
        if self._ended or self.transport.is_closing():
            return False
        parser = self._parser
        # After an answer to half a request, the gateway would read the next one as the rest of that.
        return parser is None or (self._sent and parser.complete and parser.keeps_alive and not parser.excess)

    async def exchange(self, request: GatewayRequest) -> Answer:
        """Send a request and wait for the head of its answer.

        Raises ``ConnectionLostError``, ``StaleConnectionError``, ``NotSentError``, ``SilentCloseError``,
        ``GatewayWantsCertificateError``, ``BadAnswerError``, ``TruncatedAnswerError``, ``ReadTimeoutError``, and what
        the request's body raises.
        """
        self.on_idle_end = None
        idle = None if self.answered is None else self._clock() - self.answered
        self._written = self._sent = False
        parser = self._parser = AnswerParser(request.method)
        try:
            if request.stream is None:
                body = request.body or b""
                self._write(request.head() + (chunk(body) + LAST_CHUNK if request.chunked else body))
                # A connection that ends before it has taken all may have brought the answer.
                self._sent = self._writable is None or await self._wait_writable()
                return await self._head(parser)
            return await self._exchange_streaming(request, request.stream, parser)
        except EOFError:
            raise self._unanswered(request, idle) from None

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the answer's body without its transfer coding.

        Raises ``TruncatedAnswerError``, ``BadAnswerError`` or ``ReadTimeoutError``.
        """
        parser = self._parser
        deadline = self._loop.time() + self._read_timeout
        while parser:
            if parser.pieces:
                data = b"".join(parser.pieces)
                parser.pieces.clear()
                parser.buffered = 0
                if self._paused:
                    self._paused = False
                    self.transport.raw.resume_reading()
                yield data
                deadline = self._loop.time() + self._read_timeout
            elif parser.complete:
                return
            elif parser.problem:
                raise parser.problem
            else:
                await self._wait_for_input(deadline)

    @property
    def answer_complete(self) -> bool:
        """Whether the last request was answered completely."""
        return self._parser is not None and self._parser.complete

    def has_unread_input(self) -> bool:
        """Tell whether the kernel has bytes or the end of the connection that the event loop has not read yet."""
        return bool(self._input.poll(0))

    async def close(self) -> None:
        """Close with close_notify; without it if the gateway does not answer within ``CLOSE_TIMEOUT``."""
        self.on_idle_end = None
        self.transport.close()
        try:
            await asyncio.wait({self._lost}, timeout=CLOSE_TIMEOUT)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, without close_notify."""
        self.on_idle_end = None
        self.transport.raw.abort()

    async def wait_ended(self, seconds: float) -> None:
        """Wait until the connection has ended, at most for so long."""
        if not self._ended and seconds > 0:
            await asyncio.wait({self._lost}, timeout=seconds)

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("TlsTransport", transport)
        if (raw := self.transport.raw.get_extra_info("socket")) is not None:
            self._input.register(raw.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read a part of the answer, or bytes that belong to none."""
        parser = self._parser
        if parser is None:
            self._end(None, closed=False)  # bytes before any request
            return
        parser.feed(data)
        if parser.complete:
            if self.answered is None or not parser.excess:
                self.answered = self._clock()
            if parser.excess and self.on_idle_end:
                self._end(None, closed=False)
        elif parser.buffered > _READ_AHEAD and not self._paused:
            self._paused = True
            self.transport.raw.pause_reading()
        if not self.transport.ended:  # else the end follows: the task must not go on as if the connection were kept
            self._news.set()

    def eof_received(self) -> None:
        """Note that the gateway closes in order."""
        self._end(None, closed=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is closed."""
        self._end(exc, closed=exc is None)
        if self._watchdog:
            self._watchdog.cancel()
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        """Have writers wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let writers go on."""
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _end(self, error: Exception | None, *, closed: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if parser := self._parser:
            if closed and self.answered is not None and (parser.keeps_alive or not parser.started):
                self.closed_after = self._clock() - self.answered
            parser.end(error)
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        if self.on_idle_end:
            self.on_idle_end(closed)
        self._news.set()

    def _write(self, data: bytes) -> None:
        if self._ended or self.transport.is_closing():
            raise EOFError
        self.transport.write(data)
        self._written = True

    def _unanswered(self, request: GatewayRequest, idle: float | None) -> GatewayError:
        """Decide what it means that the connection ended before the first byte of an answer.

        ``idle`` is the time from the last answer to the request, None on a new connection. This is the one place that
        says which request may be sent once more:

        - any request of which no byte was written;
        - a GET or HEAD on a kept connection, which may have ended before the request arrived: but not with a login
          that may be wrong, because it would count twice at a gateway that locks up after some wrong ones.

        Gateways of Theben close to refuse a login. So the end refuses it, and nothing is sent again, unless the
        connection had been idle for long enough to be closed for that.
        """
        alert = self.transport.error
        if alert and self.answered is None and wants_certificate(alert):  # in TLS 1.3 it comes behind the handshake
            return GatewayWantsCertificateError(alert.reason or "")
        detail = "closed without an answer"
        if not self._written:
            return NotSentError(detail)
        if request.has_login and self._sent and (idle is None or idle < FRESH):
            return SilentCloseError(detail)
        harmless = request.login_proven or not request.has_login
        if idle is not None and request.method in _SAFE and request.stream is None and harmless:
            return StaleConnectionError(detail)
        return ConnectionLostError(detail)

    async def _head(self, parser: AnswerParser, *, deadline: float | None = None) -> Answer:
        # One deadline for the whole head: while nothing is sent to the client, nobody notices that it has left.
        deadline = self._loop.time() + self._read_timeout if deadline is None else deadline
        while not parser.head_complete:
            if parser.problem:
                raise parser.problem
            if self._ended:
                raise EOFError
            await self._wait_for_input(deadline)
        return parser.answer()

    async def _wait_for_input(self, deadline: float) -> None:
        """Wait for input; raises ReadTimeoutError at the ``deadline``, a time of the loop's clock."""
        self._deadline = deadline
        if self._watchdog is None and deadline != math.inf:
            self._watchdog = self._loop.call_at(deadline, self._watch)
        await self._news

    def _watch(self) -> None:
        """End a wait that is too long. One timer serves all waits: one for each costs more than the wait."""
        self._watchdog = None
        if not self._news.awaited or self._deadline == math.inf:
            return
        if self._loop.time() < self._deadline:
            self._watchdog = self._loop.call_at(self._deadline, self._watch)
        else:
            self._news.set(ReadTimeoutError(seconds=f"{self._read_timeout:g}"))

    async def _wait_writable(self) -> bool:
        """Wait until more can be written; tells whether it can, or the connection has ended."""
        if self._writable and not (await asyncio.wait({self._writable}, timeout=self._read_timeout))[0]:
            raise ReadTimeoutError(seconds=f"{self._read_timeout:g}")
        return not self._ended

    async def _exchange_streaming(
        self, request: GatewayRequest, pieces: AsyncIterator[bytes], parser: AnswerParser
    ) -> Answer:
        """Send a large body and read meanwhile: a gateway may answer before it has the whole, with 401 say."""
        sending = asyncio.create_task(self._send_pieces(request, pieces))
        receiving = asyncio.create_task(self._head(parser, deadline=math.inf))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            self._sent = sending.done() and sending.exception() is None
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
        await self._send(request.head())
        async for piece in pieces:
            await self._send(chunk(piece) if request.chunked else piece)
        if request.chunked:
            await self._send(LAST_CHUNK)

    async def _send(self, data: bytes) -> None:
        self._write(data)
        if not await self._wait_writable():
            raise EOFError
