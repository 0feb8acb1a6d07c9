"""How many connections clients may have, and whose is closed when a new one finds no room.

The threats: a device that opens connections and never closes them, and one that sends its requests byte by byte.
Neither may keep a client out that asks as it should, not even one at the same address. So a new connection always
gets in, in the place of one that is not at work: first of one that has never sent a whole request, then of the one
that has been idle for longest, then of one that is still sending.

Pure: connections are told by their address, stage and age.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, Protocol, TypeVar

from smgw_proxy_addon.server.slow_clients import LONGEST


@dataclass(frozen=True)
class Limits:
    """Connections of all clients and of one address; seconds that a TLS handshake and a request's head may take.

    ``silence`` are the seconds that a connection may be idle, ``hold`` those for which a client may keep others from
    the gateway by its own slowness.
    """

    total: int = 256
    per_address: int = 128
    handshake: float = 10.0
    head: float = 20.0
    silence: float = 120.0
    hold: float = LONGEST


class Stage(IntEnum):
    """What a connection does; the lower, the sooner it is closed for another one."""

    NEW = 0
    """It has not sent a whole head yet."""
    IDLE = 1
    """Its last request was answered."""
    SENDING = 2
    """The body of its request has not come in whole."""
    AT_WORK = 3
    """It waits for its answer, or gets it; never closed for another one."""


class Guest(Protocol):
    """A client's connection; ``since`` is when it began to be idle or, if it never was, when it came (seconds)."""

    @property
    def address(self) -> str:
        """Whose it is."""

    @property
    def stage(self) -> Stage:
        """What it does now."""

    @property
    def since(self) -> float:
        """Since when."""


@dataclass
class Counts:
    """What the limits have done since the start."""

    open: int = 0
    """Connections now."""
    displaced: int = 0
    """Closed for a new one."""
    refused: int = 0
    """Not taken, since all others were at work."""
    slow: int = 0
    """Closed because the head of their request, or the TLS handshake, took too long."""

    oversized: int = 0
    """Closed because of a head that came piece by piece and grew too large."""

    @property
    def trouble(self) -> tuple[int, ...]:
        """What the log tells when it grows: displaced, refused, slow, oversized."""
        return self.displaced, self.refused, self.slow, self.oversized


NOBODY: Final = "nobody"
"""No place, and nobody who could make one."""

G = TypeVar("G", bound=Guest)


class Room(Generic[G]):
    """The connections that are there."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._guests: dict[str, dict[G, None]] = {}
        self.counts: Final = Counts()

    def __iter__(self) -> Iterator[G]:
        """Give all connections; the room may change meanwhile."""
        return iter([guest for guests in self._guests.values() for guest in guests])

    def who_leaves_for(self, address: str) -> G | str | None:
        """Tell whose connection is to be closed so that one from ``address`` has room.

        None if there is room already, ``NOBODY`` if nobody's may be closed.
        """
        own = self._guests.get(address, {})
        if len(own) >= self._limits.per_address:
            return _first_to_leave(own) or NOBODY
        if self.counts.open < self._limits.total:
            return None
        # Who has most of them gives one: whoever fills the room fills it with his own.
        for guests in sorted(self._guests.values(), key=len, reverse=True):
            if guest := _first_to_leave(guests):
                return guest
        return NOBODY

    def enter(self, guest: G) -> None:
        """Count a connection."""
        self._guests.setdefault(guest.address, {})[guest] = None
        self.counts.open += 1

    def leave(self, guest: G) -> None:
        """Count it no more; it may have left before."""
        guests = self._guests.get(guest.address, {})
        if guest in guests:
            del guests[guest]
            self.counts.open -= 1
        if not guests:
            self._guests.pop(guest.address, None)


def _first_to_leave(guests: Collection[G]) -> G | None:
    first = min(guests, key=lambda guest: (guest.stage, guest.since), default=None)
    return None if first is None or first.stage is Stage.AT_WORK else first
