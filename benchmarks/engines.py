"""What each of the two engines for TLS with the gateway costs: a handshake, a large answer, memory."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.client import Client, timed
from benchmarks.gateways import CBC, GCM, Suite, fast_gateway
from benchmarks.peers import Kind, Peer, peers, proxy, start, turns
from benchmarks.report import OWN, Goal, Row
from benchmarks.setting import Setting

OPENSSL: Final = "openssl"
ENGINES: Final = (proxy(OWN, "--tls", "compatible"), proxy(OPENSSL, "--tls", "openssl"))
"""The one that is judged has the proxy's own column."""
CHOICES: Final = (proxy(OWN), proxy(OPENSSL, "--tls", "openssl"), proxy("compatible", "--tls", "compatible"))
ROUNDS: Final = 12
EACH: Final = {"/": 20, "/close": 5, "/megabyte": 5}
"""Requests one after the other before the next engine's turn."""

Found = dict[str, list[float]]


def engines(setting: Setting) -> list[Row]:
    """Measure both engines before the same gateway, with each of two suites, and what stays in memory."""
    rows = [row for suite in (GCM, CBC) for row in _costs(setting, suite)]
    first: Found = {}
    known: Found = {}
    for _ in range(setting.runs):
        for kind in CHOICES:
            with fast_gateway() as gateway, TemporaryDirectory() as name:
                for found in (first, known):
                    found.setdefault(kind.name, []).append(_memory(kind, gateway.port, Path(name)))
    what = "the engine for TLS left to the proxy: memory after 100 requests, MB resident"
    return [
        *rows,
        Row(f"{what}: first contact with the gateway", first, None, 1),
        Row(f"{what}: its certificate known", known, Goal(40), 1),
    ]


def _costs(setting: Setting, suite: Suite) -> list[Row]:
    handshake: dict[str, Found] = {"CPU": {}, "wall": {}}
    answer: dict[str, Found] = {"CPU": {}, "wall": {}}
    for number in range(setting.runs):
        kinds = ENGINES if number % 2 else ENGINES[::-1]
        with fast_gateway(suite) as gateway, peers(kinds, gateway.port) as running:
            least = _least(running)
        for one in running:
            small, closed, large = (least[one, target] for target in EACH)
            for position, what in enumerate(handshake):
                # The request itself is in both.
                handshake[what].setdefault(one.name, []).append((closed[position] - small[position]) * 1e3)
                answer[what].setdefault(one.name, []).append(large[position] * 1e3)
    what = f"compatible TLS, {suite.name}"
    return [
        *(Row(f"{what}: a new connection, {name}, ms", found, None, 1) for name, found in handshake.items()),
        *(Row(f"{what}: an answer of 1 MB, {name}, ms", found, None, 1) for name, found in answer.items()),
    ]


def _least(running: Sequence[Peer]) -> Mapping[tuple[Peer, str], tuple[float, float]]:
    """Return the least CPU and wall seconds of a request over the rounds, by who and what."""
    costs: dict[tuple[Peer, str], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        clients = {one: stack.enter_context(one.client()) for one in running}
        for one in turns(running, ROUNDS):
            for target, count in EACH.items():
                clients[one].ask(clients[one].get(target))  # so that each that counts finds what the one before left
                costs.setdefault((one, target), []).append(_cost(one, clients[one], target, count))
    return {key: (min(cpu for cpu, _ in each), min(wall for _, wall in each)) for key, each in costs.items()}


def _cost(one: Peer, client: Client, target: str, count: int) -> tuple[float, float]:
    before = one.usage().cpu
    wall = min(timed(client, client.get(target)) for _ in range(count))
    return (one.usage().cpu - before) / count, wall


def _memory(kind: Kind, port: int, folder: Path) -> float:
    with start(kind, port, folder) as one, one.client() as client:
        for _ in range(100):
            client.ask(client.get("/"))
        return one.usage().memory
