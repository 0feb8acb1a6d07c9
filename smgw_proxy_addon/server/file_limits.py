"""File descriptors: how many of them clients may have, and what is said when none is left.

Owns two lines in the log, one at the start of a shortage and one at its end. Closes nothing itself.
"""

import asyncio
import logging
import resource
import socket
from typing import Final

from smgw_proxy_addon.server.limits import Limits

_LOGGER: Final = logging.getLogger(__name__)

RESERVED: Final = 64
"""Those that clients leave to the gateway, the pins, the log files, the page and their own farewells."""

_FEWEST: Final = 8
_CALM: Final = 2.0


def affordable(limits: Limits) -> Limits:
    """Give clients no more connections than there are descriptors for them."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return limits
    return limits._replace(total=min(limits.total, max(_FEWEST, most - RESERVED)))


class Shortage:
    """Says that there are no descriptors, and that there are some again."""

    def __init__(self) -> None:
        self._felt_at: float | None = None

    def felt(self, reason: str) -> None:
        """Learn that something could not be opened, here or anywhere else; ``reason`` is what the system says."""
        if self._felt_at is None:
            _LOGGER.warning(
                "Nothing more can be opened for now (%s): idle connections of clients are closed for new ones, and "
                "requests may fail. Find the device that opens so many, or let the proxy open more files (ulimit -n, "
                "for a container --ulimit nofile)",
                reason,
            )
        self._felt_at = asyncio.get_running_loop().time()

    def look(self, now: float) -> None:
        """Say so if it is over; ``now`` are the event loop's seconds."""
        if self._felt_at is not None and now - self._felt_at >= _CALM and _one_free():
            self._felt_at = None
            _LOGGER.info("Connections and files can be opened again")


def _one_free() -> bool:
    try:
        socket.socket().close()
    except OSError:
        return False
    return True
