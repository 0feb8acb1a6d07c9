"""How many connections clients may have, and whose is closed when a new one finds no room.

The threats: a device that opens connections and never closes them, and one that sends its requests byte by byte.
Neither may keep a client out that asks as it should, not even one at the same address. So a new connection always
gets in, in the place of one that is not at work: first of one that has never sent a whole request, then of the one
that has been idle for longest, then of one that is still sending.

Pure: connections are told by their address, stage and age.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import NamedTuple, Protocol, TypeVar

from smgw_proxy_addon.errors import TooManyConnectionsError
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
    """A connection of the client ``peer``, which is idle or, if it never was, there ``since`` (seconds)."""

    peer: str
    since: float

    @property
    def stage(self) -> Stage:
        """What it does now."""


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


C = TypeVar("C", bound=Connection)


def choose_displaced(peer: str, connections: Collection[C], limits: Limits) -> C | None:
    """Choose the connection that is closed so that there is room for another one from ``peer``.

    None if there is room already. Raises TooManyConnectionsError if no connection may be closed.
    """
    by_address: defaultdict[str, list[C]] = defaultdict(list)
    for each in connections:
        by_address[each.peer].append(each)
    # The address with the most connections gives one.
    crowds = sorted(by_address.values(), key=len, reverse=True)
    if len(by_address[peer]) >= limits.per_address:
        crowds = [by_address[peer]]
    elif len(connections) < limits.total:
        return None
    for crowd in crowds:
        if connection := first_to_close(crowd):
            return connection
    raise TooManyConnectionsError


def first_to_close(connections: Iterable[C]) -> C | None:
    """Choose the connection to close when there is need of room: none that is at work."""
    first = min(connections, key=lambda each: (each.stage, each.since), default=None)
    return None if first is None or first.stage is Stage.AT_WORK else first
