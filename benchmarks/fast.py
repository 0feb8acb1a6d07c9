"""What the proxy itself costs, with a gateway that takes no time: latency, CPU, memory, throughput, start.

Every run has fresh processes; within a run the peers take turns, so that a machine that is busy with something
else slows all of them down alike.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.client import Client, timed
from benchmarks.gateways import LARGE, Fast, fast_gateway
from benchmarks.peers import AIOHTTP, CADDY, DIRECT, HAPROXY, NGINX, OURS, Kind, Peer, peers, start, turns
from benchmarks.processes import MB, begin_peak, peak
from benchmarks.report import OWN, Goal, Row
from benchmarks.setting import Setting
from benchmarks.wrk import Load, wrk

PROXIES: Final = (OURS, NGINX, HAPROXY, CADDY, AIOHTTP)
ROUNDS: Final = 40
EACH: Final = 50
"""Requests one after the other before the next one's turn."""
SECONDS: Final = 4
BARE: Final = "bare Python"

Found = dict[str, list[float]]


def latency1(setting: Setting) -> list[Row]:
    """Measure one client on a kept connection, one request after the other."""
    middle: Found = {}
    added: Found = {}
    cpu: Found = {}
    for number in range(setting.runs):
        with _fresh((DIRECT, *PROXIES), number) as (_, running):
            latencies, seconds = one_client(running, ROUNDS)
        base = latencies[DIRECT.name]
        for name, values in latencies.items():
            middle.setdefault(name, []).append(median(values) * 1e6)
            if name != DIRECT.name:
                added.setdefault(name, []).append(added_median(values, base) * 1e6)
                cpu.setdefault(name, []).append(seconds[name] * 1e6)
    what = "fast gateway, 1 client"
    return [
        Row(f"{what}: added median latency, µs", added, Goal(1, CADDY.name, Goal(0.3, AIOHTTP.name)), 0),
        Row(f"{what}: median latency, µs", middle, None, 0),
        Row(f"{what}: CPU of 1000 requests, ms", cpu, Goal(0.9, CADDY.name), 0),
    ]


def one_client(running: Sequence[Peer], rounds: int) -> tuple[Found, Mapping[str, float]]:
    """Return the median seconds of each round by name, and the CPU seconds of a request."""
    medians: Found = {one.name: [] for one in running}
    with ExitStack() as stack:
        clients = {one: stack.enter_context(one.client()) for one in running}
        for client in clients.values():
            _round(client)
        before = {one: one.usage().cpu for one in running}
        for one in turns(running, rounds):
            medians[one.name].append(_round(clients[one]))
        cpu = {one.name: (one.usage().cpu - before[one]) / (rounds * EACH) for one in running}
    return medians, cpu


