"""A client that reads or sends slowly keeps nobody from the gateway for long; alone, it may take its time."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from simulator.gateway import Simulator
from simulator.ppc import CGI, METER_ID
from simulator.theben import USAGE_POINT
from smgw_proxy_addon.errors import ClientStalledError
from smgw_proxy_addon.http.digest import authorize, parse_challenges
from smgw_proxy_addon.server import output
from smgw_proxy_addon.server.acceptor import Acceptor
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.server.messages import Request
from smgw_proxy_addon.server.slow_clients import PACE, SlowClientTimeout
from tests.gateway.test_ppc_clients import PpcClient, hasten, until_waiting
from tests.rig import Rig, proxy_for, send, status_of
from tests.waiting import until

HOLD: Final = 0.3
NEVER: Final = 1000.0
"""Seconds: a test that would need them fails."""

PAUSE: Final = 0.02
USER, PASSWORD = "user-of-mine", "hunter2-secret"
ACCOUNT = {"username": USER, "password": PASSWORD}

MODES = pytest.mark.parametrize("mode", ["transparent", "login once"])


@asynccontextmanager
async def running(
    folder: Path, mode: str = "transparent", *, hold: float = HOLD, vendor: str = "emh", **options: Any
) -> AsyncIterator[tuple[Simulator, Rig]]:
    """Run a gateway with one place, and a proxy in one of its modes that lets a client keep it for ``hold`` s."""
    accounts = [ACCOUNT] if mode == "login once" else []
    gateway = Simulator(vendor=vendor, user=USER, password=PASSWORD)
    async with (
        gateway,
        proxy_for(gateway, folder, accounts=accounts, limits=Limits(slow_client=hold), **options) as rig,
    ):
        yield gateway, rig


async def poll(rig: Rig, path: str = "/sim/status/200") -> int:
    """Ask as a normal client does, which gives up after 10 s."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return (await client.get(rig.http + path, auth=httpx.DigestAuth(USER, PASSWORD))).status_code


def codes(rig: Rig) -> list[str | None]:
    """Return what came of the requests, but for those that were asked for a login."""
    return [report.code for report in rig.reports if report.code != "login_required"]


