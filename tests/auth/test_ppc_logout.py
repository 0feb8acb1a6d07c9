"""The one session of a PPC gateway in login-once mode: whose it is, and what happens when it is left open."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.gateway import Simulator
from simulator.messages import Received
from tests.gateway.test_ppc_clients import LOGGED_IN_ALREADY, PpcClient, hasten
from tests.rig import Rig, proxy_for

OTHER = ("other-user", "other-secret")
ACCOUNTS = [{"username": "demo", "password": "gateway"}, dict(zip(("username", "password"), OTHER, strict=True))]
SILENCE = 0.3


@asynccontextmanager
async def two_clients(
    folder: Path, silence: float = 60.0, **options: Any
) -> AsyncIterator[tuple[Simulator, Rig, list[PpcClient]]]:
    """Run a PPC gateway, a proxy that logs in there, and two clients, the second with an account of its own."""
    gateway = Simulator(vendor="ppc", further_users=dict([OTHER]))
    async with gateway as sim, proxy_for(sim, folder, accounts=ACCOUNTS, **options) as rig:
        assert rig.proxy.login_once
        rig.proxy.login_once.ppc_logout.silence = silence
        clients = [PpcClient(rig.http, sim), PpcClient(rig.http, sim)]
        try:
            yield sim, rig, clients
        finally:
            for each in clients:
                await each.session.aclose()


def actions(records: list[Received]) -> list[str]:
    """Return what was asked with a login that was accepted."""
    return [
        (record.body or b"action=login").decode().partition("action=")[2].partition("&")[0]
        for record in records
        if record.login == "accepted"
    ]


async def test_a_poll_as_the_library_does_it(tmp_path: Path) -> None:
    async with two_clients(tmp_path) as (sim, _, (client, _)):
        for _ in range(3):
            assert await client.poll() == [200] * 4
        assert len(sim.records) == 1 + 3 * 4
        assert actions(sim.records) == ["login", "meterform", "showMeterProfile", "logout"] * 3


async def test_two_clients_of_one_account_poll_one_after_the_other(tmp_path: Path) -> None:
    async with two_clients(tmp_path) as (sim, _, clients):
        assert await asyncio.gather(*(each.poll() for each in clients)) == [[200] * 4] * 2
        assert actions(sim.records) == ["login", "meterform", "showMeterProfile", "logout"] * 2


async def test_a_silent_holder_whose_session_is_a_form_field_is_logged_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gateway = Simulator(vendor="ppc", session_in_form=True)
    async with (
        gateway as sim,
        proxy_for(sim, tmp_path, accounts=ACCOUNTS[:1]) as rig,
        httpx.AsyncClient(auth=httpx.DigestAuth("demo", "gateway"), trust_env=False) as client,
    ):
        assert rig.proxy.login_once
        rig.proxy.login_once.ppc_logout.silence = SILENCE
        page = (await client.get(f"{rig.http}/cgi-bin/hanservice.cgi")).text
        key = page.partition('name="sessionid" value="')[2].partition('"')[0]
        again = await client.get(f"{rig.http}/cgi-bin/hanservice.cgi")
        assert LOGGED_IN_ALREADY not in again.text
        assert actions(sim.records) == ["login", "logout", "login"]
        logout = next(each for each in sim.records if each.body)
        assert logout.body == b"action=logout&sessionid=" + key.encode()
        assert logout.header(b"cookie") is None
    assert key not in caplog.text


async def test_a_silent_holder_is_logged_out_so_that_the_next_one_gets_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with two_clients(tmp_path, SILENCE) as (sim, _, (first, second)):
        await first.log_in()
        cookie = first.session.cookies["session"]
        second.auth = httpx.DigestAuth(*OTHER)
        answer = await second.session.get(second.url + "/cgi-bin/hanservice.cgi", auth=second.auth)
        assert answer.status_code == 200
        assert LOGGED_IN_ALREADY not in answer.text
        assert actions(sim.records) == ["login", "logout", "login"]
        logout = sim.records[-2] if sim.records[-2].login == "accepted" else sim.records[-3]
        assert logout.header(b"cookie") == b"session=" + cookie.encode()
        assert logout.header(b"host") == sim.authority.encode()
    assert "The session of account 1 was left open: logged out at the gateway (200)" in caplog.text
    assert cookie not in caplog.text


@pytest.mark.parametrize("places", ["1", "2"])
async def test_a_holder_whose_tenure_is_over_is_logged_out_for_who_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, places: str
) -> None:
    caplog.set_level(logging.INFO)
    hasten(monkeypatch, max_duration=1.0)
    async with two_clients(tmp_path, max_connections=places) as (sim, _, (first, second)):
        await first.log_in()
        cookie = first.session.cookies["session"]
        submitting = [asyncio.create_task(submit_until_refused(first)) for _ in range(3)]  # always one under way
        second.auth = httpx.DigestAuth(*OTHER)
        async with asyncio.timeout(5):
            answer = await second.session.get(second.url + "/cgi-bin/hanservice.cgi", auth=second.auth)
        assert answer.status_code == 200
        assert LOGGED_IN_ALREADY not in answer.text
        second.cookies = {"Cookie": answer.cookies["session"]}
        assert "form_meterform" in (await second.submit("meterform")).text
        assert "abgemeldet" in (await second.log_out()).text
        await asyncio.gather(*submitting)
        asked = [each for each in actions(sim.records) if each != "meterform"]
        assert asked[:4] == ["login", "logout", "login", "logout"]
        assert [each.login for each in sim.records].count("accepted") > 6
        assert sim.device.sessions_refused == 0
    assert "account 1 lasted too long for those who wait: logged out at the gateway (200)" in caplog.text
    assert cookie not in caplog.text


async def submit_until_refused(client: PpcClient) -> None:
    """Submit without a pause as long as the session is the client's own."""
    mine = dict(client.session.cookies)
    for _ in range(3000):
        answer = await client.submit("meterform")
        if "form_meterform" not in answer.text or dict(client.session.cookies) != mine:
            return
    raise AssertionError


