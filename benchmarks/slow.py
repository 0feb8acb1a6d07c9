"""What a gateway as slow as a real one sees: handshakes, requests, and how long its clients wait for them.

Every run has a gateway and a proxy of its own. They run at the same time, since nearly all of it is waiting, and
each begins a little later than the one before, so that they do not all wake at the same moment.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final, TypeVar

from benchmarks.client import EXCHANGES, PASSWORD, USER, BadAnswerError
from benchmarks.gateways import REQUEST, Counters, Slow, slow_gateway
from benchmarks.peers import CADDY, DIRECT, HAPROXY, NGINX, OURS, Kind, Peer, peer, proxy
from benchmarks.processes import ROOT
from benchmarks.report import Goal, Row
from benchmarks.setting import Setting

GAPS: Final = (20.0, 70.0, 300.0)
"""Seconds of silence before a poll."""
RUNS: Final = 3
CLIENTS: Final = 8
WALL: Final = Goal(1.02)
"""Times the floor: the exchanges one after the other, and no handshake."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Poll:
    """What came of polls at the same moment: handshakes and requests at the gateway, errors, seconds."""

    handshakes: int
    requests: int
    errors: int
    wall: float


@dataclass(frozen=True)
class Run:
    """One gateway with one before it: the ``number`` of the run from 0, and what ends the waiting early."""

    gateway: Slow
    one: Peer
    number: int
    ended: Event

    def poll(self, clients: int = 1) -> Poll:
        """Have clients poll at the same moment, each on a new connection, and wait for all."""
        before = self.gateway.counters()
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            errors = sum(pool.map(lambda _: _fails(self.one), range(clients)))
        return self._since(before, began, errors)

    def poll_after(self, gap: float, clients: int = 1) -> Poll:
        """Poll after seconds of real silence: it is the programs' own clocks that close a connection."""
        self.ended.wait(gap)
        return self.poll(clients)

    def hour(self, clients: int, rounds: int) -> Poll:
        """Have clients poll every second, evenly spread over it."""
        before = self.gateway.counters()
        began = time.perf_counter()

        def polls(number: int) -> int:
            errors = 0
            for second in range(rounds):
                self.ended.wait(max(0.0, began + second + number / clients - time.perf_counter()))
                errors += _fails(self.one)
            return errors

        with ThreadPoolExecutor(clients) as pool:
            return self._since(before, began, sum(pool.map(polls, range(clients))))

    def _since(self, before: Counters, began: float, errors: int) -> Poll:
        wall = time.perf_counter() - began
        seen = self.gateway.counters().since(before)
        return Poll(seen.handshakes, seen.requests, errors, wall)


def slow(setting: Setting) -> list[Row]:
    """Have one client poll after each of the gaps."""

    def polls(run: Run) -> list[Poll]:
        run.poll()
        return [run.poll_after(gap * setting.scale) for gap in GAPS]

    found = _at_once((OURS, NGINX, HAPROXY, CADDY, DIRECT), RUNS, polls, setting.scale)
    floor = EXCHANGES * REQUEST * setting.scale
    rows = []
    for position, gap in enumerate(GAPS):
        after = {name: [each[position] for each in every] for name, every in found.items()}
        what = f"slow gateway, 1 client, poll after {gap:g} s"
        rows += [
            Row(f"{what}: handshakes", _of(after, lambda each: each.handshakes), Goal(0), 0),
            Row(f"{what}: wall to the floor", _of(after, lambda each: each.wall / floor), WALL, 3),
        ]
    errors: dict[str, list[float]] = {
        name: [sum(one.errors for one in each) for each in every] for name, every in found.items()
    }
    return [*rows, Row("slow gateway, 1 client, all three polls: errors", errors, Goal(0), 0)]


def slow8(setting: Setting) -> list[Row]:
    """Have clients poll at the same moment; the run of each gap is one of three values."""

    def polls(run: Run) -> Poll:
        run.poll()
        return run.poll_after(GAPS[run.number] * setting.scale, CLIENTS)

    found = _at_once((OURS, NGINX, HAPROXY, CADDY), len(GAPS), polls, setting.scale)
    floor = CLIENTS * EXCHANGES * REQUEST * setting.scale
    what = f"slow gateway, {CLIENTS} clients at once after 20, 70, 300 s"
    return [
        Row(f"{what}: handshakes", _of(found, lambda each: each.handshakes), Goal(0), 0),
        Row(f"{what}: errors", _of(found, lambda each: each.errors), Goal(0), 0),
        Row(f"{what}: wall to the floor", _of(found, lambda each: each.wall / floor), WALL, 3),
    ]


