"""Decides, for the service's ``finish`` script, whether the program restarts or the app stops.

Does not import the proxy: s6 gives the script ten seconds (``timeout-finish``), also on a busy Raspberry Pi.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EARLY_SECONDS: Final = 60.0
"""A failure within this time of the start is an early one."""
EARLY_FAILURES: Final = 5
"""So many early failures in a row stop the app."""
STOP: Final = 125
"""The exit code of ``finish`` that keeps s6 from restarting the service (s6-supervise, "finish")."""
_SIGNALLED: Final = 256  # s6 passes it in place of an exit code, and the signal as the second argument
_SIGTERM: Final = 15
_BAD_OPTIONS: Final = 2
_ASKS_TO_RESTART: Final = 75  # run.EXIT_RESTART, whose import would load the proxy


@dataclass(frozen=True, slots=True)
class ProgramExit:
    """How the program ended: exit code, or ``None`` and the signal; it ran for ``seconds``."""

    exit_code: int | None
    signal: int
    seconds: float

    @property
    def code(self) -> int:
        """The exit code as a shell reports it."""
        return 128 + self.signal if self.exit_code is None else self.exit_code

    @property
    def words(self) -> str:
        """What happened, for people."""
        return f"was killed by signal {self.signal}" if self.exit_code is None else f"failed (exit code {self.code})"


@dataclass(frozen=True, slots=True)
class Restart:
    """Start again after ``pause`` seconds; ``early_failures`` in a row so far."""

    pause: int
    early_failures: int
    message: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the app with this exit code; the message is empty when nothing went wrong."""

    exit_code: int
    message: str


def choose_action(ended: ProgramExit, early_failures: int) -> Restart | Stop:
    """Return what to do; ``early_failures`` counts those in a row before this end."""
    if ended.exit_code == 0 or ended.signal == _SIGTERM:
        return Stop(0, "")
    if ended.exit_code == _BAD_OPTIONS:
        return Stop(_BAD_OPTIONS, "The app stops: the line above says what to correct in the Configuration tab")
    if ended.exit_code == _ASKS_TO_RESTART:
        return Restart(0, 0, "The proxy starts again, as it asked to")
    early_failures = early_failures + 1 if ended.seconds < EARLY_SECONDS else 0
    if early_failures >= EARLY_FAILURES:
        return Stop(ended.code, f"The app stops: the proxy {ended.words}, for the {EARLY_FAILURES}th time in a row")
    pause = 2 ** max(early_failures - 1, 0)
    return Restart(pause, early_failures, f"The proxy {ended.words} and starts again in {pause} s")


def finish(exit_code: int, signal: int, uptime: float, run: Path) -> Restart | Stop:
    """Decide, and leave the decision in the files of ``run`` (``/run``) for s6 and for the next start.

    ``exit_code`` and ``signal`` are the arguments that s6 passes, ``uptime`` the seconds since the machine's
    start, which no setting of the clock changes.
    """
    state = run / "smgw-proxy"
    seconds = uptime - _number(state / "started", uptime)
    # Negative: the machine was restarted in between, and the files are of an earlier run.
    early_failures = int(_number(state / "early_failures", 0)) if seconds >= 0 else 0
    ended = ProgramExit(None if exit_code == _SIGNALLED else exit_code, signal, seconds)
    decision = choose_action(ended, early_failures)
    if isinstance(decision, Stop):
        (run / "s6-linux-init-container-results" / "exitcode").write_text(f"{decision.exit_code}\n")
        return decision
    state.mkdir(exist_ok=True)
    (state / "early_failures").write_text(f"{decision.early_failures}\n")
    (state / "pause").write_text(f"{decision.pause}\n")
    return decision


def main(arguments: Sequence[str], run: Path = Path("/run")) -> int:
    """Decide for the two arguments that s6 passes; print the line for the log, return what to exit with."""
    decision = finish(int(arguments[0]), int(arguments[1]), time.clock_gettime(time.CLOCK_BOOTTIME), run)
    sys.stdout.write(decision.message)
    return STOP if isinstance(decision, Stop) else 0


def _number(path: Path, otherwise: float) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return otherwise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
