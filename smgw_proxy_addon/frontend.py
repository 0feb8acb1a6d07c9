"""The client side: what comes in over HTTP and HTTPS, handed to the gateway and back as it is.

aiohttp serves the clients. Nothing is decided here that a pure module decides: who may come in is ``access``,
what is changed on the way is ``rewrite``, when the gateway is asked is the pool. An error never echoes what came
in.
"""

import asyncio
import fcntl
import logging
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import StreamReader, web

from smgw_proxy_addon import explain, rewrite
from smgw_proxy_addon.access import Access
from smgw_proxy_addon.errors import (
    ABORT,
    BadRequestError,
    ClientGoneError,
    ClientStalledError,
    ExpectationFailedError,
    GatewayError,
    ProxyError,
    ShuttingDownError,
)
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.redaction import redact_body, redact_target
from smgw_proxy_addon.upstream import Answer, Connection, GatewayRequest, Pool

if TYPE_CHECKING:
    from aiohttp.http_writer import StreamWriter

_LOGGER: Final = logging.getLogger(__name__)

STALL: Final = 30.0
"""Seconds in which a client has to read or to send something."""

WHOLE_BODY: Final = 65536
"""Bytes of a request's body that are read before a place at the gateway is taken."""

DRAIN_LIMIT: Final = 1_000_000
"""Bytes of an answer that are read for a client that has left, so that the gateway can finish in peace."""

_HEAD_LIMIT: Final = 65536
_EXCERPT: Final = 4096
_CLIENT_IDLE: Final = 120.0
_LINGER: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)


class ClientConnection(web.RequestHandler):
    """A client's connection; ``gone`` is done when it is lost."""

    def __init__(self, frontend: "Frontend", manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **settings)
        self._frontend = frontend
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
        return self._frontend.malformed(request, exc)


class ClientServer(web.Server):
    """Makes a ``ClientConnection`` for each connection."""

    def __init__(self, frontend: "Frontend") -> None:
        super().__init__(frontend.handle)
        self._frontend = frontend

    def __call__(self) -> web.RequestHandler:
        """Make the protocol for a new connection."""
        return ClientConnection(
            self._frontend,
            self,
            access_log=None,
            logger=_LOGGER,
            auto_decompress=False,
            keepalive_timeout=_CLIENT_IDLE,
            lingering_time=_LINGER,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
        )


class PassedOn(web.StreamResponse):
    """The gateway's answer: its own head byte for byte, with the framing of this hop at its end.

    aiohttp decides on the framing and whether the connection is kept; it is told the length alone.
    """

    def __init__(self, answer: Answer, headers: rewrite.Headers, version: tuple[int, int]) -> None:
        lengths = [value.decode() for name, value in headers if name.lower() == b"content-length"]
        super().__init__(status=answer.status, headers=[("Content-Length", length) for length in lengths])
        self.has_length = bool(lengths)
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
        writer.send_headers()


@dataclass
class Visit:
    """What is known of a request for its line in the log; times in seconds."""

    client: str
    method: str
    target: str
    status: int = ABORT
    bytes_sent: int = 0
    waiting: float = 0.0
    connecting: float = 0.0
    answering: float = 0.0
    reused: bool | None = None
    error: ProxyError | None = None
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    def record(self) -> RequestRecord:
        """Give the finished line."""
        return RequestRecord(
            client=self.client,
            method=self.method,
            target=self.target,
            status=self.status,
            bytes_sent=self.bytes_sent,
            waiting=self.waiting,
            connecting=self.connecting,
            answering=self.answering,
            reused=self.reused,
            code=self.error.code if self.error else None,
            detail=self.error.detail if self.error else "",
        )


