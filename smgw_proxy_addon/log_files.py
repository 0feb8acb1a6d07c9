"""The log's files: names, rotation, retention, and failures of the disk.

Files are named ``YYYY-MM-DD_HH-MM-SS_<file name>``, in local time, all in one folder. Every call may block. Never
touches a file of another name, never follows a link, and never raises because of the disk: lines that cannot be
written are counted, and writing is tried again by itself.
"""

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from smgw_proxy_addon.files import cause_of, remedy_for

RETRY_SECONDS: Final = 30.0
"""Pause after a failure."""
_ALWAYS_KEPT: Final = 3
"""The newest files that are kept, whatever their age by the clock."""
_CLOCK_SLACK: Final = 3600.0
"""How far in the future a file's name may be: the hour that is repeated when summer time ends."""
_STAMP: Final = "%Y-%m-%d_%H-%M-%S"


class _LogFile(NamedTuple):
    started: float
    """Seconds since the epoch, by its name."""
    name: str
    size: int


class _Current(NamedTuple):
    descriptor: int
    path: Path
    started: float


class FileLimits(NamedTuple):
    """A new file begins every ``rotation`` or ``max_file_bytes``; ``retention`` and ``max_total_bytes`` bound all."""

    rotation: timedelta
    retention: timedelta
    max_file_bytes: int = 10_000_000
    max_total_bytes: int = 100_000_000


