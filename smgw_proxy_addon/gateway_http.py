"""One connection to the gateway: our own small HTTP/1.1, for one exchange at a time.

A request is sent once and never again. No cookies, no redirects, no decompression, no added headers: the gateway
sees what it would see directly. h11 reads the answers; what is sent is written here byte for byte, because Digest
signs the target and gateways care about the case of header names.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import h11

from smgw_proxy_addon.errors import (
    BadAnswerError,
    ConnectionLostError,
    ReadTimeoutError,
    SilentCloseError,
    TruncatedAnswerError,
)
from smgw_proxy_addon.rewrite import Headers
from smgw_proxy_addon.trust import Certificate

CLOSE_TIMEOUT: Final = 2.0
"""Seconds that the gateway has to answer our close_notify."""

FRESH: Final = 2.0
"""Seconds after an answer in which a connection that closes cannot have been idle for too long."""

READ_SIZE: Final = 65536
"""Bytes that are read at once, and that may wait to be read."""

_MAX_HEAD: Final = 262144


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
        self._sent = False
        self._heard = False
        self._ended = False

    async def exchange(self, request: GatewayRequest) -> Answer:
        """Send a request and wait for the head of its answer.

        Raises ``GatewayError``: lost, silent, not HTTP, too slow; and what the request's body raises.
        """
        kept_idle = self.answered is not None and self._clock() - self.answered >= FRESH
        self.reusable = self._sent = self._heard = False  # until this exchange has come to its end
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        # h11 is told the method alone: whether an answer has a body depends on it. Its own bytes are not used.
        self._parser.send(h11.Request(method=request.method, target=b"/", headers=[(b"Host", b"gateway")]))
        self._parser.send(h11.EndOfMessage())
        try:
            if request.body is None or isinstance(request.body, bytes):
                self._writer.write(request.head() + _framed(request.body or b"", chunked=request.chunked))
                await self._drain()
                self._sent = True
                return await self._read_head(self._read_timeout)
            return await self._exchange_streaming(request, request.body)
        except (OSError, EOFError) as error:
            if request.has_login and self._sent and not kept_idle:
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
        # A gateway that answered before it had the whole request would take the next one for the rest of it.
        self.reusable = (
            self._sent
            and self._parser.their_state is h11.DONE
            and not self._parser.trailing_data[0]
            and not self._writer.is_closing()
        )

    async def quiet(self) -> bool:
        """Tell whether an idle connection is neither closed nor holds bytes that nobody asked for."""
        try:
            async with asyncio.timeout(0):
                await self._reader.read(1)
        except TimeoutError:
            return not self._writer.is_closing()
        except OSError:
            pass
        return False

    async def closed_by_gateway(self) -> bool:
        """Wait until an idle connection ends; tell whether the gateway closed it in order."""
        try:
            return not await self._reader.read(1)
        except OSError:
            return False

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
                    data = await self._reader.read(READ_SIZE)
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


_LAST_CHUNK: Final = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    # An empty chunk would end the body.
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _framed(body: bytes, *, chunked: bool) -> bytes:
    return _chunk(body) + _LAST_CHUNK if chunked else body
