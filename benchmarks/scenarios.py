"""The measurements: each runs a gateway and everything installed before it, and returns a table.

Times are measured in turns, so that a machine that is busy with something else slows all of them down alike; only
``hour``, ``cost`` (but for the starts) and ``rate`` take one after the other. The numbers of rounds bound the time:
all of it takes less than four minutes.
"""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.client import STATUS, BadAnswerError, Client, Login
from benchmarks.programs import (
    DIRECT,
    KINDS,
    NGINX,
    QUIET,
    Gateway,
    Kind,
    Peer,
    find,
    gateway,
    peer,
    peers,
    start,
)
from benchmarks.report import Table, ms, percentile_95, ratio, spread
from benchmarks.status_page import page

Times = dict[str, list[list[float]]]
"""Seconds of each request, by peer and round."""

_HANDSHAKE: Final = 1.2
"""Seconds, as measured on real gateways."""
_BODY: Final = 100_000_000
_MB: Final = 1_000_000
_POLLS: Final = 60


def latency() -> Table:
    """Measure what one more hop costs a client that asks one thing after the other."""
    rounds, each = 50, 10
    times: dict[str, Times] = {}
    with gateway() as before, peers(before, (*KINDS, QUIET)) as running, ExitStack() as stack:
        clients = [(one, stack.enter_context(one.client())) for one in running]
        times["GET"] = _in_turns(clients, rounds, lambda client: [client.get(STATUS)] * each)
        logins = {client: Login(client) for _, client in clients}
        times["POST"] = _in_turns(clients, rounds, lambda client: [logins[client].readings() for _ in range(each)])
    rows = [
        (f"{what}, {name}", *cells) for what, found in times.items() for name, cells in _latency_rows(found).items()
    ]
    return Table(
        "Added latency on kept connections",
        f"One client, one request after the other, {rounds} rounds of {each} requests in turns; ms. GET: 11 bytes "
        "without login. POST: a Theben client's readings with Digest. Added: median over the rounds of the "
        "difference to the direct client's median of the same round. The direct client does TLS itself, the others "
        "leave it to the proxy: what a proxy takes is a little more than what it adds.",
        ("request, way", "median", "p95", "added", "median to nginx"),
        rows,
    )


def cold() -> Table:
    """Measure a poll that finds no connection to the gateway."""
    rounds = 3
    first: dict[str, float] = {}
    later: dict[str, list[float]] = {}
    with gateway(handshake_delay=_HANDSHAKE) as before, peers(before) as running:
        for _ in range(rounds + 1):
            for one in running:
                before.close_connections()
                seconds = _first_answer(one)
                if one.name in first:
                    later.setdefault(one.name, []).append(seconds)
                else:
                    first[one.name] = seconds
    base = _base(later)
    return Table(
        "Cold poll",
        f"The gateway takes {_HANDSHAKE} s for a handshake and has closed all connections. From connecting to the "
        f"end of the answer, ms: median (smallest to largest) of {rounds}. First: the very first one, in "
        "which the proxy learns and stores the certificate.",
        ("way", "first", "later", "later to nginx"),
        [(name, ms(first[name]), spread(found), ratio(median(found), base)) for name, found in later.items()],
    )


def throughput() -> Table:
    """Measure large bodies in both directions."""
    rounds = 2
    down: dict[str, list[float]] = {}
    up: dict[str, list[float]] = {}
    with gateway() as before, peers(before) as running:
        for one in _turns(running, rounds):
            with one.client() as client:
                client.ask(client.get(STATUS))
                down.setdefault(one.name, []).append(_timed(client, client.get(f"/sim/bytes/{_BODY}")))
                head = f"POST /sim/echo HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {_BODY}\r\n\r\n"
                up.setdefault(one.name, []).append(_timed(client, head.encode(), zeros=_BODY))

    def cells(times: dict[str, list[float]], name: str) -> tuple[str, str]:
        speeds = {each: _BODY / _MB / min(found) for each, found in times.items()}
        return f"{speeds[name]:.0f}", ratio(speeds[name], speeds.get(NGINX.name))

    return Table(
        "Throughput",
        f"{_BODY // _MB} MB of body, MB/s, the better of {rounds}. The direct way shows what the simulator can do.",
        ("way", "download", "to nginx", "upload", "to nginx"),
        [(name, *cells(down, name), *cells(up, name)) for name in down],
    )


def hour() -> Table:
    """Count what a gateway sees of an hour with two clients that both poll every minute at the same moment."""
    rows = []
    for kind in KINDS:
        if not kind.installed:
            continue
        with gateway(handshake_delay=0.1, request_delay=0.01) as before, peer(kind, before) as one:
            failed: list[str] = []
            began = time.perf_counter()
            _poll_together(one, failed)
            seconds = time.perf_counter() - began
            state = before.state()
            counts = [str(state[name]) for name in ("connections", "handshakes", "peak_connections", "requests")]
            rows.append((one.name, *counts, str(len(failed)), f"{seconds:.1f}"))
    return Table(
        "An hour at the gateway",
        f"{_POLLS} polls of 2 clients at the same moment, each with a new connection and 3 requests (401, readings, "
        "readings), without the minutes in between; handshake 0.1 s, request 0.01 s. nginx would lose its kept "
        "connections in between but for `keepalive_timeout 540s`. Directly, "
        "a connection that a client has left counts until the gateway has noticed.",
        ("way", "connections", "handshakes", "most at once", "requests", "failed polls", "seconds"),
        rows,
    )