class Frontend:
    """Takes requests from clients to the gateway's pool and answers back."""

    def __init__(
        self,
        pool: Pool,
        access: Access,
        names: rewrite.GatewayNames,
        *,
        host: bytes,
        read_timeout: float,
        clock: Callable[[], float],
        report: Callable[[RequestRecord], None],
        log_bodies: bool = False,
    ) -> None:
        self._pool = pool
        self._access = access
        self._names = names
        self._host = host
        self._read_timeout = read_timeout
        self._clock = clock
        self._report = report
        self._log_bodies = log_bodies
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def stop(self, grace: float) -> None:
        """Take no new requests; give the running ones ``grace`` seconds."""
        self._stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=grace)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Never raises but for cancellation."""
        visit = Visit(_client(request), request.method, request.raw_path)
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            return await self._forward(request, visit)
        except ProxyError as error:
            return self._refuse(request, visit, error)
        except OSError:
            return self._refuse(request, visit, ClientGoneError())
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
            return self._refuse(request, visit, ProxyError())
        finally:
            self._report(visit.record())
            if self._log_bodies:
                _log_bodies(visit)

    def malformed(self, request: web.BaseRequest, exc: BaseException | None) -> web.StreamResponse:
        """Answer what is not valid HTTP, and log it without repeating it."""
        visit = Visit(_client(request), "-", "-")
        response = self._refuse(request, visit, BadRequestError(type(exc).__name__))
        self._report(visit.record())
        return response

    async def _forward(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        if self._stopping:
            raise ShuttingDownError
        if request.version < (1, 0):
            raise BadRequestError("HTTP/0.9")  # aiohttp's parser lets a request line without a version pass
        headers = list(request.raw_headers)
        method = request.method.encode()
        self._access.check(
            peer=visit.client,
            local=_address(request.get_extra_info("sockname")),
            method=method,
            headers=headers,
            http_11=request.version >= (1, 1),
        )
        target = rewrite.origin_form(request.raw_path.encode("utf-8", "surrogateescape"))
        framing = rewrite.request_framing(headers)
        self._answer_expectation(request)
        body = await _receive(request.content) if framing.has_body else None
        if self._log_bodies and isinstance(body, bytes):
            visit.sent += body[:_EXCERPT]
        outgoing = GatewayRequest(
            method=method,
            target=target,
            headers=rewrite.request_headers(headers, host=self._host),
            body=body,
            chunked=framing.chunked,
            has_login=any(name.lower() == b"authorization" for name, _ in headers),
        )
        return await self._ask(request, outgoing, visit)

    async def _ask(self, request: web.BaseRequest, outgoing: GatewayRequest, visit: Visit) -> web.StreamResponse:
        asked = self._clock()
        gone = _connection(request).gone
        try:
            async with self._pool.lease(gone) as lease:
                visit.waiting, visit.connecting, visit.reused = lease.waited, lease.connecting, lease.reused
                asked = self._clock()
                if gone.done():
                    raise ClientGoneError
                answer = await lease.connection.exchange(outgoing)
                return await self._pass_on(request, answer, lease.connection, visit)
        finally:
            if visit.reused is None:
                visit.waiting = self._clock() - asked
            else:
                visit.answering = self._clock() - asked

    async def _pass_on(
        self, request: web.BaseRequest, answer: Answer, connection: Connection, visit: Visit
    ) -> web.StreamResponse:
        plain = not request.secure
        headers = rewrite.response_headers(answer.headers, gateway=self._names, plain=plain)
        response = PassedOn(answer, headers, (request.version.major, request.version.minor))
        visit.status = answer.status
        if request.version < (1, 1) and not response.has_length:
            response.force_close()
        body = connection.body()
        try:
            await response.prepare(request)
            async for piece in body:
                await _write(request, response, piece)
                visit.bytes_sent += len(piece)
                if self._log_bodies:
                    visit.received += piece[: _EXCERPT - len(visit.received)]
            await response.write_eof()
        except ConnectionError:
            visit.error = ClientGoneError()
            await self._drain(body)
        except ClientStalledError as error:
            visit.error = error
            _hang_up(request, force=True)
        except GatewayError as error:
            # The client must see that its answer is not whole: without a length only a reset tells.
            visit.error = error
            _hang_up(request, force=response.keep_alive is False)
        return response

    async def _drain(self, body: AsyncIterator[bytes]) -> None:
        """Let the gateway finish an answer whose client has left."""
        drained = 0
        try:
            async with asyncio.timeout(self._read_timeout):
                async for piece in body:
                    drained += len(piece)
                    if drained > DRAIN_LIMIT:
                        return
        except (GatewayError, TimeoutError):
            return

    def _answer_expectation(self, request: web.BaseRequest) -> None:
        """Answer ``Expect`` (RFC 9110 section 10.1.1) on the gateway's behalf: its requests carry none."""
        expected = request.headers.get("Expect")
        if expected is None or request.version < (1, 1):
            return
        if expected.lower() != "100-continue":
            raise ExpectationFailedError
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, request: web.BaseRequest, visit: Visit, error: ProxyError) -> web.Response:
        visit.error = error
        accept = request.headers.get("Accept")
        status = error.status
        if status == ABORT and not isinstance(error, ClientGoneError) and explain.wants_html(accept):
            status = GatewayError.status
        visit.status = status
        if status == ABORT:
            _hang_up(request)
            return web.Response()
        content_type, body = explain.body(
            error, accept=accept, accept_language=request.headers.get("Accept-Language")
        )
        visit.bytes_sent = len(body)
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        response = web.Response(status=status, body=body, headers=headers)
        if isinstance(error, BadRequestError | ClientStalledError | ShuttingDownError):
            response.force_close()
        return response


def _connection(request: web.BaseRequest) -> ClientConnection:
    connection = request.protocol
    if not isinstance(connection, ClientConnection):
        raise TypeError("a request of another server")
    return connection


def _hang_up(request: web.BaseRequest, *, force: bool = False) -> None:
    """Close the client's connection: cleanly, or with a reset if ``force``. aiohttp sends nothing after it."""
    if request.transport is None:
        return
    if force:
        # Without this, a socket with nothing left to read would be closed like one whose answer is complete.
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    else:
        request.transport.close()


async def _write(request: web.BaseRequest, response: web.StreamResponse, piece: bytes) -> None:
    """Write to the client, however slowly it reads; raises ``ClientStalledError`` if it does not read at all."""
    before = _unread(request)
    writing = asyncio.ensure_future(response.write(piece))
    try:
        while not (await asyncio.wait({writing}, timeout=STALL))[0]:
            if (now := _unread(request)) == before:
                raise ClientStalledError
            before = now
        await writing
    finally:
        writing.cancel()


def _unread(request: web.BaseRequest) -> tuple[int, int] | None:
    """Give the bytes that wait for the client here and in the kernel: each read changes one of them."""
    if request.transport is None:
        return None
    queued = fcntl.ioctl(request.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return request.transport.get_write_buffer_size(), int.from_bytes(queued, sys.byteorder)


async def _receive(content: StreamReader) -> bytes | AsyncIterator[bytes]:
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


def _log_bodies(visit: Visit) -> None:
    for what, body in (("request", visit.sent), ("answer", visit.received)):
        if body:
            _LOGGER.info(
                "Body of the %s (%s %s): %s",
                what,
                visit.method,
                redact_target(visit.target),
                redact_body(bytes(body)),
            )


def _client(request: web.BaseRequest) -> str:
    return _address(request.get_extra_info("peername"))


def _address(socket_address: object) -> str:
    """Give a socket's address as text, an IPv4 one that came in over IPv6 as IPv4 (RFC 4291 section 2.5.5.2)."""
    host = str(socket_address[0]) if isinstance(socket_address, tuple) else ""
    return host.removeprefix("::ffff:") if "." in host else host
