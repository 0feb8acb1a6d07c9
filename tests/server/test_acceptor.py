"""Connections over real sockets: none is taken beyond the limits, and nobody who asks as he should is kept out."""

import asyncio
import errno
import json
import logging
import os
import re
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.server import acceptor, file_limits, messages, request_body
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Limits
from tests.process import Program, proxy_program
from tests.rig import Rig, proxy_for, send, status_of

GET = b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\n\r\n"
ENOUGH = 20


@dataclass
class Peer:
    """One end of a connection to the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self) -> int:
        """Ask once on this connection, which stays open."""
        self.writer.write(GET)
        return await self.status()

    async def status(self) -> int:
        """Read one whole answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), ENOUGH)
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length
        await self.reader.readexactly(int(length[1]))
        return status_of(head)

    async def rest(self) -> bytes:
        """Return what comes until the proxy closes, by whatever means."""
        received = b""
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), ENOUGH):
                received += piece
        except ConnectionError:
            pass
        return received

    @property
    def open(self) -> bool:
        """Whether the proxy has not closed yet, as far as this end knows."""
        return not self.reader.at_eof() and self.reader.exception() is None


@asynccontextmanager
async def peers(port: int, source: str = "127.0.0.1", first: bytes = b"") -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(first)
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


async def test_nothing_waits_for_an_acknowledgement(tmp_path: Path) -> None:
    """A delayed one takes 40 ms: TCP_NODELAY is set towards clients and gateway."""
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, peers(rig.port) as peer:
        assert await peer.ask() == 200
        ends = {"client": 0, "gateway": 0}
        for each in psutil.Process().net_connections("tcp"):
            if each.status != psutil.CONN_ESTABLISHED or not each.raddr:
                continue
            with socket.socket(fileno=os.dup(each.fd)) as end:
                delays = not end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if each.laddr.port == rig.port:
                ends["client"] += 1
                assert not delays
            if each.raddr.port == sim.port:
                ends["gateway"] += 1
                assert not delays
        assert ends == {"client": 1, "gateway": 1}


async def until_counted(rig: Rig, number: int) -> None:
    """Wait until the proxy has so many connections."""
    async with asyncio.timeout(ENOUGH):
        while rig.proxy.acceptor.counts.open != number:  # noqa: ASYNC110 - counting has no listeners
            await asyncio.sleep(0.01)


# Room


async def test_a_new_connection_takes_the_place_of_one_that_never_asked(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=3)) as rig,
        peers(rig.port) as kept,
        peers(rig.port) as idle,
        peers(rig.port, first=b"GET / HT") as slow,
    ):
        assert await kept.ask() == 200
        await until_counted(rig, 3)
        async with peers(rig.port) as first, peers(rig.port) as second:
            assert await first.ask() == 200
            assert await second.ask() == 200
            assert await idle.rest() == b""
            assert await slow.rest() == b""
            assert await kept.ask() == 200
        assert (rig.proxy.acceptor.counts.displaced, rig.proxy.acceptor.counts.refused) == (2, 0)


async def test_addresses_do_not_take_places_from_each_other(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(total=4, per_address=3)) as rig,
        AsyncExitStack() as stack,
    ):
        quiet = await stack.enter_async_context(peers(rig.port, "127.0.0.2"))
        await until_counted(rig, 1)
        greedy = [await stack.enter_async_context(peers(rig.port, "127.0.0.3")) for _ in range(3)]
        await until_counted(rig, 4)
        newcomer = await stack.enter_async_context(peers(rig.port, "127.0.0.4"))
        assert await newcomer.ask() == 200
        assert await greedy[0].rest() == b""
        assert await quiet.ask() == 200


async def test_when_all_are_at_work_a_newcomer_is_told_to_come_again(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=1)) as rig,
        peers(rig.port) as working,
    ):
        sim.faults.set("stall", times=1)
        working.writer.write(GET)
        await sim.wait_for_heads(1)
        answer = await send(rig.port, GET)
        assert status_of(answer) == 503
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_many_connections"
        assert b"\r\nRetry-After: 10\r\n" in answer
        assert rig.proxy.acceptor.counts.refused == 1
        async with peers(rig.port, "127.0.0.2") as other:
            await until_counted(rig, 2)
            assert other.open