async def test_who_comes_after_the_tenure_has_the_holder_logged_out_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, max_duration=0.0)
    async with two_clients(tmp_path) as (sim, _, (first, second)):
        await first.log_in()
        assert "form_meterform" in (await first.submit("meterform")).text  # nobody waits
        assert (await second.log_in()).status_code == 200
        assert actions(sim.records) == ["login", "meterform", "logout", "login"]


async def test_a_logout_for_who_waits_that_fails_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, max_duration=0.0)
    async with two_clients(tmp_path) as (sim, _, (first, second)):
        await first.log_in()
        sim.faults.set("drop", times=1)
        async with asyncio.timeout(5):
            answer = await second.session.get(second.url + "/cgi-bin/hanservice.cgi", auth=second.auth)
        assert LOGGED_IN_ALREADY in answer.text


async def test_who_waits_does_not_put_the_logout_off(tmp_path: Path) -> None:
    async with two_clients(tmp_path, SILENCE) as (sim, _, (first, second)):
        await first.log_in()
        async with asyncio.timeout(SILENCE + 5):
            waiting = asyncio.create_task(second.log_in())
            for _ in range(5):
                await second.session.get(second.url + "/")
            assert (await waiting).status_code == 200
        assert actions(sim.records) == ["login", "logout", "login"]


async def test_a_holder_that_is_served_is_not_logged_out(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with two_clients(tmp_path, SILENCE) as (sim, _, (client, _)):
        await client.log_in()
        sim.faults.set("slow", gate=gate, times=1)
        waiting = asyncio.create_task(client.submit("meterform"))
        await sim.wait_until(lambda: sim.journal.working == 1)
        with pytest.raises(TimeoutError):
            await sim.wait_until(lambda: "logout" in actions(sim.records), within=3 * SILENCE)
        gate.set()
        assert "form_meterform" in (await waiting).text
        await client.submit("meterform")
        assert actions(sim.records) == ["login", "meterform", "meterform"]
        await sim.wait_until(lambda: "logout" in actions(sim.records))


async def test_who_has_logged_out_is_not_logged_out_again(tmp_path: Path) -> None:
    async with two_clients(tmp_path, SILENCE) as (sim, _, (client, _)):
        await client.poll()
        with pytest.raises(TimeoutError):
            await sim.wait_until(lambda: len(sim.records) > 5, within=2 * SILENCE)


async def test_the_session_of_another_account_is_refused(tmp_path: Path) -> None:
    async with two_clients(tmp_path) as (sim, rig, (first, second)):
        await first.log_in()
        before = len(sim.records)
        second.session.cookies.set("session", first.session.cookies["session"])
        second.auth = httpx.DigestAuth(*OTHER)
        answer = await second.submit("meterform")
        assert (answer.status_code, answer.json()["error"]) == (503, "session_busy")
        assert len(sim.records) == before
        assert "form_meterform" in (await first.submit("meterform")).text
        assert rig.reports[-1].status == 200


async def test_an_open_session_is_ended_when_the_proxy_stops(tmp_path: Path) -> None:
    async with Simulator(vendor="ppc") as sim:
        async with proxy_for(sim, tmp_path, accounts=ACCOUNTS) as rig:
            client = PpcClient(rig.http, sim)
            await client.log_in()
            await client.session.aclose()
        assert actions(sim.records) == ["login", "logout"]
        assert sim.handshakes == 1


async def test_a_gateway_that_hangs_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async with Simulator(vendor="ppc") as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS) as rig:
        client = PpcClient(rig.http, sim)
        await client.log_in()
        await client.session.aclose()
        sim.faults.set("stall")
        async with asyncio.timeout(5):
            await rig.proxy.stop(grace=0.1)


async def test_a_logout_that_fails_is_told_and_not_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with two_clients(tmp_path, SILENCE) as (sim, _, (client, _)):
        await client.log_in()
        sim.faults.set("drop", times=1)
        await sim.wait_for_records(3)
        with pytest.raises(TimeoutError):
            await sim.wait_until(lambda: len(sim.records) > 3, within=2 * SILENCE)
    assert "cannot be ended: gateway_connection_lost" in caplog.text
