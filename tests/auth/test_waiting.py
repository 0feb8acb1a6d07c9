"""The time that a request waited, whatever for, is in the log line and on the page: with accounts and without."""

import asyncio
from pathlib import Path
from typing import Final

import httpx
import pytest

from simulator.gateway import Simulator
from simulator.messages import Received
from smgw_proxy_addon.auth.throttle import BURST
from smgw_proxy_addon.http.digest import authorize, parse_challenges
from smgw_proxy_addon.logs import RequestRecord, request_line
from tests.played_time import play
from tests.rig import Rig, proxy_for
from tests.status_rig import status_for
from tests.waiting import until

USER, PASSWORD = "user-of-mine", "hunter2-secret"
ACCOUNTS: Final = [{"username": USER, "password": PASSWORD}]
TARGET: Final = "/json/metering/origin/"
OTHER_TARGET: Final = "/json/metering/derived/"
PAUSE: Final = 0.3
"""Seconds that the gateway is slow."""


def gateway() -> Simulator:
    return Simulator(vendor="emh", user=USER, password=PASSWORD)


async def ask(rig: Rig, target: str = TARGET, password: str = PASSWORD) -> int:
    """Send one request with a login; returns the status."""
    async with httpx.AsyncClient(base_url=rig.http, trust_env=False, timeout=30) as client:
        return (await client.get(target, auth=httpx.DigestAuth(USER, password))).status_code


async def ask_at_once(rig: Rig, target: str, challenge: str) -> int:
    """Send one request with the answer to a challenge that is known; returns the status."""
    value = parse_challenges(challenge)[0]
    login = authorize(
        value, username=USER, password=PASSWORD, method="GET", uri=target, cnonce="c", nc=1 + len(rig.reports)
    )
    async with httpx.AsyncClient(base_url=rig.http, trust_env=False, timeout=30) as client:
        return (await client.get(target, headers={"Authorization": login})).status_code


async def challenge_of(rig: Rig) -> str:
    async with httpx.AsyncClient(base_url=rig.http, trust_env=False) as client:
        return (await client.get(TARGET)).headers["www-authenticate"]


def record_of(rig: Rig, target: str, shared: str | None = None) -> RequestRecord:
    """Return the one record of a request that was answered well."""
    (record,) = [
        each for each in rig.reports if each.status == 200 and (each.target, each.shared) == (target.encode(), shared)
    ]
    return record


def is_login(request: Received) -> bool:
    return bool(request.header(b"authorization"))


@pytest.mark.parametrize("target", [TARGET, "/sim/status/200"], ids=["a read", "no read"])
def test_a_login_that_the_throttle_delays(tmp_path: Path, target: str) -> None:
    async def try_it() -> RequestRecord:
        clock = asyncio.get_running_loop().time
        async with gateway() as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS, clock=clock) as rig:
            for _ in range(BURST):
                assert await ask(rig, password="wrong") == 401
            assert await ask(rig, target) == 200
            return rig.reports[-1]

    record = play(try_it(), speed=10)
    assert 0.9 <= record.waiting < 2
    assert record.answering < 0.5
    assert "waiting=0ms" not in request_line(record)


def test_a_client_that_leaves_while_the_throttle_delays_it(tmp_path: Path) -> None:
    async def try_it() -> RequestRecord:
        clock = asyncio.get_running_loop().time
        async with gateway() as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS, clock=clock) as rig:
            for _ in range(BURST + 1):
                assert await ask(rig, password="wrong") == 401
            before = len(rig.reports)
            asking = asyncio.create_task(ask(rig))
            await until(lambda: len(rig.reports) > before)
            await asyncio.sleep(0.5)
            asking.cancel()
            await until(lambda: rig.reports[-1].code == "client_gone")
            return rig.reports[-1]

    assert play(try_it(), speed=10).waiting >= 0.4


async def test_a_reader_that_waits_for_another_one_s_answer(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with gateway() as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS) as rig:
        assert await ask(rig, OTHER_TARGET) == 200
        challenge = await challenge_of(rig)
        sim.faults.set("slow", gate=gate, times=1)
        first = asyncio.create_task(ask_at_once(rig, TARGET, challenge))
        await until(lambda: sim.journal.working == 1)
        before = len(rig.reports)
        second = asyncio.create_task(ask(rig))
        await until(lambda: len(rig.reports) > before)
        await asyncio.sleep(2 * PAUSE)
        gate.set()
        assert [await first, await second] == [200, 200]
        assert record_of(rig, TARGET).waiting < PAUSE
        assert record_of(rig, TARGET).answering >= PAUSE
        collapsed = record_of(rig, TARGET, "collapsed")
        assert (collapsed.waiting >= PAUSE, collapsed.answering) == (True, 0)