async def test_of_a_crowd_that_is_refused_sixteen_are_told_so_and_all_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=1)) as rig,
        AsyncExitStack() as stack,
    ):
        working = await stack.enter_async_context(peers(rig.port))
        sim.faults.set("stall", times=1)
        working.writer.write(GET)
        await sim.wait_for_heads(1)
        crowd = [await stack.enter_async_context(peers(rig.port)) for _ in range(40)]
        async with asyncio.timeout(ENOUGH):
            while rig.proxy.acceptor.counts.refused < 40:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(*(each.rest() for each in crowd))
        assert sum(b"too_many_connections" in answer for answer in answers) == 16
        assert {answer for answer in answers if b"too_many_connections" not in answer} == {b""}
        assert rig.reports == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(("first", "most"), [(GET, 1), (b"", 1), (b"garbage\r\n\r\n", 128)])
async def test_one_that_leaves_before_it_is_refused_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: bytes, most: int
) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=most)) as rig,
        peers(rig.port) as working,
    ):
        sim.faults.set("stall", times=1)
        working.writer.write(GET)
        await sim.wait_for_heads(1)
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", rig.port)) as knocking:
                knocking.sendall(first)
        async with asyncio.timeout(ENOUGH):
            while rig.proxy.acceptor._serving.keys() - {*accepted(rig)[:1]} or not (  # noqa: ASYNC110, SLF001 - nothing tells
                rig.proxy.acceptor.counts.refused or rig.reports
            ):
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_one_that_still_sends_its_body_gives_way(tmp_path: Path) -> None:
    upload = b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100_000
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=1)) as rig,
        peers(rig.port, first=upload) as sending,
    ):
        await sim.wait_for_heads(1)
        async with peers(rig.port) as newcomer:
            assert await newcomer.ask() == 200
            assert await sending.rest() == b""


# What nobody takes

LAST = b"GET /sim/bytes/250000 HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n"
REFUSED = b"GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"


def accepted(rig: Rig) -> list[ClientConnection]:
    """Return the connections."""
    return list(rig.proxy.acceptor._connections)  # noqa: SLF001 - nobody else needs them


@asynccontextmanager
async def neglecting(
    rig: Rig, requests: bytes, *, https: bool = False
) -> AsyncIterator[tuple[ClientConnection, socket.socket]]:
    """Have a client that reads nothing of its answers, until the proxy has no more to say."""
    listener = rig.proxy.acceptor._sockets[-1 if https else 0]  # noqa: SLF001 - what the kernel takes is its to say
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)

    def ask() -> socket.socket:
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", rig.https_port if https else rig.port))
        peer = unverified().wrap_socket(peer) if https else peer
        peer.settimeout(0.5)
        with suppress(TimeoutError):  # the proxy takes no more requests than it has room for answers
            peer.sendall(requests)
        return peer

    peer = await asyncio.to_thread(ask)
    try:
        async with asyncio.timeout(ENOUGH):
            while not (found := accepted(rig)):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            reports = -1
            while not (found[0].output.unsent and rig.reports and reports == len(rig.reports)):
                reports = len(rig.reports)
                await asyncio.sleep(0.1)
        yield found[0], peer
    finally:
        peer.close()


@pytest.mark.parametrize("requests", [LAST, 20_000 * REFUSED], ids=["last answer", "refusals"])
async def test_answers_that_nobody_takes_keep_no_newcomer_out(tmp_path: Path, requests: bytes) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=1)) as rig,
        neglecting(rig, requests),
        peers(rig.port) as newcomer,
    ):
        assert await newcomer.ask() == 200
        await until_counted(rig, 1)


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("requests", [LAST, 20_000 * REFUSED], ids=["last answer", "refusals"])
async def test_answers_that_nobody_takes_are_thrown_away(tmp_path: Path, requests: bytes, https: bool) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(silence=0.3), https_port=0) as rig,
        neglecting(rig, requests, https=https),
    ):
        async with asyncio.timeout(ENOUGH):
            while rig.proxy.acceptor.counts.open:
                rig.proxy.acceptor.look()
                await asyncio.sleep(0.05)


