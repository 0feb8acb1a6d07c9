"""wrk as the load of many clients: a program in C that costs little beside what it measures.

Owns its command line and how its report is read. Its percentiles are corrected for waiting clients by itself
(a late answer counts as those that were not asked meanwhile, too), the same way for every peer.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import find

_PAUSE: Final = Path(__file__).with_name("pause.lua")
_PER_SECOND: Final = {"us": 1e6, "ms": 1e3, "s": 1.0}
_BAD: Final = (
    r"Non-2xx or 3xx responses: (\d+)",
    r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
)


@dataclass(frozen=True)
class Load:
    """What a load found: requests answered, errors, and percentiles of the time for an answer in seconds."""

    requests: int
    errors: int
    p50: float
    p99: float


def wrk(url: str, *, clients: int, seconds: int, pause: bool = False) -> Load:
    """Have clients ask one request after the other for some seconds, with a ``pause`` of 10 ms in between or without.

    Raises ``SystemExit`` without wrk.
    """
    program = find("wrk")
    if program is None:
        raise SystemExit("script/bench: wrk is missing: sudo apt-get install wrk")
    command = [program, "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    command += ["-s", str(_PAUSE)] if pause else []
    return read(
        subprocess.run([*command, f"{url}/"], capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    )


def read(told: str) -> Load:
    """Read wrk's report; raises ``ValueError`` if it is none."""
    requests = re.search(r"(\d+) requests in", told)
    if not requests:
        raise ValueError(f"not wrk's report: {told!r}")
    errors = sum(int(number) for pattern in _BAD if (found := re.search(pattern, told)) for number in found.groups())
    return Load(int(requests[1]), errors, _percentile(told, 50), _percentile(told, 99))


def _percentile(told: str, number: int) -> float:
    found = re.search(rf"\b{number}%\s+([\d.]+)(us|ms|s)\b", told)
    return float(found[1]) / _PER_SECOND[found[2]] if found else float("nan")
