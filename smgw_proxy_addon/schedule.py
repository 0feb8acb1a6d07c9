"""Who may talk to the gateway now, who waits, who is refused; and how long a silent connection may be kept.

Gateways lock up under parallel requests, so there are few places (one, unless the user asks for more), handed
out first come, first served. Pure: no waiting is done here. The caller asks, is told, and says when a place
is free.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

IDLE_LIMIT_UNSEEN: Final = 540.0
"""Seconds that a silent connection is kept before a limit was seen: Theben closes after 600 s."""

MAX_AGE: Final = 47 * 3600.0
"""Seconds after which a connection is replaced: Theben ends a TLS session after 48 h."""

SAFE_SHARE: Final = 0.8
"""The share of a limit that was seen which is used."""

MEMORY: Final = 24 * 3600.0
"""Seconds after which a limit is forgotten: a gateway that restarted looks like one that closes early."""

NOT_AN_IDLE_LIMIT: Final = 1.0
"""A gateway that closes within this many seconds did not wait for anything: it closes after each answer."""


class Turn(Enum):
    """What a ticket's owner may do."""

    GO = auto()
    WAIT = auto()
    REFUSED = auto()


@dataclass(eq=False)
class Ticket:
    """One request's claim to a place; compared by identity."""

    turn: Turn = Turn.WAIT


@dataclass
class Schedule:
    """``places`` requests at a time at the gateway, and at most ``room`` that wait for a place."""

    places: int
    room: int
    _active: set[Ticket] = field(default_factory=set)
    _waiting: deque[Ticket] = field(default_factory=deque)

    @property
    def active(self) -> int:
        """How many are at the gateway."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def ask(self) -> Ticket:
        """Ask for a place; the ticket's ``turn`` is the answer."""
        ticket = Ticket()
        if len(self._active) < self.places:
            ticket.turn = Turn.GO
            self._active.add(ticket)
        elif len(self._waiting) < self.room:
            self._waiting.append(ticket)
        else:
            ticket.turn = Turn.REFUSED
        return ticket

    def leave(self, ticket: Ticket) -> Ticket | None:
        """Give up a place or the wait for one; returns the ticket that may go now, if any."""
        if ticket in self._active:
            self._active.remove(ticket)
        elif ticket in self._waiting:
            self._waiting.remove(ticket)
        if not self._waiting or len(self._active) >= self.places:
            return None
        following = self._waiting.popleft()
        following.turn = Turn.GO
        self._active.add(following)
        return following


@dataclass
class Lifetime:
    """How long a connection may be kept, from what this gateway was seen to do. ``now`` is in seconds."""

    _limit_seen: float | None = None
    _seen_at: float = 0.0

    def idle_limit(self, now: float) -> float:
        """Give the seconds of silence after which a connection is retired."""
        if self._limit_seen is None or now - self._seen_at > MEMORY:
            return IDLE_LIMIT_UNSEEN
        return self._limit_seen * SAFE_SHARE

    def gateway_closed(self, idle: float, now: float) -> None:
        """Learn that the gateway closed a connection after ``idle`` seconds of silence."""
        if idle >= NOT_AN_IDLE_LIMIT:
            self._limit_seen, self._seen_at = idle, now

    def keep(self, age: float, now: float) -> float:
        """Give the seconds that a connection of this ``age`` (seconds) may be silent from now, 0 if it must go."""
        return max(0.0, min(self.idle_limit(now), MAX_AGE - age))