async def test_what_waits_below_tls_counts_as_not_taken(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0) as rig,
        neglecting(rig, LAST, https=True) as (connection, _),
    ):
        assert connection.output.unsent > 180_000


async def test_a_last_answer_over_tls_may_be_read_in_time(tmp_path: Path) -> None:
    def rest(peer: socket.socket) -> int:
        peer.settimeout(ENOUGH)
        return sum(iter(lambda: len(peer.recv(65536)), 0))

    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0) as rig,
        neglecting(rig, LAST, https=True) as (_, peer),
    ):
        await asyncio.sleep(3)  # asyncio's own clock: what a phone takes for the rest of an answer
        assert await asyncio.to_thread(rest, peer) > 250_000


async def test_a_tls_connection_that_was_closed_twice_harms_no_other(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        sim.faults.set("drop", times=1)
        async with neglecting_end(rig) as connection:
            assert connection.output.unsent == 0
            rig.proxy.acceptor._close(connection)  # noqa: SLF001 - what a look at it does later
            async with asyncio.timeout(ENOUGH):
                while connection.socket.fileno() >= 0:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)


@asynccontextmanager
async def neglecting_end(rig: Rig) -> AsyncIterator[ClientConnection]:
    """Have a client that gets no answer, and leaves the proxy's close_notify without one."""

    def ask() -> ssl.SSLSocket:
        peer = unverified().wrap_socket(socket.create_connection(("127.0.0.1", rig.https_port)))
        peer.sendall(GET[:-2] + b"Authorization: Digest username=x\r\n\r\n")
        return peer

    with await asyncio.to_thread(ask):
        async with asyncio.timeout(ENOUGH):
            while not rig.reports:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # the second time
        yield accepted(rig)[0]


async def test_connections_are_counted_until_they_are_gone(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        assert rig.https_port
        for _ in range(3):
            async with peers(rig.port), peers(rig.port) as asking, peers(rig.https_port):
                assert await asking.ask() == 200
                await until_counted(rig, 3)
            await until_counted(rig, 0)


# Time


async def test_a_head_that_is_never_finished_is_answered_with_408(tmp_path: Path) -> None:
    limits = Limits(head=0.0)
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=limits) as rig,
        peers(rig.port, first=b"GET / HTTP/1.1\r\nHos") as slow,
        peers(rig.port) as idle,
        peers(rig.port) as second,
    ):
        assert await second.ask() == 200
        second.writer.write(b"GET / HTTP")
        await until_counted(rig, 3)
        async with asyncio.timeout(ENOUGH):
            while rig.proxy.acceptor.counts.slow < 2:
                await asyncio.sleep(0.01)
                rig.proxy.acceptor.look()
        for each in (slow, second):
            answer = await each.rest()
            assert b"HTTP/1.1 408 " in answer
            assert b'"client_stalled"' in answer
        assert await idle.ask() == 200


async def test_heads_in_pieces_are_no_slow_heads(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, limits=Limits(head=0.1)) as rig, peers(rig.port) as peer:
        for _ in range(10):
            for byte in (GET[:20], GET[20:-2]):
                peer.writer.write(byte)
                await asyncio.sleep(0.015)
                rig.proxy.acceptor.look()
            peer.writer.write(GET[-2:])
            assert await peer.status() == 200
        assert rig.proxy.acceptor.counts.slow == 0


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(silence=0.2)) as rig,
        peers(rig.port) as never,
        peers(rig.port) as once,
    ):
        assert await once.ask() == 200
        assert await never.rest() == b""
        assert await once.rest() == b""


async def test_a_connection_that_says_nothing_ends_with_the_proxy(tmp_path: Path) -> None:
    async with Simulator() as sim, AsyncExitStack() as stack:
        async with proxy_for(sim, tmp_path, https_port=0) as rig:
            assert rig.https_port
            there = [await stack.enter_async_context(peers(port)) for port in (rig.port, rig.https_port)]
            await until_counted(rig, 2)
        for never in there:
            assert await never.rest() == b""
        assert rig.proxy.acceptor.counts.open == 0


