"""How fast passwords can be guessed: how long a login has to wait before it is checked.

Owns the count of wrong logins, by address and user name. Each costs a second; ``FREE`` of them at once cost nothing,
and who owes more waits a second for each login, right or wrong, before anybody looks at it. What waits is the check
and not its answer, so that nothing is learnt before its turn; and a right login is never counted, so that a client
that shares address and user name with a broken one is a few seconds late, and no other one is touched.

Pure: ``now`` are monotonic seconds. Must never hold or tell a user name.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from typing import Final

PACE: Final = 1.0
"""Seconds that a wrong login costs."""

FREE: Final = 10
"""Wrong logins at once that cost nothing: a program whose password is wrong asks every few seconds at most."""

PLACES: Final = 8
"""Logins of one address that may wait, so that none waits for much longer than 8 s: clients give up after 10 s."""

PLACES_IN_ALL: Final = 64
"""Logins that may wait: a quarter of the connections that clients may have."""

LARGEST: Final = 4096
"""Debts that are remembered; beyond that, the smallest ones are forgotten."""

VOUCHED: Final = 256
"""IPv6 addresses that are counted on their own."""

TOLD: Final = 64
"""Addresses at once that are told as slowed down."""

_NETWORK: Final = 64


@dataclass(frozen=True)
class Turn:
    """A login may be checked in ``wait`` seconds; it is to be given back to ``Guesses.settle``, checked or not."""

    place: str
    user: int
    wait: float


class Guesses:
    """Gives each login its turn.

    ``tell`` is told an address (of IPv6, its network) and True when its logins begin to wait, and False when all that
    it owes is paid, which is noticed at the next login of anybody.
    """

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._paid: dict[tuple[str, int], float] = {}
        """When the debt of an address with a user name will be paid."""
        self._waiting: Counter[str] = Counter()
        self._vouched: dict[str, None] = {}
        self._slowed: dict[str, float] = {}

    @property
    def remembered(self) -> int:
        """How many debts, waiting logins and addresses it knows of."""
        return len(self._paid) + len(self._waiting) + len(self._vouched) + len(self._slowed)

    def ask(self, address: str, username: str, now: float) -> Turn | None:
        """Give a login its turn, None if too many wait."""
        self._let_go(now)
        place = address if address in self._vouched else _place(address)
        user = hash(username)
        paid = max(self._paid.get((place, user), now), now) + PACE
        wait = max(paid - now - FREE * PACE, 0.0)
        if wait:
            self._slow_down(place, paid)
            if self._waiting[place] >= PLACES or self._waiting.total() >= PLACES_IN_ALL:
                return None
            self._waiting[place] += 1
        self._paid[place, user] = paid
        self._make_room(now)
        return Turn(place, user, wait)

    def settle(self, turn: Turn, now: float, *, wrong: bool) -> None:
        """Take a turn back; only a wrong login has to be paid."""
        if turn.wait:
            self._waiting[turn.place] -= 1
            if not self._waiting[turn.place]:
                del self._waiting[turn.place]
        who = turn.place, turn.user
        if not wrong and who in self._paid:
            self._paid[who] -= PACE
            if self._paid[who] <= now:
                del self._paid[who]

    def vouch(self, address: str) -> None:
        """Count an IPv6 address on its own, since a right login came from it.

        The others are counted by their network: each device of it can take as many addresses as it likes.
        """
        if ":" in address:
            self._vouched.pop(address, None)
            self._vouched[address] = None
            if len(self._vouched) > VOUCHED:
                del self._vouched[next(iter(self._vouched))]

    def _slow_down(self, place: str, paid: float) -> None:
        if place in self._slowed:
            self._slowed[place] = max(self._slowed[place], paid)
        elif len(self._slowed) < TOLD:
            self._slowed[place] = paid
            self._tell(place, True)

    def _let_go(self, now: float) -> None:
        for place in [place for place, paid in self._slowed.items() if paid <= now]:
            del self._slowed[place]
            self._tell(place, False)

    def _make_room(self, now: float) -> None:
        if len(self._paid) > LARGEST:
            owed = [each for each in self._paid.items() if each[1] > now]
            self._paid = dict(nlargest(LARGEST * 7 // 8, owed, key=itemgetter(1)))


def _place(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _NETWORK), strict=False))
    except ValueError:
        return address
