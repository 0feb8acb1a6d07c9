"""Raw bytes at the front door: what would go to the gateway must be one request, read the same way by another parser.

The client's connection and the handler are the real ones; the socket is a stand-in that keeps what is written, and
so is the gateway. No time passes and nothing is awaited but the loop's own turns.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

import h11

from fuzz.promises import promise
from smgw_proxy_addon.http import rewrite
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.proxy.handler import RequestHandler
from smgw_proxy_addon.proxy.source import Client
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.connection import ClientConnection

if TYPE_CHECKING:
    from smgw_proxy_addon.logs import RequestRecord

HOST: Final = b"gateway.example"
TURNS: Final = 20
"""Of the loop, in which a request is answered."""
MOST: Final = 64
LARGEST_BODY: Final = 2**20
_LIMIT: Final = 2**22
_FAULT: Final = "internal_error"
_NAMES: Final = rewrite.GatewayNames.of("10.11.120.2", 443)
_NO_SOCKET: Final = socket.socket()
"""Stands for the one below the ``Wire``."""
_NO_SOCKET.close()


class Wire(asyncio.Transport):
    """A client's connection without a socket."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", 8080)})
        self.written = bytearray()
        self.lost: Callable[[], None] | None = None
        self.raw = self
        """The transport below TLS, for a connection to the gateway."""
        self.ended = False
        self.error = None
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what goes to the client."""
        if not self._closing:
            self.written += data

    def close(self) -> None:
        """Lose the connection, one turn later."""
        if not self._closing:
            self._closing = True
            if self.lost:
                asyncio.get_running_loop().call_soon(self.lost)

    abort = close

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return self._closing

    def is_reading(self) -> bool:
        """Tell that bytes are taken."""
        return not self._closing

    def pause_reading(self) -> None:
        """Do nothing: all bytes are there."""

    def resume_reading(self) -> None:
        """Do nothing: all bytes are there."""

    def get_write_buffer_size(self) -> int:
        """Tell that nothing waits."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: nothing waits."""


@dataclass
class Gateway:
    """Answers each request at once and keeps it as it would go over the wire."""

    wires: list[bytes] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, _client: Client
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Answer 200."""
        body = request.body or b""
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        if request.chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        self.wires.append(request.head() + body)
        self.methods.append(request.method.decode())
        yield Answer(200, b"OK", [(b"Content-Length", b"2")], b"ok"), _nothing()


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


class Complaints(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(f"{record.getMessage()} {record.exc_info}")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@contextmanager
def _complaints() -> Iterator[list[str]]:
    complaints = Complaints()
    logger = logging.getLogger("smgw_proxy_addon")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(complaints)
    try:
        yield complaints.said
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagated


def fuzz(data: bytes) -> None:
    """Send ``data`` to the front door: its first byte says in pieces of how many bytes (0: at once)."""
    if data:
        size = data[0] or len(data)
        pieces = [data[at : at + size] for at in range(1, len(data), size)]
        with _complaints() as problems:
            _loop().run_until_complete(_knock(pieces[:MOST], problems))


async def _knock(pieces: list[bytes], problems: list[str]) -> None:
    gateway = Gateway()
    reports: list[RequestRecord] = []
    handler = RequestHandler(
        gateway.ask,
        Access(),
        lambda: _NAMES,
        host=HOST,
        read_timeout=5,
        largest_body=LARGEST_BODY,
        report=reports.append,
    )
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(repr(context)))
    protocol = ClientConnection(handler.handle, lambda: 0, _NO_SOCKET, "127.0.0.1")
    wire = Wire()
    wire.lost = lambda: protocol.connection_lost(None)
    protocol.connection_made(wire)
    serving = asyncio.create_task(protocol.serve())
    for piece in pieces:
        if not wire.is_closing():
            protocol.data_received(piece)
            await _turns()
    await _turns(b"".join(pieces).count(b"HTTP/1"))
    wire.close()
    await _turns()
    promise(serving.done(), "nothing is waited for when the client has left")
    await _clean_up()
    promise(not problems, f"nothing is left to the event loop or told as an error: {problems}")
    promise(not any(each.code == _FAULT for each in reports), "nothing is a fault of the proxy itself")
    for request in gateway.wires:
        check_request(request)
    check_answers(bytes(wire.written))


async def _turns(requests: int = 1) -> None:
    for _ in range(TURNS * (requests or 1)):
        await asyncio.sleep(0)


async def _clean_up() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def check_request(wire: bytes) -> None:
    """Raise unless a strict server reads exactly one request out of these bytes."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=_LIMIT)
    server.receive_data(wire)
    request = server.next_event()
    promise(isinstance(request, h11.Request), "a request goes to the gateway")
    if isinstance(request, h11.Request):
        promise([value for name, value in request.headers if name == b"host"] == [HOST], "it has one Host")
        promise(request.http_version == b"1.1", "it is HTTP/1.1")
        names = [line.partition(b":")[0].lower() for line in wire.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
        # Counted by hand: h11 makes one of two that agree.
        promise(names.count(b"content-length") + names.count(b"transfer-encoding") <= 1, "it has one framing")
    while isinstance(event := server.next_event(), h11.Data):
        pass
    promise(isinstance(event, h11.EndOfMessage), "the request is whole")
    promise(server.trailing_data == (b"", False), "nothing follows it")


def check_answers(wire: bytes) -> None:
    """Raise unless these are whole answers, all understood and none with a byte too many."""
    while wire:
        head, end, rest = wire.partition(b"\r\n\r\n")
        promise(end and head.startswith(b"HTTP/1."), "the client gets an answer")
        client = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LIMIT)
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        client.receive_data(head + end)
        answer = client.next_event()
        promise(isinstance(answer, h11.Response | h11.InformationalResponse), "the client gets an answer")
        length = 0
        if isinstance(answer, h11.Response):
            length = int(dict(answer.headers).get(b"content-length", b"0"))
            if rest[:5] == b"HTTP/":  # the answer to HEAD, whose body is left out
                length = 0
        promise(len(rest) >= length or not rest, "the answer is whole")
        wire = rest[length:]
