"""What the open status page costs: latency and memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Final

from benchmarks.client import connected, timed
from benchmarks.gateways import fast_gateway
from benchmarks.peers import DIRECT, OURS, peer, proxy
from benchmarks.processes import free_port
from benchmarks.report import Row, percentile_95
from benchmarks.setting import Setting

_SECONDS: Final = 60
_RATE: Final = 10
"""Requests a second for each way."""
_REFRESH: Final = 5.0
"""Seconds between the page's own refreshes, as its script has it."""


def page(setting: Setting) -> list[Row]:
    """Measure the proxy with a page that is open in a browser, beside one without: once, for a minute."""
    port = free_port()
    kinds = (DIRECT, proxy(OURS.name, "--status-port", str(port)), proxy("page closed"))
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    with ExitStack() as stack:
        gateway = stack.enter_context(fast_gateway())
        running = [stack.enter_context(peer(kind, gateway.port)) for kind in kinds]
        clients = [(one, stack.enter_context(one.client())) for one in running]
        for _, client in clients:
            client.ask(client.get("/"))
        stack.enter_context(_open_page(port))
        began = time.perf_counter()
        for number in range(round(_SECONDS * _RATE * setting.scale)):
            # The rate is what is measured: each request has its moment.
            time.sleep(max(0.0, began + number / _RATE - time.perf_counter()))
            for one, client in clients[number % 3 :] + clients[: number % 3]:
                times[one.name].append(timed(client, client.get("/")))
        memory = {one.name: [one.usage().memory] for one in running if one.pid is not None}
    what = f"status page open, {_RATE} requests a second"
    return [
        Row(f"{what}: median latency, ms", {name: [median(each) * 1000] for name, each in times.items()}),
        Row(f"{what}: p95 latency, ms", {name: [percentile_95(each) * 1000] for name, each in times.items()}),
        Row(f"{what}: memory, MB resident", memory, None, 1),
    ]


@contextmanager
def _open_page(port: int) -> Iterator[None]:
    closed = threading.Event()

    def look() -> None:
        with connected(port, tls=False) as client:
            client.ask(client.get("/"))
            while not closed.wait(_REFRESH):
                client.ask(client.get("/live"))

    browser = threading.Thread(target=look, daemon=True)
    browser.start()
    try:
        yield
    finally:
        closed.set()
        browser.join()
