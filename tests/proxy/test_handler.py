"""What a client gets when something is wrong, and what happens when it leaves."""

import asyncio
import json
import logging
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.program import wiring
from smgw_proxy_addon.server import output, request_body
from tests.rig import Rig, headers_of, proxy_for, send, status_of

LOGIN = {"Authorization": 'Digest username="demo", nonce="n", uri="/", response="secret"'}
ONE = b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n"


async def get(rig: Rig, path: str = "/sim/status/200", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(rig.http + path, headers=headers)


def codes(rig: Rig) -> list[str | None]:
    return [report.code for report in rig.reports]


# What is not valid HTTP


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\x00secret\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nBad Header: secret\r\nHost: proxy\r\n\r\n",
        b"GET /z\xc3\xa4hler-secret HTTP/1.1\r\nHost: proxy\r\n\r\n",
        b"GET /secret HTTP/1.1\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nHost: pro xy\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: secret\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03secret",
    ],
    ids=lambda request: repr(request[:24]),
)
async def test_what_is_not_http_is_answered_and_logged_without_an_echo(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await asyncio.wait_for(send(rig.port, request_.removesuffix(b"\r\n\r\n") + b"\r\n\r\n"), 10)
        assert status_of(answer) == 400
        assert b"secret" not in answer
        assert sim.journal.heads == 0
        assert codes(rig) == ["bad_request"]
        shown = caplog.text + "".join(f"{report.target!r} {report.detail}" for report in rig.reports)
        assert "Traceback" not in shown
        if request_.startswith(b"GARBAGE"):
            assert "secret" not in shown


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"GET /" + b"secret" * 6_000 + b" HTTP/1.1\r\nHost: proxy\r\n\r\n", 414, "request_line_too_long"),
        (b"GET /" + b"secret" * 60_000 + b" HTTP/1.1\r\nHost: proxy\r\n\r\n", 414, "request_line_too_long"),
        (b"GET / HTTP/1.1\r\nHost: proxy\r\nX: " + b"secret" * 12_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: proxy\r\nX-" + b"secret" * 12_000 + b": 1\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: proxy\r\n" + b"X: secret\r\n" * 1100 + b"\r\n", 431, "headers_too_large"),
    ],
    ids=["line", "very long line", "value", "name", "count"],
)
async def test_a_head_that_is_too_large_has_its_own_status(
    tmp_path: Path, request_: bytes, status: int, code: str
) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await asyncio.wait_for(send(rig.port, request_), 10)
        assert status_of(answer) == status
        assert b"secret" not in answer
        assert codes(rig) == [code]
        assert not sim.connections


async def test_connect_is_not_allowed(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await send(rig.port, b"CONNECT proxy:443 HTTP/1.1\r\nHost: proxy:443\r\nConnection: close\r\n\r\n")
        assert status_of(answer) == 405
        assert not sim.connections


# Who may come in


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example"}, 421),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "homeassistant.local:8080", "Origin": "http://homeassistant.local:8080"}, 200),
    ],
)
async def test_foreign_names_and_pages_stay_outside(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        assert (await get(rig, **headers)).status_code == status
        assert sim.journal.heads == (status == 200)


async def test_an_unknown_name_is_told_which_option_admits_it(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        for accept in ("text/html", "*/*"):
            page = (await get(rig, Host="meter.example.org:8443", Accept=accept)).text
            assert "allowed_hosts" in page
            assert "meter.example.org is really yours" in page
        long = await get(rig, Host=f"{'x' * 5000}.example.org")
        assert (long.status_code, len(long.content) < 2000) == (400, True)


async def test_a_name_that_the_user_allows_may_come_in(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, allowed_hosts=["smgw.example.org"]) as rig:
        assert (await get(rig, Host="smgw.example.org")).status_code == 200


# Plain words


@pytest.mark.parametrize(
    ("accept", "language", "kind", "words"),
    [
        ("*/*", "", "application/json", "gateway"),
        ("text/html,*/*;q=0.8", "de-DE,de;q=0.9,en;q=0.5", "text/html", "Gateway"),
        ("application/json", "de", "application/json", "Gateway"),
    ],
)
async def test_errors_are_explained_in_form_and_language_of_the_client(
    tmp_path: Path, accept: str, language: str, kind: str, words: str
) -> None:
    async with proxy_for("127.0.0.1:1", tmp_path) as rig:
        answer = await get(rig, **{"Accept": accept, "Accept-Language": language})
        assert answer.status_code == 502
        assert answer.headers["content-type"].startswith(kind)
        assert "gateway_refused" in answer.text
        assert words in answer.text
        assert answer.headers["cache-control"] == "no-store"


async def test_an_unknown_name_is_named_as_such(tmp_path: Path) -> None:
    async with proxy_for("no-such-gateway.invalid", tmp_path) as rig:
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_name_unknown")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("refuse-handshake", 502, "gateway_tls_failed"),
        ("locked", 504, "gateway_connect_timeout"),
        ("stall", 504, "gateway_timeout"),
        ("garbage", 502, "gateway_bad_answer"),
        ("drop", 502, "gateway_connection_lost"),
        ("reset", 502, "gateway_connection_lost"),
    ],
)
async def test_each_fault_of_the_gateway_has_its_own_code(tmp_path: Path, fault: str, status: int, code: str) -> None:
    async with (
        Simulator() as sim,
        # "locked" and "stall" are only over after these; for the others they are no limit
        proxy_for(
            sim,
            tmp_path,
            hasten={
                "connect_timeout": 1.0 if fault == "locked" else 10,
                "read_timeout": 1.0 if fault == "stall" else 10,
            },
        ) as rig,
    ):
        sim.faults.set(fault, times=1)
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (status, code)
        assert sim.journal.heads <= 1
        assert (await get(rig)).status_code == 200


