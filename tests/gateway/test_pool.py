"""The pool and its connections, against a simulated gateway in TLS."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.errors import (
    BadAnswerError,
    ClientGoneError,
    ConnectionLostError,
    ConnectTimeoutError,
    NameUnknownError,
    NotSentError,
    RefusedError,
    SilentCloseError,
    StaleConnectionError,
    UnreachableError,
)
from smgw_proxy_addon.gateway.connector import Connector
from smgw_proxy_addon.gateway.learnt_limit import FORGOTTEN_AFTER
from smgw_proxy_addon.gateway.pool import DEFAULT_IDLE_LIMIT, FIRST_WATCH, MAX_AGE, Lifetime, Pool
from smgw_proxy_addon.gateway.scheduler import Scheduler
from smgw_proxy_addon.gateway.tls import GatewayTls, client_context
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.store import TrustStore


class Clock:
    """The real seconds, and ``ahead`` on top of them."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def connector_for(folder: Path, clock: Clock, *, host: str, port: int, connect_timeout: float = 10) -> Connector:
    store = TrustStore(folder, f"{host}:{port}")
    trust = GatewayTrust(store, configured=None, target=host, now=lambda: datetime(2026, 11, 1, tzinfo=UTC))
    return Connector(
        trust,
        host=host,
        port=port,
        server_name=None,
        connect_timeout=connect_timeout,
        read_timeout=5,
        clock=clock,
        tls=GatewayTls(client_context()),
    )


class PoolRig:
    """A pool for one simulator, with its clock and its limits."""

    def __init__(self, sim: Simulator, folder: Path) -> None:
        self.clock = Clock()
        self.lifetime = Lifetime()
        connector = connector_for(folder, self.clock, host=sim.host, port=sim.port)
        self.pool = Pool(connector, Scheduler(1, 8, 5), self.lifetime, clock=self.clock)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(self, target: bytes = b"/sim/status/200", **fields: Any) -> tuple[Answer, bytes, bool]:
        """Make one exchange; returns the head, the body, and whether the connection was kept from before."""
        request = GatewayRequest(
            **{"method": b"GET", "headers": [], "body": None, "chunked": False, "has_login": False}
            | fields
            | {"target": target}
        )
        async with self.pool.lease(self.gone) as lease:
            answer = await lease.connection.exchange(request)
            body = b"".join([piece async for piece in lease.connection.body()])
            return answer, body, lease.reused


@asynccontextmanager
async def pool_for(sim: Simulator, folder: Path) -> AsyncIterator[PoolRig]:
    rig = PoolRig(sim, folder)
    try:
        yield rig
    finally:
        await rig.pool.close()


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        assert [(await rig.ask())[2] for _ in range(3)] == [False, True, True]
        assert (sim.connections, sim.handshakes) == (1, 1)