async def test_a_handshake_that_does_not_come_about_ends(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0, limits=Limits(handshake=0.2)) as rig,
        peers(rig.https_port or 0) as silent,
        peers(rig.https_port or 0, first=b"\x16\x03\x01") as half,
        peers(rig.https_port or 0, first=b"\x16\x03\x01\x00\x05hello") as garbage,
        peers(rig.https_port or 0, first=b"GET / HTTP/1.1\r\n\r\n") as plain,
    ):
        assert (await garbage.rest()).startswith(b"\x15")  # an alert
        for each in (silent, half, plain):
            await each.rest()
        await until_counted(rig, 0)
        assert rig.proxy.acceptor.counts.slow == 2


async def test_unfinished_handshakes_give_way(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port=0, limits=Limits(per_address=4, handshake=600)) as rig,
        AsyncExitStack() as stack,
    ):
        assert rig.https_port
        silent = [await stack.enter_async_context(peers(rig.https_port)) for _ in range(9)]
        async with httpx.AsyncClient(trust_env=False, verify=unverified()) as client:
            assert (await client.get(f"{rig.https}/sim/status/200")).status_code == 200
            assert rig.proxy.acceptor.counts.displaced == 6
        for each in silent[:6]:
            await each.rest()


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# Size


@pytest.mark.parametrize("https", [False, True])
async def test_a_head_that_grows_without_end_is_cut(tmp_path: Path, https: bool) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", rig.https_port if https else rig.port, ssl=unverified() if https else None
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: proxy\r\n")
        sent = 0
        try:
            while sent < 100 * messages.LARGEST_HEAD and not reader.at_eof():
                writer.write(b"X: %s\r\n" % (b"x" * 1000))
                sent += 1000
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        writer.transport.abort()
        await until_counted(rig, 0)
        assert rig.proxy.acceptor.counts.oversized == 1
        assert sent < 10 * messages.LARGEST_HEAD


async def test_a_large_head_in_pieces_gets_431(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, peers(rig.port, first=GET[:-2]) as peer:
        for _ in range(messages.LARGEST_HEAD // 10_000 + 1):
            peer.writer.write(b"X: %s\r\n" % (b"x" * 9_995))
            await asyncio.sleep(0.005)  # nothing tells when the proxy has read it
        answer = await peer.rest()
        assert status_of(answer) == 431
        assert b'"headers_too_large"' in answer
        assert sim.journal.heads == 0


async def test_what_follows_a_request_at_work_is_bounded(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, peers(rig.port) as peer:
        sim.faults.set("stall", times=1)
        peer.writer.write(GET)
        await sim.wait_for_heads(1)
        peer.writer.write(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for _ in range(10_000):
                peer.writer.write(b"X: %s\r\n" % (b"x" * 1000))
                await peer.writer.drain()
        await until_counted(rig, 0)
        assert rig.proxy.acceptor.counts.oversized == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_limited(tmp_path: Path, chunked: bool) -> None:
    async def pieces(total: int) -> AsyncIterator[bytes]:
        for _ in range(total // 10_000):
            yield b"x" * 10_000

    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, max_body_mb=1) as rig,
        httpx.AsyncClient(trust_env=False, timeout=ENOUGH) as client,
    ):

        async def post(size: int) -> httpx.Response:
            content = pieces(size) if chunked else b"x" * size
            return await client.post(f"{rig.http}/sim/echo", content=content)

        assert (await post(1_000_000)).status_code == 200
        refused = await post(1_010_000)
        assert (refused.status_code, refused.json()["error"]) == (413, "body_too_large")
        assert "1 MB" in refused.json()["cause"]
        assert "max_body_mb" in refused.json()["remedy"]
        assert (await post(500)).status_code == 200
        whole = [record.complete for record in sim.records]
        assert whole == ([True, False, True] if chunked else [True, True])


async def test_a_length_that_is_too_large_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    head = b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nExpect: 100-continue\r\nContent-Length: 16000001\r\n\r\n"
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await send(rig.port, head)
        assert status_of(answer) == 413
        assert not sim.connections


async def test_a_body_that_trickles_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "STALL", 0.2)
    head = b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: 900000\r\n\r\n"
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path) as rig,
        peers(rig.port, first=head + b"x" * (request_body.WHOLE_BODY + 1)) as slow,
    ):
        monkeypatch.setattr(request_body, "SLOWEST", 1_000_000)

        async def trickle() -> None:
            while True:
                slow.writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        answer = await slow.rest()
        trickling.cancel()
        assert status_of(answer) == 408
        async with peers(rig.port) as other:
            assert await other.ask() == 200


