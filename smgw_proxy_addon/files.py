"""The folder of the certificates: how its files are read, and how one gets new content.

Owns the way in which nothing is lost when the power goes or the medium is full. Knows nothing of what is in the
files.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

_MAX_SIZE: Final = 1 << 20
"""Bytes of a pin file. OpenSSL takes certificates up to 100 kB; a longer file is none of ours."""
_OWNER_ONLY: Final = 0o600


def draft_of(path: Path) -> Path:
    """Tell what a file is called until it is complete."""
    return path.with_name(f".{path.name}.new")


def cause_of(error: Exception) -> str:
    """Say in the operating system's words, or the error's own, what is wrong with a file."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


class Files:
    """The file system, one method for each step of a change: tests make a step fail, or the process die.

    Methods raise OSError and must be run in executor.
    """

    def read(self, path: Path) -> bytes:
        """Read a file. A link is an error, also one to nowhere; ValueError says what else is no file of ours."""
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("not a regular file")
            data = file.read(_MAX_SIZE + 1)
        if len(data) > _MAX_SIZE:
            raise ValueError("too large")
        return data

    def put(self, path: Path, data: bytes, *, draft: Path, mode: int = _OWNER_ONLY) -> None:
        """Give ``path`` new content, which is complete on the medium before it takes the name.

        ``draft`` is what it is called until then, in the same folder; nobody else may use that name now.
        """
        if len(data) > _MAX_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self.remove(draft)
        try:
            descriptor = self.create(draft)
            try:
                self.give(descriptor, path.parent)
                if mode != _OWNER_ONLY:
                    os.fchmod(descriptor, mode)
                self.write(descriptor, data)
                self.sync(descriptor)
            finally:
                os.close(descriptor)
            self.replace(draft, path)
        except OSError:
            with suppress(OSError):
                self.remove(draft)
            raise
        self.sync_folder(path.parent)

    def make_folder(self, path: Path) -> None:
        """Make ``path`` for its owner only, and keep its name through a power cut."""
        path.mkdir(mode=0o700, parents=True)
        self.sync_folder(path.parent)

    def create(self, path: Path) -> int:
        """Make a new file for its owner only and open it."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)

    def give(self, descriptor: int, folder: Path) -> None:
        """Make a new file the folder's owner's: root may run the trust command beside a service of less rights."""
        owner = folder.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        while data:
            data = data[os.write(descriptor, data) :]

    def sync(self, descriptor: int) -> None:
        """Wait until the medium has it."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give ``source`` the name ``target``, in one step."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, which may be missing."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Wait until the medium has the folder's names."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some network shares have no such thing
                raise
        finally:
            os.close(descriptor)
