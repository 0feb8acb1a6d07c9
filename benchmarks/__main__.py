"""``script/bench [names]``: run measurements, print one table and keep it in ``benchmarks/results``."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.engines import engines
from benchmarks.fast import clients64, cpu8, latency1, starting, through
from benchmarks.machine import describe
from benchmarks.quick import quick
from benchmarks.report import Row, table
from benchmarks.setting import Setting
from benchmarks.slow import shared, slow, slow8, slow_login
from benchmarks.status_page import page

RESULTS: Final = Path(__file__).parent / "results"

GOALS: Final[Mapping[str, Callable[[Setting], list[Row]]]] = {
    "slow": slow,
    "slow8": slow8,
    "slowlogin": slow_login,
    "shared": shared,
    "latency1": latency1,
    "cpu8": cpu8,
    "clients64": clients64,
    "through": through,
    "start": starting,
    "engines": engines,
}
"""What is measured without a name."""
MEASUREMENTS: Final = {**GOALS, "page": page}

LEGEND: Final = """\
Cells: median (smallest to largest) of the runs, **how many times that peer's median the proxy's is**; every run has
fresh processes, and the peers take turns or run at the same time. Gateways, proxies and clients share these cores:
compare within a row only. `benchmarks/README.md` says what each row is. The Go proxy is not compared: there is no
package of it.
"""


def main() -> int:
    """Run the program; returns its exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.names == ["quick"]:
        quick()
        return 0
    setting = Setting(options.runs, options.scale)
    names = options.names or list(GOALS)
    head = _head(setting)
    began = time.monotonic()
    rows: list[Row] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += MEASUREMENTS[name](setting)
        if options.output:
            # After each: what was measured is not lost with what comes after it.
            _write(options.output, head + table(rows))
    told = f"\nMeasured in {time.monotonic() - began:.0f} s; load average at the end {os.getloadavg()[0]:.2f}.\n"
    text = head + table(rows) + told
    print(text)
    _write(options.output or _default_output(names, setting), text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measures the proxy side by side with its peers; see benchmarks/README.md."
    )
    every = [*MEASUREMENTS, "quick"]
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(every)} (default: all goals)")
    parser.add_argument("--runs", type=int, default=Setting.runs, help="of what takes seconds (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies delays and timeouts, for a trial")
    parser.add_argument("--output", type=Path, help="file for the table (default: benchmarks/results/DATE.md)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in every]:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(every)}")
    if "quick" in options.names and len(options.names) > 1:
        parser.error("quick prints lines of its own: it goes alone")
    if options.runs < 1 or not 0 < options.scale <= 1:
        parser.error("--runs must be 1 or more, --scale above 0 and at most 1")
    return options


def _head(setting: Setting) -> str:
    head = f"# Side by side, {_today()}\n\n{describe()}\n{LEGEND}\n"
    if setting.scale != 1:
        head += f"**A trial: all delays and the peers' timeouts were multiplied with {setting.scale:g}.**\n\n"
    return head


def _default_output(names: Sequence[str], setting: Setting) -> Path:
    """Return the day's file; only a whole measurement may replace an earlier one."""
    whole = list(names) == list(GOALS) and setting.scale == 1
    return RESULTS / (f"{_today()}.md" if whole else "trial.md")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("script/bench: ended before it was done")
