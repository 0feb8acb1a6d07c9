"""A client's connection over real sockets: what is read, when it is answered, and how it ends."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.server import connection
from smgw_proxy_addon.server.acceptor import Acceptor
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.server.messages import Request
from tests.rig import Rig, proxy_for, send, status_of
from tests.waiting import until

GET: Final = b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\n\r\n"
ANSWER: Final = b"status 200\n"
ENOUGH: Final = 10.0


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def connected(
    port: int | None, *, tls: bool = False
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = unverified() if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=2**22)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read up to the end of the connection."""
    async with asyncio.timeout(ENOUGH):
        return await reader.read()


async def answered(reader: asyncio.StreamReader) -> int:
    """Read one answer with a length; returns its status."""
    async with asyncio.timeout(ENOUGH):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        await reader.readexactly(int(length[16:]))
        return status_of(head)


# What is no HTTP/1.1


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /a\r\n"],
        [b"GET /a", b"\r\n"],
        [b"GET /a\r", b"\n"],
        [b"GE", b"T /", b"a\r", b"\n"],
        [b"\r\nGET /a\r\n"],
        [GET, b"GET /a\r\n"],
        [GET + b"GET /a\r\n"],
        [GET + b"GET /", b"a\r\n"],
        [b"GET /1.1\r\n"],
        [b"GET / HTTP/0.9\r\n"],
        [b"GET / HTTP/2.0\r\n"],
        [GET, b"GET / HTTP/2", b".0\r\n"],
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
        [b"PRI * HTTP/2.0\r\n"],
    ],
    ids=repr,
)
async def test_another_version_is_refused_at_the_end_of_its_line(tmp_path: Path, pieces: list[bytes]) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        good = b"".join(pieces).count(GET)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        for _ in range(good):
            assert await answered(reader) == 200
        assert status_of(await rest(reader)) == 400
        assert [report.code for report in rig.reports] == [*([None] * good), "bad_request"]
        assert "version" in rig.reports[-1].detail or pieces[-1].startswith(b"PRI * HTTP/2.0\r\n\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /sim/status/200 ", b"HTTP/1.1\r\nHost: proxy\r\n\r\n"],
        [b"GET /1.1 HTTP/1.1\r\n", b"Host: proxy\r\n\r\n"],
    ],
)
async def test_a_line_in_pieces_is_no_line_without_a_version(tmp_path: Path, pieces: list[bytes]) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        assert await answered(reader) in (200, 404)
        assert [report.code for report in rig.reports] == [None]