def cost() -> Table:
    """Measure memory, CPU time and the start of the process."""
    requests = 2000
    starts = _starts(4)
    rows = []
    with gateway() as before, peers(before, (*(kind for kind in KINDS if kind is not DIRECT), QUIET)) as running:
        for one in running:
            fresh = one.usage()
            with one.client() as client:
                login = Login(client)
                for _ in range(requests):
                    client.ask(login.readings())
                after = one.usage()
                client.ask(client.get(f"/sim/bytes/{_BODY // 2}"))
            loaded = one.usage()
            started = starts.get(one.name)
            rows.append(
                (
                    one.name,
                    f"{fresh.memory:.1f}",
                    f"{after.memory:.1f}",
                    f"{loaded.memory:.1f}",
                    f"{(after.cpu - fresh.cpu) * 1000 / requests:.2f}",
                    spread(started) if started else "-",
                )
            )
    return Table(
        "Memory, CPU time, start",
        f"Resident memory in MiB (pages that processes share count in each): after the start, after {requests} POSTs "
        f"for readings, and after a download of {_BODY // 2 // _MB} MB. CPU seconds for 1000 of these POSTs. Start: "
        "from starting the process to the end of the first answer, one handshake included; ms.",
        ("way", "MiB fresh", "after requests", "after download", "CPU s per 1000", "start"),
        rows,
    )


def rate() -> Table:
    """Measure requests per second with more clients than a gateway should have."""
    wrk, seconds, clients = find("wrk"), 3, 4
    rows = []
    with gateway() as before, peers(before) as running:
        for one in running if wrk else ():
            scheme = "https" if one.tls else "http"
            options = ["-t1", f"-c{clients}", f"-d{seconds}s", "--latency"]
            command = [wrk or "wrk", *options, f"{scheme}://127.0.0.1:{one.port}{STATUS}"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
            found = [re.search(rf"{name}\s+(\S+)", told) for name in ("Requests/sec:", "50%", "99%")]
            bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
            rows.append((one.name, *(each[1] if each else "-" for each in found), bad[1] if bad else "0"))
    return Table(
        "Requests per second",
        f"wrk for {seconds} s with {clients} connections, GET without login. The proxy has one connection to the "
        "gateway on purpose; the others take as many as they like.",
        ("way", "requests/s", "median", "p99", "failed"),
        rows,
    )


SCENARIOS: Final[Mapping[str, Callable[[], Table]]] = {
    "latency": latency,
    "cold": cold,
    "throughput": throughput,
    "hour": hour,
    "cost": cost,
    "rate": rate,
    "page": page,
}


def _turns(running: Sequence[Peer], rounds: int) -> Iterator[Peer]:
    """Give every peer once in each round, another one first each time."""
    for number in range(rounds):
        first = number % len(running)
        yield from (*running[first:], *running[:first])


def _in_turns(
    clients: Sequence[tuple[Peer, Client]], rounds: int, requests: Callable[[Client], list[bytes]]
) -> Times:
    """Time rounds of requests on kept connections, after one that is not counted."""
    times: Times = {one.name: [] for one, _ in clients}
    of_peer = dict(clients)
    for one in _turns(list(of_peer), rounds + 1):
        client = of_peer[one]
        times[one.name].append([_timed(client, request) for request in requests(client)])
    return {name: found[1:] for name, found in times.items()}


def _latency_rows(times: Times) -> dict[str, tuple[str, ...]]:
    medians = {name: [median(one) for one in found] for name, found in times.items()}
    direct = medians[DIRECT.name]
    added = {
        name: median(mine - base for mine, base in zip(found, direct, strict=True)) for name, found in medians.items()
    }
    every = {name: [seconds for one in found for seconds in one] for name, found in times.items()}
    nginx = _base(every)
    return {
        name: (
            ms(median(found)),
            ms(percentile_95(found)),
            ms(added[name]),
            ratio(median(found), nginx),
        )
        for name, found in every.items()
    }


def _base(times: Mapping[str, Sequence[float]]) -> float | None:
    """Return nginx's median, by which others are measured."""
    return median(times[NGINX.name]) if NGINX.name in times else None


def _timed(client: Client, request: bytes, *, zeros: int = 0) -> float:
    began = time.perf_counter()
    client.ask(request, zeros=zeros)
    return time.perf_counter() - began


def _first_answer(one: Peer) -> float:
    began = time.perf_counter()
    with one.client() as client:
        client.ask(client.get(STATUS))
    return time.perf_counter() - began


def _starts(rounds: int) -> dict[str, list[float]]:
    """Time starts to the first answer; the proxy knows the certificate but for the first, which is not counted."""
    times: dict[str, list[float]] = {}
    kinds = [kind for kind in KINDS if kind.installed and kind is not DIRECT]
    with gateway() as before, TemporaryDirectory() as name:
        for number in range(rounds + 1):
            for kind in kinds:
                seconds = _start(kind, before, Path(name) / kind.name)
                if number:
                    times.setdefault(kind.name, []).append(seconds)
    return times


def _start(kind: Kind, before: Gateway, folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    with start(kind, before, folder) as one:
        _first_answer(one)
        return time.perf_counter() - one.spawned


def _poll_together(one: Peer, failed: list[str]) -> None:
    together = threading.Barrier(2, timeout=60)

    def polls() -> None:
        for _ in range(_POLLS):
            together.wait()
            try:
                with one.client() as client:
                    login = Login(client)
                    client.ask(login.readings())
                    client.ask(login.readings())
            except (BadAnswerError, OSError) as error:
                failed.append(type(error).__name__)

    threads = [threading.Thread(target=polls, daemon=True) for _ in range(together.parties)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
