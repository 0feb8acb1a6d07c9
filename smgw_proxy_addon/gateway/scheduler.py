"""Who may talk to the gateway now, who waits, who is refused; and how long a silent connection may be kept.

Gateways lock up under parallel requests, so there are few places (one, unless the user asks for more). They are
handed out in turn to the addresses that ask, and to the requests of one address in the order of asking; who would
put somebody else's session at risk waits aside. Pure: no waiting is done here. The caller asks, is told, says when a
place is free, and comes back when ``next_change`` says so.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from smgw_proxy_addon.gateway.ppc_session import CgiRequest, Outcome, SessionLease

DOOR: Final = 256
"""Requests that may stand at the door."""

DOOR_PATIENCE: Final = 2.0
"""Seconds that a request stands at the door: a burst on a fast gateway is over by then."""

SESSION_PATIENCE: Final = 8.0
"""Seconds after which a request is not kept waiting for somebody else's session: clients give up at 10 s."""

REMEMBERED: Final = 32
"""Addresses whose turn is remembered while they have nothing to ask."""


class Turn(Enum):
    """What a ticket's owner may do."""

    GO = auto()
    WAIT = auto()
    """In the room."""
    DOOR = auto()
    """Outside of the full room."""
    REFUSED = auto()
    """There was no space."""
    LATE = auto()
    """Its turn has not come in time."""
    BUSY = auto()
    """Somebody else's session did not end in time."""


@dataclass(frozen=True)
class Claim:
    """Who asks for a place (the proxy itself has no address), and what for if it is PPC's CGI."""

    address: str = ""
    cgi: CgiRequest | None = None


@dataclass(eq=False)
class Ticket:
    """One request's claim to a place since it ``asked`` (seconds); compared by identity."""

    claim: Claim
    asked: float
    turn: Turn = Turn.WAIT


class _Line:
    """Tickets that wait: each address has its turn, and its own tickets go in the order of asking."""

    def __init__(self) -> None:
        self._ring: OrderedDict[str, deque[Ticket]] = OrderedDict()
        """By the last turn, the longest ago first; also of addresses that do not wait, or each would be new."""
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Ticket]:
        for queue in self._ring.values():
            yield from queue

    def count(self, address: str) -> int:
        """Tell how many of an address wait."""
        return len(self._ring.get(address, ()))

    def oldest(self) -> float:
        """Tell when the first of those who wait has asked."""
        return min(ticket.asked for ticket in self.heads())

    def add(self, ticket: Ticket) -> None:
        """Take a place at the end."""
        self._ring.setdefault(ticket.claim.address, deque()).append(ticket)
        self._length += 1

    def heads(self) -> Iterator[Ticket]:
        """Yield the first ticket of each address."""
        return (queue[0] for queue in self._ring.values() if queue)

    def remove(self, ticket: Ticket) -> None:
        """Give a place up, if the ticket has one."""
        queue = self._ring.get(ticket.claim.address)
        if queue and ticket in queue:
            queue.remove(ticket)
            self._length -= 1
            if not queue and len(self._ring) > REMEMBERED:
                del self._ring[ticket.claim.address]  # it may never have a turn, and so must not stay

    def had_its_turn(self, address: str) -> None:
        """Put an address behind all others."""
        self._ring.setdefault(address, deque())
        self._ring.move_to_end(address)
        if len(self._ring) > REMEMBERED:
            idle = next((each for each, queue in self._ring.items() if not queue and each != address), None)
            if idle is not None:
                del self._ring[idle]


