"""The simulated gateways answer, refuse and fail as the real ones do, and record what they received."""

import asyncio
import contextlib
import hashlib
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from simulator import CertificateOptions, ClientCertificates, FaultKind, Identity, Received, Simulator
from simulator.certificates import KEY_KINDS, OPENSSL_NAMES, make_identity
from simulator.control import Control
from simulator.meter import EXPORT, IMPORT, STEP, power, register, steps

NOW = datetime(2026, 5, 15, 10, 7, 30, tzinfo=UTC)
THEBEN_CALLS = "/smgw/m2m/demo.sm/json"
CGI = "/cgi-bin/hanservice.cgi"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@contextlib.asynccontextmanager
async def reader_of(sim: Simulator, password: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    auth = httpx.DigestAuth(sim.user, password or sim.password)
    async with httpx.AsyncClient(base_url=sim.url, verify=unverified(), auth=auth) as client:
        yield client


def unverified(curve: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if curve:
        context.set_ecdh_curve(curve)
    return context


class Wire:
    """A client that sends and sees bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = b"GET /sim/bytes/5 HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> bytes:
        """Read a whole answer; the rest of it if it has no length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + await (self.reader.readexactly(int(length[1])) if length else self.reader.read())

    def certificate(self) -> str:
        der = self.writer.get_extra_info("ssl_object").getpeercert(True)
        return hashlib.sha256(der).hexdigest()


@contextlib.asynccontextmanager
async def wire_to(sim: Simulator, *, tls: bool = True) -> AsyncIterator[Wire]:
    context = unverified() if tls else None
    reader, writer = await asyncio.open_connection(sim.host, sim.port, ssl=context)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_theben_redirects_to_the_user_and_answers_calls() -> None:
    async with Simulator(vendor="theben", clock=Clock()) as sim, reader_of(sim) as client:
        redirect = await client.post("/smgw/m2m")
        assert redirect.status_code == 307
        assert redirect.headers["location"] == "/smgw/m2m/demo.sm"

        info = (await client.post(THEBEN_CALLS, json={"method": "smgw-info"})).json()
        assert info["method"] == "smgw-info"
        assert info["smgw-info"]["smgw-id"] == "ETHE0300186023.SMGW"
        assert len(json.dumps(info)) > 3000

        points = (await client.post(THEBEN_CALLS, json={"method": "user-info"})).json()["user-info"]
        running = next(one for one in points["usage-points"] if one["taf-state"] == "running")
        call = {"usage-point-id": running["usage-point-id"], "database": "origin"}
        databases = (await client.post(THEBEN_CALLS, json={"method": "usage-point-info", **call})).json()
        assert databases["usage-point-info"]["databases"][0]["channels"][0] == {
            "obis": IMPORT,
            "scaler": "-1",
            "unit": "30",
        }
        last = await client.post(THEBEN_CALLS, json={"method": "readings", "last-reading": "true", **call})
        channel = last.json()["readings"]["channels"][0]
        assert channel["readings"][0]["value"].isdigit()
        assert channel["readings"][0]["target-time"] == "2026-05-15T10:00:00Z"

        day = {"fromtime": "2026-05-14T00:00:00Z", "totime": "2026-05-15T00:00:00Z"}
        answer = (await client.post(THEBEN_CALLS, json={"method": "readings", **call, **day})).json()
        assert len(answer["readings"]["channels"][0]["readings"]) == 97

        await client.post(THEBEN_CALLS, json={"method": "self-test"})
        assert sim.restarts == 1
        assert "kWh" in (await client.get("/")).text


@pytest.mark.parametrize(
    ("target", "call", "status"),
    [
        (THEBEN_CALLS, {"method": "no-such"}, 400),
        (THEBEN_CALLS, ["no object"], 400),
        (THEBEN_CALLS, {"method": "readings", "usage-point-id": "other"}, 404),
        (
            THEBEN_CALLS,
            {"method": "readings", "usage-point-id": "01005e318021.taf7-1.sm", "database": "origin"},
            400,
        ),
        ("/smgw/m2m/other.sm/json", {"method": "log"}, 404),
    ],
)
async def test_theben_names_what_is_wrong_with_a_call(target: str, call: object, status: int) -> None:
    async with Simulator(vendor="theben") as sim, reader_of(sim) as client:
        assert (await client.post(target, json=call)).status_code == status


async def test_theben_options_change_the_location_and_ask_for_a_length() -> None:
    async with (
        Simulator(vendor="theben", absolute_location=True, wants_x_content_length=True) as sim,
        reader_of(sim) as client,
    ):
        redirect = await client.get("/smgw/m2m", headers={"Host": "proxy.example:8080"})
        assert redirect.headers["location"] == "https://proxy.example:8080/smgw/m2m/demo.sm"
        call = b'{"method": "log"}'
        assert (await client.post(THEBEN_CALLS, content=call)).status_code == 400
        length = {"X-Content-Length": str(len(call))}
        assert (await client.post(THEBEN_CALLS, content=call, headers=length)).status_code == 200


@pytest.mark.parametrize("name", ["ETHE0300186023.SMGW", "ethe0300186023.local", "smgw.local:443"])
async def test_theben_redirects_to_a_name_of_its_own(name: str) -> None:
    async with Simulator(location_authority=name) as sim, reader_of(sim) as client:
        answer = await client.post("/smgw/m2m", content=b"{}")
        assert answer.headers["location"] == f"https://{name}/smgw/m2m/demo.sm"


async def test_theben_closes_the_connection_on_a_wrong_password() -> None:
    async with Simulator(vendor="theben") as sim, reader_of(sim, password="wrong") as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        assert [record.login for record in sim.records] == ["none", "wrong"]


@pytest.mark.parametrize("vendor", ["ppc", "emh"])
async def test_others_answer_401_to_a_wrong_password(vendor: str) -> None:
    async with Simulator(vendor=vendor) as sim, reader_of(sim, password="wrong") as client:
        assert (await client.get("/")).status_code == 401


async def test_ppc_leads_from_login_to_readings() -> None:
    async with Simulator(vendor="ppc", clock=Clock()) as sim, reader_of(sim) as client:
        login = await client.get(CGI)
        token = re.search(r'<input type="hidden" name="tkn" value="(\w+)">', login.text)
        assert token
        assert "Secure; HttpOnly" in login.headers["set-cookie"]
        assert (b"X-FRAME-OPTIONS", b"deny") in login.headers.raw

        form = {"tkn": token[1], "action": "meterform"}
        meters = (await client.post(CGI, data=form)).text
        assert "div_fwversion" in meters
        chosen = re.search(r'<option value="(\w+)"', meters)
        assert chosen
        profile = await client.post(CGI, data={"action": "showMeterProfile", "mid": chosen[1]})
        assert profile.text.count("table_metervalues_col_obis") == 2
        assert profile.text.count("2026-05-15 10:00:00") == 1

        day = {"from": "2026-05-14 00:00:00", "to": "2026-05-15 00:00:00"}
        values = await client.post(CGI, data={"action": "exportMeterValues", "mid": chosen[1], **day})
        assert values.content.count(b"<p:entry_gateway_signed>") == 2 * 97
        export = await client.post(CGI, data={"action": "exportMeterProfile", "mid": chosen[1]})
        assert b"<adevs:samplerate>900<" in export.content
        assert "Version" in (await client.post(CGI, data={"action": "swversions"})).text
        assert (await client.post(CGI, data={"action": "nonsense"})).status_code == 400
        assert (await client.post(CGI, data={"action": "meterform", "tkn": "no"})).status_code == 403


async def test_ppc_has_one_session_at_a_time() -> None:
    clock = Clock()
    async with Simulator(vendor="ppc", clock=clock) as sim, reader_of(sim) as one, reader_of(sim) as other:
        assert "session" in (await one.get(CGI)).cookies
        locked = await other.get(CGI)
        assert "session" not in locked.cookies
        assert "bereits" in locked.text

        await one.post(CGI, data={"action": "logout"})
        assert "session" in (await other.get(CGI)).cookies

        clock.now += timedelta(minutes=11)
        assert "session" in (await one.get(CGI)).cookies

        await one.post(CGI, data={"action": "selftest"})
        assert sim.restarts == 1


async def test_ppc_of_2018_keeps_the_session_in_a_form_field() -> None:
    async with Simulator(vendor="ppc", session_in_form=True) as sim, reader_of(sim) as one, reader_of(sim) as other:
        login = await one.get(CGI)
        assert "set-cookie" not in login.headers
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', login.text))
        assert set(form) == {"tkn", "sessionid", "action"}
        meters = await one.post(CGI, data=form)
        assert form["sessionid"] in meters.text
        for unknown in ({}, {"sessionid": "0"}):
            assert "bereits" in (await other.post(CGI, data={**unknown, "action": "meterform"})).text
        await one.post(CGI, data={**form, "action": "logout"})
        assert "Willkommen" in (await other.get(CGI)).text


@pytest.mark.parametrize(("vendor", "accepted"), [("ppc", True), ("emh", False)])
async def test_ppc_takes_posts_that_are_signed_as_get(vendor: str, accepted: bool) -> None:
    # The login of a GET a second time, with a POST.
    async with Simulator(vendor=vendor, counts_requests=False) as sim, wire_to(sim) as wire, reader_of(sim) as client:
        await client.get("/")
        signed = sim.records[-1].header(b"authorization") or b""
        answer = await wire.ask(b"POST / HTTP/1.1\r\nHost: smgw.local\r\nAuthorization: %b\r\n\r\n" % signed)
        assert answer.split()[1] == (b"200" if accepted else b"401")
        assert sim.records[-1].login == ("accepted" if accepted else "wrong")


async def test_emh_lists_meters_and_contracts() -> None:
    async with Simulator(vendor="emh") as sim, reader_of(sim) as client:
        (meter_id,) = (await client.get("/json/metering/origin/")).json()
        values = (await client.get(f"/json/metering/origin/{meter_id}/extended")).json()["values"]
        assert {value["unit"] for value in values} == {27, 30, 33, 35, 44}
        (contract,) = (await client.get("/json/metering/derived")).json()
        assert (await client.get(f"/json/metering/derived/{contract}")).json()["sensor_domains"] == [meter_id]
        assert (await client.get("/json/other")).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [("proxy.example", 403), ("SMGW.local", 200), ("127.0.0.1", 200), ("allowed.example", 200)],
)
async def test_emh_checks_the_host(host: str, status: int) -> None:
    async with Simulator(vendor="emh", allowed_hosts=("allowed.example",)) as sim, reader_of(sim) as client:
        answer = await client.get("/json/metering/origin/", headers={"Host": host})
        assert answer.status_code == status


async def test_emh_may_know_itself_as_smgw_local_only() -> None:
    async with Simulator(vendor="emh", smgw_local_only=True) as sim, httpx.AsyncClient(verify=unverified()) as client:
        answer = await client.get(f"{sim.url}/json/metering/origin/")
        assert (answer.status_code, answer.content) == (400, b"")
        answer = await client.get(f"{sim.url}/json/metering/origin/", headers={"Host": "smgw.local"})
        assert answer.status_code == 401


NASTY = [b"/a%2Fb?x=%7E&y=a+b&&", b"//x", b"/?", b"/../\xc3\xa4?q#frag", b"/q?" + b"y" * 8192]


@pytest.mark.parametrize("target", NASTY)
async def test_a_request_is_recorded_byte_for_byte(target: bytes) -> None:
    request = b"POST " + target + b" HTTP/1.1\r\nhOST: X\r\nx-A:  b \r\nX-a:\tc\r\nContent-Length: 3\r\n\r\n"
    async with Simulator(vendor="ppc") as sim, wire_to(sim) as wire:
        await wire.ask(request + b"abc")
        (record,) = sim.records
        assert record.raw_head == request
        assert record.target == target
        assert record.headers == [(b"hOST", b"X"), (b"x-A", b"b"), (b"X-a", b"c"), (b"Content-Length", b"3")]
        assert (record.body, record.body_size, record.complete) == (b"abc", 3, True)


@pytest.mark.parametrize("target", ["/a%2Fb?x=%7E&y=a+b&&", "/x?", "/sim/bytes/1"])
async def test_every_target_can_need_a_login(target: str) -> None:
    async with Simulator(vendor="emh", protect_all=True) as sim, reader_of(sim) as client:
        url = httpx.URL(sim.url).copy_with(raw_path=target.encode())
        assert (await client.get(url)).status_code == 200
        assert [record.login for record in sim.records] == ["none", "accepted"]


async def test_a_login_for_another_target_or_used_before_does_not_count() -> None:
    clock = Clock()
    async with Simulator(vendor="emh", clock=clock) as sim, reader_of(sim) as client, wire_to(sim) as wire:
        await client.get("/")
        again = sim.records[-1].raw_head
        assert b"stale=true" in await wire.ask(again)
        assert b" 401 " in await wire.ask(again.replace(b"GET / ", b"GET /? "))
        clock.now += timedelta(hours=1)
        assert b"stale=true" in await wire.ask(again)
        assert (await client.get("/")).status_code == 200
        logins = [record.login for record in sim.records]
        assert logins == ["none", "accepted", "replayed", "other-uri", "stale", "stale", "accepted"]


@pytest.mark.parametrize("header", ["Basic eA==", "Digest username=demo"])
async def test_a_malformed_login_is_wrong(header: str) -> None:
    async with Simulator(vendor="emh") as sim, httpx.AsyncClient(verify=unverified()) as client:
        assert (await client.get(sim.url, headers={"Authorization": header})).status_code == 401
        assert sim.records[0].login == "wrong"


@pytest.mark.parametrize("vendor", ["theben", "ppc"])
async def test_wrong_logins_in_a_row_lock_the_gateway_for_a_time(vendor: str) -> None:
    clock = Clock()
    options: dict[str, Any] = {"vendor": vendor, "clock": clock, "lock_after": 3, "protect_all": True}
    async with Simulator(**options) as sim:

        async def log_in(password: str, times: int = 1) -> str:
            for _ in range(times):
                async with reader_of(sim, password) as client:
                    with contextlib.suppress(httpx.RemoteProtocolError):
                        answer = await client.get("/")
            login = sim.records[-1].login
            assert login != "locked" or answer.status_code == 401
            return login

        assert await log_in("wrong", 2) == "wrong"
        assert await log_in(sim.password) == "accepted"
        assert await log_in("wrong", 3) == "wrong"
        assert await log_in(sim.password) == "locked"
        assert sim.login.locks == 1
        clock.now += timedelta(minutes=5)
        assert await log_in("wrong", 2) == "wrong"
        assert await log_in(sim.password) == "accepted"


async def test_a_gateway_may_not_look_at_the_counter_of_a_login() -> None:
    async with Simulator(vendor="emh", counts_requests=False) as sim, reader_of(sim) as client:
        await client.get("/")
        signed = sim.records[-1].header(b"authorization") or b""
        async with wire_to(sim) as wire:
            again = await wire.ask(b"GET / HTTP/1.1\r\nHost: smgw.local\r\nAuthorization: %b\r\n\r\n" % signed)
        assert again.startswith(b"HTTP/1.1 200 ")


CHUNKED = b"POST /sim/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


async def test_a_gateway_may_know_bodies_with_a_length_only() -> None:
    async with Simulator(needs_length=True) as sim:
        async with wire_to(sim) as wire:
            assert (await wire.ask(CHUNKED)).startswith(b"HTTP/1.1 411 ")
        async with wire_to(sim) as wire:
            assert b" 200 " in await wire.ask(b"POST /sim/echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        assert [record.body for record in sim.records] == [b"abc", b"abc"]


async def test_bodies_stream_in_every_framing() -> None:
    size = 3_000_000
    sent = bytes(range(256)) * (size // 256)

    async def pieces() -> AsyncIterator[bytes]:
        yield sent

    async with Simulator() as sim, reader_of(sim) as client:
        for query in ("", "?chunked=1", "?close=1"):
            answer = await client.get(f"/sim/bytes/{size}{query}")
            assert len(answer.content) == size, query
        for content in (sent, pieces()):
            echo = (await client.post("/sim/echo", content=content)).json()
            assert echo == {"size": len(sent), "sha256": hashlib.sha256(sent).hexdigest()}
        assert sim.records[-1].body == sent[: 1024 * 1024]
        assert sim.records[-1].body_size == len(sent)


async def test_heads_without_a_body_and_odd_answers() -> None:
    async with Simulator() as sim, reader_of(sim) as client:
        head = await client.head("/sim/bytes/77")
        assert (head.headers["content-length"], head.content) == ("77", b"")
        for code in (204, 304, 418, 503):
            assert (await client.get(f"/sim/status/{code}")).status_code == code
        odd = await client.get("/sim/headers")
        assert len(odd.headers.get_list("set-cookie")) == 2
        redirect = await client.get("/sim/redirect?to=https%3A%2F%2Fx%2Fy&status=307")
        assert (redirect.status_code, redirect.headers["location"]) == (307, "https://x/y")
        assert (await client.get("/sim/other")).status_code == 404
        assert sim.connections == 1


async def test_a_client_may_wait_for_permission_to_send_its_body() -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        wire.writer.write(b"POST /sim/echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert b'"size": 2' in await wire.ask(b"ab")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)
async def test_what_is_no_request_is_answered_and_recorded(request_bytes: bytes) -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        assert b" 400 " in await wire.ask(request_bytes)
        (record,) = sim.records
        assert not record.complete
        assert request_bytes.startswith(record.raw_head)


@pytest.mark.parametrize("sent", [b"GET /half", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_request_that_is_broken_off_is_recorded(sent: bytes) -> None:
    async with Simulator() as sim:
        async with wire_to(sim) as wire:
            wire.writer.write(sent)
        (record,) = await sim.wait_for_records(1)
        assert not record.complete
        assert record.raw_head + record.body == sent
        await sim.wait_for_open(0)


async def test_a_head_without_end_is_recorded_and_refused() -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        wire.writer.write(b"GET /" + b"x" * 600_000)
        (record,) = await sim.wait_for_records(1)
        assert len(record.raw_head) >= 256 * 1024
        await sim.wait_for_open(0)


@pytest.mark.parametrize("kind", ["drop", "garbage", "reset"])
async def test_a_fault_ends_the_connection_once(kind: str) -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set(kind, times=1)
        wire.writer.write(b"GET /sim/bytes/5 HTTP/1.1\r\n\r\n")
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = await wire.reader.read()
        assert got == (b"\x00\x01\x02 this is not HTTP \xff\r\n\r\n" if kind == "garbage" else b"")
        async with wire_to(sim) as second:
            assert b" 200 " in await second.ask()
        assert len(sim.records) == 2


@pytest.mark.parametrize(
    ("at", "seen"),
    [
        ("head", b""),
        ("body", b""),
        ("request", b""),
        ("half-head", b"HTTP/1.1 200 OK\r\n"),
        ("answer-head", b"\r\n\r\n"),
        ("half-body", bytes(range(5))),
        ("answer", bytes(range(10))),
    ],
)
async def test_an_exchange_breaks_off_at_each_point(at: str, seen: bytes) -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("break", times=1, at=at)
        wire.writer.write(b"POST /sim/bytes/10 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        got = b""
        with contextlib.suppress(ConnectionResetError):
            got = await wire.reader.read()
        assert got.startswith(seen) if at == "half-head" else got.endswith(seen)
        assert bool(got) == bool(seen)
        assert [record.complete for record in sim.records] == [at not in ("head", "body")]


async def test_a_reset_is_a_reset() -> None:
    async with Simulator() as sim:
        sim.faults.set("no-tls")
        sim.faults.set("reset")
        async with wire_to(sim, tls=False) as wire:
            with pytest.raises(ConnectionResetError):
                await wire.ask()


async def test_a_kept_connection_drops_the_next_request() -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("drop-kept")
        assert b" 200 " in await wire.ask()
        with pytest.raises(asyncio.IncompleteReadError):
            await wire.ask()
        assert len(sim.records) == 2


@pytest.mark.parametrize(("handshake", "request_"), [(0.1, 0.0), (0.0, 0.1)])
async def test_a_serial_gateway_works_at_one_thing_at_a_time(handshake: float, request_: float) -> None:
    async def ask(sim: Simulator) -> None:
        async with wire_to(sim) as wire:
            await wire.ask()

    gateway = Simulator(serial=True, handshake_delay=handshake, request_delay=request_)
    async with gateway as sim, asyncio.timeout(10):
        began = asyncio.get_running_loop().time()
        await asyncio.gather(ask(sim), ask(sim), ask(sim))
        assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_fault_may_choose_its_requests() -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("drop", times=1, when=lambda request: request.target == b"/sim/status/201")
        assert b" 200 " in await wire.ask()
        with pytest.raises(asyncio.IncompleteReadError):
            await wire.ask(b"GET /sim/status/201 HTTP/1.1\r\n\r\n")
        assert sim.faults.names() == []


@pytest.mark.parametrize("fault", ["stall", "stall-body"])
async def test_a_stalled_gateway_holds_on_until_the_client_leaves(fault: str) -> None:
    async with Simulator() as sim:
        sim.faults.set(fault)
        async with wire_to(sim) as wire:
            wire.writer.write(b"GET /sim/bytes/100 HTTP/1.1\r\n\r\n")
            await sim.wait_for_records(1)
            if fault == "stall-body":
                assert b"Content-Length: 100" in await wire.reader.readuntil(b"\r\n\r\n")
                assert len(await wire.reader.readexactly(50)) == 50
            assert sim.journal.working == 1
        await sim.wait_for_open(0)
        assert sim.journal.answers == 0


async def test_half_an_answer_is_completed_when_the_gate_opens() -> None:
    gate = asyncio.Event()
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("stall-body", gate=gate)
        wire.writer.write(b"GET /sim/bytes/100 HTTP/1.1\r\n\r\n")
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.reader.readexactly(50)
        gate.set()
        assert len(await wire.reader.readexactly(50)) == 50


async def test_a_truncated_answer_ends_in_the_middle() -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("truncate")
        with pytest.raises(asyncio.IncompleteReadError) as error:
            await wire.ask(b"GET /sim/bytes/100 HTTP/1.1\r\n\r\n")
        assert len(error.value.partial) == 50


async def test_a_slow_answer_comes_when_the_gate_opens_even_to_nobody() -> None:
    gate = asyncio.Event()
    async with Simulator() as sim:
        sim.faults.set("slow", gate=gate)
        async with wire_to(sim) as wire, wire_to(sim) as leaver:
            for one in (wire, leaver):
                one.writer.write(b"GET /sim/bytes/5 HTTP/1.1\r\n\r\n")
            await sim.wait_for_records(2)
            assert sim.journal.peak_working == 2
            leaver.writer.transport.abort()
            gate.set()
            assert b" 200 " in await wire.answer()
        await sim.wait_for_open(0)


async def test_a_body_is_read_when_the_gate_opens() -> None:
    gate = asyncio.Event()
    async with Simulator() as sim, wire_to(sim) as wire:
        sim.faults.set("hold-body", gate=gate)
        wire.writer.write(b"POST /sim/echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")
        await sim.wait_for_heads(1)
        assert sim.records == []
        gate.set()
        assert b'"size": 2' in await wire.answer()


async def test_a_login_may_never_be_accepted() -> None:
    async with Simulator(vendor="theben") as sim, reader_of(sim) as client:
        sim.faults.set("401-loop")
        assert (await client.get("/")).status_code == 401
        assert sim.records[-1].authorized


async def test_idle_connections_are_closed_by_time_or_at_once() -> None:
    async with Simulator() as sim:
        sim.faults.set("idle-close", seconds=0.01, times=1)
        async with wire_to(sim) as wire:
            assert await wire.reader.read() == b""
        async with wire_to(sim) as wire:
            await wire.ask()
            sim.close_connections(idle_only=True)
            assert await wire.reader.read() == b""
        await sim.wait_for_open(0)
        assert sim.connections == 2


@pytest.mark.parametrize(("fault", "told"), [("close-announced", True), ("close-unannounced", False)])
async def test_a_connection_is_closed_some_time_after_each_answer(fault: str, told: bool) -> None:
    async with Simulator() as sim, wire_to(sim) as wire:
        gate = asyncio.Event()
        sim.faults.set(fault, gate=gate)
        assert (b"Connection: close" in await wire.ask()) is told
        wire.writer.write(b"GET /sim/bytes/6 HTTP/1.1\r\n\r\n")
        await sim.wait_until(lambda: sim.journal.working == 0)
        gate.set()
        assert await wire.reader.read() == b""
        sim.faults.set(fault, times=1)
        async with wire_to(sim) as second:
            await second.ask()
            assert await second.reader.read() == b""
        assert [record.target for record in sim.records] == [b"/sim/bytes/5"] * 2


async def test_faults_before_any_request() -> None:
    async with Simulator() as sim:
        sim.faults.set("refuse-handshake", times=1)
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
            await asyncio.open_connection(sim.host, sim.port, ssl=unverified())
        sim.faults.set("no-tls", times=1)
        async with wire_to(sim, tls=False) as wire:
            assert b" 200 " in await wire.ask()
        sim.faults.set("locked", times=1)
        async with wire_to(sim, tls=False) as wire:
            wire.writer.write(b"anything")
            await sim.wait_for_connections(3)
            assert sim.journal.heads == 1
        await sim.wait_for_open(0)
        assert (sim.handshakes, sim.journal.failed_handshakes) == (0, 1)
        async with wire_to(sim, tls=False) as wire:
            wire.writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP" not in await wire.reader.read()
        await sim.wait_until(lambda: sim.journal.failed_handshakes == 2)


@pytest.mark.parametrize(
    "arguments", [("nonsense", {}), ("drop", {"times": 0}), ("slow", {"seconds": -1.0})], ids=str
)
async def test_a_wrong_fault_is_refused(arguments: tuple[str, dict[str, Any]]) -> None:
    async with Simulator() as sim:
        kind, options = arguments
        with pytest.raises(ValueError, match=r"unknown fault|at least once|negative"):
            sim.faults.set(kind, **options)


async def test_faults_can_be_cleared() -> None:
    async with Simulator() as sim:
        for kind in FaultKind:
            sim.faults.set(kind)
        sim.faults.clear("drop")
        assert "drop" not in sim.faults.names()
        sim.faults.clear()
        assert sim.faults.names() == []


async def test_a_rotated_certificate_shows_on_new_connections_only() -> None:
    async with Simulator() as sim, wire_to(sim) as kept:
        before, identity = sim.fingerprint, sim.identity
        assert kept.certificate() == before
        ended = {"not_before": NOW - timedelta(days=9), "not_after": NOW - timedelta(days=1)}
        assert await sim.rotate_certificate(common_name="EXYZ.SMGW", **ended) == sim.fingerprint != before
        assert b" 200 " in await kept.ask()
        async with wire_to(sim) as fresh:
            assert fresh.certificate() == sim.fingerprint
        parsed = x509.load_der_x509_certificate(sim.certificate_der)
        assert parsed.not_valid_after_utc == NOW - timedelta(days=1)
        assert "CN=EXYZ.SMGW" in parsed.subject.rfc4514_string()
        await sim.use_identity(identity)
        async with wire_to(sim) as fresh:
            assert fresh.certificate() == before


@pytest.mark.parametrize("curve", KEY_KINDS)
async def test_the_handshake_is_tls_1_2_on_the_curve_asked_for(curve: str) -> None:
    async with Simulator(vendor="emh", curve=curve) as sim:
        context = unverified(OPENSSL_NAMES.get(curve, curve))
        _, writer = await asyncio.open_connection(sim.host, sim.port, ssl=context)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()
        await writer.wait_closed()
        other = "secp521r1" if curve != "P-521" else "secp384r1"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(sim.host, sim.port, ssl=unverified(other))


def showing(identity: Identity, folder: Path) -> ssl.SSLContext:
    path = folder / "client.pem"
    path.write_bytes(identity.key_pem + identity.certificate_pem)
    context = unverified()
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("demanded", [True, False])
async def test_a_client_may_log_in_with_a_certificate(tmp_path: Path, demanded: bool) -> None:
    known, unknown = (make_identity(CertificateOptions(common_name=name)) for name in ("known", "unknown"))
    trusted = ClientCertificates(trusted=known.certificate_pem.decode(), demanded=demanded)
    async with Simulator(vendor="emh", client_certificates=trusted) as sim:
        async with httpx.AsyncClient(verify=showing(known, tmp_path)) as client:
            assert (await client.get(f"{sim.url}/json/metering/origin/")).status_code == 200
        assert sim.records[-1].login == "certificate"
        assert sim.journal.client_certificates == [known.fingerprint]
        async with httpx.AsyncClient(verify=showing(unknown, tmp_path)) as client:
            with pytest.raises(httpx.ConnectError, match=r"(?i)unknown.ca"):
                await client.get(sim.url)
        if demanded:
            with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
                await asyncio.open_connection(sim.host, sim.port, ssl=unverified())
        else:
            async with reader_of(sim) as client:
                assert (await client.get("/")).status_code == 200
            assert [record.login for record in sim.records[1:]] == ["none", "accepted"]
            assert sim.journal.client_certificates[1:] == [None]


def test_a_certificate_may_have_further_names() -> None:
    names = ("smgw.local", "ethe0300186023.local")
    extension = make_identity(CertificateOptions(further_names=names)).certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert tuple(extension.value.get_values_for_type(x509.DNSName)) == names


async def test_the_certificate_is_kept_in_a_folder(tmp_path: Path) -> None:
    fingerprints = []
    for _ in range(2):
        async with Simulator(vendor="theben", state_dir=tmp_path / "state") as sim:
            fingerprints.append(sim.fingerprint)
    assert fingerprints[0] == fingerprints[1]
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_gateway_that_was_off_comes_back_as_the_same() -> None:
    sim = Simulator()
    seen = []
    for _ in range(2):
        async with sim, wire_to(sim) as wire:
            await wire.ask()
            seen.append((sim.url, wire.certificate()))
    assert seen[0] == seen[1]
    assert len(sim.records) == 2


async def test_certificate_options_and_wrong_arguments() -> None:
    options = CertificateOptions(common_name="EOTHER.SMGW", curve="P-256")
    async with Simulator(vendor="emh", certificate=options, curve="P-384", host="::1") as sim:
        assert sim.identity.curve == "P-384"
        assert sim.url == f"https://[::1]:{sim.port}"
    with pytest.raises(ValueError, match="unknown vendor"):
        Simulator(vendor="nobody")
    with pytest.raises(ValueError, match="unknown curve"):
        await Simulator(curve="P-999").start()


def test_registers_rise_and_have_a_step() -> None:
    assert steps(NOW, NOW + STEP) == [datetime(2026, 5, 15, 10, 15, tzinfo=UTC)]
    times = steps(NOW, NOW + timedelta(days=2))
    for obis in (IMPORT, EXPORT):
        values = [register(obis, at) for at in times]
        assert values == sorted(set(values))
    assert min(power(at) for at in times) < 0 < max(power(at) for at in times)


async def test_the_control_port_sets_faults_rotates_and_tells() -> None:
    async with Simulator() as sim, httpx.AsyncClient() as control, wire_to(sim) as wire:
        port = Control(sim)
        control.base_url = httpx.URL(f"http://127.0.0.1:{await port.start(0)}")
        await wire.ask(b"GET /sim/bytes/1?\xff HTTP/1.1\r\nA: b\r\n\r\n")
        (record,) = (await control.get("/records")).json()
        assert record["target"] == "/sim/bytes/1?\xff"
        assert record["headers"] == [["A", "b"]]

        assert (await control.post("/faults", json={"set": "drop", "times": 2})).json()["faults"] == ["drop"]
        assert (await control.post("/faults", json={"clear": "drop"})).json()["faults"] == []
        rotated = {"curve": "P-256", "not_after": "2026-01-01T00:00:00"}
        assert (await control.post("/rotate", json=rotated)).json()["fingerprint"] == sim.fingerprint
        assert sim.identity.curve == "P-256"
        await control.post("/close", json={})
        assert await wire.reader.read() == b""
        for path, body in (("/faults", {"set": "x"}), ("/rotate", {"colour": "red"}), ("/x", {})):
            assert (await control.post(path, json=body)).status_code == 400
        assert (await control.get("/state")).json()["requests"] == 1
        port.stop()


async def run(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", *arguments, stdout=-1, stderr=-1, cwd=Path(__file__).parent.parent
    )


async def test_the_program_says_when_it_is_ready_and_stops_cleanly() -> None:
    program = await run("--vendor", "emh", "--request-delay", "0", "--handshake-delay", "0", "--control-port=0")
    assert program.stdout
    line = (await program.stdout.readline()).decode()
    assert re.fullmatch(r"simulator: emh at https://127.0.0.1:\d+ user=demo ready control=http://\S+\n", line)
    url = line.split()[3]
    port = url.rpartition(":")[2]
    auth = httpx.DigestAuth("demo", "gateway")
    async with httpx.AsyncClient(verify=unverified(), auth=auth) as client:
        assert (await client.get(url)).status_code == 200
    other = await run("--port", port)
    _, errors = await other.communicate()
    assert other.returncode == 1
    assert errors.count(b"\n") == 1
    assert b"in use" in errors
    program.terminate()
    assert await program.communicate() == (b"", b"")
    assert program.returncode == 0


async def test_the_program_takes_the_habits_of_a_gateway(tmp_path: Path) -> None:
    known = make_identity(CertificateOptions(common_name="known"))
    pem = tmp_path / "known.pem"
    pem.write_bytes(known.certificate_pem)
    program = await run(
        *("--vendor=emh", "--handshake-delay=0", "--request-delay=0", "--smgw-local-only", "--needs-length"),
        *("--lock-after=5", "--lock-time=60", "--ignore-nc", f"--client-certificates={pem}", "--demand-certificate"),
        *("--fault", "close-announced,seconds=0.01"),
    )
    assert program.stdout
    url = (await program.stdout.readline()).decode().split()[3]
    async with httpx.AsyncClient(verify=showing(known, tmp_path)) as client:
        answer = await client.get(url, headers={"Host": "smgw.local"})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert (await client.get(url)).status_code == 400
    program.terminate()
    await program.communicate()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--fault", "drop,times=0"], "--fault"),
        (["--lock-after", "0"], "--lock-after"),
        (["--demand-certificate"], "--demand-certificate"),
        (["--client-certificates", "/does/not/exist"], "--client-certificates"),
    ],
)
async def test_the_program_explains_wrong_arguments(arguments: list[str], named: str) -> None:
    program = await run(*arguments)
    _, errors = await program.communicate()
    assert program.returncode == 2
    assert f"argument {named}".encode() in errors


def test_a_record_finds_headers_in_any_case() -> None:
    record = Received(1, b"", headers=[(b"X-a", b"1"), (b"x-A", b"2")])
    assert record.header(b"X-A") == b"1"
    assert record.all_headers(b"x-a") == [b"1", b"2"]
