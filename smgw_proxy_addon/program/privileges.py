"""Drops root's rights, and gives the program's folders to the unprivileged user.

Root reads the options and the user's key and binds the ports; everything else runs without its rights. A folder is
taken over only if it holds nothing but the program's files, and no link is followed: the path is the user's choice,
and others can write to ``/share``.
"""

import errno
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from smgw_proxy_addon.files import remedy_for
from smgw_proxy_addon.server.listeners import StartError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PrivilegeError(StartError):
    """The user does not exist or a folder cannot be used; the text is one plain line."""


class User(NamedTuple):
    """The user that the program runs as."""

    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "User":
        """Look the user up. Raises ``PrivilegeError``."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise PrivilegeError(f"there is no user {name} to run as") from None
        return cls(entry.pw_uid, entry.pw_gid)

    def take_over(self, folder: Path, below: Path, is_ours: Callable[[str], bool], mode: int) -> None:
        """Make ``folder``, somewhere below ``below``, and own it with the files in it.

        ``is_ours`` recognises the program's files by name. Raises ``PrivilegeError`` if the folder holds anything
        else or its path a link. Must be run in executor.
        """
        try:
            descriptor = self._open(folder, below, mode)
            try:
                self._own(descriptor, folder, is_ours)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unusable(folder, error) from None

    def become(self) -> None:
        """Drop root's rights for good, in all threads."""
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        os.umask(0o027)

    def _open(self, folder: Path, below: Path, mode: int) -> int:
        descriptor = os.open(below, _FOLDER)
        path = below
        for part in folder.relative_to(below).parts:
            parent = descriptor
            try:
                made = _make(part, mode, parent, path)
                path /= part
                descriptor = os.open(part, _FOLDER, dir_fd=parent)
                if made:
                    os.fchown(descriptor, self.uid, self.gid)
            finally:
                os.close(parent)
        return descriptor

    def _own(self, descriptor: int, folder: Path, is_ours: Callable[[str], bool]) -> None:
        if os.fstat(descriptor).st_uid == self.uid:
            return
        entries = [(name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)) for name in os.listdir(descriptor)]
        for name, status in entries:
            # nlink > 1: the file has another name, perhaps in a foreign folder.
            if not (is_ours(name) and stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
                raise PrivilegeError(
                    f"the folder {folder} holds something else ({name!r}); choose one that is empty or does not exist"
                )
        for name, _ in entries:
            os.chown(name, self.uid, self.gid, dir_fd=descriptor, follow_symlinks=False)
        os.fchown(descriptor, self.uid, self.gid)


def check_entry(folder: Path) -> None:
    """Raise ``PrivilegeError`` if this process may not enter ``folder``; it names the outermost one of its path."""
    for each in (*reversed(folder.parents), folder):
        if not os.access(each, os.X_OK):
            raise _unusable(each, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _make(name: str, mode: int, parent: int, path: Path) -> bool:
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unusable(path, error) from None
    return True


def _unusable(folder: Path, error: OSError) -> PrivilegeError:
    return PrivilegeError(f"the folder {folder} cannot be used: {error.strerror}; {remedy_for(error)}")
