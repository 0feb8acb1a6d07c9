"""Owns the pins on disk: one file per gateway, its last refused certificate, and every change to them.

It must never take a file that it cannot read for a missing one, never leave a gateway between two pins, and
never decide what is trusted: ``trust.py`` does. Every change is made under one lock per folder, which other
processes (the ``trust`` command) respect, and by a new file that takes the old one's place. Everything
here must be run in executor.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.files import Files, cause_of, draft_of
from smgw_proxy_addon.trust.pin_file import decode, encode
from smgw_proxy_addon.trust.policy import (
    Accept,
    Certificate,
    Origin,
    Pin,
    Policy,
    decide,
    seen_again,
    utc_if_set,
)

LOCK_PATIENCE: Final = 5.0
"""Seconds to wait for another program that changes a pin."""

_LOCK_PAUSE: Final = 0.02

Signature = tuple[tuple[int, ...], ...]


class AcceptProblem(Enum):
    """Why there is nothing to accept."""

    NOTHING_REFUSED = "nothing_refused"
    OTHER_REFUSED = "other_refused"
    """The certificate that was asked for is not the one that was refused last."""
    ALREADY_TRUSTED = "already_trusted"


class TrustCommandError(Exception):
    """``accept`` would not do what was asked for; nothing was changed.

    ``asked`` and ``refused`` are fingerprints, None where there is none.
    """

    def __init__(self, problem: AcceptProblem, asked: str | None, refused: str | None) -> None:
        super().__init__(f"{problem.value} (asked: {asked}, refused: {refused})")
        self.problem = problem
        self.asked = asked
        self.refused = refused


class TrustStore:
    """The pin of one gateway in ``folder``, which is made when something has to be stored.

    ``name`` is the target: host, or host:port. ``aliases`` are other names that the Go proxy may have used
    for it: read where the own file is missing, and removed once that is written. Raises ValueError for names
    that are no file names. Methods raise PinUnreadableError (``file``, ``problem``) and those that change
    something PinNotWrittenError (``folder``, ``problem``). All must be run in executor.
    """

    def __init__(self, folder: Path, name: str, aliases: tuple[str, ...] = (), files: Files | None = None) -> None:
        self.name = name
        self._folder = folder
        self._path, *self._aliases = (folder / _file_name(each) for each in (name, *aliases))
        self._refused = self._path.with_name(f"{name}.refused")
        self._files = files or Files()

    def load(self) -> Pin | None:
        """Read the stored pin, None if there is no file. Must be run in executor."""
        pins = (_load(self._files, path) for path in (self._path, *self._aliases))
        return next((pin for pin in pins if pin is not None), None)

    def refused(self) -> Pin | None:
        """Read the certificate that was refused last, perhaps accepted since. Must be run in executor.

        None as well if its file is damaged: nothing is trusted because of it, and the gateway shows it again.
        """
        try:
            return _load(self._files, self._refused)
        except PinUnreadableError:
            return None

    def gone(self) -> bool:
        """Tell whether the folder itself is missing, which ``forget`` never leads to. Must be run in executor."""
        return not self._folder.is_dir()

    def signature(self) -> Signature:
        """Tell one state of the pin's file from another, by a stat. Take it before ``load``, not after.

        Must be run in executor.
        """
        return tuple(_stat(path) for path in (self._path, *self._aliases))

    def learn(self, certificate: Certificate, now: datetime) -> Pin:
        """Store the first certificate and return the pin of now: perhaps another process was faster.

        The caller decides by that pin. Must be run in executor.
        """
        with self._changing():
            pin = self.load()
            if pin is None:
                when = utc_if_set(now)
                pin = Pin(certificate, when, when, Origin.FIRST_USE)
                self._store(pin)
            return pin

    def seen(self, certificate: Certificate, now: datetime) -> None:
        """Note that the pinned certificate was shown; does nothing if it is not the pinned one any more.

        A failure is worth a warning only. Must be run in executor.
        """
        if self._seen(certificate, now) is None:
            return
        with self._changing():
            if (pin := self._seen(certificate, now)) is not None:
                self._store(pin)

    def refuse(self, certificate: Certificate, now: datetime) -> None:
        """Keep a refused certificate for ``accept``. A failure is worth a warning only.

        Must be run in executor.
        """
        with self._changing():
            before = self.refused()
            again = before if before and decide(before, certificate, Policy()) == Accept() else None
            refused = seen_again(again or Pin(certificate), certificate, now)
            if refused != before:
                self._write(self._refused, encode(refused))

    def accept(self, fingerprint: str | None, now: datetime) -> Pin:
        """Trust the certificate that was refused last, provided that it has ``fingerprint`` if that is given.

        Raises TrustCommandError if there is no such certificate, ValueError for what is no fingerprint. An
        unreadable pin has to be forgotten first. Must be run in executor.
        """
        self._acceptable(fingerprint)  # leaves no new folder behind where there is nothing to accept
        with self._changing():
            refused = self._acceptable(fingerprint)
            when = utc_if_set(now)
            first, last = refused.first_seen or when, refused.last_seen or when
            pin = Pin(refused.certificate, first, last, Origin.ACCEPTED)
            self._store(pin)
            self._remove(self._refused)
            return pin

    def forget(self) -> bool:
        """Remove the pin, readable or not, and the refused certificate; tell whether there were any.

        Must be run in executor.
        """
        # The pin goes last: until then a killed process leaves it in force, and never an alias's older one.
        paths = [path for path in (self._refused, *self._aliases, self._path) if _stat(path)]
        if paths:
            with self._changing():
                for path in paths:
                    self._remove(path)
        return bool(paths)

    def _seen(self, certificate: Certificate, now: datetime) -> Pin | None:
        pin = self.load()
        if pin is None or decide(pin, certificate, Policy()) != Accept():
            return None
        after = seen_again(pin, certificate, now)
        return after if after != pin else None

    def _acceptable(self, fingerprint: str | None) -> Pin:
        policy = Policy(fingerprint)
        pin, refused = self.load(), self.refused()
        shown = refused.certificate.fingerprint if refused else None
        wanted = pin and policy.fingerprint and decide(None, pin.certificate, policy) == Accept()
        if wanted or (pin and refused and decide(pin, refused.certificate, Policy()) == Accept()):
            raise TrustCommandError(AcceptProblem.ALREADY_TRUSTED, policy.fingerprint, shown)
        if refused is None:
            raise TrustCommandError(AcceptProblem.NOTHING_REFUSED, policy.fingerprint, None)
        if policy.fingerprint and decide(None, refused.certificate, policy) != Accept():
            raise TrustCommandError(AcceptProblem.OTHER_REFUSED, policy.fingerprint, shown)
        return refused

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            if not self._folder.is_dir():
                with suppress(FileExistsError):
                    self._files.make_folder(self._folder)
            lock = self._open_lock()
            try:
                _take(lock)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            problem = error.strerror or str(error)
            raise PinNotWrittenError(str(error), folder=str(self._folder), problem=problem) from error

    def _open_lock(self) -> int:
        path = self._folder / ".lock"
        try:
            lock = self._files.create(path)
        except FileExistsError:
            return os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._files.give(lock, self._folder)
        return lock

    def _store(self, pin: Pin) -> None:
        self._write(self._path, encode(pin))
        for alias in self._aliases:
            self._remove(alias)

    def _write(self, path: Path, data: bytes) -> None:
        # One fixed name: the lock makes the draft ours, so what is there was left by a killed process.
        self._files.put(path, data, draft=draft_of(path))

    def _remove(self, path: Path) -> None:
        if _stat(path):
            self._files.remove(path)
            self._files.sync_folder(self._folder)


def stored_pins(folder: Path) -> list[tuple[str, Pin | PinUnreadableError]]:
    """List all pins of ``folder`` by name, none if it is missing. Must be run in executor.

    Raises PinUnreadableError if the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    entries = ((path.stem, _entry(path)) for path in paths)
    return [(name, entry) for name, entry in entries if entry is not None]


def _entry(path: Path) -> Pin | PinUnreadableError | None:
    try:
        return _load(Files(), path)
    except PinUnreadableError as error:
        return error


def _load(files: Files, path: Path) -> Pin | None:
    try:
        return decode(files.read(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> PinUnreadableError:
    problem = cause_of(error)
    return PinUnreadableError(f"{path}: {problem}", file=str(path), problem=problem)


def _stat(path: Path) -> tuple[int, ...]:
    try:
        stat = path.lstat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (error.errno or 0,)
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _file_name(name: str) -> str:
    if not name or name[0] == "." or "/" in name or not name.isprintable():
        raise ValueError("a target that cannot name a file")
    return f"{name}.json"


def _take(lock: int) -> None:
    """Take the lock, but wait for it no longer than another program can need for a change."""
    until = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(errno.ETIMEDOUT, "another program holds the lock of the folder") from None
            time.sleep(_LOCK_PAUSE)  # flock can wait without limit or not at all
        else:
            return