@pytest.mark.usefixtures("engine")
async def test_a_connection_that_does_not_come_about_is_no_wait(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, hasten={"connect_timeout": 0.5}) as rig:
        sim.faults.set("locked", times=1)
        assert (await get(rig)).status_code == 504
        [record] = rig.reports
        assert record.connecting >= 0.4
        assert record.waiting < 0.4


@pytest.mark.usefixtures("engine")
async def test_a_plain_http_server_is_no_gateway(tmp_path: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, proxy_for(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path) as rig:
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_tls_failed")


@pytest.mark.parametrize(
    ("fault", "query"),
    # A truncated answer without a length is missing here: its end is its end (RFC 9112 section 6.3).
    [
        ("truncate", ""),
        ("truncate", "?chunked=1"),
        ("stall-body", ""),
        ("stall-body", "?chunked=1"),
        ("stall-body", "?close=1"),
    ],
)
async def test_an_answer_that_breaks_off_is_not_passed_off_as_whole(tmp_path: Path, fault: str, query: str) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, hasten={"read_timeout": 1.0}) as rig:
        sim.faults.set(fault, times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await get(rig, "/sim/bytes/10000" + query)
        assert codes(rig) == ["gateway_answer_truncated" if fault == "truncate" else "gateway_timeout"]
        assert (await get(rig)).status_code == 200


async def test_a_broken_answer_resets_an_http_1_0_client_that_counts_on_the_end(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("truncate", times=1)
        with pytest.raises(ConnectionResetError):
            await send(rig.port, b"GET /sim/bytes/10000?chunked=1 HTTP/1.0\r\nHost: proxy\r\n\r\n")


# The gateway closes instead of answering


async def test_a_login_that_is_answered_by_closing_closes_the_client_s_connection(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("drop", times=1)
        assert (
            await send(rig.port, ONE.replace(b"\r\nConnection", b"\r\nAuthorization: Digest x\r\nConnection")) == b""
        )
        assert codes(rig) == ["gateway_closed_without_answer"]
        assert sim.journal.heads == 1


async def test_a_browser_gets_the_page_that_explains_the_closing(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("drop", times=1)
        answer = await get(rig, Accept="text/html", **LOGIN)
        assert answer.status_code == 502
        assert "gateway_closed_without_answer" in answer.text


async def test_a_large_request_is_read_whole_before_the_connection_is_closed(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("drop", times=1)
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
                await client.post(rig.http + "/sim/echo", content=b"x" * 3_000_000, headers=LOGIN)


async def test_a_kept_connection_that_dies_just_now_is_no_wrong_password(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("drop-kept", times=1)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(rig.http + "/sim/status/200")
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_connection_lost")
        assert answer.headers["retry-after"] == "1"
        assert sim.journal.heads == 2  # never sent again


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_on_a_kept_connection_that_dies_just_now_is_sent_once_more(tmp_path: Path, method: str) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("drop-kept", times=1)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.request(method, rig.http + "/sim/status/200")).status_code == 200
        assert [record.method for record in sim.records] == ["GET", method, method]
        assert sim.connections == 2
        assert rig.reports[-1].reused is False


async def test_a_read_is_sent_twice_at_most(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("drop")
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_connection_lost")
        assert sim.journal.heads == 3


async def test_a_part_of_an_answer_ends_a_read_for_good(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("break", at="half-head", times=1)
        assert (await get(rig)).json()["error"] == "gateway_answer_truncated"
        assert sim.journal.heads == 2


async def test_a_login_on_a_connection_that_was_silent_for_long_is_no_wrong_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smgw_proxy_addon.gateway.connection.FRESH", 0.0)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("drop-kept", times=1)
        answer = await get(rig, **LOGIN)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_connection_lost")
        assert sim.journal.heads == 2


# The queue


async def test_one_request_at_a_time_reaches_the_gateway(tmp_path: Path) -> None:
    async with Simulator(request_delay=0.01) as sim, proxy_for(sim, tmp_path) as rig:
        answers = await asyncio.gather(*(get(rig, f"/sim/status/200?{number}") for number in range(10)))
        assert {answer.status_code for answer in answers} == {200}
        assert (sim.journal.peak_working, sim.journal.peak_connections, sim.connections) == (1, 1, 1)


async def test_as_many_at_a_time_as_the_user_allows(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, max_connections="3") as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        asking = [asyncio.create_task(get(rig)) for _ in range(6)]
        await sim.wait_for_heads(3)
        gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        assert sim.journal.peak_working == 3
        assert sim.connections == 3


async def test_who_finds_the_queue_full_is_told_when_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "ROOM", 1)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        first = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        second, third = asyncio.create_task(get(rig)), asyncio.create_task(get(rig))
        done, waiting = await asyncio.wait({second, third}, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert (refused.status_code, refused.json()["error"]) == (503, "queue_full")
        assert int(refused.headers["retry-after"]) > 0
        assert rig.reports[0].waiting == pytest.approx(2, abs=1)  # at the door
        gate.set()
        assert (await first).status_code == (await waiting.pop()).status_code == 200


async def test_who_waits_too_long_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "PATIENCE", 0.05)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        first = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (503, "queue_timeout")
        assert "retry-after" in answer.headers
        gate.set()
        assert (await first).status_code == 200
        assert sim.journal.heads == 1


# Clients that leave or stall


async def leave_after(rig: Rig, request: bytes) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(request)
    await writer.drain()
    return writer


async def reported(rig: Rig, count: int) -> None:
    async with asyncio.timeout(10):
        while len(rig.reports) < count:  # noqa: ASYNC110 - a report is a plain call, there is nothing to wait for
            await asyncio.sleep(0.005)


async def test_a_client_that_leaves_while_it_waits_never_reaches_the_gateway(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        first = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        writer = await leave_after(rig, ONE)
        writer.close()
        await reported(rig, 1)
        assert codes(rig) == ["client_gone"]
        gate.set()
        assert (await first).status_code == 200
        assert (await get(rig)).status_code == 200
        assert sim.journal.heads == 2


async def test_the_place_stays_taken_until_the_gateway_has_answered_who_left(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        writer = await leave_after(rig, ONE)
        await sim.wait_for_heads(1)
        writer.transport.abort()
        second = asyncio.create_task(get(rig))
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
        assert sim.journal.heads == 1
        gate.set()
        assert (await second).status_code == 200
        assert (sim.journal.peak_working, sim.connections) == (1, 1)
        assert codes(rig) == ["client_gone", None]


async def test_a_long_answer_to_nobody_is_cut_and_the_connection_closed(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(ONE.replace(b"status/200", b"bytes/500000000"))
        await reader.readexactly(1000)
        writer.transport.abort()
        assert (await get(rig)).status_code == 200
        assert codes(rig) == ["client_gone", None]
        assert sim.connections == 2
        assert rig.reports[0].bytes_sent < 100_000_000


async def test_a_client_that_leaves_in_the_middle_of_its_request_frees_the_place(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        writer = await leave_after(
            rig, b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100_000
        )
        await sim.wait_for_heads(1)
        writer.transport.abort()
        assert (await get(rig)).status_code == 200
        assert codes(rig) == ["client_gone", None]
        assert not sim.records[0].complete


async def test_a_small_request_that_never_ends_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "STALL", 0.1)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await send(rig.port, b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: 9\r\n\r\nx")
        assert status_of(answer) == 408
        assert not sim.connections


async def test_a_client_that_stops_reading_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "STALL", 0.2)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        _, writer = await asyncio.open_connection("127.0.0.1", rig.port, limit=1000)
        writer.write(ONE.replace(b"status/200", b"bytes/50000000"))
        assert (await get(rig)).status_code == 200
        assert codes(rig) == ["client_stalled", None]
        writer.close()


async def test_a_client_that_reads_slowly_gets_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "STALL", 0.15)
    size = 8_000_000
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, ("127.0.0.1", rig.port))
            await loop.sock_sendall(slow, ONE.replace(b"status/200", b"bytes/%d" % size))
            received = 0
            while piece := await loop.sock_recv(slow, 200_000):
                received += len(piece)
                await asyncio.sleep(0.03)
        assert received > size
        assert codes(rig) == [None]


async def test_a_gateway_may_answer_before_it_has_the_whole_request(tmp_path: Path) -> None:
    async with Simulator(protect_all=True) as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("hold-body", seconds=0, times=1)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(rig.http + "/sim/echo", content=b"x" * 300_000)
        assert answer.status_code == 401


# Stopping


async def test_running_requests_are_finished_and_new_ones_refused(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        kept, running = await asyncio.open_connection("127.0.0.1", rig.port)
        running.write(ONE.replace(b"Connection: close\r\n", b""))
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        await sim.wait_for_heads(1)
        stopping = asyncio.create_task(rig.proxy.stop(grace=60))
        await asyncio.sleep(0)
        writer.write(ONE)
        refused = await reader.read()
        assert status_of(refused) == 503
        assert dict(headers_of(refused))[b"Retry-After"]
        gate.set()
        async with asyncio.timeout(30):
            await stopping  # at once, although its connection stays open
        assert status_of(await kept.read()) == 200
        await sim.wait_for_open(0)
        running.close()
        writer.close()


async def test_who_waits_when_the_proxy_stops_is_told_at_once_and_never_sent(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        running = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        waiting = asyncio.create_task(get(rig))
        while rig.proxy.pool.status().waiting == 0:  # noqa: ASYNC110 - the queue tells nobody
            await asyncio.sleep(0.005)
        stopping = asyncio.create_task(rig.proxy.stop(grace=5))
        refused = await waiting
        assert (refused.status_code, refused.json()["error"]) == (503, "shutting_down")
        gate.set()
        assert (await running).status_code == 200
        await stopping
        assert sim.journal.heads == 1


async def test_tls_clients_that_leave_at_any_moment_are_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        for number in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.https_port, ssl=context)
            writer.write(ONE.replace(b"status/200", b"bytes/900000"))
            await reader.readexactly(1 + 20_000 * (number % 20))
            writer.transport.abort()
        assert (await get(rig)).status_code == 200
        assert {*codes(rig)} <= {"client_gone", None}
        assert "Traceback" not in caplog.text


async def test_bodies_are_logged_only_when_asked_for_and_without_secrets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Simulator() as sim:
        for asked in (False, True):
            async with (
                proxy_for(sim, tmp_path, log_bodies=asked) as rig,
                httpx.AsyncClient(trust_env=False) as client,
            ):
                await client.post(rig.http + "/sim/echo", json={"method": "readings", "password": "geheim"})
            assert ("readings" in caplog.text) is asked
            assert "geheim" not in caplog.text


async def test_a_fault_of_our_own_is_answered_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_target: bytes) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("smgw_proxy_addon.http.rewrite.origin_form", broken)
    async with proxy_for("127.0.0.1:1", tmp_path) as rig:
        answer = await get(rig)
        assert (answer.status_code, json.loads(answer.text)["error"]) == (500, "internal_error")
        assert "please report" in caplog.text
