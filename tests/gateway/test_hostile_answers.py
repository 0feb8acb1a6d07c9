"""A broken or hostile gateway: no client and no later request is harmed, and nothing grows without a bound.

One proxy serves the whole table. After each answer another client asks, and the same one if its connection is
still open: both must get their own answer, and never a byte that nobody asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Final

import h11
import pytest
import pytest_asyncio

from simulator.certificates import CertificateOptions, make_identity
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT
from tests.hostile_answers import ANSWERS, BROKEN, ERROR, TWO, Answer, Outcome, Passed, chunked, ok
from tests.rig import Rig, proxy_for

WAIT: Final = 10.0
BYTE_BY_BYTE: Final = 1000
"""Bytes; a longer answer would take too long byte by byte."""
FINE: Final = Passed(200, b"fine")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Gateway:
    """Answers ``/fine`` well; any other request as ``serve`` does, which gets the connection after the head."""

    def __init__(self) -> None:
        self.port = 0
        self.serve: Serve = self._hang_up
        self.greeting = b""
        """Sent before any request."""
        self.pouring = asyncio.Event()
        self.sent = 0
        """Bytes that were poured."""

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator["Gateway"]:
        gateway = cls()
        identity = await asyncio.to_thread(make_identity, CertificateOptions())
        context = await asyncio.to_thread(identity.server_context)
        server = await asyncio.start_server(gateway._handle, "127.0.0.1", 0, ssl=context)
        gateway.port = server.sockets[0].getsockname()[1]
        async with server:
            yield gateway

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b" /fine " in head:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
                    await writer.drain()
                else:
                    await self.serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _hang_up(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def say(self, answer: Answer, *, split: bool) -> None:
        """Answer the next requests with ``answer``, at once or byte by byte."""

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for piece in [answer.raw[at : at + 1] for at in range(len(answer.raw))] if split else [answer.raw]:
                writer.write(piece)
                await asyncio.sleep(0)
            await writer.drain()
            if not answer.stays:
                writer.close()

        self.serve = serve

    def pour(self, start: bytes, pieces: Iterator[bytes], pause: float = 0) -> None:
        """Answer the next requests with ``start`` and then ``pieces``, a pause (seconds) before each."""

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            for piece in pieces:
                await asyncio.sleep(pause)
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
                self.pouring.set()

        self.serve = serve


class Client:
    """A strict client: an answer that it cannot read is a fault of the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**22)

    @classmethod
    @asynccontextmanager
    async def of(cls, rig: Rig) -> AsyncIterator["Client"]:
        client = cls(*await asyncio.open_connection("127.0.0.1", rig.port))
        try:
            yield client
        finally:
            client.writer.close()
            with suppress(ConnectionError):
                await client.writer.wait_closed()

    def ask(self, target: bytes, method: str = "GET") -> None:
        request = h11.Request(method=method, target=target, headers=[("Host", "proxy")])
        self.writer.write((self.parser.send(request) or b"") + (self.parser.send(h11.EndOfMessage()) or b""))

    async def outcome(self) -> Outcome:
        """Read one answer; raises h11.RemoteProtocolError if it is not HTTP."""
        response: h11.Response | None = None
        body = b""
        ended = False
        while True:
            try:
                event = self.parser.next_event()
            except h11.RemoteProtocolError:
                if ended:
                    return BROKEN
                raise
            if event is h11.NEED_DATA:
                try:
                    async with asyncio.timeout(WAIT):
                        data = await self.reader.read(65536)
                except ConnectionError:
                    return BROKEN
                assert b"stray" not in data.lower()
                ended = not data
                self.parser.receive_data(data)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert response
                ours = (b"server", b"smgw-proxy") in list(response.headers)
                return ERROR if ours else Passed(response.status_code, body)
            else:
                return BROKEN

    async def again(self) -> Outcome | None:
        """Ask once more on this connection, if it is still open."""
        if self.parser.our_state is h11.MUST_CLOSE or self.parser.their_state is not h11.DONE:
            return None
        self.parser.start_next_cycle()
        self.ask(b"/fine")
        return await self.outcome()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway.listening() as listening:
        yield listening


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with proxy_for(f"127.0.0.1:{gateway.port}", tmp_path_factory.mktemp("hostile")) as running:
        yield running


async def check(rig: Rig, answer: Answer) -> None:
    """Let one client get the answer; then the same client and another one must get a good one."""
    async with Client.of(rig) as client:
        client.ask(b"/case", answer.method)
        outcome = await client.outcome()
        again = await client.again()
    async with Client.of(rig) as other:
        other.ask(b"/fine")
        assert await other.outcome() == FINE
    assert again in (None, FINE)
    assert outcome in answer.wanted


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("answer", "split"),
    [
        pytest.param(answer, split, id=f"{answer.name}-{'byte-by-byte' if split else 'at-once'}")
        for split in (False, True)
        for answer in ANSWERS
        if not split or len(answer.raw) < BYTE_BY_BYTE
    ],
)
async def test_nobody_is_harmed_by_an_answer(gateway: Gateway, rig: Rig, answer: Answer, split: bool) -> None:
    gateway.say(answer, split=split)
    await check(rig, answer)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "whole",
    [ok(TWO, b"Set-Cookie: a=b"), chunked(b"1\r\no\r\n1;x\r\nk\r\n0\r\nX: y\r\n\r\n")],
    ids=["length", "chunks"],
)
async def test_an_answer_that_ends_after_any_byte_is_whole_or_recognisably_not(
    gateway: Gateway, rig: Rig, whole: bytes
) -> None:
    for end in range(len(whole)):
        gateway.say(Answer(f"ends after {end}", whole[:end]), split=False)
        await check(rig, Answer("", b"", (ERROR, BROKEN)))


