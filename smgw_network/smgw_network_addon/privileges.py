"""From root to an unprivileged user who may still change addresses (CAP_NET_ADMIN) and send ARP (CAP_NET_RAW).

Both are kept as ambient capabilities (capabilities(7)); all others are gone for good. To be done before the first
thread starts: capabilities belong to a thread.
"""

import ctypes
import os
import pwd
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

_NET_ADMIN, _NET_RAW = 12, 13
_WANTED: Final = 1 << _NET_ADMIN | 1 << _NET_RAW
_SET_KEEP_CAPABILITIES, _SET_NO_NEW_PRIVILEGES, _AMBIENT, _AMBIENT_RAISE = 8, 38, 47, 2  # linux/prctl.h
_VERSION: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of each set
_USERS: Final = ("smgw", "nobody")


class PrivilegeError(Exception):
    """The kernel refuses; the text is one plain line."""


def unprivileged() -> tuple[int, int] | None:
    """Return user and group id to run as, from root; None for who is not root. Raises ``PrivilegeError``."""
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)[2:4]
    raise PrivilegeError(f"there is no user {' or '.join(_USERS)} to run as")


def permitted() -> bool:
    """Tell whether both capabilities are there."""
    found = re.search(r"(?m)^CapPrm:\s+(\w+)$", Path("/proc/self/status").read_text())
    return found is not None and int(found[1], 16) & _WANTED == _WANTED


def become(user: int, group: int) -> None:
    """Drop root's rights but for the two capabilities, as far as they are there. Raises ``PrivilegeError``."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise PrivilegeError(f"rights cannot be dropped: {name}: {os.strerror(ctypes.get_errno())}")

    kept = _WANTED if permitted() else 0
    call("prctl", _SET_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    # Effective, permitted, inheritable: the lower and then the upper 32 capabilities.
    call("capset", struct.pack("Ii", _VERSION, 0), struct.pack("6I", kept, kept, kept, 0, 0, 0))
    for capability in (_NET_ADMIN, _NET_RAW) if kept else ():
        call("prctl", _AMBIENT, _AMBIENT_RAISE, capability, 0, 0)
    call("prctl", _SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    os.umask(0o022)
