"""The lock file of a running proxy: beside the pins, locked as long as the process lives, so that a kill frees it.

It holds a line that says where the process can be asked for a diagnosis, with a secret: only who may read the pins
may read it, and it is never logged or shown.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

_SIZE_LIMIT: Final = 4096
_OPEN_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class InstanceError(Exception):
    """The running proxy cannot be found or asked, or its lock file not used; the text is one plain line."""


class InstanceLock:
    """The lock file for ``name`` (the target) in ``folder``, which is made if it is missing.

    All methods must be run in executor.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f".running-{name}"
        self._descriptor: int | None = None

    def acquire(self, line: str) -> bool:
        """Lock the file and write an ASCII line; False if another proxy holds it. Raises InstanceError."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, 0o600)
        except OSError as error:
            raise _unusable(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, line.encode())
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise _unusable(self._path, error) from None
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Unlock the file. It stays: removing it could remove the file of the next process."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def read(self) -> str | None:
        """Return the running proxy's line, None if no proxy runs. Raises InstanceError."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _OPEN_FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.read(descriptor, _SIZE_LIMIT).decode("ascii", "replace")
        except OSError as error:
            raise _unusable(self._path, error) from None
        finally:
            os.close(descriptor)
        return None


def _unusable(path: Path, error: OSError) -> InstanceError:
    return InstanceError(f"{path} cannot be used: {error.strerror or error}")