def test_the_table_is_large_and_its_names_are_distinct() -> None:
    names = [answer.name for answer in ANSWERS]
    assert len(set(names)) == len(names) >= 60


# Answers without an end


@asynccontextmanager
async def impatient(folder: Path) -> AsyncIterator[tuple[Gateway, Rig]]:
    """A proxy with a read timeout of half a second."""
    async with (
        Gateway.listening() as gateway,
        proxy_for(f"127.0.0.1:{gateway.port}", folder, hasten={"read_timeout": 0.5}) as rig,
    ):
        yield gateway, rig


async def check_that_others_are_served(rig: Rig) -> None:
    async with Client.of(rig) as other:
        other.ask(b"/fine")
        assert await other.outcome() == FINE


HEAD: Final = b"HTTP/1.1 200 OK\r\n"
PIECE: Final = 65_536
MUCH: Final = 16_000_000
"""Bytes. The proxy reads far fewer of an endless answer, even with the kernel's buffers counted."""


@pytest.mark.parametrize(
    ("start", "piece", "wanted"),
    [
        (HEAD, b"X: y\r\n" * (PIECE // 6), ERROR),
        (HEAD + b"X: ", b"y" * PIECE, ERROR),
        (HEAD, b"x" * PIECE, ERROR),
        (b"HTTP/1.1 200 ", b"x" * PIECE, ERROR),
        (b"", b"\r\n" * (PIECE // 2), ERROR),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * (PIECE // 25), ERROR),
        (chunked(b"2\r\nok\r\n0\r\nX: "), b"y" * PIECE, BROKEN),
        (chunked(b"2\r\nok\r\n0\r\n"), b"X: y\r\n" * (PIECE // 6), BROKEN),
        (chunked(b"2\r\nok\r\n1;"), b"x" * PIECE, BROKEN),
        (chunked(b"2\r\nok\r\n"), b"0" * PIECE, BROKEN),
    ],
    ids=["headers", "value", "name", "reason", "lines", "interim", "trailer", "trailers", "extension", "size"],
)
async def test_what_is_no_body_has_an_end(tmp_path: Path, start: bytes, piece: bytes, wanted: Outcome) -> None:
    async with impatient(tmp_path) as (gateway, rig):
        gateway.pour(start, repeat(piece, MUCH // PIECE))
        async with Client.of(rig) as client:
            client.ask(b"/case")
            assert await client.outcome() == wanted
        await check_that_others_are_served(rig)
        assert gateway.sent < MUCH // 2


@pytest.mark.parametrize("start", [ok(body=b""), ok(b"Content-Length: 999999999999"), chunked(b"3b9aca00\r\n")])
async def test_an_endless_body_ends_with_its_client(tmp_path: Path, start: bytes) -> None:
    async with impatient(tmp_path) as (gateway, rig):
        gateway.pour(start, repeat(bytes(PIECE)))
        async with Client.of(rig) as client:
            client.ask(b"/case")
            await client.reader.readexactly(1_000_000)
            at_least = gateway.sent
        await check_that_others_are_served(rig)
        assert gateway.sent < at_least + DRAIN_LIMIT + MUCH


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD + b"X: ", b"y"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (ok(b"Content-Length: 1000000"), b"y"),
        (chunked(b"2\r\nok\r\n1;"), b"x"),
    ],
    ids=["head", "interim", "body", "extension"],
)
async def test_a_trickle_holds_the_place_no_longer_than_its_client_wants_it(
    tmp_path: Path, start: bytes, piece: bytes
) -> None:
    async with impatient(tmp_path) as (gateway, rig):
        gateway.pour(start, repeat(piece), pause=0.05)
        async with Client.of(rig) as client:
            client.ask(b"/case")
            async with asyncio.timeout(WAIT):
                await gateway.pouring.wait()
        await check_that_others_are_served(rig)


async def test_an_answer_before_the_request_moves_no_answer_to_another_client(tmp_path: Path) -> None:
    async with Gateway.listening() as gateway, proxy_for(f"127.0.0.1:{gateway.port}", tmp_path) as rig:
        gateway.greeting = ok(b"Content-Length: 5", body=b"early")
        async with Client.of(rig) as client:
            client.ask(b"/fine")
            assert await client.outcome() in (ERROR, Passed(200, b"early"))
        gateway.greeting = b""
        await check_that_others_are_served(rig)