async def head(rig: Rig, method: str, target: str, *headers: str, login: bool = False) -> bytes:
    """Write the head of a request, with a ``login`` for the gateway, or with one if the proxy asks for it."""
    lines = [f"{method} {target} HTTP/1.1", "Host: proxy", *headers]
    if login or rig.proxy.logins:
        asked = await send(rig.port, b"GET / HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
        challenge = next(line[18:] for line in asked.decode().split("\r\n") if line.startswith("WWW-Authenticate: "))
        signed = authorize(
            parse_challenges(challenge)[0],
            username=USER,
            password=PASSWORD,
            method=method,
            uri=target,
            cnonce="c",
            nc=1,
        )
        lines.append(f"Authorization: {signed}")
    return "\r\n".join([*lines, "", ""]).encode()


class SlowClient:
    """A client in the local network that takes or sends little at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        # As over Ethernet: loopback's segments of 64 kB let the kernel take megabytes for a client.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def send(self, port: int, data: bytes) -> None:
        await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", port))
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def trickle(self, data: bytes, size: int = 1) -> None:
        """Send a few bytes now and then."""
        for start in range(0, len(data), size):
            await asyncio.get_running_loop().sock_sendall(self._socket, data[start : start + size])
            await asyncio.sleep(PAUSE)

    async def read(self, size: int = 1, pause: float = PAUSE) -> bytes:
        """Read a few bytes now and then until the end; ConnectionResetError if it was cut off."""
        read = bytearray()
        while piece := await asyncio.get_running_loop().sock_recv(self._socket, size):
            read += piece
            await asyncio.sleep(pause)
        return bytes(read)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def slow() -> Iterator[SlowClient]:
    with contextlib.closing(SlowClient()) as client:
        yield client


# Reading


@MODES
async def test_a_slow_reader_is_cut_off_when_others_wait(tmp_path: Path, slow: SlowClient, mode: str) -> None:
    async with running(tmp_path, mode) as (sim, rig):
        await slow.send(rig.port, await head(rig, "GET", "/sim/bytes/30000000"))
        reading = asyncio.create_task(slow.read())
        await until(lambda: rig.proxy.pool.status().active == 1)
        assert await poll(rig) == 200
        reading.cancel()
        with pytest.raises(ConnectionResetError):
            await slow.read(100_000, pause=0)
        assert codes(rig) == ["client_stalled", None]
        assert rig.reports[-1].waiting >= HOLD
        assert "kept others waiting" in next(each.detail for each in rig.reports if each.code == "client_stalled")
        assert sim.journal.peak_working == 1


async def test_a_reader_at_a_fair_pace_is_left_alone_though_others_wait(tmp_path: Path, slow: SlowClient) -> None:
    async with running(tmp_path) as (_, rig):
        await slow.send(rig.port, await head(rig, "GET", "/sim/bytes/1500000", "Connection: close"))
        reading = asyncio.create_task(slow.read(4096, pause=0.004))
        await until(lambda: rig.proxy.pool.status().active == 1)
        assert await poll(rig) == 200
        assert rig.reports[-1].waiting > 2 * HOLD
        assert len(await reading) > 1_500_000
        assert codes(rig) == [None, None]


async def test_over_https_as_well(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with running(tmp_path, https_port="0") as (_, rig):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.https_port, ssl=context, limit=1000)
        writer.write(await head(rig, "GET", "/sim/bytes/30000000"))
        await reader.readexactly(1000)
        assert await poll(rig) == 200
        assert codes(rig) == ["client_stalled", None]
        writer.transport.abort()


@pytest.mark.parametrize("path", ["/sim/bytes/2500000", "/sim/bytes/2500000?chunked"])
async def test_a_slow_reader_alone_gets_all_of_it(tmp_path: Path, slow: SlowClient, path: str) -> None:
    async with running(tmp_path, hold=PAUSE) as (_, rig):
        await slow.send(rig.port, await head(rig, "GET", path, "Connection: close"))
        assert len(await slow.read(100_000, PAUSE / 10)) > 2_500_000
        assert codes(rig) == [None]


@MODES
async def test_a_usual_answer_frees_the_place_before_it_is_read(tmp_path: Path, slow: SlowClient, mode: str) -> None:
    async with running(tmp_path, mode, hold=NEVER) as (_, rig):
        await slow.send(rig.port, await head(rig, "GET", "/sim/bytes/250000", "Connection: close"))
        await until(lambda: codes(rig) == [None])
        assert await poll(rig) == 200
        assert (await slow.read(100_000, pause=0)).endswith(bytes(range(256))[: 250_000 % 256])


async def test_all_connections_together_take_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "AHEAD_IN_ALL", 500_000)
    size = 8

    class Endless:
        async def handle(self, request: Request, client: ClientConnection) -> None:
            client.answer(request, 200, b"OK", [])
            while True:
                await client.send(bytes(10_000), SlowClientTimeout())

    listener = socket.create_server(("127.0.0.1", 0))
    acceptor = Acceptor(Endless().handle)
    acceptor.open([(listener, None)])
    crowd = [SlowClient() for _ in range(size)]
    for client in crowd:
        await client.send(listener.getsockname()[1], b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")
    before = -1
    while acceptor.counts.open < size or before != acceptor.unsent():
        before = acceptor.unsent()
        await asyncio.sleep(0.2)
    # One of them may be about to go beyond it, and each has what asyncio lets it take, and a piece.
    assert 500_000 < acceptor.unsent() < 500_000 + output.AHEAD + size * (65_536 + 20_000)
    for client in crowd:
        client.close()
    await acceptor.stop()
    await acceptor.close()


async def test_answers_to_requests_sent_ahead_are_no_way_around_it(tmp_path: Path, slow: SlowClient) -> None:
    async with running(tmp_path) as (_, rig):
        await slow.send(rig.port, 300 * await head(rig, "GET", "/sim/bytes/30000"))
        answered = -1
        while answered < len(rig.reports):  # until it keeps the place
            answered = len(rig.reports)
            await asyncio.sleep(0.2)
        assert await poll(rig) == 200
        assert codes(rig)[-2:] == ["client_stalled", None]


async def test_nor_may_they_wait_for_ever_where_nobody_else_does(
    tmp_path: Path, slow: SlowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "STALL", 0.2)
    async with running(tmp_path) as (_, rig):
        await slow.send(rig.port, 300 * await head(rig, "GET", "/sim/bytes/30000"))
        await until(lambda: codes(rig)[-1:] == ["client_stalled"])


@MODES
async def test_a_slow_gateway_is_not_its_client_s_fault(tmp_path: Path, mode: str) -> None:
    async with running(tmp_path, mode, hold=PAUSE) as (sim, rig):
        gate = asyncio.Event()
        sim.faults.set("stall-body", gate=gate, times=1, when=lambda one: one.path.startswith(b"/sim/bytes"))
        reading = asyncio.create_task(poll(rig, "/sim/bytes/3000000"))
        await until(lambda: rig.proxy.pool.status().active == 1)
        others = asyncio.create_task(poll(rig))
        await until_waiting(rig, 1)
        await asyncio.sleep(10 * PAUSE)  # the time that would be too much
        gate.set()
        assert [await reading, await others] == [200, 200]
        assert codes(rig) == [None, None]


# Sending


@MODES
async def test_a_slow_sender_is_refused_when_others_wait(tmp_path: Path, slow: SlowClient, mode: str) -> None:
    async with running(tmp_path, mode) as (sim, rig):
        start = await head(rig, "POST", "/sim/echo", "Content-Length: 5000000")
        await slow.send(rig.port, start + bytes(1_200_000))
        sending = asyncio.create_task(slow.trickle(bytes(10_000)))
        await until(lambda: rig.proxy.pool.status().active == 1)
        assert await poll(rig) == 200
        sending.cancel()  # what is sent after the proxy has closed would take its answer away
        assert codes(rig) == ["client_stalled", None]
        answer = await slow.read(10_000, pause=0)
        assert status_of(answer) == 408
        assert b'"client_stalled"' in answer
        assert not sim.records[0].complete


async def test_nor_may_it_keep_a_login_from_being_tried(tmp_path: Path, slow: SlowClient) -> None:
    """Another one has a place at the gateway, but waits to see whether the password is right."""
    async with running(tmp_path, "login once", max_connections=2) as (_, rig):
        start = await head(rig, "POST", "/sim/echo", "Content-Length: 5000000")
        await slow.send(rig.port, start + bytes(1_200_000))
        sending = asyncio.create_task(slow.trickle(bytes(10_000)))
        await until(lambda: rig.proxy.pool.status().active == 1)
        assert await poll(rig) == 200
        sending.cancel()
        assert codes(rig) == ["client_stalled", None]


async def test_a_slow_sender_alone_may_finish(tmp_path: Path, slow: SlowClient) -> None:
    async with running(tmp_path, hold=PAUSE) as (_, rig):
        await slow.send(rig.port, await head(rig, "POST", "/sim/echo", "Content-Length: 500000", "Connection: close"))
        await slow.trickle(bytes(500_000), 20_000)
        assert json.loads((await slow.read(10_000, pause=0)).partition(b"\r\n\r\n")[2])["size"] == 500_000
        assert codes(rig) == [None]


@pytest.mark.parametrize(("mode", "size"), [("transparent", 65_536), ("login once", 1_000_000)])
async def test_a_body_that_is_read_whole_takes_no_place(
    tmp_path: Path, slow: SlowClient, mode: str, size: int
) -> None:
    async with running(tmp_path, mode, hold=NEVER) as (_, rig):
        await slow.send(rig.port, await head(rig, "POST", "/sim/echo", f"Content-Length: {size}") + bytes(size - 1))
        assert await poll(rig) == 200
        assert codes(rig) == [None]


@MODES
async def test_a_gateway_that_takes_a_body_slowly_is_not_its_client_s_fault(tmp_path: Path, mode: str) -> None:
    async with running(tmp_path, mode, hold=HOLD) as (sim, rig):
        gate, size = asyncio.Event(), 15_000_000  # more than the kernel takes on the way
        if mode == "login once":
            assert await poll(rig) == 200  # so that the gateway's challenge is known: a large body is sent once
        sim.faults.set("hold-body", gate=gate, times=1, when=lambda one: one.path == b"/sim/echo")
        start = await head(rig, "POST", "/sim/echo", f"Content-Length: {size}", "Connection: close")
        sending = asyncio.create_task(send(rig.port, start + bytes(size)))
        await until(lambda: rig.proxy.pool.status().active == 1)
        others = asyncio.create_task(poll(rig))
        await until_waiting(rig, 1)
        await asyncio.sleep(2 * HOLD)  # the time that would be too much
        gate.set()
        assert status_of(await sending) == 200
        assert await others == 200
        assert set(codes(rig)) == {None}


# Shared answers, and a session


def readings(days: int) -> bytes:
    """Ask Theben for the readings of so many days."""
    month = {"fromtime": "2026-01-01T00:00:00Z", "totime": f"2026-01-{days + 1:02}T00:00:00Z"}
    return json.dumps({"method": "readings", "usage-point-id": USAGE_POINT, "database": "origin"} | month).encode()


async def ask_theben(rig: Rig, question: bytes) -> bytes:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        answer = await client.post(
            f"{rig.http}/smgw/m2m/{USER}.sm/json", content=question, auth=httpx.DigestAuth(USER, PASSWORD)
        )
        return answer.content if answer.status_code == 200 else b""


async def theben_head(rig: Rig, question: bytes) -> bytes:
    return await head(
        rig, "POST", f"/smgw/m2m/{USER}.sm/json", f"Content-Length: {len(question)}", "Connection: close"
    )


async def test_a_slow_reader_of_a_shared_answer_holds_neither_the_others_nor_the_place(
    tmp_path: Path, slow: SlowClient
) -> None:
    async with running(tmp_path, "login once", vendor="theben", hold=NEVER) as (sim, rig):
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1, when=lambda one: one.path.startswith(b"/smgw/"))
        question = readings(15)
        await slow.send(rig.port, await theben_head(rig, question) + question)
        await until(lambda: rig.proxy.pool.status().active == 1)
        joining = asyncio.create_task(ask_theben(rig, question))
        await until(lambda: len(rig.reports) == 2)  # both were asked for their login
        for _ in range(3):  # what was sent before these round trips has come in after them
            await theben_head(rig, question)
        gate.set()
        whole = await joining
        assert 500_000 < len(whole) < 1_000_000
        assert await poll(rig) == 200
        assert codes(rig) == [None, None]
        assert [report.shared for report in rig.reports if report.code is None] == ["collapsed", None]
        assert (await slow.read(100_000, pause=0)).endswith(whole)


async def test_one_too_large_to_be_shared_is_bounded_like_any_other(tmp_path: Path, slow: SlowClient) -> None:
    async with running(tmp_path, "login once", vendor="theben") as (_, rig):
        question = readings(30)
        await slow.send(rig.port, await theben_head(rig, question) + question)
        reading = asyncio.create_task(slow.read())
        await until(lambda: rig.proxy.pool.status().active == 1)
        assert len(await ask_theben(rig, question)) > 1_000_000
        assert codes(rig) == ["client_stalled", None]
        reading.cancel()
        with pytest.raises(ConnectionResetError):
            await slow.read(100_000, pause=0)


@MODES
async def test_a_slow_reader_gives_a_session_away_that_is_over(
    tmp_path: Path, slow: SlowClient, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    hasten(monkeypatch, max_duration=0.1)
    async with running(tmp_path, mode, vendor="ppc") as (sim, rig):
        first, second = PpcClient(rig.http, sim), PpcClient(rig.http, sim)
        await first.log_in()
        month = datetime.now(UTC) - timedelta(days=30)
        form = f"action=exportMeterValues&mid={METER_ID}&from={month.date()}".encode()
        cookie = f"Cookie: session={first.cookies['Cookie']}"
        length = f"Content-Length: {len(form)}"
        await slow.send(rig.port, await head(rig, "POST", CGI.decode(), length, cookie, login=True) + form)
        await until(lambda: rig.proxy.pool.status().active == 1)
        if mode == "login once":
            assert await second.poll() == [200] * 4
        else:  # the gateway's own session lasts on: nobody but its holder can end it
            assert (await second.session.get(rig.http + CGI.decode())).status_code == 401
        assert "client_stalled" in codes(rig)
        await first.session.aclose()
        await second.session.aclose()


# What counts


def test_only_time_in_which_others_wait_counts() -> None:
    others = False
    hold = SlowClientTimeout(10, lambda: others)
    hold.waited(1000)
    others = True
    hold.waited(9.9)
    others = False
    hold.waited(1000)
    others = True
    with pytest.raises(ClientStalledError):
        hold.waited(0.1)


def test_what_was_taken_is_to_its_credit() -> None:
    hold = SlowClientTimeout(10, lambda: True)
    for _ in range(100):
        hold.waited(1, moved=PACE)
    hold.waited(9.9)
    with pytest.raises(ClientStalledError):
        hold.waited(1, moved=PACE // 2)


def test_who_has_no_place_holds_nobody_up() -> None:
    SlowClientTimeout(10).waited(1000)