async def test_tls_at_the_port_for_plain_http_is_named(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        with pytest.raises(ssl.SSLError):
            async with connected(rig.port, tls=True):
                pass
        await until(lambda: bool(rig.reports))
        assert (rig.reports[0].code, rig.reports[0].client) == ("bad_request", "127.0.0.1")
        assert "TLS" in rig.reports[0].detail


@pytest.mark.parametrize("accept", [b"*/*", b"text/html"])
async def test_plain_http_at_the_port_for_https_gets_the_right_address(tmp_path: Path, accept: bytes) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        assert rig.https_port
        host = b"homeassistant.local:%d" % rig.https_port
        answer = await send(
            rig.https_port, b"GET /secret HTTP/1.1\r\nHost: %b\r\nAccept: %b\r\n\r\n" % (host, accept)
        )
        assert status_of(answer) == 400
        assert b"https://%b/" % host in answer
        assert b"secret" not in answer
        refused = await send(rig.https_port, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert status_of(refused) == 421
        assert status_of(await send(rig.https_port, b"rubbish\r\n\r\n")) == 400
        assert [report.code for report in rig.reports] == ["https_required", "misdirected_request", "bad_request"]
        assert not sim.connections


# One after the other


async def test_1000_requests_on_one_connection(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        tasks = len(asyncio.all_tasks())
        for _ in range(1000):
            writer.write(GET)
            assert await answered(reader) == 200
        assert rig.proxy.acceptor.counts.open == 1
        assert len(asyncio.all_tasks()) <= tasks + 3  # of the connection here, and of the gateway's and its simulator
        assert (sim.connections, len(rig.reports)) == (1, 1000)


async def test_a_request_that_comes_while_an_answer_streams_is_answered_behind_it(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(b"GET /sim/bytes/3000000?chunked=1 HTTP/1.1\r\nHost: proxy\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"chunked" in head
        for piece in (GET[:10], GET[10:], GET):
            writer.write(piece)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(ENOUGH):
            await reader.readuntil(b"\r\n0\r\n\r\n")
        assert [await answered(reader), await answered(reader)] == [200, 200]
        assert sim.journal.peak_working == 1


async def test_what_is_sent_ahead_waits_at_the_client(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (_, writer):
        sim.faults.set("stall", times=1)
        writer.transport.set_write_buffer_limits(0)
        writer.write(GET)
        await sim.wait_for_heads(1)
        sent = 0
        try:
            async with asyncio.timeout(1):
                while True:
                    writer.write(GET * 1000)
                    sent += 1000 * len(GET)
                    await writer.drain()
        except TimeoutError:
            pass
        served = next(iter(rig.proxy.acceptor._connections))  # noqa: SLF001 - nobody else needs it
        assert len(served.reader.requests) < 1000
        assert len(served._unread) <= 2 * 262_144  # noqa: SLF001
        assert sent < 50_000_000


@pytest.mark.parametrize("tls", [False, True])
async def test_a_body_that_is_not_taken_waits_at_the_client(tmp_path: Path, tls: bool) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0, max_body_mb=1024) as rig,
        connected(rig.https_port if tls else rig.port, tls=tls) as (reader, writer),
    ):
        gate = asyncio.Event()
        sim.faults.set("hold-body", gate=gate, times=1)
        size = 60_000_000
        writer.write(b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        await sim.wait_for_heads(1)
        await asyncio.sleep(0.3)
        served = next(iter(rig.proxy.acceptor._connections))  # noqa: SLF001 - nobody else needs it
        assert served.reader.waiting <= 2 * 65_536
        gate.set()
        assert await answered(reader) == 200
        writer.write(GET)
        assert await answered(reader) == 200


async def test_an_answer_before_the_body_leaves_the_connection_usable(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
        assert await answered(reader) == 421
        writer.write(bytes(50_000) + GET)
        assert await answered(reader) == 200


async def test_bodies_that_nobody_reads_do_not_count_as_read_ahead_for_ever(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        refused = b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10000\r\n\r\n" + bytes(10_000)
        for _ in range(8):
            writer.write(refused)
            assert await answered(reader) == 421
        writer.write(GET)
        assert await answered(reader) == 200


async def test_behind_a_refused_body_that_may_be_left_out_nothing_is_read(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        expecting = b"POST / HTTP/1.1\r\nHost: evil.example\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        writer.write(expecting)
        assert b"\r\nConnection: close\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.write(GET)
        assert b"HTTP/1.1" not in await rest(reader)
        assert [report.code for report in rig.reports] == ["misdirected_request"]


class Handling:
    """A handler that answers at once; with ``reset``, it breaks the connection off instead."""

    def __init__(self, *, reset: bool = False) -> None:
        self._reset = reset
        self.turns: list[int] = []
        """The event loop's turn in which each request was handled."""

    async def handle(self, request: Request, client: ClientConnection) -> None:
        if not self.turns:
            self._count(0)
        self.turns.append(self._turn)
        if self._reset:
            client.output.reset()
        else:
            client.answer(request, 200, b"OK", [(b"Content-Length", b"0")], b"")

    def _count(self, turn: int) -> None:
        self._turn = turn
        asyncio.get_running_loop().call_soon(self._count, turn + 1)


@asynccontextmanager
async def accepting(handler: Handling) -> AsyncIterator[int]:
    """Have clients' requests handled; gives the port."""
    acceptor, listener = Acceptor(handler.handle), socket.create_server(("127.0.0.1", 0))
    acceptor.open([(listener, None)])
    try:
        yield listener.getsockname()[1]
    finally:
        await acceptor.stop()
        await acceptor.close()


async def test_between_requests_that_came_together_others_have_their_turn() -> None:
    handler = Handling()
    async with accepting(handler) as port, connected(port) as (reader, writer):
        writer.write(GET * 20)
        for _ in range(20):
            assert await answered(reader) == 200
    assert len(set(handler.turns)) == 20


async def test_behind_an_answer_that_was_broken_off_nothing_is_handled() -> None:
    handler = Handling(reset=True)
    async with accepting(handler) as port, connected(port) as (reader, writer):
        writer.write(GET * 2)
        with pytest.raises(ConnectionResetError):
            await rest(reader)
    assert len(handler.turns) == 1


async def test_the_body_of_an_answered_request_that_never_comes_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_LINGER", 0.1)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
        assert status_of(await rest(reader)) == 421


async def test_garbage_in_an_upload_is_a_bad_request(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (100_000, bytes(100_000)))
        await sim.wait_for_heads(1)
        writer.write(b"rubbish\r\n")
        assert status_of(await rest(reader)) == 400
        assert [report.code for report in rig.reports] == ["bad_request"]
        await until(lambda: bool(sim.records))
        assert not sim.records[0].complete


# The end


@pytest.mark.parametrize("behind", [b"", GET[:10]])
async def test_who_closes_his_side_gets_the_answer(tmp_path: Path, behind: bytes) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(GET + GET + behind)
        writer.write_eof()
        answers = await rest(reader)
        assert answers.count(ANSWER) == 2
        await until(lambda: rig.proxy.acceptor.counts.open == 0)
        assert [report.code for report in rig.reports] == [None, None]
        assert sim.journal.heads == 2


async def test_who_closes_his_side_gets_a_large_answer(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(GET.replace(b"status/200", b"bytes/5000000"))
        writer.write_eof()
        assert len(await rest(reader)) > 5_000_000
        await until(lambda: bool(rig.reports))
        assert [report.code for report in rig.reports] == [None]


async def test_who_has_closed_his_side_and_waits_for_too_long_never_reaches_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HALF_CLOSED", 0.1)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        async with connected(rig.port) as (first, asking), connected(rig.port) as (second, waiting):
            asking.write(GET)
            await sim.wait_for_heads(1)
            waiting.write(GET)
            waiting.write_eof()
            assert await rest(second) == b""
            gate.set()
            assert await answered(first) == 200
        assert [report.code for report in rig.reports] == ["client_gone", None]
        assert sim.journal.heads == 1


async def test_who_closes_after_a_while_has_given_up(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        async with connected(rig.port) as (first, asking), connected(rig.port) as (second, waiting):
            asking.write(GET)
            await sim.wait_for_heads(1)
            waiting.write(GET)
            await asyncio.sleep(0.3)
            waiting.write_eof()
            async with asyncio.timeout(connection.HALF_CLOSED / 2):
                assert await rest(second) == b""
            gate.set()
            assert await answered(first) == 200
        assert [report.code for report in rig.reports] == ["client_gone", None]
        assert sim.journal.heads == 1


async def test_a_close_notify_in_the_middle_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        for request in (GET, GET.replace(b"status/200", b"bytes/900000"), GET[:10], GET + GET[:10]):
            async with connected(rig.https_port, tls=True) as (_, writer):
                writer.write(request)
                writer.close()
                async with asyncio.timeout(ENOUGH):
                    await writer.wait_closed()
        await until(lambda: rig.proxy.acceptor.counts.open == 0)
        assert {report.code for report in rig.reports} <= {None, "client_gone"}
        assert await _works(rig)
        assert not caplog.records or "eof_received" not in caplog.text


async def _works(rig: Rig) -> bool:
    async with connected(rig.https_port, tls=True) as (reader, writer):
        writer.write(GET)
        return await answered(reader) == 200


@pytest.mark.parametrize("tls", [False, True])
async def test_a_refused_upload_s_answer_arrives(tmp_path: Path, tls: bool) -> None:
    """Unread bytes in the socket's buffer when it is closed would take the answer with them."""
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0) as rig,
        connected(rig.https_port if tls else rig.port, tls=tls) as (reader, writer),
    ):
        size = 20_000_000
        writer.write(b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        async with asyncio.timeout(ENOUGH):
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            assert status_of(head) == 413
            assert json.loads(await reader.readuntil(b"}"))["error"] == "body_too_large"
            assert await reader.read() == b""
        assert not sim.connections


async def test_a_refused_upload_that_came_in_whole_ends_with_its_client(tmp_path: Path) -> None:
    body = bytes(70_000)  # more than is read ahead, and nothing behind it
    head = b"POST / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        async with connected(rig.https_port, tls=True) as (reader, writer):
            writer.write(head + body)
            assert status_of(await rest(reader)) == 421
        async with asyncio.timeout(ENOUGH):
            await until(lambda: rig.proxy.acceptor.counts.open == 0)


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(silence=0.1)) as rig,
        connected(rig.port) as (busy, asking),
        connected(rig.port) as (idle, asked),
    ):
        asked.write(GET)
        assert await answered(idle) == 200
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        asking.write(GET)
        await sim.wait_for_heads(2)
        async with asyncio.timeout(ENOUGH):
            while not idle.at_eof():
                rig.proxy.acceptor.look()
                await asyncio.sleep(0.02)
        gate.set()
        assert await answered(busy) == 200


@pytest.mark.parametrize(
    ("request_", "version", "ending"),
    [
        (b"GET /sim/status/200 HTTP/1.0\r\nHost: proxy\r\n\r\n", b"HTTP/1.0", None),
        (
            b"GET /sim/status/200 HTTP/1.0\r\nHost: proxy\r\nConnection: keep-alive\r\n\r\n",
            b"HTTP/1.0",
            b"keep-alive",
        ),
        (b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n", b"HTTP/1.1", b"close"),
        (GET, b"HTTP/1.1", None),
    ],
)
async def test_what_becomes_of_the_connection_is_announced(
    tmp_path: Path, request_: bytes, version: bytes, ending: bytes | None
) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, connected(rig.port) as (reader, writer):
        writer.write(request_)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(version)
        told = [line[12:] for line in head.split(b"\r\n") if line.lower().startswith(b"connection: ")]
        assert told == ([ending] if ending else [])
        await reader.readexactly(len(ANSWER))
        writer.write(GET)
        stays = (version == b"HTTP/1.1") is (ending is None)
        assert (await answered(reader) == 200) if stays else (await rest(reader) == b"")


async def test_an_answer_without_a_length_ends_with_the_connection_for_http_1_0(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        request = b"GET /sim/bytes/1000?chunked=1 HTTP/1.0\r\nHost: proxy\r\nConnection: keep-alive\r\n\r\n"
        head, _, body = (await send(rig.port, request)).partition(b"\r\n\r\n")
        assert b"keep-alive" not in head.lower()
        assert len(body) == 1000