class LogFiles:
    """Appends lines to the newest file, and begins new ones within ``limits``.

    ``report(text, failure)`` is called once when the files fail, with a sentence that names cause and remedy, and
    once when they work again (``failure`` false). ``clock`` returns seconds since the epoch, ``monotonic`` seconds
    that never jump; ``open_file`` takes a path, flags and mode and returns a descriptor, as ``os.open``. For one
    thread only.
    """

    def __init__(
        self,
        folder: Path,
        file_name: str,
        limits: FileLimits,
        *,
        report: Callable[[str, bool], None],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        open_file: Callable[[Path, int, int], int] = os.open,
    ) -> None:
        self._folder = folder
        self._file_name = file_name
        self._pattern = re.compile(
            # Earlier versions put a number behind a second that was used before.
            rf"(\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-[1-9]\d{{0,5}})?_{re.escape(file_name)}",
            re.ASCII,
        )
        self._limits = limits
        self._report = report
        self._clock = clock
        self._monotonic = monotonic
        self._open_file = open_file
        self._current: _Current | None = None
        self._recent: list[str] = []  # names in the order of use, which clock jumps do not change
        self._missed = 0
        self._retry_at = 0.0

    def write(self, line: str) -> None:
        """Append one line, or several with line breaks between them. Never raises an OSError."""
        lines = line.count("\n") + 1
        if self._missed and self._monotonic() < self._retry_at:
            self._missed += lines
            return
        try:
            self._append(f"{line}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._fail(error, lines)
            return
        if self._missed:
            missed, self._missed = self._missed, 0
            self._report(f"Log files are written again in {self._folder}; {missed} lines are missing.", False)

    def close(self) -> None:
        """Close the file; the next line would open it again."""
        current, self._current = self._current, None
        if current is not None:
            with suppress(OSError):  # a network file system that reports an earlier loss
                os.close(current.descriptor)

    def _fail(self, error: OSError, lines: int) -> None:
        self.close()
        self._retry_at = self._monotonic() + RETRY_SECONDS
        first = not self._missed
        self._missed += lines
        if first:
            self._report(
                f"No log files for now, only the console: {cause_of(error)} ({self._folder}). Choose another folder, "
                f"or {remedy_for(error)}. They go on by themselves as soon as they can.",
                True,
            )

    def _append(self, data: bytes) -> None:
        now = self._clock()
        if self._current and not self._is_there(self._current):
            self.close()
        current = self._current or self._open(now)
        size = os.fstat(current.descriptor).st_size
        if size and (not self._is_current(current.started, now) or size + len(data) > self._limits.max_file_bytes):
            current = self._create(now)
        while data:
            data = data[os.write(current.descriptor, data) :]

    def _is_there(self, current: _Current) -> bool:
        """Tell whether the open file was not removed, and nothing was mounted over its folder."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(current.descriptor), current.path.lstat())
        return False

    def _is_current(self, started: float, now: float) -> bool:
        return -_CLOCK_SLACK <= now - started < self._limits.rotation.total_seconds()

    def _open(self, now: float) -> _Current:
        """Open the newest file if it is current and not full, else a new one."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for file in reversed(self._list()):
            if self._is_current(file.started, now) and file.size < self._limits.max_file_bytes:
                # A file of another user (the program ran as root before) is left alone.
                with suppress(PermissionError):
                    return self._append_to(file)
                break
        return self._create(now)

    def _append_to(self, file: _LogFile) -> _Current:
        path = self._folder / file.name
        # O_NONBLOCK: opening a named pipe of this name must not block.
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        current = self._use(_Current(self._open_file(path, flags, 0), path, file.started))
        if file.size and os.pread(current.descriptor, 1, file.size - 1) != b"\n":
            os.write(current.descriptor, b"\n")  # ends a line that a full disk or a power cut left incomplete
        return current

    def _create(self, now: float) -> _Current:
        """Make a new file, named by the first second from now that has none; delete what is too old or too much."""
        self.close()
        files, second = self._list(), now
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        while True:
            name = f"{time.strftime(_STAMP, time.localtime(second))}_{self._file_name}"
            path = self._folder / name
            with suppress(FileExistsError):  # one from the same second, also of another process; a folder, a link
                current = self._use(_Current(self._open_file(path, flags, 0o640), path, now))
                self._tidy(now, [*files, _LogFile(now, name, 0)])
                return current
            second += 1

    def _use(self, current: _Current) -> _Current:
        self._current = current
        name = current.path.name
        self._recent = [*(each for each in self._recent if each != name), name][-_ALWAYS_KEPT:]
        return current

    def _list(self) -> list[_LogFile]:
        """Return the log files, the oldest first, without links and folders."""
        files = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = self._pattern.fullmatch(entry.name)
                started = _instant(name[1]) if name else None
                with suppress(FileNotFoundError):  # another process deletes, too
                    if name and started is not None and entry.is_file(follow_symlinks=False):
                        size = entry.stat(follow_symlinks=False).st_size
                        files.append(_LogFile(started, entry.name, size))
        return sorted(files)

    def _tidy(self, now: float, files: list[_LogFile]) -> None:
        """Delete files older than the retention, and the oldest until there is room for one more full file.

        After a clock jump, names do not tell the age. Always kept are the newest by name, the newest of those that
        are not from the future, and those used last.
        """
        files = sorted(files)
        past = [file for file in files if file.started <= now]
        kept = {file.name for file in files[-_ALWAYS_KEPT:] + past[-_ALWAYS_KEPT:]}.union(self._recent)
        room = self._limits.max_total_bytes - self._limits.max_file_bytes
        for file in reversed(files):
            room -= file.size
            if file.name not in kept and (room < 0 or now - file.started > self._limits.retention.total_seconds()):
                with suppress(OSError):  # no right to delete is no reason to stop logging
                    (self._folder / file.name).unlink()


def _instant(stamp: str) -> float | None:
    """Return the seconds since the epoch of a file name's local time, or ``None`` if there is no such time.

    Of a repeated hour, the later one: nothing is deleted or rotated too early.
    """
    try:
        # Not with strptime: that loads 0.4 MB in 6 ms.
        local = datetime.fromisoformat(stamp[:10] + stamp[10:].replace("-", ":"))
        return local.replace(fold=1).astimezone().timestamp()
    except (ValueError, OverflowError):
        return None
