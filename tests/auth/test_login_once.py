"""Login once: real clients, real sockets, the three makes; what the gateway is asked, and what it never sees."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from simulator.gateway import Simulator
from simulator.messages import Received
from smgw_proxy_addon.auth.account_source import LARGEST_RESENT
from smgw_proxy_addon.auth.gateway_login import LoginStatus
from smgw_proxy_addon.http.digest import authorize, parse_authorization, parse_challenges
from tests.played_time import play
from tests.rig import Rig, headers_of, proxy_for, send, status_of

USER, PASSWORD = "user-of-mine", "hunter2-secret"
ACCOUNT = {"username": USER, "password": PASSWORD}
OTHER = {"username": "other-user", "password": "other-secret"}
TARGETS = {
    "theben": ("POST", f"/smgw/m2m/{USER}.sm/json", '{"method": "smgw-info"}'),
    "emh": ("GET", "/json/metering/origin/", ""),
    "ppc": ("GET", "/", ""),
}
VENDORS = pytest.mark.parametrize("vendor", TARGETS)


@asynccontextmanager
async def login_once(
    folder: Path, vendor: str = "emh", *, sim: Mapping[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Simulator, Rig]]:
    """Run a gateway and a proxy that logs in there."""
    given = {"accounts": [ACCOUNT], **options}
    gateway = Simulator(vendor=vendor, user=USER, password=PASSWORD, **(sim or {}))
    async with gateway, proxy_for(gateway, folder, **given) as rig:
        yield gateway, rig


def own(username: str = USER, password: str = PASSWORD) -> httpx.DigestAuth:
    return httpx.DigestAuth(username, password)


def signed_for(challenge: str, target: str = "/json/metering/origin/", nc: int = 1) -> str:
    """Answer a challenge by hand."""
    return authorize(
        parse_challenges(challenge)[0], username=USER, password=PASSWORD, method="GET", uri=target, cnonce="c", nc=nc
    )


async def ask(
    rig: Rig, vendor: str = "emh", *, auth: httpx.Auth | None = None, client: httpx.AsyncClient | None = None
) -> httpx.Response:
    """Send one request as the vendor's integration does, with a login of its own each time."""
    method, target, body = TARGETS[vendor]
    headers = {"Content-Type": "application/json"} if body else {}
    if client:
        return await client.request(method, rig.http + target, content=body, headers=headers, auth=auth or own())
    async with httpx.AsyncClient(trust_env=False) as new:
        return await new.request(method, rig.http + target, content=body, headers=headers, auth=auth or own())


def logins(sim: Simulator) -> list[str]:
    return [record.login for record in sim.records]


def given(record: Received) -> Any:
    value = record.header(b"authorization")
    assert value
    return parse_authorization(value.decode())


# --- half of the requests


@VENDORS
async def test_half_of_the_requests_disappear(tmp_path: Path, vendor: str) -> None:
    count = 12
    async with login_once(tmp_path / "a", vendor=vendor, accounts=[]) as (sim, rig):
        for _ in range(count):
            assert (await ask(rig, vendor)).status_code == 200
        transparent = len(sim.records)
    async with login_once(tmp_path / "b", vendor=vendor) as (sim, rig):
        for _ in range(count):
            assert (await ask(rig, vendor)).status_code == 200
        assert (transparent, len(sim.records)) == (2 * count, count + 1)
        assert logins(sim) == ["none", *["accepted"] * count]
        assert [int(given(record).nc, 16) for record in sim.records[1:]] == list(range(1, count + 1))
        assert sim.handshakes == 1


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
async def test_every_algorithm_of_a_gateway(tmp_path: Path, algorithm: str) -> None:
    async with login_once(tmp_path, sim={"algorithm": algorithm}) as (sim, rig):
        for _ in range(3):
            assert (await ask(rig)).status_code == 200
        assert {given(record).algorithm for record in sim.records[1:]} == {algorithm}
        assert logins(sim) == ["none", "accepted", "accepted", "accepted"]


