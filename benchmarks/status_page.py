"""What the open status page costs: requests and memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Final

from benchmarks.client import STATUS, connected
from benchmarks.programs import DIRECT, Peer, free_port, gateway, peer, proxy
from benchmarks.report import Table, ms, percentile_95

_SECONDS: Final = 60
_RATE: Final = 10
"""Requests a second for each way."""
_REFRESH: Final = 5.0
"""Seconds between the page's own refreshes, as its script has it."""


def page() -> Table:
    """Measure the proxy without a page, and with one that is open in a browser."""
    port = free_port()
    kinds = (DIRECT, proxy("without"), proxy("with the page open", "--status-port", str(port)))
    times: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    with ExitStack() as stack:
        before = stack.enter_context(gateway())
        running = [stack.enter_context(peer(kind, before)) for kind in kinds]
        clients = [(one, stack.enter_context(one.client())) for one in running]
        for _, client in clients:
            client.ask(client.get(STATUS))
        stack.enter_context(_open_page(port))
        began = time.perf_counter()
        for number in range(_SECONDS * _RATE):
            # The rate is what is measured: each request has its moment.
            time.sleep(max(0.0, began + number / _RATE - time.perf_counter()))
            for one, client in clients[number % 3 :] + clients[: number % 3]:
                asked = time.perf_counter()
                client.ask(client.get(STATUS))
                times[one.name].append(time.perf_counter() - asked)
        rows = [_row(one, times[one.name], times[DIRECT.name]) for one in running if one.pid is not None]
    return Table(
        "The open status page",
        f"{_RATE} requests a second for {_SECONDS} s to each in turns, GET without login, ms. The page is loaded "
        f"once and refreshes itself every {_REFRESH:g} s. Added: difference to the direct client's median.",
        ("way", "median", "p95", "added", "MiB"),
        rows,
    )


def _row(one: Peer, times: list[float], direct: list[float]) -> tuple[str, ...]:
    added = median(times) - median(direct)
    return (one.name, ms(median(times)), ms(percentile_95(times)), ms(added), f"{one.usage().memory:.1f}")


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
