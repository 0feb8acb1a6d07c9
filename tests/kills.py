"""Writers of pins and log files that are killed at random moments: ``python -m tests.kills FOLDER KILLS SEED``.

In a process of its own, which has no threads and may fork: a child that has to import nothing starts in two
milliseconds. The child tells over a pipe what it begins and what is done, so that the parent knows which states the
files may be in. Prints one line of JSON: how often a child was killed in the middle of what.
"""

import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn

from smgw_proxy_addon.log_files import FileLimits, LogFiles
from smgw_proxy_addon.trust.policy import Certificate, Pin
from smgw_proxy_addon.trust.store import TrustCommandError, TrustStore
from tests.pins import ALIAS, NAME, NEW, NOW, OLD, THIRD

LONGEST: Final = 0.02
"""Seconds that a child lives at most."""
FILE_BYTES: Final = 1500
TOTAL_BYTES: Final = 12_000
LOG_FILES: Final = 20
"""More files than these would mean that they grow without a bound."""
CERTIFICATES: Final = (OLD, NEW, THIRD)
ACTIONS: Final = ("learn", "seen", "refuse", "accept", "forget", "log", "log", "log")
_LINE: Final = re.compile(r"\d{4}\.\d{6} x{10,80} end")
_OURS: Final = frozenset({f"{NAME}.json", f"{NAME}.refused", ".lock", f".{NAME}.json.new", f".{NAME}.refused.new"})


@dataclass(frozen=True)
class State:
    """Which certificates are stored, by their place in ``CERTIFICATES``, and the hour in which each was last seen."""

    pin: int | None = None
    pin_seen: int = 0
    refused: int | None = None
    refused_seen: int = 0

    def after(self, action: str, which: int, hour: int) -> "State":
        """Tell the state once an action is done."""
        match action:
            case "learn" if self.pin is None:
                return replace(self, pin=which, pin_seen=hour)
            case "seen" if self.pin == which:
                return replace(self, pin_seen=hour)
            case "refuse":
                return replace(self, refused=which, refused_seen=hour)
            case "accept" if self.refused is not None and self.refused != self.pin:
                return State(self.refused, self.refused_seen)
            case "forget":
                return State()
        return self


def store_in(folder: Path) -> TrustStore:
    return TrustStore(folder / "certs", NAME, (ALIAS,))


def log_in(folder: Path) -> LogFiles:
    return LogFiles(
        folder / "logs",
        "test.log",
        FileLimits(timedelta(days=1), timedelta(days=7), FILE_BYTES, TOTAL_BYTES),
        report=_complain,
    )


def _complain(text: str, failure: bool) -> None:
    raise AssertionError(f"{text} (failure: {failure})")


def moment(hour: int) -> datetime:
    return NOW + timedelta(hours=hour)


def act(store: TrustStore, log: LogFiles, action: str, which: int, hour: int, line: str) -> None:
    certificate: Certificate = CERTIFICATES[which]
    match action:
        case "learn":
            store.learn(certificate, moment(hour))
        case "seen":
            store.seen(certificate, moment(hour))
        case "refuse":
            store.refuse(certificate, moment(hour))
        case "accept":
            with suppress(TrustCommandError):
                store.accept(None, moment(hour))
        case "forget":
            store.forget()
        case "log":
            log.write(line)


def child(folder: Path, number: int, first_hour: int, tell: int) -> NoReturn:
    """Change things until killed."""
    chance = random.Random(number)
    store, log = store_in(folder), log_in(folder)
    step = 0
    try:
        while True:
            step += 1
            action, which = chance.choice(ACTIONS), chance.randrange(len(CERTIFICATES))
            hour = first_hour + step
            os.write(tell, f"begin {action} {which} {hour} {step}\n".encode())
            act(store, log, action, which, hour, f"{number:04}.{step:06} {'x' * chance.randint(10, 80)} end")
            os.write(tell, b"done\n")
    finally:
        os._exit(1)


def play(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill so many children and look at what each has left; AssertionError says what is wrong with it."""
    chance = random.Random(seed)
    state, hour = State(), 0
    found: Counter[str] = Counter()
    for number in range(kills):
        listen, tell = os.pipe()
        if (process := os.fork()) == 0:
            os.close(listen)
            child(folder, number, hour, tell)
        os.close(tell)
        time.sleep(chance.uniform(0, LONGEST))
        os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        assert os.WIFSIGNALED(status), f"the child of round {number} ended by itself"
        with os.fdopen(listen, encoding="ascii") as told:
            state, begun, last, hour = follow(state, told.read(), hour)
        check_pins(folder, state, begun)
        check_logs(folder, number, last)
        found[begun[0] if begun else "nothing"] += 1
        state = now_in(folder)
    return found


Begun = tuple[str, int, int]


def follow(state: State, told: str, hour: int) -> tuple[State, Begun | None, int, int]:
    """Return the state after all that is done, what was begun after it, the last line that is done, the last hour."""
    begun: Begun | None = None
    step = last = 0
    for line in told.splitlines():
        if line == "done" and begun:
            state = state.after(*begun)
            last = step if begun[0] == "log" else last
            begun = None
        elif line.startswith("begin "):
            _, action, which, *numbers = line.split()
            hour, step = map(int, numbers)
            begun = (action, int(which), hour)
    return state, begun, last, hour


def now_in(folder: Path) -> State:
    """Read the state from the files. Raises PinUnreadableError."""
    store = store_in(folder)
    pin, refused = store.load(), store.refused()
    return State(_place(pin), _hour(pin), _place(refused), _hour(refused))


def _place(pin: Pin | None) -> int | None:
    return CERTIFICATES.index(pin.certificate) if pin else None


def _hour(pin: Pin | None) -> int:
    return round((pin.last_seen - NOW) / timedelta(hours=1)) if pin and pin.last_seen else 0


def check_pins(folder: Path, before: State, begun: Begun | None) -> None:
    """Each part of the state must be as before what was begun, or as after it; and nothing else lies around."""
    seen = now_in(folder)
    after = before.after(*begun) if begun else before
    expected = f"{seen} after {begun}, expected {before} or {after}"
    assert seen.pin in (before.pin, after.pin), expected
    assert seen.refused in (before.refused, after.refused), expected
    assert seen.pin_seen in (before.pin_seen, after.pin_seen), expected
    assert seen.refused_seen in (before.refused_seen, after.refused_seen), expected
    if (folder / "certs").exists():
        names = {path.name for path in (folder / "certs").iterdir()}
        assert names <= _OURS, names


def check_logs(folder: Path, number: int, last: int) -> None:
    """Each line is whole, but perhaps the last of a file; the last one that was written is there; few files."""
    if not (folder / "logs").exists():
        assert not last
        return
    files = list((folder / "logs").iterdir())
    assert len(files) <= LOG_FILES, len(files)
    there = False
    for file in files:
        lines = file.read_text().split("\n")
        for line in lines[:-1]:
            assert _LINE.fullmatch(line), f"{file.name}: {line!r}"
            there = there or line.startswith(f"{number:04}.{last:06} ")
    assert there or not last, f"line {last} of round {number} is lost"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(play(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))) + "\n")