@dataclass
class Schedule:
    """``places`` requests at a time at the gateway, and at most ``room`` that wait for a place.

    One address fills half of the room at most. Who finds no space stands at the ``door`` for a short time. The
    patiences are the seconds that a request waits in all, at the door, and for somebody else's session.
    """

    places: int
    room: int
    patience: float
    door: int = DOOR
    door_patience: float = DOOR_PATIENCE
    session_patience: float = SESSION_PATIENCE
    session: SessionLease = field(default_factory=SessionLease)
    _active: set[Ticket] = field(default_factory=set, init=False)
    _inside: _Line = field(default_factory=_Line, init=False)
    _outside: _Line = field(default_factory=_Line, init=False)

    @property
    def active(self) -> int:
        """How many are at the gateway."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """How many wait for a place, in the room or at the door."""
        return len(self._inside) + len(self._outside)

    def ask(self, claim: Claim, now: float) -> Ticket:
        """Ask for a place; the ticket's ``turn`` is the answer."""
        ticket = Ticket(claim, now)
        if not self.session.free:
            newcomer = self._is_other(ticket)
            self.session.give_way(now, others=newcomer or any(map(self._is_other, self._everybody())))
            if newcomer and not self.waiting:
                self.session.expire(now, wanted=False)
        if len(self._active) < self.places and self._may_go(ticket):
            self._let_go(ticket)
        elif self._fits(ticket):
            self._inside.add(ticket)
        elif len(self._outside) < self.door:
            ticket.turn = Turn.DOOR
            self._outside.add(ticket)
        else:
            ticket.turn = Turn.REFUSED
        return ticket

    def note(self, ticket: Ticket, outcome: Outcome, now: float) -> None:
        """Note what the answer to a request for the CGI means for the session."""
        if ticket.claim.cgi is not None:
            self.session.note(ticket.claim.cgi, outcome, now)

    def leave(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Give up a place or the wait for one; returns the tickets that may go now."""
        if ticket in self._active:
            self._active.remove(ticket)
            if ticket.claim.cgi is not None:
                self.session.end(ticket.claim.cgi, now)
        else:
            self._inside.remove(ticket)
            self._outside.remove(ticket)
        return self._admit(now)

    def advance(self, now: float) -> list[Ticket]:
        """Let time pass; returns the tickets that may go now and those that have waited for too long."""
        admitted = self._admit(now)
        late = [ticket for line in (self._inside, self._outside) for ticket in line if self._give_up(ticket, now)]
        for ticket in late:
            self._inside.remove(ticket)
            self._outside.remove(ticket)
        # Once more: a holder that gave way to those who are late now may go on.
        self._enter()
        return admitted + late + self._admit(now)

    def next_change(self) -> float | None:
        """Tell when to ``advance``: the earliest time at which there is something to return, if any."""
        if not self.waiting:
            return None
        changes = []
        if self._inside:
            changes.append(self._inside.oldest() + self.patience)
        if self._outside:
            changes.append(self._outside.oldest() + self.door_patience)
        if not self.session.free:
            barred = [ticket.asked for ticket in self._everybody() if not self._may_go(ticket)]
            if barred:
                changes.append(min(barred) + self.session_patience)
                ends = self.session.ends_at(wanted=self._holder_waits())
                changes += [] if ends is None else [ends]
        return min(changes)

    def _admit(self, now: float) -> list[Ticket]:
        if not self.waiting:
            return []
        if not self.session.free:
            others = any(map(self._is_other, self._everybody()))
            self.session.give_way(now, others=others)
            if others:
                self.session.expire(now, wanted=self._holder_waits())
        admitted = []
        while len(self._active) < self.places:
            # From the door only if nobody in the room may go: all of those wait for a session.
            ticket = next(filter(self._may_go, self._everybody()), None)
            if ticket is None:
                break
            self._inside.remove(ticket)
            self._outside.remove(ticket)
            self._let_go(ticket)
            admitted.append(ticket)
        self._enter()
        return admitted

    def _enter(self) -> None:
        """Let those at the door into the room while there is space."""
        while (ticket := next(filter(self._fits, self._outside.heads()), None)) is not None:
            self._outside.remove(ticket)
            self._outside.had_its_turn(ticket.claim.address)
            ticket.turn = Turn.WAIT
            self._inside.add(ticket)

    def _let_go(self, ticket: Ticket) -> None:
        ticket.turn = Turn.GO
        self._active.add(ticket)
        self._inside.had_its_turn(ticket.claim.address)
        if ticket.claim.cgi is not None:
            self.session.begin(ticket.claim.cgi)

    def _give_up(self, ticket: Ticket, now: float) -> bool:
        """Tell a ticket that has waited for too long."""
        if not self._may_go(ticket) and now >= ticket.asked + self.session_patience:
            ticket.turn = Turn.BUSY
        elif ticket.turn is Turn.DOOR and now >= ticket.asked + self.door_patience:
            ticket.turn = Turn.REFUSED
        elif now >= ticket.asked + self.patience:
            ticket.turn = Turn.LATE
        else:
            return False
        return True

    def _may_go(self, ticket: Ticket) -> bool:
        return ticket.claim.cgi is None or self.session.may_go(ticket.claim.cgi)

    def _fits(self, ticket: Ticket) -> bool:
        share = max(1, self.room // 2)
        return len(self._inside) < self.room and self._inside.count(ticket.claim.address) < share

    def _holder_waits(self) -> bool:
        return any(ticket.claim.cgi and self.session.holds(ticket.claim.cgi) for ticket in self._everybody())

    def _is_other(self, ticket: Ticket) -> bool:
        cgi = ticket.claim.cgi
        return cgi is not None and not self.session.holds(cgi) and not self.session.yields(cgi)

    def _everybody(self) -> Iterator[Ticket]:
        yield from self._inside
        yield from self._outside