# Nobody is kept out


async def resources(program: Program) -> tuple[float, int]:
    process = psutil.Process(program.process.pid)
    return process.memory_info().rss / 1e6, process.num_fds()


async def test_a_thousand_idle_and_two_hundred_slow_connections_hinder_nobody(tmp_path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    async with (
        Simulator() as sim,
        proxy_program(tmp_path, sim.authority, "--status-port", "0") as program,
    ):
        found = re.search(r"Status page at (\S+)", program.output)
        assert found
        port, page = int(program.http.rpartition(":")[2]), found[1]
        for _ in range(30):
            await poll(port, page)
        await told(page)  # it is loaded when it is first asked for
        before = await resources(program)
        async with AsyncExitStack() as stack:
            for number in range(1200):
                first = b"GET / HTTP/1.1\r\nHo" if number < 200 else b""
                await stack.enter_async_context(peers(port, "127.0.0.1", first))
                if number % 100 == 0:
                    await poll(port, page)
            await poll(port, page)
            during = await resources(program)
            found = re.search(
                r"connections of clients: (\d+), closed for newer ones: (\d+), refused: 0,", await told(page)
            )
            assert found
            assert int(found[1]) <= 128
            assert int(found[2]) > 1000
        for _ in range(100):
            await poll(port, page)
            after = await resources(program)
            if after[1] <= before[1] + 1:
                break
        assert after[1] <= before[1] + 1
        assert during[1] - before[1] < 140, "128 from one address"
        assert after[0] <= before[0] * 1.05, (before, after)


async def told(page: str) -> str:
    """Return the diagnosis file."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        return (await client.get(f"{page}bundle")).text


async def poll(port: int, page: str) -> None:
    """Ask from the same address as the crowd, from another one, and for the page's health."""
    for source in ("127.0.0.1", "127.0.0.5"):
        async with peers(port, source) as peer:
            assert await peer.ask() == 200
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        assert (await client.get(f"{page}health")).status_code == 200


# What happens when it gets tight


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_without_file_descriptors_idle_connections_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    caplog.set_level(logging.INFO, "smgw_proxy_addon.server.file_limits")
    monkeypatch.setattr(file_limits, "_CALM", 0.1)
    accept = socket.socket.accept
    failures = 1

    def failing(self: socket.socket) -> tuple[socket.socket, object]:
        nonlocal failures
        if failures and rig.proxy.acceptor.counts.open:
            failures -= 1
            raise OSError(code, os.strerror(code))
        return accept(self)

    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, peers(rig.port) as idle:
        await until_counted(rig, 1)
        monkeypatch.setattr(socket.socket, "accept", failing)
        async with peers(rig.port) as newcomer:
            assert await idle.rest() == b""
            assert await newcomer.ask() == 200
            async with asyncio.timeout(ENOUGH):
                while "can be opened again" not in caplog.text:
                    await asyncio.sleep(0.01)
                    rig.proxy.acceptor.look()
    told = [record.getMessage() for record in caplog.records if record.name == file_limits.__name__]
    assert len(told) == 2
    assert os.strerror(code) in told[0]


async def test_the_log_says_it_once_in_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "smgw_proxy_addon.server.acceptor")
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, limits=Limits(per_address=1)) as rig,
        AsyncExitStack() as stack,
    ):
        for _ in range(5):
            peer = await stack.enter_async_context(peers(rig.port))
            assert await peer.ask() == 200
            rig.proxy.acceptor.look()
    told = [record.getMessage() for record in caplog.records if record.name == acceptor.__name__]
    assert told == [
        "Connections of clients: 1 open; closed for newer ones 1, refused 0, too slow 0, head too large 0"
    ]