def slow_login(setting: Setting) -> list[Row]:
    """Compare the proxy that logs in itself with the one that passes logins on."""
    what = "slow gateway, 1 client, login once"
    if not _has("--accounts"):
        return [Row(what, {}, Goal(0.52, "transparent"), note="this tree has no `--accounts`")]

    def polls(run: Run) -> Poll:
        run.poll()
        return run.poll_after(GAPS[0] * setting.scale)

    with _accounts() as file:
        kinds = (proxy("smgw-proxy", "--accounts", str(file)), proxy("transparent"))
        found = _at_once(kinds, RUNS, polls, setting.scale)
    goal = Goal(0.52, "transparent")
    return [
        Row(f"{what}: requests at the gateway", _of(found, lambda each: each.requests), goal, 0),
        Row(f"{what}: errors", _of(found, lambda each: each.errors), Goal(0), 0),
        Row(f"{what}: wall, s", _of(found, lambda each: each.wall), goal),
    ]


def shared(setting: Setting) -> list[Row]:
    """Have ten clients poll every minute for an hour, all of it sixty times as fast as in reality."""
    what = "10 clients every minute for an hour (60 times as fast), cache_seconds 60"
    goal = Goal(1, "1 client, no cache")
    if not _has("--accounts", "--cache-seconds"):
        return [Row(what, {}, goal, note="this tree has no `--cache-seconds`")]
    rounds = max(3, round(60 * setting.scale))
    clients = {"smgw-proxy": 10, "1 client, no cache": 1}
    with _accounts() as file:
        login = ("--accounts", str(file))
        kinds = (proxy("smgw-proxy", *login, "--cache-seconds", "1"), proxy("1 client, no cache", *login))
        found = _at_once(kinds, RUNS, lambda run: run.hour(clients[run.one.name], rounds), 1 / 60)
    return [
        Row(f"{what}: requests at the gateway", _of(found, lambda each: each.requests), goal, 0),
        Row(f"{what}: handshakes", _of(found, lambda each: each.handshakes), None, 0),
        Row(f"{what}: errors", _of(found, lambda each: each.errors), Goal(0), 0),
    ]


def _at_once(
    kinds: Sequence[Kind], runs: int, work: Callable[[Run], Result], scale: float
) -> dict[str, list[Result]]:
    """Do the work for each run of each kind, all at the same time; returns what came of it by name."""
    kinds = [kind for kind in kinds if kind.installed]
    ended = Event()
    with ExitStack() as stack:
        every = []
        for number, kind in ((number, kind) for number in range(runs) for kind in kinds):
            gateway = stack.enter_context(slow_gateway(scale))
            every.append(Run(gateway, stack.enter_context(peer(kind, gateway.port, scale)), number, ended))
        with ThreadPoolExecutor(len(every)) as pool:
            futures: dict[str, list[Future[Result]]] = {kind.name: [] for kind in kinds}
            try:
                for run in every:
                    futures[run.one.name].append(pool.submit(work, run))
                    time.sleep(REQUEST * scale / len(every))  # the polls are to begin at different moments
                return {name: [each.result() for each in some] for name, some in futures.items()}
            finally:
                ended.set()


def _of(found: Mapping[str, Sequence[Poll]], value: Callable[[Poll], float]) -> dict[str, list[float]]:
    return {name: [value(each) for each in every] for name, every in found.items()}


def _has(*options: str) -> bool:
    """Tell whether the proxy's command line has all of these."""
    command = [sys.executable, "-m", "smgw_proxy_addon", "run", "--help"]
    usage = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    return all(option in usage for option in options)


@contextmanager
def _accounts() -> Iterator[Path]:
    """Give a file with the simulator's account."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "accounts.json"
        file.write_text(json.dumps([{"username": USER, "password": PASSWORD}]), encoding="utf-8")
        file.chmod(0o600)
        yield file


def _fails(one: Peer) -> bool:
    try:
        with one.client() as client:
            client.poll()
    except (BadAnswerError, OSError) as error:
        print(f"{one.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return True
    return False
