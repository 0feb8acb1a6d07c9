"""Clients' connections, as aiohttp serves them: their life, their limits, and answers as they are.

Nothing is decided here. aiohttp's own answers and log lines would echo what came in, so it gives none.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import ERROR, _ErrInfo

from smgw_proxy_addon.errors import (
    BadRequestError,
    HeadersTooLargeError,
    ProxyError,
    RequestLineTooLongError,
)
from smgw_proxy_addon.server import error_answer
from smgw_proxy_addon.server.limits import Stage

if TYPE_CHECKING:
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.http_writer import StreamWriter

_LOGGER: Final = logging.getLogger(__name__)

LONGEST_LINE: Final = 32768
"""Bytes of a request line."""

LARGEST_FIELD: Final = 65536
"""Bytes of one header."""

LARGEST_HEAD: Final = 131072
"""Bytes of a head that comes piece by piece; aiohttp knows no limit for the whole of it."""

AHEAD: Final = 262_144
"""Bytes that a connection takes before its client is waited for: the gateway is free as soon as it has answered."""

AHEAD_IN_ALL: Final = 8_000_000
"""Bytes that wait in all connections beyond which each takes no more than asyncio would let it."""

_USUAL: Final = 65_536
_HEADERS: Final = 1000
_TOO_MANY_HEADERS: Final = "Too many headers received"
_LINGER: Final = 2.0
_ENDS: Final = frozenset({"transfer-encoding", "upgrade"})
_RESET: Final = struct.pack("ii", 1, 0)

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Malformed = Callable[[web.BaseRequest, BaseException | None], web.StreamResponse]


class ClientConnection(web.RequestHandler):
    """A client's connection; ``gone`` is done when it is lost."""

    def __init__(self, malformed: Malformed, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **settings)
        self._malformed = malformed
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heads = 0
        """Requests whose heads came in whole."""
        self.unfinished = 0
        """Bytes that came after them, of a head that is not whole."""
        self.oversized = False
        """Whether it was closed because of a head that was too large."""
        self._server = manager
        self._wire: asyncio.Transport | None = None
        self._buffers: list[Callable[[], int]] = []

    @property
    def stage(self) -> Stage:
        """What the connection does."""
        if self._waits:
            return Stage.IDLE if self.heads else Stage.NEW
        if self.transport is None or not self._request_count:
            return Stage.NEW  # in its handshake, or just made
        if self.is_over:
            return Stage.IDLE
        request = self._current_request
        has_all = request is None or request.content.is_eof()
        return Stage.AT_WORK if has_all else Stage.SENDING

    @property
    def idle_since(self) -> float | None:
        """When the last request was answered or, before the first one, the connection made (the loop's time)."""
        closing = self._next_keepalive_close_time
        return closing - self._keepalive_timeout if closing else None

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken yet, but for those in the kernel."""
        return sum(size() for size in self._buffers)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do but to wait until the client has taken what it was sent."""
        at_its_end = self._wire is not None and (self._wire.is_closing() or self.writing_paused)
        return at_its_end and self._current_request is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and let it take more than asyncio would."""
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
        self._buffers = [self._wire.get_write_buffer_size]
        if tls := getattr(transport, "_ssl_protocol", None):
            # What is encrypted waits in the transport below, which asyncio hides and does not count. And it forgets
            # all that is here when it is told to close for the second time, as aiohttp does.
            self._buffers = [tls._get_write_buffer_size, tls._transport.get_write_buffer_size]  # noqa: SLF001 - asyncio hides them
        self._wire.set_write_buffer_limits(AHEAD)

    def bound_ahead(self) -> None:
        """Take less ahead while all connections together have much that their clients do not read."""
        if self._wire and self.unsent > _USUAL:
            in_all = sum(cast("ClientConnection", each).unsent for each in self._server.connections)
            self._wire.set_write_buffer_limits(AHEAD if in_all <= AHEAD_IN_ALL else _USUAL)

    def data_received(self, data: bytes) -> None:
        """Keep count of what has not become a request yet: aiohttp neither times a head nor bounds it as a whole."""
        request = self._current_request
        had_all = request is not None and request.content.is_eof()
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._break_off_bodies()
        if self.heads != self._request_count:
            self.heads = self._request_count
            self.unfinished = 0
        elif had_all or self._waits:
            self.unfinished += len(data)
            if self.unfinished > LARGEST_HEAD:
                self._refuse_head()

    def turn_away(self, answer: bytes) -> None:
        """Send an answer to a request that never came in whole, and close."""
        if self.transport is not None:
            self.transport.write(answer)
        self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell those who wait for this client."""
        if not self.gone.done():
            self.gone.set_result(None)
        self._wire = None
        self._buffers.clear()
        super().connection_lost(exc)

    @property
    def _waits(self) -> bool:
        """Whether there is no request: nothing has come, or not all of a head."""
        return self._waiter is not None and not self._waiter.done()

    def _refuse_head(self) -> None:
        self.oversized = True
        if self._waits:
            self.turn_away(refusal(HeadersTooLargeError()))
        elif self.transport is not None:
            self.transport.abort()  # behind a request that is at work: its answer would be taken for this one's

    def _break_off_bodies(self) -> None:
        """Break off the bodies that an error behind them makes invalid: aiohttp would let them wait for the rest."""
        current = [self._current_request.content] if self._current_request else []
        for body in [*current, *(payload for _, payload in self._messages)]:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError())
                body.feed_eof()  # nor is there a rest to wait for when it is answered

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
    """Makes a ``ClientConnection`` for each connection; ``handle`` answers requests, ``malformed`` the rest.

    ``silence`` are the seconds that a connection may be idle.
    """

    def __init__(self, handle: Handle, malformed: Malformed, silence: float) -> None:
        super().__init__(handle, request_factory=self._request)
        self._malformed = malformed
        self._silence = silence

    def _request(self, message: "RawRequestMessage", *rest: Any) -> web.BaseRequest:
        """Make a request. aiohttp's parser may give one without a target, which nothing else could refuse."""
        if message.url is None:
            message = message._replace(url=ERROR.url, path="")
        return self._make_request(message, *rest)

    def __call__(self) -> ClientConnection:
        """Make the protocol for a new connection."""
        return ClientConnection(
            self._malformed,
            self,
            access_log=None,
            logger=_LOGGER,
            auto_decompress=False,
            keepalive_timeout=self._silence,
            lingering_time=_LINGER,
            max_headers=_HEADERS,
            max_line_size=LONGEST_LINE,
            max_field_size=LARGEST_FIELD,
        )


