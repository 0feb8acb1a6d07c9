"""Clients' connections, as aiohttp serves them: their life, bodies in both directions, and answers as they are.

Nothing is decided here. aiohttp's own answers and log lines would echo what came in, so it gives none.
"""

import asyncio
import fcntl
import logging
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import StreamReader, web

from smgw_proxy_addon.errors import BadRequestError, ClientGoneError, ClientStalledError
from smgw_proxy_addon.gateway_http import Answer
from smgw_proxy_addon.rewrite import Headers

if TYPE_CHECKING:
    from aiohttp.http_writer import StreamWriter

_LOGGER: Final = logging.getLogger(__name__)

STALL: Final = 30.0
"""Seconds in which a client has to read or to send something."""

WHOLE_BODY: Final = 65536
"""Bytes of a request's body that are read before a place at the gateway is taken."""

AT_ONCE: Final = 32768
"""Bytes that are sent without a look at how the client reads: less than its connection takes without waiting."""

_HEADERS: Final = 1000
_HEAD_LIMIT: Final = 65536
_CLIENT_IDLE: Final = 120.0
_LINGER: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Malformed = Callable[[web.BaseRequest, BaseException | None], web.StreamResponse]


class ClientConnection(web.RequestHandler):
    """A client's connection; ``gone`` is done when it is lost."""

    def __init__(self, malformed: Malformed, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **settings)
        self._malformed = malformed
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell those who wait for this client."""
        if not self.gone.done():
            self.gone.set_result(None)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - aiohttp's signature
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what came in
    ) -> web.StreamResponse:
        """Answer what aiohttp could not parse; its own answer and log line would echo it."""
        return self._malformed(request, exc)


class ClientServer(web.Server):
    """Makes a ``ClientConnection`` for each connection; ``handle`` answers requests, ``malformed`` the rest."""

    def __init__(self, handle: Handle, malformed: Malformed) -> None:
        super().__init__(handle)
        self._malformed = malformed

    def __call__(self) -> web.RequestHandler:
        """Make the protocol for a new connection."""
        return ClientConnection(
            self._malformed,
            self,
            access_log=None,
            logger=_LOGGER,
            auto_decompress=False,
            keepalive_timeout=_CLIENT_IDLE,
            lingering_time=_LINGER,
            max_headers=_HEADERS,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
        )


class PassedOn(web.StreamResponse):
    """The gateway's answer: its own head byte for byte, with the framing of this hop at its end.

    aiohttp decides on the framing and whether the connection is kept; it is told the length alone.
    """

    def __init__(self, answer: Answer, headers: Headers, version: tuple[int, int]) -> None:
        lengths = [value.decode() for name, value in headers if name.lower() == b"content-length"]
        super().__init__(status=answer.status, headers=[("Content-Length", length) for length in lengths])
        self.has_length = bool(lengths)
        self._body_follows = False
        self._head = [b"HTTP/%d.%d %d %b" % (*version, answer.status, answer.reason)]
        self._head += [b"%b: %b" % header for header in headers]

    async def _write_headers(self) -> None:
        # aiohttp has no public way to send a head as it is: it adds Content-Type, Date and Server, and writes UTF-8.
        framing = [
            f"{name}: {self.headers[name]}".encode()
            for name in ("Connection", "Transfer-Encoding")
            if name in self.headers
        ]
        writer = cast("StreamWriter", self._payload_writer)
        writer._headers_buf = b"\r\n".join([*self._head, *framing, b"", b""])  # noqa: SLF001 - see above
        if not self._body_follows:
            writer.send_headers()

    async def send_whole(self, request: web.BaseRequest, body: bytes) -> None:
        """Send head and body at once: at most ``AT_ONCE`` bytes."""
        self._body_follows = True
        await self.prepare(request)
        await self.write_eof(body)


def gone(request: web.BaseRequest) -> asyncio.Future[None]:
    """Give what is done when the request's client has left."""
    return cast("ClientConnection", request.protocol).gone


def hang_up(request: web.BaseRequest, *, force: bool = False) -> None:
    """Close the client's connection: cleanly, or with a reset if ``force``. aiohttp sends nothing after it."""
    if request.transport is None:
        return
    if not force:
        request.transport.close()
        return
    if raw := _socket(request):
        # Without this, a socket with nothing left to read would be closed like one whose answer is complete.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    request.transport.abort()


async def write(request: web.BaseRequest, piece: bytes) -> None:
    """Write to the client, however slowly it reads; raises ``ClientStalledError`` if it does not read at all."""
    writer = cast("StreamWriter", request.writer)
    await writer.write(piece, drain=False)
    if request.transport is None or request.transport.get_write_buffer_size() == 0:
        return  # the kernel has all of it
    before = _unread(request)
    draining = asyncio.ensure_future(writer.drain())
    try:
        while not (await asyncio.wait({draining}, timeout=STALL))[0]:
            if (now := _unread(request)) == before:
                raise ClientStalledError
            before = now
        await draining
    finally:
        draining.cancel()


def _unread(request: web.BaseRequest) -> tuple[int, int]:
    """Give the bytes that wait for the client here and in the kernel: each read changes one of them.

    Raises ConnectionResetError if the client has left.
    """
    raw = _socket(request)
    if request.transport is None or raw is None:
        raise ConnectionResetError
    queued = fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(4))
    return request.transport.get_write_buffer_size(), int.from_bytes(queued, sys.byteorder)


def _socket(request: web.BaseRequest) -> socket.socket | None:
    """Give the client's socket. TLS lets go of it one turn of the loop before aiohttp is told."""
    raw = request.get_extra_info("socket")
    return raw if raw is not None and raw.fileno() >= 0 else None


async def receive(content: StreamReader) -> bytes | AsyncIterator[bytes]:
    """Read a body of up to ``WHOLE_BODY`` bytes whole; a larger one comes in pieces."""
    pieces = _pieces(content)
    start = bytearray()
    async for piece in pieces:
        start += piece
        if len(start) > WHOLE_BODY:
            return _chain(bytes(start), pieces)
    return bytes(start)


async def _chain(start: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in pieces:
        yield piece


async def _pieces(content: StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(STALL):
                piece = await content.readany()
        except TimeoutError:
            raise ClientStalledError from None
        except OSError:
            raise ClientGoneError from None
        except web.RequestPayloadError as error:
            raise BadRequestError(type(error).__name__) from None
        if not piece:
            return
        yield piece


def address(socket_address: object) -> str:
    """Give a socket's address as text, an IPv4 one that came in over IPv6 as IPv4 (RFC 4291 section 2.5.5.2)."""
    host = str(socket_address[0]) if isinstance(socket_address, tuple) else ""
    return host.removeprefix("::ffff:") if "." in host else host
