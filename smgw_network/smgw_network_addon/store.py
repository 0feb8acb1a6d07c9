"""The program's two files: what it added to the host (for a run after a crash), and the suggestion to the proxy.

Each lies in a folder that root opens before its rights are gone; no link is followed, as others can write to
``/share``. A file is replaced as a whole where the folder is ours, and overwritten where only the file can be.
"""

import asyncio
import fcntl
import json
import os
import stat
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LARGEST: Final = 1 << 16


class StoreError(Exception):
    """A file cannot be had; the text is one plain line."""


class Store:
    """A place for values that is never written."""

    async def write(self, **values: Any) -> None:
        """Forget the values."""

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return nothing."""
        del name
        return []


class FileStore(Store):
    """One file, opened once. ``owner`` (user and group id) is who writes it later; None: who opens it."""

    def __init__(self, path: Path, owner: tuple[int, int] | None, mode: int) -> None:
        """Open, or make, the folder and the file. Raises ``StoreError``."""
        self._name, self._draft, self._mode = path.name, f".{path.name}.new", mode
        self._written: object = None
        self._writing = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = os.open(path.parent, _FOLDER)
            self._file = os.open(path.name, _FILE, mode, dir_fd=self._folder)
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise StoreError(f"{path} is no regular file")
            if owner:
                os.fchown(self._file, *owner)
                if {each.name for each in os.scandir(self._folder)} <= {self._name, self._draft}:
                    os.fchown(self._folder, *owner)  # nobody else uses it
            self._replace = owner is None or os.fstat(self._folder).st_uid == owner[0]
        except OSError as error:
            raise StoreError(f"{path} cannot be used: {error.strerror}") from None

    def lock(self) -> None:
        """Keep other runs out of this folder. Raises ``StoreError`` if there is one."""
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another run uses the file {self._name}") from None

    def read(self, name: str) -> list[dict[str, Any]]:
        """Return the entries of this name; none for a file that is none of ours. Must be run in executor."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return [each for each in json.loads(os.pread(self._file, _LARGEST, 0))[name] if isinstance(each, dict)]
        return []

    async def write(self, **values: Any) -> None:
        """Write the file anew, if the values have changed. Raises OSError."""
        if values != self._written:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            text = json.dumps({"version": 1, "written": now, **values}, indent=2) + "\n"
            await asyncio.to_thread(self._write, text.encode())
            self._written = values

    def _write(self, data: bytes) -> None:
        with self._writing:  # a task that was cancelled leaves its thread behind
            file = self._file
            if self._replace:
                with suppress(FileNotFoundError):
                    os.unlink(self._draft, dir_fd=self._folder)
                file = os.open(self._draft, _FILE | os.O_EXCL, self._mode, dir_fd=self._folder)
            try:
                os.pwrite(file, data, 0)
                os.ftruncate(file, len(data))
                os.fsync(file)
                if self._replace:
                    os.rename(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            finally:
                if self._replace:
                    os.close(file)
