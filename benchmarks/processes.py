"""Programs as processes of their own on 127.0.0.1, and what they use.

Owns that none outlives its block. Never ends a process that it did not start.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parent.parent
START_TIMEOUT: Final = 20.0
STOP_TIMEOUT: Final = 6.0
MB: Final = 1_000_000
_POLL: Final = 0.002
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_RESET_PEAK: Final = "5"
"""Written to ``clear_refs``: the peak of the resident memory begins anew (proc(5))."""


@dataclass(frozen=True)
class Usage:
    """What a program and its children use: resident memory in MB (shared pages counted in each), CPU in seconds."""

    memory: float
    cpu: float


def usage(pid: int) -> Usage:
    """Measure a program now."""
    family = _family(pid)
    memory = sum(each.memory_info().rss for each in family)
    return Usage(memory / MB, sum(_nanoseconds(each.pid) for each in family) / 1e9)


def begin_peak(pid: int) -> None:
    """Forget the highest resident memory so far."""
    for each in _family(pid):
        Path(f"/proc/{each.pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def peak(pid: int) -> float:
    """Return the highest resident memory since ``begin_peak``, in MB."""
    kilobytes = 0
    for each in _family(pid):
        status = Path(f"/proc/{each.pid}/status").read_text(encoding="utf-8")
        kilobytes += int(status.partition("VmHWM:")[2].split(maxsplit=1)[0])
    return kilobytes * 1024 / MB


def find(executable: str) -> str | None:
    """Return the path of a program; servers are often not on a user's own path."""
    return shutil.which(executable, path=_PATH)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now: not every program can choose and tell one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """Run a program from when it listens at a port to the end of the block; gives its process id.

    What it prints is in the folder's file ``output``. Raises ``SystemExit`` if it does not listen.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # the image's package is compiled, too
    with (folder / "output").open("ab") as output:
        # A session of its own: Ctrl-C must reach this program alone, which then stops them in order.
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=environment, start_new_session=True
        )
    try:
        _wait_for(process, port, folder / "output")
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        process.kill()
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _nanoseconds(pid: int) -> int:
    """Return the CPU time of all threads, which ``stat`` would tell in steps of 10 ms only (user and system)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text(encoding="ascii").split()[0]) for each in threads)


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL)  # not every program says when it listens
    raise SystemExit(f"{process.args!r} does not listen:\n{output.read_text(encoding='utf-8', errors='replace')}")