async def test_firmware_whose_sha_256_is_broken(tmp_path: Path) -> None:
    broken = {"broken_sha256": True}
    async with login_once(tmp_path / "a", "theben", sim=broken) as (sim, rig):
        assert (await ask(rig, "theben")).status_code == 502
    async with login_once(tmp_path / "b", "theben", sim=broken, digest_algorithm="md5") as (sim, rig):
        assert (await ask(rig, "theben")).status_code == 200
        assert given(sim.records[-1]).algorithm == "MD5"


async def test_never_with_less_than_sha_256_if_that_is_asked_for(tmp_path: Path) -> None:
    async with login_once(tmp_path, digest_algorithm="sha-256") as (sim, rig):
        answer = await ask(rig)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_login_refused")
        assert logins(sim) == ["none"]


# --- other people's clients


async def test_requests_with_its_kept_nonce(tmp_path: Path) -> None:
    async with login_once(tmp_path) as (sim, rig):

        def work() -> list[int]:
            with requests.Session() as session:
                session.trust_env = False
                session.auth = requests.auth.HTTPDigestAuth(USER, PASSWORD)
                return [session.get(rig.http + TARGETS["emh"][1]).status_code for _ in range(4)]

        assert await asyncio.to_thread(work) == [200] * 4
        assert len(sim.records) == 5
        codes = [record.code for record in rig.reports]
        assert codes == ["login_required", None, None, None, None]


async def test_curl(tmp_path: Path, require: Callable[[str], None]) -> None:
    require("curl")
    async with login_once(tmp_path) as (sim, rig):
        target = "/json/metering/origin/?a=%2F&b=c+d&"
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--digest", "-u", f"{USER}:{PASSWORD}", "-o", "/dev/null", "-w", "%{http_code}"),
            rig.http + target,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        assert printed == b"200"
        assert sim.records[-1].target == target.encode()


@pytest.mark.parametrize("target", [b"/a%2Fb?x=%7E&y=a+b&&", b"//x", b"/?", b'/q"a\\?b=c'])
@pytest.mark.parametrize("absolute", [b"", b"http://proxy:8080"])
@pytest.mark.parametrize("form", ["as sent", "the path"])
async def test_nasty_targets(tmp_path: Path, target: bytes, absolute: bytes, form: str) -> None:
    async with login_once(tmp_path, sim={"protect_all": True}) as (sim, rig):
        uri = absolute + target if form == "as sent" else target
        head = b"GET " + absolute + target + b" HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n"
        asked = dict(headers_of(await send(rig.port, head + b"\r\n")))[b"WWW-Authenticate"].decode()
        value = signed_for(asked, uri.decode("utf-8", "surrogateescape"))
        answer = await send(
            rig.port, head + b"Authorization: " + value.encode("utf-8", "surrogateescape") + b"\r\n\r\n"
        )
        assert status_of(answer) == 200
        assert [record.target for record in sim.records] == [target, target]
        assert logins(sim) == ["none", "accepted"]


# --- who gets in


async def test_a_client_without_a_login_is_asked_for_it_and_keeps_its_connection(tmp_path: Path) -> None:
    async with login_once(tmp_path) as (sim, rig), httpx.AsyncClient(trust_env=False) as client:
        for accept, kind in (("text/html", "text/html; charset=utf-8"), ("*/*", "application/json")):
            answer = await client.get(rig.http + "/", headers={"Accept": accept})
            assert answer.status_code == 401
            assert answer.headers["content-type"] == kind
            (value,) = answer.headers.get_list("www-authenticate")
            (challenge,) = parse_challenges(value)
            assert (challenge.realm, challenge.algorithm, challenge.qop) == ("smgw-proxy", "MD5", ("auth",))
            assert answer.headers.get("connection") != "close"
        assert answer.json()["error"] == "login_required"
        assert sim.connections == 0


