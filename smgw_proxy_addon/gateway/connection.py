"""One connection to the gateway: our own small HTTP/1.1, for one exchange at a time.

A request is sent once and never again. No cookies, no redirects, no decompression, no added headers: the gateway
sees what it would see directly. What is sent is written here byte for byte, because Digest signs the target and
gateways care about the case of header names.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

from smgw_proxy_addon.errors import (
    ConnectionLostError,
    ReadTimeoutError,
    SilentCloseError,
)
from smgw_proxy_addon.gateway.messages import Reading
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.trust.policy import Certificate

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the gateway has to answer our close_notify."""

FRESH: Final = 2.0
"""Seconds after an answer in which a connection that closes cannot have been idle for too long."""

_READ_AHEAD: Final = 65536
"""Bytes of a body that may wait to be passed on; beyond them nothing more is read from the gateway."""


class Connection(asyncio.Protocol):
    """One TLS connection to the gateway, for one exchange at a time.

    ``certificate`` is what the gateway showed. ``on_idle_end`` is called when an idle connection ends: with True
    if the gateway closed it in order.
    """

    certificate: Certificate
    transport: asyncio.Transport

    def __init__(self, *, read_timeout: float, clock: Callable[[], float]) -> None:
        self._read_timeout = read_timeout
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._reading: Reading | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._deadline = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._sent = False
        self.on_idle_end: Callable[[bool], None] | None = None
        self.opened = clock()
        self.answered: float | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: nothing was sent yet, or all was sent and answered."""
        if self._ended or self.transport.is_closing():
            return False
        reading = self._reading
        # A gateway that answered before it had the whole request would take the next one for the rest of it.
        return reading is None or (self._sent and reading.complete and reading.keeps_alive and not reading.stray)

    async def exchange(self, request: GatewayRequest) -> Answer:
        """Send a request and wait for the head of its answer.

        Raises ``GatewayError``: lost, silent, not HTTP, too slow; and what the request's body raises.
        """
        self.on_idle_end = None
        kept_idle = self.answered is not None and self._clock() - self.answered >= FRESH
        self._sent = False
        reading = self._reading = Reading(request.method)
        try:
            if request.stream is None:
                self._write(request.head() + _framed(request.body or b"", chunked=request.chunked))
                if self._writable:
                    await self._drain()
                self._sent = True
                return await self._head(reading)
            return await self._exchange_streaming(request, request.stream, reading)
        except EOFError:
            if request.has_login and self._sent and not kept_idle:
                raise SilentCloseError("closed without an answer") from None
            raise ConnectionLostError("closed without an answer") from None

    async def body(self) -> AsyncIterator[bytes]:
        """Give the answer's body piece by piece, decoded from its transfer coding.

        Raises ``TruncatedAnswerError``, ``BadAnswerError`` or ``ReadTimeoutError`` in the middle of it.
        """
        reading = self._reading
        deadline = self._loop.time() + self._read_timeout
        while reading:
            if reading.pieces:
                data = b"".join(reading.pieces)
                reading.pieces.clear()
                reading.waiting = 0
                if self._paused:
                    self._paused = False
                    self.transport.resume_reading()
                yield data
                deadline = self._loop.time() + self._read_timeout
            elif reading.complete:
                return
            elif reading.problem:
                raise reading.problem
            else:
                await self._news(deadline)

    def quiet(self) -> bool:
        """Tell whether nothing has come in that the event loop has not read yet."""
        raw = self.transport.get_extra_info("socket")
        if raw is None or raw.fileno() < 0:
            return False  # TLS lets go of it one turn of the loop before it tells
        poll = select.poll()
        poll.register(raw.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def close(self) -> None:
        """Close cleanly, with close_notify; by force if the gateway does not play along."""
        self.on_idle_end = None
        self.transport.close()
        await asyncio.wait({self._lost}, timeout=CLOSE_TIMEOUT)
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self.on_idle_end = None
        self.transport.abort()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a part of the answer, or what nobody asked for."""
        reading = self._reading
        if reading is None:
            self._end(None, closed=False)  # bytes before any request
            return
        reading.feed(data)
        if reading.complete:
            if self.answered is None or not reading.stray:
                self.answered = self._clock()
            if reading.stray and self.on_idle_end:
                self._end(None, closed=False)
        elif reading.waiting > _READ_AHEAD and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Learn that the gateway closes in order."""
        self._end(None, closed=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone."""
        self._end(exc, closed=exc is None)
        if self._watchdog:
            self._watchdog.cancel()
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        """Wait before more is written."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Write on."""
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # Inside

    def _end(self, error: Exception | None, *, closed: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._reading:
            self._reading.end(error)
        self._wake()
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        if self.on_idle_end:
            self.on_idle_end(closed)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _write(self, data: bytes) -> None:
        if self._ended or self.transport.is_closing():
            raise EOFError
        self.transport.write(data)

    async def _head(self, reading: Reading, *, patient: bool = False) -> Answer:
        # For all of it: the client may have left, which nobody notices before something is sent to it.
        deadline = float("inf") if patient else self._loop.time() + self._read_timeout
        while not reading.head_complete:
            if reading.problem:
                raise reading.problem
            if self._ended:
                raise EOFError
            await self._news(deadline)
        return reading.answer()

    async def _news(self, deadline: float) -> None:
        """Wait until something comes in; raises ReadTimeoutError at the ``deadline``, a time of the loop's clock."""
        self._waiter = self._loop.create_future()
        self._deadline = deadline
        if self._watchdog is None and deadline != float("inf"):
            self._watchdog = self._loop.call_at(deadline, self._watch)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _watch(self) -> None:
        """End a wait that is too long. One timer serves all waits: making one for each costs more than the wait."""
        self._watchdog = None
        if self._waiter is None or self._waiter.done() or self._deadline == float("inf"):
            return
        if self._loop.time() < self._deadline:
            self._watchdog = self._loop.call_at(self._deadline, self._watch)
        else:
            self._waiter.set_exception(ReadTimeoutError(seconds=f"{self._read_timeout:g}"))

    async def _drain(self) -> None:
        if self._writable is None:
            return
        if not (await asyncio.wait({self._writable}, timeout=self._read_timeout))[0]:
            raise ReadTimeoutError(seconds=f"{self._read_timeout:g}")
        if self._ended:
            raise EOFError

    async def _exchange_streaming(
        self, request: GatewayRequest, pieces: AsyncIterator[bytes], reading: Reading
    ) -> Answer:
        """Send a large body while listening: a gateway may answer, 401 say, before it has all of it."""
        sending = asyncio.create_task(self._send_pieces(request, pieces))
        receiving = asyncio.create_task(self._head(reading, patient=True))
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
        self._write(request.head())
        async for piece in pieces:
            self._write(_chunk(piece) if request.chunked else piece)
            await self._drain()
        if request.chunked:
            self._write(_LAST_CHUNK)
            await self._drain()


_LAST_CHUNK: Final = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    # An empty chunk would end the body.
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _framed(body: bytes, *, chunked: bool) -> bytes:
    return _chunk(body) + _LAST_CHUNK if chunked else body