async def test_a_request_that_waits_for_the_first_login(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with gateway() as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS, max_connections="2") as rig:
        sim.faults.set("slow", gate=gate, times=1, when=is_login)
        first = asyncio.create_task(ask(rig))
        await until(lambda: sim.journal.working == 1 and is_login(sim.records[-1]))
        second = asyncio.create_task(ask(rig, OTHER_TARGET))
        await until(lambda: rig.proxy.pool.status().active == 2)
        await asyncio.sleep(2 * PAUSE)
        gate.set()
        assert [await first, await second] == [200, 200]
        assert record_of(rig, TARGET).waiting < PAUSE
        waited = record_of(rig, OTHER_TARGET)
        assert waited.waiting >= PAUSE
        assert waited.answering < PAUSE


async def test_a_login_that_needs_a_second_connection_waits_for_both(tmp_path: Path) -> None:
    gate = asyncio.Event()
    sim = Simulator(vendor="emh", user=USER, password=PASSWORD, closes_after_challenge=True)
    async with sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS) as rig:
        sim.faults.set("slow", gate=gate, times=1)
        first = asyncio.create_task(ask(rig))
        await until(lambda: sim.journal.working == 1)
        second = asyncio.create_task(ask(rig, OTHER_TARGET))
        await until(lambda: rig.proxy.pool.status().waiting == 1)
        await asyncio.sleep(2 * PAUSE)
        gate.set()
        assert [await first, await second] == [200, 200]
        assert record_of(rig, OTHER_TARGET).waiting >= PAUSE


async def test_a_reader_that_leaves_before_its_turn_while_another_one_waits_for_its_answer(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with gateway() as sim, proxy_for(sim, tmp_path, accounts=ACCOUNTS) as rig:
        sim.faults.set("slow", gate=gate, times=1)
        busy = asyncio.create_task(ask(rig, OTHER_TARGET))
        await until(lambda: sim.journal.working == 1)
        first = asyncio.create_task(ask(rig))
        await until(lambda: rig.proxy.pool.status().waiting == 1)
        missing = len(rig.reports)
        second = asyncio.create_task(ask(rig))
        await until(lambda: len(rig.reports) > missing)
        await asyncio.sleep(2 * PAUSE)
        first.cancel()
        await until(lambda: rig.reports[-1].code == "client_gone")
        assert rig.reports[-1].waiting >= PAUSE
        gate.set()
        assert [await busy, await second] == [200, 200]


async def test_a_request_that_waits_for_a_place_without_accounts(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with gateway() as sim, proxy_for(sim, tmp_path) as rig:
        sim.faults.set("slow", gate=gate, times=1, when=is_login)
        first = asyncio.create_task(ask(rig))
        await until(lambda: sim.journal.working == 1 and is_login(sim.records[-1]))
        second = asyncio.create_task(ask(rig, OTHER_TARGET))
        await until(lambda: rig.proxy.pool.status().waiting == 1)
        await asyncio.sleep(2 * PAUSE)
        gate.set()
        assert [await first, await second] == [200, 200]
        assert record_of(rig, TARGET).waiting < PAUSE
        assert max(each.waiting for each in rig.reports if each.target == OTHER_TARGET.encode()) >= PAUSE


async def test_the_page_shows_the_whole_wait(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with gateway() as sim, status_for(sim, tmp_path, accounts=ACCOUNTS, max_connections="2") as status:
        sim.faults.set("slow", gate=gate, times=1, when=is_login)
        first = asyncio.create_task(ask(status.rig))
        await until(lambda: sim.journal.working == 1 and is_login(sim.records[-1]))
        second = asyncio.create_task(ask(status.rig, OTHER_TARGET))
        await until(lambda: status.rig.proxy.pool.status().active == 2)
        await asyncio.sleep(1.1)
        gate.set()
        assert [await first, await second] == [200, 200]
        shown = [each for each in status.recorder.history.entries() if each.target == OTHER_TARGET]
        assert shown[0].waiting >= 1
        async with httpx.AsyncClient(trust_env=False) as client:
            bundle = (await client.get(status.url + "/bundle")).text
        (line,) = [
            line for line in bundle.splitlines() if OTHER_TARGET in line and " 200 " in line and "at=" not in line
        ]
        assert "waiting=1." in line