def test_a_thousand_wrong_logins_never_reach_the_gateway(tmp_path: Path) -> None:
    async def try_them() -> None:
        clock = asyncio.get_running_loop().time  # most of them are delayed
        async with login_once(tmp_path, clock=clock) as (sim, rig), httpx.AsyncClient(trust_env=False) as client:
            wrong: list[httpx.Auth] = [own(USER, "wrong"), own("nobody", PASSWORD), own("nobody", "wrong")]
            wrong.append(httpx.BasicAuth(USER, PASSWORD))
            for number in range(1000):
                answer = await ask(rig, auth=wrong[number % len(wrong)], client=client)
                assert answer.status_code == 401
            assert (len(sim.records), sim.connections) == (0, 0)
            assert {record.code for record in rig.reports} == {"login_required"}
            assert {record.detail for record in rig.reports} == {"missing", "wrong", "malformed"}
            assert rig.proxy.pool.status().active == 0
            assert (await ask(rig, client=client)).status_code == 200

    play(try_them(), speed=2000)


async def test_a_wrong_login_waits_for_nobody(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with login_once(tmp_path) as (sim, rig):
        sim.faults.set("slow", gate=gate)
        waiting = asyncio.create_task(ask(rig))
        await sim.wait_for_heads(1)
        async with asyncio.timeout(5):
            assert (await ask(rig, auth=own(USER, "wrong"))).status_code == 401
        gate.set()
        assert (await waiting).status_code == 200


async def test_replayed_and_forged_nonces_are_refused(tmp_path: Path) -> None:
    async with login_once(tmp_path) as (sim, rig), httpx.AsyncClient(trust_env=False) as client:
        url = rig.http + "/json/metering/origin/"
        challenge = (await client.get(url)).headers["www-authenticate"]
        login = signed_for(challenge)
        assert (await client.get(url, headers={"Authorization": login})).status_code == 200
        before = len(sim.records)
        forged = signed_for(re.sub(r'nonce="[0-9a-f]+"', f'nonce="{"0" * 64}"', challenge))
        other_target = rig.http + "/json/metering/derived/"
        for where, value in ((url, login), (url, forged), (other_target, signed_for(challenge, nc=2))):
            answer = await client.get(where, headers={"Authorization": value})
            assert answer.status_code == 401
            assert parse_challenges(answer.headers["www-authenticate"])[0].stale == (where == url)
        assert len(sim.records) == before
        assert (await client.get(url, headers={"Authorization": signed_for(challenge, nc=3)})).status_code == 200


async def test_what_a_client_sends_as_its_login_never_goes_further(tmp_path: Path) -> None:
    async with login_once(tmp_path, vendor="theben", accounts=[ACCOUNT, OTHER]) as (sim, rig):
        sent: list[bytes] = []

        async def remember(request: httpx.Request) -> None:
            value = request.headers.get("authorization", "").encode()
            sent.extend(re.findall(rb'(?:response|cnonce|nonce)="?([^",]{8,})', value))

        async with httpx.AsyncClient(trust_env=False, event_hooks={"request": [remember]}) as client:
            for _ in range(3):
                assert (await ask(rig, "theben", client=client)).status_code == 200
        assert len(sent) == 9
        received = b"".join(record.raw_head + record.body for record in sim.records)
        assert not any(value in received for value in sent)
        assert b"smgw-proxy" not in received
        assert all(len(record.all_headers(b"authorization")) <= 1 for record in sim.records)


@VENDORS
async def test_nothing_of_the_gateway_s_login_reaches_the_client(tmp_path: Path, vendor: str) -> None:
    async with login_once(tmp_path, vendor=vendor) as (sim, rig):
        answer = await ask(rig, vendor)
        assert answer.status_code == 200
        assert not {"www-authenticate", "authentication-info"} & set(answer.headers)
        assert sim.login.realm not in str(answer.history[0].headers)
        assert [each.headers["www-authenticate"].count("realm=") for each in answer.history] == [1]


async def test_a_gateway_that_hands_out_the_next_nonce(tmp_path: Path) -> None:
    async with login_once(tmp_path, sim={"next_nonces": True}) as (sim, rig):
        answers = [await ask(rig) for _ in range(4)]
        assert not any("authentication-info" in each.headers for each in answers)
        assert logins(sim) == ["none", *["accepted"] * 4]
        said = [given(record) for record in sim.records[1:]]
        assert len({each.nonce for each in said}) == 4
        assert {each.nc for each in said} == {"00000001"}


# --- the gateway's password


async def test_a_changed_password_stops_the_account_until_a_person_says_so(tmp_path: Path) -> None:
    async with login_once(tmp_path) as (sim, rig):
        assert rig.proxy.logins
        assert (await ask(rig)).status_code == 200
        assert rig.proxy.logins.statuses == (LoginStatus.ACCEPTED,)
        sim.login.password = "changed"
        answers = [await ask(rig) for _ in range(6)]
        assert {each.status_code for each in answers} == {502}
        codes = [each.json()["error"] for each in answers]
        assert codes == ["gateway_login_refused"] * 2 + ["gateway_login_stopped"] * 4
        assert logins(sim) == ["none", "accepted", "wrong", "wrong", "none", "wrong"]
        assert rig.proxy.logins.statuses == (LoginStatus.STOPPED,)
        connections = sim.connections
        sim.close_connections()
        await sim.wait_for_open(0)
        assert (await ask(rig)).json()["error"] == "gateway_login_stopped"
        assert sim.connections == connections, "not even a connection"

        sim.login.password = PASSWORD
        assert not rig.proxy.logins.retry(1)
        assert rig.proxy.logins.retry(0)
        assert (await ask(rig)).status_code == 200
        assert rig.proxy.logins.statuses == (LoginStatus.ACCEPTED,)


class Hurried:
    """The proxy's clock, which a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


async def test_theben_says_it_by_closing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Hurried()
    async with login_once(tmp_path, vendor="theben", clock=clock) as (sim, rig):
        assert rig.proxy.logins
        assert (await ask(rig, "theben")).status_code == 200
        sim.login.password = "changed"

        async def codes(count: int, later: float) -> list[str]:
            clock.ahead += later
            return [(await ask(rig, "theben")).json()["error"] for _ in range(count)]

        # The old nonce, and two that may be accidents.
        assert await codes(5, 0) == ["gateway_connection_lost"] * 3 + ["gateway_login_paused"] * 2
        assert await codes(3, 61) == ["gateway_login_refused"] + ["gateway_login_paused"] * 2
        assert await codes(1, 61) == ["gateway_login_paused"]
        assert 200 < int((await ask(rig, "theben")).headers["retry-after"]) < 240
        assert await codes(3, 240) == ["gateway_login_refused"] + ["gateway_login_stopped"] * 2
        assert logins(sim) == ["none", "accepted", "wrong", *["none", "wrong"] * 4]
        assert sum("closed the connection instead of answering" in each.message for each in caplog.records) == 1
        sim.login.password = PASSWORD
        assert rig.proxy.logins.retry(0)
        assert (await ask(rig, "theben")).status_code == 200


async def test_theben_closes_on_a_wrong_password_from_the_start(tmp_path: Path) -> None:
    clock = Hurried()
    async with login_once(tmp_path, vendor="theben", clock=clock) as (sim, rig):
        sim.login.password = "other"
        answers = [await ask(rig, "theben") for _ in range(3)]
        assert [each.json()["error"] for each in answers] == ["gateway_login_refused"] + ["gateway_login_paused"] * 2
        assert answers[1].status_code == 503
        assert 50 < int(answers[1].headers["retry-after"]) <= 60
        clock.ahead = 61
        answers = [await ask(rig, "theben") for _ in range(3)]
        assert [each.json()["error"] for each in answers] == ["gateway_login_refused"] + ["gateway_login_stopped"] * 2
        assert logins(sim) == ["none", "wrong"] * 2


async def test_a_restart_with_closed_connections_stops_no_account_that_was_good(tmp_path: Path) -> None:
    """The gateway forgets its nonces, and closes what carries a login, for some minutes: no wrong password."""
    clock = Hurried()
    async with login_once(tmp_path, clock=clock, max_connections=2) as (sim, rig):
        assert rig.proxy.logins
        assert (await ask(rig)).status_code == 200
        await sim.stop()
        await sim.start()
        sim.faults.set("drop", when=lambda record: record.header(b"authorization") is not None)
        for _ in range(8):
            assert (await ask(rig)).status_code >= 500
            clock.ahead += 20
        assert rig.proxy.logins.statuses != (LoginStatus.STOPPED,)
        sim.faults.clear()
        clock.ahead += 300
        assert (await ask(rig)).status_code == 200
        assert rig.proxy.logins.statuses == (LoginStatus.ACCEPTED,)


async def test_a_wrong_password_from_the_start(tmp_path: Path) -> None:
    async with login_once(tmp_path) as (sim, rig):
        sim.login.password = "other"
        answers = [await ask(rig) for _ in range(4)]
        assert [each.json()["error"] for each in answers] == ["gateway_login_refused"] * 2 + [
            "gateway_login_stopped"
        ] * 2
        assert logins(sim) == ["none", "wrong", "none", "wrong"]


async def ask_at_once(rig: Rig, count: int) -> None:
    """Send as many different requests at once: none shares another's answer."""
    async with httpx.AsyncClient(trust_env=False) as client:
        urls = (f"{rig.http}{TARGETS['emh'][1]}?{number}" for number in range(count))
        await asyncio.gather(*(client.get(url, auth=own()) for url in urls))


async def test_a_wrong_password_is_tried_twice_however_many_ask_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with login_once(tmp_path, sim={"request_delay": 0.02}, max_connections=8) as (sim, rig):
        sim.login.password = "other"
        await ask_at_once(rig, 16)
        assert logins(sim).count("wrong") == 2
        assert sum("twice in a row" in record.message for record in caplog.records) == 1


async def test_a_changed_password_is_tried_no_more_by_those_who_come_after(tmp_path: Path) -> None:
    places = 4
    async with login_once(tmp_path, sim={"request_delay": 0.02}, max_connections=places) as (sim, rig):
        await ask_at_once(rig, places)
        sim.login.password = "changed"
        await ask_at_once(rig, 16)
        assert logins(sim).count("wrong") <= places + 2, "those on their way, and two"
        assert rig.proxy.logins
        assert rig.proxy.logins.statuses == (LoginStatus.STOPPED,)


@pytest.mark.parametrize(("places", "closes"), [(1, True), (8, False), (8, True)])
async def test_a_page_that_needs_no_login_does_not_prove_a_password(
    tmp_path: Path, places: int, *, closes: bool
) -> None:
    slow = {"request_delay": 0.01, "closes_after_challenge": closes}
    async with login_once(tmp_path, sim=slow, max_connections=places) as (sim, rig):
        sim.login.password = "other"
        async with httpx.AsyncClient(trust_env=False) as client:
            for number in range(12):
                urls = [f"{rig.http}{path}?{number}" for path in (TARGETS["emh"][1], "/sim/status/200") * 3]
                await asyncio.gather(*(client.get(f"{url}-{each}", auth=own()) for each, url in enumerate(urls)))
        assert logins(sim).count("wrong") == 2
        assert rig.proxy.logins
        assert rig.proxy.logins.statuses == (LoginStatus.STOPPED,)


@pytest.mark.parametrize("size", [500_000, LARGEST_RESENT + 2_000_000])
@pytest.mark.parametrize("good_before", [True, False])
async def test_a_gateway_that_closes_before_it_has_the_body_refuses_the_login_too(
    tmp_path: Path, size: int, *, good_before: bool
) -> None:
    clock = Hurried()
    async with login_once(tmp_path, clock=clock, sim={"protect_all": True}) as (sim, rig):
        if good_before:
            assert (await ask(rig)).status_code == 200
        sim.faults.set("break", at="head", when=lambda record: record.header(b"authorization") is not None)
        before = len(sim.records)
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(40):
                await client.post(rig.http + "/sim/echo", content=b"x" * size, auth=own())
                clock.ahead += 20
        tried = [record for record in sim.records[before:] if record.header(b"authorization")]
        assert len(tried) == (5 if good_before else 2)
        assert rig.proxy.logins
        assert rig.proxy.logins.statuses == (LoginStatus.STOPPED,)


async def test_those_who_ask_at_once_are_asked_for_the_login_once(tmp_path: Path) -> None:
    async with login_once(tmp_path, sim={"request_delay": 0.01}, max_connections=8) as (sim, rig):
        await ask_at_once(rig, 16)
        assert logins(sim) == ["none", *["accepted"] * 16]


async def test_one_account_is_not_another(tmp_path: Path) -> None:
    users = {"further_users": {"other-user": "other-secret"}}
    async with login_once(tmp_path, sim=users, accounts=[ACCOUNT, OTHER]) as (sim, rig):
        assert rig.proxy.logins
        other = own("other-user", "other-secret")
        sim.login.password = "changed"
        for _ in range(4):
            assert (await ask(rig)).status_code == 502
            assert (await ask(rig, auth=other)).status_code == 200
        assert rig.proxy.logins.statuses == (LoginStatus.STOPPED, LoginStatus.ACCEPTED)
        by_user = [given(record).username for record in sim.records if record.login == "accepted"]
        assert by_user == ["other-user"] * 4
        nonces = {given(record).username: given(record).nonce for record in sim.records if record.login != "none"}
        assert nonces[USER] != nonces["other-user"]


# --- what is sent again, and what is not


class Clock:
    """The gateway's clock."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_an_expired_nonce_costs_one_more_request(tmp_path: Path) -> None:
    clock = Clock()
    async with login_once(tmp_path, sim={"clock": clock}) as (sim, rig):
        for _ in range(3):
            assert (await ask(rig)).status_code == 200
            assert (await ask(rig)).status_code == 200
            clock.now += timedelta(minutes=6)
        one = ["accepted", "accepted"]
        assert logins(sim) == ["none", *one, "stale", *one, "stale", *one]
        assert [int(given(each).nc, 16) for each in sim.records[1:]] == [1, 2, 3, 1, 2, 3, 1, 2]


@pytest.mark.parametrize("fault", ["drop", "reset", "garbage"])
@pytest.mark.parametrize("vendor", ["emh", "theben"])
async def test_a_dropped_request_is_never_sent_again(tmp_path: Path, fault: str, vendor: str) -> None:
    async with login_once(tmp_path, vendor=vendor) as (sim, rig):
        assert rig.proxy.logins
        assert (await ask(rig, vendor)).status_code == 200
        for number in range(1, 6):
            before = len(sim.records)
            sim.faults.set(fault, times=1)
            answer = await ask(rig, vendor)
            assert (answer.status_code, len(sim.records) - before) == (502, 1), number
            assert answer.json()["error"] in {"gateway_connection_lost", "gateway_bad_answer"}
        assert (await ask(rig, vendor)).status_code == 200
        assert rig.proxy.logins.statuses == (LoginStatus.ACCEPTED,)


async def test_a_gateway_that_closes_after_it_asked_is_asked_on_a_new_connection(tmp_path: Path) -> None:
    async with login_once(tmp_path, sim={"closes_after_challenge": True}) as (sim, rig):
        assert (await ask(rig)).status_code == 200
        assert logins(sim) == ["none", "accepted"]
        assert sim.handshakes == 2


@pytest.mark.parametrize("size", [100, 70_000, LARGEST_RESENT])
async def test_a_body_is_sent_again_whole(tmp_path: Path, size: int) -> None:
    async with login_once(tmp_path, sim={"protect_all": True}) as (sim, rig):
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(rig.http + "/sim/echo", content=b"x" * size, auth=own())
        assert answer.json()["size"] == size
        assert [record.body_size for record in sim.records] == [size, size]


async def test_a_body_that_is_too_large_is_sent_once(tmp_path: Path) -> None:
    async with login_once(tmp_path, sim={"protect_all": True}) as (sim, rig):
        async with httpx.AsyncClient(trust_env=False) as client:
            content = b"x" * (LARGEST_RESENT + 1)
            first = await client.post(rig.http + "/sim/echo", content=content, auth=own())
            assert (first.status_code, first.headers["retry-after"]) == (503, "1")
            assert first.json()["error"] == "login_expired"
            second = await client.post(rig.http + "/sim/echo", content=content, auth=own())
            assert second.json()["size"] == len(content)
        assert logins(sim) == ["none", "accepted"]


@pytest.mark.parametrize("kind", ["401-loop"])
async def test_a_gateway_that_asks_for_ever(tmp_path: Path, kind: str) -> None:
    async with login_once(tmp_path) as (sim, rig):
        sim.faults.set(kind)
        codes = [(await ask(rig)).json()["error"] for _ in range(5)]
        assert codes == ["gateway_login_refused"] * 2 + ["gateway_login_stopped"] * 3
        assert len(sim.records) == 4
        sim.faults.clear()
        assert rig.proxy.logins
        assert rig.proxy.logins.retry(0)
        assert (await ask(rig)).status_code == 200


# --- answers shared


async def test_answers_are_kept_for_the_clients_of_one_account_alone(tmp_path: Path) -> None:
    users = {"further_users": {"other-user": "other-secret"}}
    async with login_once(tmp_path, sim=users, accounts=[ACCOUNT, OTHER], cache_seconds=60) as (sim, rig):
        for _ in range(5):
            assert (await ask(rig)).status_code == 200
        assert logins(sim) == ["none", "accepted"]
        assert (await ask(rig, auth=own(USER, "wrong"))).status_code == 401
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(rig.http + "/json/metering/origin/")).status_code == 401
        assert len(sim.records) == 2
        assert (await ask(rig, auth=own("other-user", "other-secret"))).status_code == 200
        assert logins(sim) == ["none", "accepted", "none", "accepted"]


async def test_parallel_reads_of_one_account_are_one_request(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with login_once(tmp_path, cache_seconds=60) as (sim, rig):
        sim.faults.set("slow", gate=gate)
        asking = [asyncio.create_task(ask(rig)) for _ in range(10)]
        await sim.wait_for_heads(1)
        while sum(report.code == "login_required" for report in rig.reports) < len(asking):
            await asyncio.wait(asking, timeout=0.05)
        gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        assert logins(sim) == ["none", "accepted"]


# --- what stays secret


async def test_no_name_password_or_nonce_is_told_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    clock = Clock()
    shown: list[str] = []
    async with login_once(tmp_path, sim={"clock": clock}, log_bodies=True) as (sim, rig):
        shown += [(await ask(rig)).text for _ in range(2)]
        clock.now += timedelta(minutes=6)
        shown += [(await ask(rig, auth=own(USER, "wrong"))).text, (await ask(rig)).text]
        sim.login.password = "changed"
        for accept in ("text/html", "application/json"):
            async with httpx.AsyncClient(trust_env=False, auth=own(), headers={"Accept": accept}) as client:
                shown += [(await client.get(rig.http + "/")).text for _ in range(3)]
        shown += [repr(rig.proxy.logins), repr(rig.reports), caplog.text]
        secrets = {USER, PASSWORD, "user-of", "hunter2"}
        for said in [given(record) for record in sim.records if record.login != "none"]:
            secrets |= {said.nonce, said.response}
        assert "The gateway refused the login of account 1 twice in a row" in caplog.text
        assert not [secret for secret in secrets for text in shown if secret in text]


async def test_a_read_on_a_connection_that_ended_after_a_silence_is_sent_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smgw_proxy_addon.gateway.connection.FRESH", 0.0)
    async with Simulator(user=USER, password=PASSWORD) as sim, proxy_for(sim, tmp_path, accounts=[ACCOUNT]) as rig:
        async with httpx.AsyncClient(trust_env=False, auth=httpx.DigestAuth(USER, PASSWORD)) as client:
            assert (await client.get(rig.http + "/smgw/m2m")).status_code == 307
            sim.faults.set("drop-kept", times=1)
            assert (await client.get(rig.http + "/smgw/m2m")).status_code == 307
            sim.faults.set("drop-kept", times=1)
            answer = await client.post(rig.http + "/smgw/m2m")
            assert (answer.status_code, answer.json()["error"]) == (502, "gateway_connection_lost")
        # The login that was lost is not sent again: the gateway is asked for a new challenge.
        lost = "accepted"
        logins = [record.login for record in sim.records]
        assert logins == ["none", "accepted", lost, "none", "accepted", lost]