class Refusal(web.Response):
    """An answer of our own, in HTTP/1.1: aiohttp would repeat a version that there is not."""

    async def _write_headers(self) -> None:
        writer = cast("StreamWriter", self._payload_writer)
        await writer.write_headers(f"HTTP/1.1 {self.status} {self.reason}", self.headers)


def is_last(request: web.BaseRequest) -> bool:
    """Tell whether the connection must end with this request, because aiohttp misreads what follows it.

    Behind an upgrade (or CONNECT) it drops the rest of a segment, or keeps it for the other protocol; and it takes
    the last field of a trailer for the first header of the next request.
    """
    return request.method == "CONNECT" or not _ENDS.isdisjoint(map(str.lower, request.headers))


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
    if raw := socket_of(request):
        # Without this, a socket with nothing left to read would be closed like one whose answer is complete.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    request.transport.abort()


def socket_of(request: web.BaseRequest) -> socket.socket | None:
    """Give the client's socket. TLS lets go of it one turn of the loop before aiohttp is told."""
    raw = request.get_extra_info("socket")
    return raw if raw is not None and raw.fileno() >= 0 else None


def fault(exc: BaseException | None) -> BadRequestError:
    """Name what aiohttp could not parse, without a word of it."""
    if isinstance(exc, LineTooLong):
        return (RequestLineTooLongError if exc.args[1] == LONGEST_LINE else HeadersTooLargeError)(type(exc).__name__)
    if getattr(exc, "message", None) == _TOO_MANY_HEADERS:
        return HeadersTooLargeError(type(exc).__name__)
    return BadRequestError(type(exc).__name__)


def refusal(error: ProxyError) -> bytes:
    """Write an error as the last answer of a connection whose request is not known."""
    kind, body = error_answer.body(error, accept=None, accept_language=None)
    head = [
        f"HTTP/1.1 {error.status} {error.code}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        "Server: smgw-proxy",
    ]
    if error.retry_after is not None:
        head.append(f"Retry-After: {error.retry_after}")
    return "\r\n".join([*head, "", ""]).encode() + body


def address(socket_address: object) -> str:
    """Give a socket's address as text, an IPv4 one that came in over IPv6 as IPv4 (RFC 4291 section 2.5.5.2)."""
    host = str(socket_address[0]) if isinstance(socket_address, tuple) else ""
    return host.removeprefix("::ffff:") if "." in host else host
