"""``script/bench [names]``: run scenarios, print their tables and keep them in ``benchmarks/results``."""

import argparse
import os
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.programs import KINDS, find
from benchmarks.scenarios import SCENARIOS

RESULTS: Final = Path(__file__).parent / "results"


def main() -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measures the proxy side by side with its peers, against the simulator."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(SCENARIOS)} (default: all)")
    names = parser.parse_args().names or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print_missing()
    text = introduction()
    print(text, flush=True)
    for name in names:
        began = time.monotonic()
        table = SCENARIOS[name]().markdown()
        text += f"\n{table}"
        print(f"{table}\n({time.monotonic() - began:.0f} s)\n", flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{datetime.now(UTC):%Y-%m-%d}.md").write_text(text, encoding="utf-8")
    return 0


def print_missing() -> None:
    """Say which programs are not there to be compared with, and how to get them."""
    packages = {kind.executable: kind.installed for kind in KINDS if kind.executable} | {"wrk": bool(find("wrk"))}
    missing = [name for name, installed in packages.items() if not installed]
    if missing:
        print(
            f"Left out, because not installed: {', '.join(missing)}. Debian and Ubuntu: sudo apt-get install "
            f"--no-install-recommends {' '.join(missing)}\n(nginx, haproxy and caddy start a service then; it is not "
            "needed here: sudo systemctl disable --now NAME)\n",
            file=sys.stderr,
        )


def introduction() -> str:
    """Return the head of the report: on what it was measured, and how busy that was."""
    load = os.getloadavg()[0]
    return (
        "# Side-by-side measurements\n\n"
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load average {load:.1f} at the start. Gateway, proxies and clients share these cores: only rows of one "
        "table may be compared.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
