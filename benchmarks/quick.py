"""``script/bench quick``: the proxy beside nginx in half a minute, for work on the path of a request."""

from statistics import median

from benchmarks.fast import ROUNDS, added_median, loaded, one_client
from benchmarks.gateways import fast_gateway
from benchmarks.peers import DIRECT, NGINX, OURS, peers


def quick() -> None:
    """Print added latency, and CPU time of a request with one client and with eight."""
    with fast_gateway() as gateway, peers((DIRECT, OURS, NGINX), gateway.port) as running:
        latencies, cpu = one_client(running, ROUNDS)
        base = latencies[DIRECT.name]
        print(f"1 client, median: direct {_us(median(base))}")
        proxies = (OURS.name, NGINX.name)
        added = {name: added_median(latencies[name], base) for name in proxies}
        for name in proxies:
            times = added[name] / added[NGINX.name]
            print(f"1 client, {name}: added {_us(added[name])} ({times:.1f} x), CPU {_us(cpu[name])} a request")
        print(f"1 client, CPU: {cpu[OURS.name] / cpu[NGINX.name]:.1f} x nginx")
        for pause, how in ((False, "without a pause"), (True, "with pauses of 10 ms")):
            eight = {one.name: loaded(one, 8, pause=pause)[0] for one in running if one.name in proxies}
            told = ", ".join(f"{name} {_us(seconds)} a request" for name, seconds in eight.items())
            print(f"8 clients {how}, CPU: {told} ({eight[OURS.name] / eight[NGINX.name]:.1f} x nginx)")


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
