"""How fast passwords can be guessed: how long a login is delayed before it is checked.

Owns the count of wrong logins, by address and user name, as leaky buckets: a wrong login adds ``INTERVAL`` seconds,
which drain as time passes. ``BURST`` wrong logins at once are free; beyond them each login, right or wrong, is
delayed by the excess. The check is delayed and not its answer, so that nothing is learnt before. A right login adds
nothing: a client that shares address and user name with a broken one is a few seconds late, and no other is delayed.

Pure: ``now`` are monotonic seconds. Must never hold or report a user name.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from typing import Final

INTERVAL: Final = 1.0
"""Seconds that a wrong login costs."""

BURST: Final = 10
"""Wrong logins at once that cost nothing: a program whose password is wrong asks every few seconds at most."""

MOST_DELAYED: Final = 8
"""Logins of one source that may be delayed at once, so that none waits for much longer than 8 s: clients give up
after 10 s."""

MOST_DELAYED_IN_ALL: Final = 64
"""Logins that may be delayed at once: a quarter of the connections that clients may have."""

MOST_BUCKETS: Final = 4096
"""Buckets that are kept; beyond that, the emptiest ones are forgotten."""

MOST_COUNTED_ALONE: Final = 256
"""IPv6 addresses that are counted on their own."""

MOST_REPORTED: Final = 64
"""Sources at once that are reported as slowed down."""

_NETWORK: Final = 64
"""Length of the IPv6 prefix by which addresses are counted."""


@dataclass(frozen=True)
class Reservation:
    """A login may be checked in ``delay`` seconds; then it is to be given to ``Throttle.settle``, checked or not.

    ``source`` is the client's address (of IPv6, its network).
    """

    source: str
    user: int
    delay: float


class Throttle:
    """Delays logins.

    ``report`` is called with a source and True when its logins begin to be delayed, and with False when its buckets
    have drained, which is noticed at the next login of anybody.
    """

    def __init__(self, report: Callable[[str, bool], None]) -> None:
        self._report = report
        self._empty_at: dict[tuple[str, int], float] = {}
        """When the bucket of a source with a user name is empty again."""
        self._delayed: Counter[str] = Counter()
        self._counted_alone: dict[str, None] = {}
        self._slowed: dict[str, float] = {}

    @property
    def size(self) -> int:
        """How many buckets, delayed logins and sources it knows of."""
        return len(self._empty_at) + len(self._delayed) + len(self._counted_alone) + len(self._slowed)

    def reserve(self, address: str, username: str, now: float) -> Reservation | None:
        """Count a login as wrong until it is settled, and give its delay; None if too many are delayed."""
        self._report_drained(now)
        source = address if address in self._counted_alone else _network(address)
        user = hash(username)
        empty_at = max(self._empty_at.get((source, user), now), now) + INTERVAL
        delay = max(empty_at - now - BURST * INTERVAL, 0.0)
        if delay:
            self._slow_down(source, empty_at)
            if self._delayed[source] >= MOST_DELAYED or self._delayed.total() >= MOST_DELAYED_IN_ALL:
                return None
            self._delayed[source] += 1
        self._empty_at[source, user] = empty_at
        self._make_room(now)
        return Reservation(source, user, delay)

    def settle(self, reservation: Reservation, now: float, *, wrong: bool) -> None:
        """End a reservation; only a wrong login stays in its bucket."""
        if reservation.delay:
            self._delayed[reservation.source] -= 1
            if not self._delayed[reservation.source]:
                del self._delayed[reservation.source]
        bucket = reservation.source, reservation.user
        if not wrong and bucket in self._empty_at:
            self._empty_at[bucket] -= INTERVAL
            if self._empty_at[bucket] <= now:
                del self._empty_at[bucket]

    def count_alone(self, address: str) -> None:
        """Count an IPv6 address on its own, since a right login came from it.

        The others are counted by their network: each device of it can take as many addresses as it likes.
        """
        if ":" in address:
            self._counted_alone.pop(address, None)
            self._counted_alone[address] = None
            if len(self._counted_alone) > MOST_COUNTED_ALONE:
                del self._counted_alone[next(iter(self._counted_alone))]

    def _slow_down(self, source: str, empty_at: float) -> None:
        if source in self._slowed:
            self._slowed[source] = max(self._slowed[source], empty_at)
        elif len(self._slowed) < MOST_REPORTED:
            self._slowed[source] = empty_at
            self._report(source, True)

    def _report_drained(self, now: float) -> None:
        for source in [source for source, empty_at in self._slowed.items() if empty_at <= now]:
            del self._slowed[source]
            self._report(source, False)

    def _make_room(self, now: float) -> None:
        if len(self._empty_at) > MOST_BUCKETS:
            filled = [each for each in self._empty_at.items() if each[1] > now]
            self._empty_at = dict(nlargest(MOST_BUCKETS * 7 // 8, filled, key=itemgetter(1)))


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _NETWORK), strict=False))
    except ValueError:
        return address