def added_median(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over the rounds of the difference to another's median of the same round."""
    return median(mine - other for mine, other in zip(values, base, strict=True))


def cpu8(setting: Setting) -> list[Row]:
    """Measure what eight clients cost: as fast as each one can, and with pauses."""
    cpu: dict[bool, Found] = {False: {}, True: {}}
    rate: Found = {}
    for number in range(setting.runs):
        with _fresh(PROXIES, number) as (_, running):
            for one, pause in ((one, pause) for pause in cpu for one in running):
                seconds, load = loaded(one, 8, pause=pause)
                cpu[pause].setdefault(one.name, []).append(seconds * 1e6)
                if not pause:
                    rate.setdefault(one.name, []).append(load.requests / SECONDS)
    what = "fast gateway, 8 clients"
    unpaused = Goal(0.5, CADDY.name, Goal(0.7, AIOHTTP.name))
    return [
        Row(f"{what} without a pause: CPU of 1000 requests, ms", cpu[False], unpaused, 0),
        Row(f"{what} with pauses of 10 ms: CPU of 1000 requests, ms", cpu[True], Goal(0.9, CADDY.name), 0),
        Row(f"{what} without a pause: requests a second", rate, None, 0),
    ]


def loaded(one: Peer, clients: int, *, pause: bool = False) -> tuple[float, Load]:
    """Put a load on one after a short one that is not counted; returns the CPU seconds of a request, too."""
    wrk(one.url, clients=clients, seconds=1, pause=pause)
    before = one.usage().cpu
    load = wrk(one.url, clients=clients, seconds=SECONDS, pause=pause)
    return (one.usage().cpu - before) / max(1, load.requests), load


def clients64(setting: Setting) -> list[Row]:
    """Measure what many more clients than a house has do to the gateway and to the proxy."""
    found: dict[str, Found] = {name: {} for name in ("handshakes", "errors", "p50", "p99", "memory")}
    known: Found = {}
    for number in range(setting.runs):
        with _fresh(PROXIES, number) as (gateway, running):
            for one in running:
                for name, value in _many(gateway, one).items():
                    found[name].setdefault(one.name, []).append(value)
            known.setdefault(OWN, []).append(_memory_of_the_second_start(gateway))
    what = "fast gateway, 64 clients"
    memory = "memory after 64 clients, MB resident"
    return [
        Row(f"{what}: new handshakes per 1000 requests", found["handshakes"], Goal(0.1), 2),
        Row(f"{what}: errors", found["errors"], Goal(0), 0),
        Row(f"{what}: median latency, ms", found["p50"], None, 1),
        Row(f"{what}: p99 latency, ms", found["p99"], Goal(1, HAPROXY.name), 1),
        Row(f"{memory}: first contact with the gateway", found["memory"], Goal(40), 1),
        Row(f"{memory}: its certificate known", known, Goal(40), 1),
    ]


def through(setting: Setting) -> list[Row]:
    """Measure the download of a large body: speed, and the highest memory on the way."""
    growth: Found = {}
    speed: Found = {}
    for number in range(setting.runs):
        with _fresh((DIRECT, *PROXIES), number) as (_, running):
            for one in running:
                with one.client() as client:
                    client.ask(client.get("/"))
                    before = one.usage().memory
                    if one.pid is not None:
                        begin_peak(one.pid)
                    seconds = timed(client, client.get("/large"))
                    speed.setdefault(one.name, []).append(LARGE / MB / seconds)
                    if one.pid is not None:
                        growth.setdefault(one.name, []).append(peak(one.pid) - before)
    what = f"{LARGE // MB} MB through"
    return [
        Row(f"{what}: memory growth, MB", growth, Goal(4), 1),
        Row(f"{what}: MB/s", speed, None, 0),
    ]


def starting(setting: Setting) -> list[Row]:
    """Measure from starting the process to the end of the first answer; the certificate is known."""
    times: Found = {BARE: []}
    more: Found = {}
    kinds = [kind for kind in PROXIES if kind.installed]
    with fast_gateway() as gateway, TemporaryDirectory() as name:
        for number in range(2 * setting.runs + 1):
            bare = _bare_start()
            seconds = {kind.name: _first_answer(kind, gateway, Path(name) / kind.name) for kind in kinds}
            if number:  # the first one learns the certificate and warms the disk's cache
                times[BARE].append(bare)
                for each, value in seconds.items():
                    times.setdefault(each, []).append(value)
                more.setdefault(OWN, []).append(seconds[OWN] - bare)
    return [
        Row("start to first answer, more than a bare Python start, s", more, Goal(0.2), 2),
        Row("start to first answer, s", times, None, 2),
    ]


@contextmanager
def _fresh(kinds: Sequence[Kind], number: int) -> Iterator[tuple[Fast, list[Peer]]]:
    """Run a gateway and what is installed before it, another one first each time."""
    first = number % len(kinds)
    with fast_gateway() as gateway, peers((*kinds[first:], *kinds[:first]), gateway.port) as running:
        yield gateway, running


def _round(client: Client) -> float:
    return median(timed(client, client.get("/")) for _ in range(EACH))


def _many(gateway: Fast, one: Peer) -> dict[str, float]:
    with one.client() as client:
        client.ask(client.get("/"))
    before = gateway.counters()
    load = wrk(one.url, clients=64, seconds=SECONDS)
    seen = gateway.counters().since(before)
    return {
        "handshakes": seen.handshakes * 1000 / max(1, seen.requests),
        "errors": load.errors,
        "p50": load.p50 * 1000,
        "p99": load.p99 * 1000,
        "memory": one.usage().memory,
    }


def _memory_of_the_second_start(gateway: Fast) -> float:
    """Measure as above, but with a certificate that an earlier start has learnt: what a proxy is for years."""
    with TemporaryDirectory() as name:
        _first_answer(OURS, gateway, Path(name))
        with start(OURS, gateway.port, Path(name)) as one:
            return _many(gateway, one)["memory"]


def _bare_start() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, timeout=30)
    return time.perf_counter() - began


def _first_answer(kind: Kind, gateway: Fast, folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    with start(kind, gateway.port, folder) as one, one.client() as client:
        client.ask(client.get("/"))
        return time.perf_counter() - one.spawned
