"""How many connections clients may have, and whose is closed when a new one finds no room.

The threats: a device that opens connections and never closes them, and one that sends its requests byte by byte.
Neither may keep a client out that asks as it should, not even one at the same address. So a new connection always
gets in, in the place of one that is not at work: first of one that has never sent a whole request, then of the one
that has been idle for longest, then of one that is still sending.

Pure: connections are told by their address, stage and age.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from smgw_proxy_addon.server.slow_clients import LONGEST


class Limits(NamedTuple):
    """Connections of all clients and of one address; seconds that a TLS handshake and a request's head may take.

    ``silence`` are the seconds that a connection may be idle, ``slow_client`` those for which a slow client may keep
    others from the gateway.
    """

    total: int = 256
    per_address: int = 128
    handshake: float = 10.0
    head: float = 20.0
    silence: float = 120.0
    slow_client: float = LONGEST


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


class Awaited(Enum):
    """What a connection waits for, from its client."""

    OPENING = auto()
    """Its first byte, and all of its TLS handshake."""
    REQUEST = auto()
    HEAD = auto()
    """The rest of a head."""
    READING = auto()
    """That it takes what it was sent: there is nothing else to do."""


class Connection(Protocol):
    """A client's connection; ``since`` is when it began to be idle or, if it never was, when it came (seconds)."""

    @property
    def address(self) -> str:
        """The client's address."""

    @property
    def stage(self) -> Stage:
        """What it does now."""

    @property
    def since(self) -> float:
        """Since when it is idle."""


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


NONE: Final = "none"
"""There is no connection that may be closed for another one."""

C = TypeVar("C", bound=Connection)


class Connections(Generic[C]):
    """The connections of all clients, by address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: dict[str, dict[C, None]] = {}
        self.counts: Final = Counts()

    def __iter__(self) -> Iterator[C]:
        """Give all of them; they may change meanwhile."""
        return iter([each for connections in self._by_address.values() for each in connections])

    def displaced_by(self, address: str) -> C | str | None:
        """Choose the connection that is closed so that there is room for another one from ``address``.

        None if there is room already, ``NONE`` if no connection may be closed.
        """
        own = self._by_address.get(address, {})
        if len(own) >= self._limits.per_address:
            return first_to_close(own) or NONE
        if self.counts.open < self._limits.total:
            return None
        # The address with the most connections gives one.
        for connections in sorted(self._by_address.values(), key=len, reverse=True):
            if connection := first_to_close(connections):
                return connection
        return NONE

    def add(self, connection: C) -> None:
        """Count a connection."""
        self._by_address.setdefault(connection.address, {})[connection] = None
        self.counts.open += 1

    def remove(self, connection: C) -> None:
        """Count it no more; it may have been removed before."""
        connections = self._by_address.get(connection.address, {})
        if connection in connections:
            del connections[connection]
            self.counts.open -= 1
        if not connections:
            self._by_address.pop(connection.address, None)


def first_to_close(connections: Iterable[C]) -> C | None:
    """Choose the connection to close when there is need of room: none that is at work."""
    first = min(connections, key=lambda each: (each.stage, each.since), default=None)
    return None if first is None or first.stage is Stage.AT_WORK else first
