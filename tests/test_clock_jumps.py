"""A clock that jumps a day forward or back: log files, pins, and the length of an outage."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon.log_files import LogFiles
from smgw_proxy_addon.notifications import Cause, Reachability, Situation, causes
from smgw_proxy_addon.trust import Accept, Policy, decide
from smgw_proxy_addon.trust_store import TrustStore
from tests.pins import NAME, NEW, NOW, OLD

DAY: Final = timedelta(days=1)
JUMPS: Final = [(DAY, -DAY), (-DAY, DAY), (DAY, DAY), (-DAY, -DAY), (400 * DAY, -400 * DAY)]


def _silent(text: str, failure: bool) -> None:
    raise AssertionError(f"{text} ({failure})")


@pytest.mark.parametrize("jumps", JUMPS, ids=str)
def test_no_log_line_is_lost_and_the_files_stay_few(tmp_path: Path, jumps: tuple[timedelta, timedelta]) -> None:
    now = NOW.timestamp()
    files = LogFiles(
        tmp_path,
        "test.log",
        rotation=timedelta(hours=12),
        retention=timedelta(days=7),
        max_file_bytes=100_000,
        max_total_bytes=1_000_000,
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
    assert decide(store.load(), NEW, Policy()) == Accept()


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_an_outage_ends_whatever_the_clock_says(jump: timedelta) -> None:
    seen = Reachability()
    seen.note("gateway_timeout", answered=False, now=NOW)
    seen.note("gateway_timeout", answered=False, now=NOW + jump)
    told = causes(Situation(seen, NAME), NOW + jump, timedelta(minutes=15))
    # A jump forward looks like a day of failures; nothing tells the two apart, and it is taken away at once.
    assert (told[Cause.GATEWAY_UNREACHABLE] is not None) == (jump > timedelta(0))
    seen.note(None, answered=True, now=NOW)
    assert causes(Situation(seen, NAME), NOW, timedelta(minutes=15))[Cause.GATEWAY_UNREACHABLE] is None
