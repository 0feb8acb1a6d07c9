"""A clock that jumps a day forward or back: log files, pins, the length of an outage, timeouts, and logins."""

import asyncio
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final, Self

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.log_files import FileLimits, LogFiles
from smgw_proxy_addon.program import background, wiring
from smgw_proxy_addon.status.notifications import Cause, Reachability, Situation, find_causes
from smgw_proxy_addon.trust.policy import matches
from smgw_proxy_addon.trust.store import TrustStore
from tests.faults.scene import IN_BOTH_MODES, PASSWORD, USER, Mode, options_of
from tests.pins import NAME, NEW, NOW, OLD
from tests.rig import Rig, proxy_for

DAY: Final = timedelta(days=1)
JUMPS: Final = [(DAY, -DAY), (-DAY, DAY), (DAY, DAY), (-DAY, -DAY), (400 * DAY, -400 * DAY)]

FAR: Final = pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY, -400 * DAY], ids=str)
READ: Final = 0.3
"""Seconds: the read timeout."""


def _silent(text: str, failure: bool) -> None:
    raise AssertionError(f"{text} ({failure})")


@pytest.mark.parametrize("jumps", JUMPS, ids=str)
def test_no_log_line_is_lost_and_the_files_stay_few(tmp_path: Path, jumps: tuple[timedelta, timedelta]) -> None:
    now = NOW.timestamp()
    files = LogFiles(
        tmp_path,
        "test.log",
        FileLimits(timedelta(hours=12), timedelta(days=7), 100_000, 1_000_000),
        report=_silent,
        clock=lambda: now,
    )
    lines = []
    for jump in (timedelta(0), *jumps):
        now += jump.total_seconds()
        for minute in range(30):
            now += 60
            lines.append(f"{jump} {minute}")
            files.write(lines[-1])
    files.close()
    found = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted(found) == sorted(lines)
    assert len(list(tmp_path.iterdir())) <= 1 + len(jumps)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_pin_keeps_what_it_knows(tmp_path: Path, jump: timedelta) -> None:
    store = TrustStore(tmp_path / "certs", NAME)
    store.learn(OLD, NOW)
    store.seen(OLD, NOW + jump)
    pin = store.load()
    assert pin
    assert (pin.certificate, pin.first_seen) == (OLD, NOW)
    assert pin.last_seen == NOW + jump
    store.refuse(NEW, NOW + jump)
    store.refuse(NEW, NOW)
    assert store.accept(None, NOW).certificate == NEW
    assert matches(store.load(), NEW.fingerprint)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_an_outage_ends_whatever_the_clock_says(jump: timedelta) -> None:
    seen = Reachability()
    seen.note("gateway_timeout", answered=False, now=NOW)
    seen.note("gateway_timeout", answered=False, now=NOW + jump)
    told = find_causes(Situation(seen, NAME), NOW + jump, timedelta(minutes=15))
    # A jump forward looks like a day of failures; nothing tells the two apart, and it is taken away at once.
    assert (told[Cause.GATEWAY_UNREACHABLE] is not None) == (jump > timedelta(0))
    seen.note(None, answered=True, now=NOW)
    assert find_causes(Situation(seen, NAME), NOW, timedelta(minutes=15))[Cause.GATEWAY_UNREACHABLE] is None


# The whole proxy, while clients ask


class Clocks:
    """All that tells the time of day, or the date."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._time = time.time

    def jump(self, jump: timedelta) -> None:
        """Set the clock."""

        class Jumped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return super().now(tz) + jump

        for module in (background, wiring):
            self._patch.setattr(module, "datetime", Jumped)
        self._patch.setattr(time, "time", lambda: self._time() + jump.total_seconds())


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def _guarded() -> Simulator:
    """Make a gateway that asks for a login in either mode: the client's own, or the proxy's."""
    return Simulator(vendor="emh", user=USER, password=PASSWORD, protect_all=True)


def _client() -> httpx.AsyncClient:
    """Make a client that uses the nonce it was given for as long as it is taken."""
    return httpx.AsyncClient(trust_env=False, timeout=10, auth=httpx.DigestAuth(USER, PASSWORD))


async def _ask(rig: Rig, client: httpx.AsyncClient) -> int:
    return (await client.get(f"{rig.http}/sim/status/200")).status_code


def _asked_for_logins(sim: Simulator, rig: Rig) -> tuple[int, int]:
    """Count how often the gateway and the proxy have asked for a login."""
    asked = sum(not record.authorized for record in sim.records)
    return asked, sum(record.code == "login_required" for record in rig.reports)


@IN_BOTH_MODES
@FAR
async def test_the_logins_go_on_and_timeouts_stay_as_long(
    tmp_path: Path, clocks: Clocks, mode: Mode, jump: timedelta
) -> None:
    options = options_of(mode, USER, PASSWORD)
    async with (
        _guarded() as sim,
        proxy_for(sim, tmp_path, hasten={"read_timeout": READ}, **options) as rig,
        _client() as client,
    ):
        assert await _ask(rig, client) == 200
        assert _asked_for_logins(sim, rig) == (1, 1 if mode is Mode.LOGIN_ONCE else 0)
        before = _asked_for_logins(sim, rig)
        for there_and_back in (jump, timedelta()):
            clocks.jump(there_and_back)
            for _ in range(3):
                assert await _ask(rig, client) == 200
        assert _asked_for_logins(sim, rig) == before, "nonces are told by the clock"
        assert sim.handshakes == 1

        sim.faults.set("stall", times=1)
        heads, began = sim.journal.heads, time.monotonic()
        asking = asyncio.create_task(_ask(rig, client))
        await sim.wait_for_heads(heads + 1)
        clocks.jump(jump)
        assert await asking == 504
        assert READ * 0.9 < time.monotonic() - began < READ + 2
        assert await _ask(rig, client) == 200


@IN_BOTH_MODES
@FAR
async def test_a_gateway_whose_clock_jumps(tmp_path: Path, mode: Mode, jump: timedelta) -> None:
    async with (
        _guarded() as sim,
        proxy_for(sim, tmp_path, **options_of(mode, USER, PASSWORD)) as rig,
        _client() as client,
    ):
        assert await _ask(rig, client) == 200
        clock = sim.login.clock
        sim.login.clock = lambda: clock() + jump
        for _ in range(3):
            assert await _ask(rig, client) == 200
        # It has forgotten its nonce, or knows it for longer: no reason to doubt the password.
        assert _asked_for_logins(sim, rig)[0] == (2 if jump > timedelta() else 1)


@IN_BOTH_MODES
@pytest.mark.parametrize("jump", [DAY, 400 * DAY], ids=str)
async def test_a_computer_that_slept(tmp_path: Path, mode: Mode, jump: timedelta) -> None:
    """The seconds that never jump count the sleep on some systems: all that is old then is asked for anew."""
    slept = 0.0
    async with (
        _guarded() as sim,
        proxy_for(sim, tmp_path, clock=lambda: time.monotonic() + slept, **options_of(mode, USER, PASSWORD)) as rig,
        _client() as client,
    ):
        assert await _ask(rig, client) == 200
        slept = jump.total_seconds()
        sim.close_connections()
        for _ in range(3):
            assert await _ask(rig, client) == 200
        if mode is Mode.LOGIN_ONCE:
            assert [report.detail for report in rig.reports if report.code] == ["missing", "stale"]
        assert sim.handshakes == 2
