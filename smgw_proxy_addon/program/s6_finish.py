"""The fate of the app when its program has ended, for the service's ``finish`` script.

Owns whether to start again, after which pause, or to stop the app, and with which exit code. Never loads the
proxy itself: s6 grants the script ten seconds (``timeout-finish``), also on a busy Raspberry Pi.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHORT_LIFE: Final = 60.0
"""Seconds: who dies sooner after the start died early."""
EARLY_DEATHS: Final = 5
"""So many early deaths in a row stop the app."""
STOP: Final = 125
"""What ``finish`` exits with to keep s6 from starting the service again (s6-supervise, "finish")."""
_SIGNALLED: Final = 256  # s6 passes it in place of an exit code, and the signal as the second argument
_SIGTERM: Final = 15
_BAD_OPTIONS: Final = 2
_ASKS_TO_RESTART: Final = 75  # application.EXIT_RESTART, which would load the proxy


@dataclass(frozen=True, slots=True)
class Death:
    """How the program ended: exit code, or ``None`` and the signal; ``lived`` in seconds."""

    exit_code: int | None
    signal: int
    lived: float

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
    """Start again after ``pause`` seconds; ``early_deaths`` in a row so far."""

    pause: int
    early_deaths: int
    message: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the app with this exit code; the message is empty when nothing went wrong."""

    exit_code: int
    message: str


def decide(death: Death, early_deaths: int) -> Restart | Stop:
    """Return what to do after a death; ``early_deaths`` counts those in a row before this one."""
    if death.exit_code == 0 or death.signal == _SIGTERM:
        return Stop(0, "")
    if death.exit_code == _BAD_OPTIONS:
        return Stop(_BAD_OPTIONS, "The app stops: the line above says what to correct in the Configuration tab")
    if death.exit_code == _ASKS_TO_RESTART:
        return Restart(0, 0, "The proxy starts again, as it asked to")
    early_deaths = early_deaths + 1 if death.lived < SHORT_LIFE else 0
    if early_deaths >= EARLY_DEATHS:
        return Stop(death.code, f"The app stops: the proxy {death.words}, for the {EARLY_DEATHS}th time in a row")
    pause = 2 ** max(early_deaths - 1, 0)
    return Restart(pause, early_deaths, f"The proxy {death.words} and starts again in {pause} s")


def finish(exit_code: int, signal: int, uptime: float, run: Path) -> Restart | Stop:
    """Decide, and leave the decision in the files of ``run`` (``/run``) for s6 and for the next start.

    ``exit_code`` and ``signal`` are the arguments that s6 passes, ``uptime`` the seconds since the machine's
    start, which no setting of the clock changes.
    """
    state = run / "smgw-proxy"
    lived = uptime - _number(state / "started", uptime)
    # Less than nothing: the machine was restarted in between, and what the files say is of another life.
    early_deaths = int(_number(state / "early_deaths", 0)) if lived >= 0 else 0
    decision = decide(Death(None if exit_code == _SIGNALLED else exit_code, signal, lived), early_deaths)
    if isinstance(decision, Stop):
        (run / "s6-linux-init-container-results" / "exitcode").write_text(f"{decision.exit_code}\n")
        return decision
    state.mkdir(exist_ok=True)
    (state / "early_deaths").write_text(f"{decision.early_deaths}\n")
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