async def test_a_connection_whose_end_is_not_read_yet_is_not_for_a_login(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        rig.lifetime.watched = 0.0
        request = GatewayRequest(b"GET", b"/sim/status/401", [], None, chunked=False, has_login=False)
        async with rig.pool.lease(rig.gone) as lease:
            assert (await lease.connection.exchange(request)).whole is not None
            assert await rig.pool.may_reuse(lease.connection)
            sim.close_connections()
            assert not await rig.pool.may_reuse(lease.connection)


async def test_an_idle_connection_is_closed_cleanly_when_its_time_is_over(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        rig.lifetime.gateway_closed(idle=1.0, now=rig.clock())  # so it is kept for 0.8 s
        await rig.ask()
        await sim.wait_for_open(0)
        assert not (await rig.ask())[2]


async def test_the_limit_at_which_the_gateway_closes_is_learnt(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        rig.clock.ahead += 300
        sim.close_connections(idle_only=True)
        await sim.wait_for_open(0)
        assert not (await rig.ask())[2]
        assert rig.lifetime.idle_limit(rig.clock()) == pytest.approx(240, abs=10)


async def test_a_connection_that_breaks_teaches_no_limit(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        rig.clock.ahead += 300
        sim.close_connections(idle_only=True, reset=True)
        await sim.wait_for_open(0)
        assert not (await rig.ask())[2]
        assert rig.lifetime.idle_limit(rig.clock()) == DEFAULT_IDLE_LIMIT


async def test_a_gateway_that_closes_after_each_answer_is_learnt_for_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        sim.faults.set("close-unannounced", seconds=0.05)
        await rig.ask()
        await sim.wait_for_open(0)  # may be a restart
        assert not rig.pool.status().closes_each
        for number in range(40):  # none is lost, and none meets a connection that is about to be closed
            assert (await rig.ask(method=b"POST", headers=[(b"Content-Length", b"0")]))[0].status == 200, number
        assert sim.connections == 41
        assert rig.pool.status().closes_each
        sim.faults.clear()
        assert [(await rig.ask())[2] for _ in range(2)] == [False, False]
        rig.clock.ahead += FORGOTTEN_AFTER + 1
        assert [(await rig.ask())[2] for _ in range(2)] == [False, True]
        assert not rig.pool.status().closes_each
    assert caplog.text.count("closes its connection after each answer") == 1


async def test_a_request_that_was_lost_right_after_an_answer_proves_nothing(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        sim.faults.set("drop-kept", times=1)
        rig.lifetime.watched = 0
        with pytest.raises(SilentCloseError):
            await rig.ask(has_login=True)
        await rig.ask()
        began = rig.clock()
        assert (await rig.ask())[2]  # the gateway had its time, and did not close
        assert rig.clock() - began > FIRST_WATCH / 2
        assert rig.lifetime.watched == 0
        assert not rig.pool.status().closes_each


@pytest.mark.parametrize("login", [True, False])
async def test_what_was_not_written_may_be_sent_on_another_connection(tmp_path: Path, login: bool) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig, rig.pool.lease(rig.gone) as lease:
        sim.close_connections()
        await lease.connection.wait_ended(5)
        request = GatewayRequest(b"POST", b"/sim/status/200", [], b"", chunked=False, has_login=login)
        with pytest.raises(NotSentError):
            await lease.connection.exchange(request)
        await rig.pool.reconnect(lease, RequestRecord())
        assert (await lease.connection.exchange(request)).status == 200
        assert sim.journal.heads == 1


@pytest.mark.parametrize(
    ("method", "fields", "error"),
    [
        (b"GET", {}, StaleConnectionError),
        (b"HEAD", {}, StaleConnectionError),
        (b"GET", {"has_login": True}, SilentCloseError),
        (b"GET", {"has_login": True, "login_proven": True}, SilentCloseError),
        (b"POST", {}, ConnectionLostError),
        (b"PUT", {}, ConnectionLostError),
        (b"POST", {"has_login": True, "login_proven": True}, SilentCloseError),
    ],
)
async def test_which_request_may_be_sent_once_more(
    tmp_path: Path, method: bytes, fields: dict[str, Any], error: type[ConnectionLostError]
) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        sim.faults.set("drop-kept", times=1)
        with pytest.raises(error) as raised:
            await rig.ask(method=method, **fields)
        assert type(raised.value) is error
        # On a new connection, none.
        sim.faults.set("drop", times=1)
        with pytest.raises(ConnectionLostError) as raised:
            await rig.ask(method=method, **fields)
        assert not isinstance(raised.value, StaleConnectionError)


@pytest.mark.parametrize("proven", [False, True])
async def test_after_silence_a_login_is_sent_again_if_it_cannot_be_wrong(tmp_path: Path, proven: bool) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        rig.clock.ahead += 10
        sim.faults.set("drop-kept", times=1)
        with pytest.raises(ConnectionLostError) as raised:
            await rig.ask(has_login=True, login_proven=proven)
        assert type(raised.value) is (StaleConnectionError if proven else ConnectionLostError)


async def test_an_old_connection_is_replaced(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        rig.clock.ahead += MAX_AGE
        assert (await rig.ask())[2]  # its idle time was not over; its age is checked when it is put back
        await sim.wait_for_open(0)
        assert not (await rig.ask())[2]
        assert rig.lifetime.idle_limit(rig.clock()) == DEFAULT_IDLE_LIMIT


async def test_a_connection_with_bytes_that_nobody_asked_for_is_not_used(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        _, body, _ = await rig.ask(b"/sim/status/200", method=b"HEAD")
        assert body == b""
        assert (await rig.ask())[2]
        assert sim.connections == 1


async def test_an_answer_that_ends_with_the_connection_ends_it(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        _, body, _ = await rig.ask(b"/sim/bytes/1000?close=1")
        assert len(body) == 1000
        assert not (await rig.ask())[2]


async def test_the_next_connection_is_made_after_the_last_one_is_gone(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        for _ in range(5):
            await rig.ask(b"/sim/bytes/10?close=1")
        assert sim.journal.peak_connections == 1


async def test_who_leaves_before_its_turn_sends_nothing(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        async with rig.pool.lease(asyncio.get_running_loop().create_future()):
            waiting = asyncio.create_task(rig.ask())
            await asyncio.sleep(0)
            rig.gone.set_result(None)
            with pytest.raises(ClientGoneError):
                await waiting
        assert sim.journal.heads == 0


async def test_a_cancelled_wait_gives_its_turn_to_the_next(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        async with rig.pool.lease(rig.gone):
            first, second = asyncio.create_task(rig.ask()), asyncio.create_task(rig.ask())
            await asyncio.sleep(0)
            first.cancel()
        assert (await second)[0].status == 200
        assert first.cancelled()


async def test_a_lease_that_is_not_used_gives_the_connection_back(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        async with rig.pool.lease(rig.gone):
            pass
        assert (await rig.ask())[2]
        assert sim.connections == 1


async def serve_bytes(answer: bytes, identity_of: Simulator) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    context = await asyncio.to_thread(identity_of.identity.server_context)
    return await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", None, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", None, b""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, None, b""),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_odd_answers_are_read_as_they_are_meant(
    tmp_path: Path, raw: bytes, status: int | None, body: bytes
) -> None:
    async with Simulator() as sim:
        server = await serve_bytes(raw, sim)
        async with server:
            sim.port = server.sockets[0].getsockname()[1]
            async with pool_for(sim, tmp_path) as rig:
                if status is None:
                    with pytest.raises(BadAnswerError):
                        await rig.ask()
                else:
                    answer, received, _ = await rig.ask()
                    assert (answer.status, received) == (status, body)


async def answer_early(sim: Simulator, answer: bytes, received: list[bytes]) -> asyncio.Server:
    """A gateway that answers each head at once, before the body, and keeps the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(b"")
        number = len(received) - 1
        received[number] += await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while data := await reader.read(65536):
            received[number] += data

    context = await asyncio.to_thread(sim.identity.server_context)
    return await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)


@pytest.mark.parametrize("chunked", [False, True])
async def test_after_an_answer_to_half_a_request_the_connection_carries_no_other(
    tmp_path: Path, chunked: bool
) -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"A" * 100_000
        await more.wait()
        yield b"B" * 100_000

    received: list[bytes] = []
    async with Simulator() as sim:
        server = await answer_early(sim, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", received)
        async with server:
            sim.port = server.sockets[0].getsockname()[1]
            async with pool_for(sim, tmp_path) as rig:
                length = [] if chunked else [(b"Content-Length", b"200000")]
                answer, _, _ = await rig.ask(method=b"POST", headers=length, stream=pieces(), chunked=chunked)
                assert answer.status == 401
                answer, _, reused = await rig.ask(b"/second", headers=[(b"Authorization", b"Digest secret")])
                assert (answer.status, reused) == (401, False)
    assert len(received) == 2
    assert b"secret" not in received[0]


async def test_an_answer_that_nobody_asked_for_is_not_passed_on(tmp_path: Path) -> None:
    late = asyncio.Event()
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await late.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")
        await writer.drain()
        done.set()
        await reader.read()

    async with Simulator() as sim:
        context = await asyncio.to_thread(sim.identity.server_context)
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        async with server:
            sim.port = server.sockets[0].getsockname()[1]
            late.set()
            async with pool_for(sim, tmp_path) as rig:
                assert (await rig.ask())[1] == b"ok"
                await done.wait()
                assert (await rig.ask())[1] == b"ok"


async def test_a_connection_that_is_lost_while_it_is_being_retired(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        async with rig.pool.lease(rig.gone) as lease:
            connection = lease.connection
        closing = asyncio.create_task(rig.pool.close())
        await asyncio.sleep(0)
        connection.connection_lost(None)
        await closing
        assert rig.pool.status().kept_for is None


async def test_a_connection_whose_socket_is_gone_has_something_to_be_read(tmp_path: Path) -> None:
    async with Simulator() as sim, pool_for(sim, tmp_path) as rig:
        await rig.ask()
        async with rig.pool.lease(rig.gone) as lease:
            assert not lease.connection.has_unread_input()
            lease.connection.abort()
            await asyncio.sleep(0)  # the socket is closed, which the connection learns in the loop's next iteration
            assert lease.connection.has_unread_input()
        assert not (await rig.ask())[2]


# Errors of connecting


async def test_a_name_without_an_address(tmp_path: Path) -> None:
    with pytest.raises(NameUnknownError):
        await connector_for(tmp_path, Clock(), host="no-such-gateway.invalid", port=443).connect()
    with pytest.raises(NameUnknownError):
        await connector_for(tmp_path, Clock(), host="x" * 70 + ".invalid", port=443).connect()


async def test_nobody_at_the_port_on_any_of_its_addresses(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(RefusedError):
            await connector_for(tmp_path, Clock(), host=host, port=1).connect()


async def test_no_way_there(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        await connector_for(tmp_path, Clock(), host="255.255.255.255", port=443).connect()


async def test_a_full_backlog_is_a_timeout(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port = listening.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        with pytest.raises(ConnectTimeoutError):
            await connector_for(tmp_path, Clock(), host="127.0.0.1", port=port, connect_timeout=0.3).connect()
        for filler in fillers:
            filler.close()


def test_nothing_of_a_client_or_a_login_is_in_a_repr() -> None:
    headers = [(b"Authorization", b"secret"), (b"Set-Cookie", b"session=secret")]
    request = GatewayRequest(b"POST", b"/?tkn=secret", headers, b"secret", chunked=False, has_login=True)
    assert "secret" not in f"{request!r} {Answer(200, b'OK', headers, b'secret')!r}"


# How long a connection is kept


def test_a_connection_is_kept_for_nine_minutes_before_a_limit_was_seen() -> None:
    assert Lifetime().keep(age=0, now=0) == DEFAULT_IDLE_LIMIT


def test_a_connection_is_kept_for_four_fifths_of_the_limit_that_was_seen() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=100, now=0)
    assert lifetime.keep(age=0, now=10) == pytest.approx(80)


def test_a_close_right_after_an_answer_counts_the_second_time() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=0.2, now=0)
    assert lifetime.idle_limit(now=0) == DEFAULT_IDLE_LIMIT  # a restart, maybe
    lifetime.gateway_closed(idle=0.2, now=1)
    assert lifetime.keep(age=0, now=1) == 0
    assert not lifetime.closes_each(now=2 + FORGOTTEN_AFTER)


def test_a_connection_that_is_left_open_disproves_a_close_right_after_an_answer() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=0.2, now=0)
    assert lifetime.watched == pytest.approx(0.4)
    lifetime.left_open(idle=0.3)
    assert lifetime.watched
    lifetime.left_open(idle=0.4)
    assert not lifetime.watched
    lifetime.request_lost(idle=5)
    assert not lifetime.watched


def test_a_connection_is_not_kept_past_47_hours() -> None:
    lifetime = Lifetime()
    assert lifetime.keep(age=MAX_AGE - 10, now=0) == pytest.approx(10)
    assert lifetime.keep(age=MAX_AGE + 1, now=0) == 0


def test_a_limit_is_forgotten_after_a_day_so_that_one_restart_of_the_gateway_is() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=3, now=100)
    assert lifetime.idle_limit(now=100 + FORGOTTEN_AFTER) == pytest.approx(2.4)
    assert lifetime.idle_limit(now=101 + FORGOTTEN_AFTER) == DEFAULT_IDLE_LIMIT
