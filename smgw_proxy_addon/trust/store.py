"""Owns the pins on disk: one file per gateway, one for its last refused certificate, and every change to them.

An unreadable file is never taken for a missing one, and a gateway is never without its pin in the middle of a
change. What is trusted is decided in ``policy``. Every change holds one lock per folder, which other processes (the
``trust`` command) respect, and replaces the file. All of it must be run in executor.
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
from smgw_proxy_addon.files import Files, cause_of, draft_of, stamp
from smgw_proxy_addon.fingerprint import normalise_fingerprint
from smgw_proxy_addon.trust.pin_file import decode, encode
from smgw_proxy_addon.trust.policy import Certificate, Engine, Origin, Pin, matches, seen_again, utc_if_set

LOCK_TIMEOUT: Final = 5.0
"""Seconds to wait for another program that changes a pin."""

_LOCK_INTERVAL: Final = 0.02

Signature = tuple[tuple[int, ...], ...]


class AcceptProblem(Enum):
    """Why ``accept`` changed nothing."""

    NOTHING_REFUSED = "nothing_refused"
    OTHER_REFUSED = "other_refused"
    """Another certificate than the given one was refused last."""
    ALREADY_TRUSTED = "already_trusted"


class TrustCommandError(Exception):
    """``accept`` cannot do what was asked for; nothing was changed.

    ``asked`` and ``refused`` are fingerprints, None where there is none.
    """

    def __init__(self, problem: AcceptProblem, asked: str | None, refused: str | None) -> None:
        super().__init__(f"{problem.value} (asked: {asked}, refused: {refused})")
        self.problem = problem
        self.asked = asked
        self.refused = refused


class TrustStore:
    """The pin of one gateway in ``folder``, which is made when something has to be stored.

    ``name`` is the target: host, or host:port. ``aliases`` are other names that the Go proxy may have used for it:
    their files are read if the own one is missing, and removed once that is written. Raises ValueError for a name
    that cannot name a file. Methods raise PinUnreadableError (``file``, ``problem``), those that change something
    also PinNotWrittenError (``folder``, ``problem``). All must be run in executor.
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
        """Read the certificate that was refused last; it may be accepted by now. Must be run in executor.

        None if there is none or if its file is damaged: the gateway will show it again.
        """
        try:
            return _load(self._files, self._refused)
        except PinUnreadableError:
            return None

    def gone(self) -> bool:
        """Tell whether the folder itself is missing; ``forget`` never removes it. Must be run in executor."""
        return not self._folder.is_dir()

    def signature(self) -> Signature:
        """Return a value that changes with the pin's file, from a stat. Take it before ``load``, not after.

        Must be run in executor.
        """
        return tuple(stamp(path, follow_symlinks=False) for path in (self._path, *self._aliases))

    def learn(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> Pin:
        """Store the first certificate; returns the pin, which another process may have stored before.

        Must be run in executor.
        """
        with self._changing():
            pin = self.load()
            if pin is None:
                when = utc_if_set(now)
                pin = Pin(certificate, when, when, Origin.FIRST_USE, engine)
                self._store(pin)
            return pin

    def seen(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> None:
        """Store that the pinned certificate was shown; does nothing if another one is pinned by now.

        No decision depends on it. Must be run in executor.
        """
        if self._seen(certificate, now, engine) is None:
            return
        with self._changing():
            if (pin := self._seen(certificate, now, engine)) is not None:
                self._store(pin)

    def refuse(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> None:
        """Store a refused certificate for ``accept``. No decision depends on it. Must be run in executor."""
        with self._changing():
            before = self.refused()
            known = before if before and matches(before, certificate.fingerprint) else Pin(certificate)
            refused = seen_again(known, certificate, now, engine)
            if refused != before:
                self._write(self._refused, encode(refused))

    def accept(self, fingerprint: str | None, now: datetime) -> Pin:
        """Trust the certificate that was refused last; if ``fingerprint`` is given, only a certificate that has it.

        Raises TrustCommandError if there is no such certificate, ValueError for what is no fingerprint. An
        unreadable pin has to be forgotten first. Must be run in executor.
        """
        self._acceptable(fingerprint)  # first without the lock, which would make the folder
        with self._changing():
            refused = self._acceptable(fingerprint)
            when = utc_if_set(now)
            first, last = refused.first_seen or when, refused.last_seen or when
            pin = Pin(refused.certificate, first, last, Origin.ACCEPTED, refused.engine)
            self._store(pin)
            self._remove(self._refused)
            return pin

    def forget(self) -> bool:
        """Remove the pin, readable or not, and the refused certificate; tell whether there were any.

        Must be run in executor.
        """
        # The pin is removed last: if the process is killed before, it still counts, and no older one of an alias.
        paths = [path for path in (self._refused, *self._aliases, self._path) if stamp(path, follow_symlinks=False)]
        if paths:
            with self._changing():
                for path in paths:
                    self._remove(path)
        return bool(paths)

    def _seen(self, certificate: Certificate, now: datetime, engine: Engine) -> Pin | None:
        pin = self.load()
        if pin is None or not matches(pin, certificate.fingerprint):
            return None
        after = seen_again(pin, certificate, now, engine)
        return after if after != pin else None

    def _acceptable(self, fingerprint: str | None) -> Pin:
        asked = None if fingerprint is None else normalise_fingerprint(fingerprint)
        pin, refused = self.load(), self.refused()
        shown = refused.certificate.fingerprint if refused else None
        if any(each and matches(pin, each) for each in (asked, shown)):
            raise TrustCommandError(AcceptProblem.ALREADY_TRUSTED, asked, shown)
        if refused is None:
            raise TrustCommandError(AcceptProblem.NOTHING_REFUSED, asked, None)
        if asked and not matches(refused, asked):
            raise TrustCommandError(AcceptProblem.OTHER_REFUSED, asked, shown)
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
        # The draft has a fixed name: under the lock, an old one can only be left from a killed process.
        self._files.put(path, data, draft=draft_of(path))

    def _remove(self, path: Path) -> None:
        if stamp(path, follow_symlinks=False):
            self._files.remove(path)
            self._files.sync_folder(self._folder)


def _load(files: Files, path: Path) -> Pin | None:
    try:
        return decode(files.read(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problem = cause_of(error)
        raise PinUnreadableError(f"{path}: {problem}", file=str(path), problem=problem) from error


def _file_name(name: str) -> str:
    if not name or name[0] == "." or "/" in name or not name.isprintable():
        raise ValueError("a target that cannot name a file")
    return f"{name}.json"


def _take(lock: int) -> None:
    """Take the lock. Raises TimeoutError after ``LOCK_TIMEOUT``."""
    until = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(errno.ETIMEDOUT, "another program holds the lock of the folder") from None
            time.sleep(_LOCK_INTERVAL)  # flock waits without a limit or not at all
        else:
            return
