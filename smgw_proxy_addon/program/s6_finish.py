"""Decides, for the service's ``finish`` script, whether the program restarts or the app stops.

Does not import the proxy: s6 gives the script ten seconds (``timeout-finish``), also on a busy Raspberry Pi.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

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


class Decision(NamedTuple):
    """What to do, and why in words for the log; these are empty when nothing went wrong.

    With an ``exit_code`` the app stops and has it as its own. Else the program starts again after ``pause`` seconds;
    ``early_failures`` are those in a row so far.
    """

    message: str
    exit_code: int | None = None
    pause: int = 0
    early_failures: int = 0


def choose_action(exit_code: int, signal: int, seconds: float, early_failures: int) -> Decision:
    """Return what to do after the program ran for ``seconds``.

    ``exit_code`` and ``signal`` are the arguments that s6 passes; ``early_failures`` counts those in a row before.
    """
    if exit_code == 0 or signal == _SIGTERM:
        return Decision("", 0)
    if exit_code == _BAD_OPTIONS:
        return Decision("The app stops: the line above says what to correct in the Configuration tab", exit_code)
    if exit_code == _ASKS_TO_RESTART:
        return Decision("The proxy starts again, as it asked to")
    ended = f"failed (exit code {exit_code})"
    if exit_code == _SIGNALLED:
        ended = f"was killed by signal {signal}"
        exit_code = 128 + signal  # as a shell reports it
    early_failures = early_failures + 1 if seconds < EARLY_SECONDS else 0
    if early_failures >= EARLY_FAILURES:
        message = f"The app stops: the proxy {ended}, for the {EARLY_FAILURES}th time in a row"
        return Decision(message, exit_code)
    pause = 2 ** max(early_failures - 1, 0)
    return Decision(f"The proxy {ended} and starts again in {pause} s", None, pause, early_failures)


def finish(exit_code: int, signal: int, uptime: float, run: Path) -> Decision:
    """Decide, and leave the decision in the files of ``run`` (``/run``) for s6 and for the next start.

    ``exit_code`` and ``signal`` are the arguments that s6 passes, ``uptime`` the seconds since the machine's
    start, which no setting of the clock changes.
    """
    state = run / "smgw-proxy"
    seconds = uptime - _number(state / "started", uptime)
    # Negative: the machine was restarted in between, and the files are of an earlier run.
    early_failures = int(_number(state / "early_failures", 0)) if seconds >= 0 else 0
    decision = choose_action(exit_code, signal, seconds, early_failures)
    if decision.exit_code is not None:
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
    return 0 if decision.exit_code is None else STOP


def _number(path: Path, otherwise: float) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return otherwise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
