"""Reads and replaces the files in the folder of certificates; a power cut or a full medium loses nothing."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

_MAX_SIZE: Final = 1 << 20
"""Bytes of a pin file: OpenSSL accepts certificates up to 100 kB."""
_REMEDIES: Final = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space in its quota",
    errno.EROFS: "make its disk writable; a failing disk is often mounted read-only",
    errno.EACCES: "give the program's user the right to enter it and to write there",
    errno.EPERM: "give the program's user the right to enter it and to write there",
    errno.ENOTDIR: "remove the file that stands in its place",
    errno.EEXIST: "remove the file that stands in its place",
}


def draft_of(path: Path) -> Path:
    """Return the name of a file until it is complete."""
    return path.with_name(f".{path.name}.new")


def cause_of(error: Exception) -> str:
    """Return the operating system's text for an error, or the error's own."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def remedy_for(error: OSError) -> str:
    """Return what a person can do about a folder that cannot be used."""
    return _REMEDIES.get(error.errno or 0, "look after this folder")


def stamp(path: Path, *, follow_symlinks: bool = True) -> tuple[int, ...]:
    """Return what differs once a file has changed, its mode included; nothing if there is none."""
    try:
        status = path.stat(follow_symlinks=follow_symlinks)
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (error.errno or 0,)
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Files:
    """The file system, one method per step: tests override one to make it fail or to kill the process.

    Methods raise OSError and must be run in executor.
    """

    def read(self, path: Path) -> bytes:
        """Read a file. Raises OSError for a link, ValueError for what is not a regular file or too large."""
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("not a regular file")
            data = file.read(_MAX_SIZE + 1)
        if len(data) > _MAX_SIZE:
            raise ValueError("too large")
        return data

    def put(self, path: Path, data: bytes, *, draft: Path) -> None:
        """Replace the content of ``path``; it is complete on the medium before it gets the name.

        ``draft`` is its name until then, in the same folder; nothing else may use that name meanwhile.
        """
        if len(data) > _MAX_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self.remove(draft)
        try:
            descriptor = self.create(draft)
            try:
                self.give(descriptor, path.parent)
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
        """Make ``path`` for its owner only; its name survives a power cut."""
        path.mkdir(mode=0o700, parents=True)
        self.sync_folder(path.parent)

    def create(self, path: Path) -> int:
        """Make a new file for its owner only and open it."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def give(self, descriptor: int, folder: Path) -> None:
        """Give a new file to the folder's owner: root may run the trust command beside an unprivileged service."""
        owner = folder.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        while data:
            data = data[os.write(descriptor, data) :]

    def sync(self, descriptor: int) -> None:
        """Wait until the file is on the medium."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give ``source`` the name ``target``, in one step."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, which may be missing."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Wait until the folder's names are on the medium."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some network shares cannot
                raise
        finally:
            os.close(descriptor)
