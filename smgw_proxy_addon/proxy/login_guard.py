"""Which logins of clients are held back, because the gateway refused the ones before: gateways lock up after a few.

Owns how often a user name was refused in a row from one address. After ``REFUSALS`` its logins from there are held
back, first for ``SHORTEST`` seconds, then twice as long each time. A refusal of an old nonce may come from its age
and not from the password, and not every gateway says ``stale`` then: it counts towards ``IN_ALL`` only. Pure: ``now``
are monotonic seconds. User names are kept as keyed hashes and must not get into a ``repr``.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass, field
from typing import Final

REFUSALS: Final = 3
"""Refused passwords in a row after which logins are held back."""

IN_ALL: Final = 4
"""The same, with refusals that may come from an old nonce: gateways lock after five."""

SHORTEST: Final = 60.0
LONGEST: Final = 900.0
"""Seconds for which logins are held back."""

TRUSTED: Final = 300.0
"""Seconds after an accepted login in which no login of that user name from there is held back."""

FORGOTTEN: Final = 3600.0
"""Seconds after the last refusal, or after the end of the hold, in which it is remembered."""

NEW: Final = 60.0
"""Seconds for which a nonce is new: a refusal is one of the password then."""

MOST: Final = 1024
"""Records that are kept: one for each user name and address."""


Who = tuple[str, bytes]
"""An address, and what stands for a user name there: nothing for a login without one."""


@dataclass(slots=True)
class _Record:
    changed: float
    accepted: float = -math.inf
    refusals: int = 0
    in_all: int = 0
    holds: int = 0
    until: float = -math.inf
    nonce: int = field(default=0, repr=False)
    """Hash of the nonce that was refused last."""


class LoginGuard:
    """Counts refusals, and says for how long a login is held back; ``key`` is random."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._records: dict[Who, _Record] = {}
        """The one that was changed last at the end."""
        self._newest: tuple[int, float] = (0, -math.inf)
        """Hash of the nonce that the gateway handed out last, and when."""

    @property
    def size(self) -> int:
        """How many records are kept."""
        return len(self._records)

    def identify(self, address: str, username: bytes) -> Who:
        """Return who logs in; an empty name stands for a login without one."""
        return address, username and hmac.digest(self._key, username, hashlib.sha256)[:16]

    def seconds_left(self, who: Who, now: float) -> float:
        """Return for how long a login is held back, 0 if it may be sent."""
        record = self._records.get(who)
        return max(0.0, record.until - now) if record else 0.0

    def trusts(self, who: Who, now: float) -> bool:
        """Tell whether a login was accepted not long ago, and none was refused since."""
        record = self._records.get(who)
        return record is not None and not record.in_all and now - record.accepted < TRUSTED

    def handed_out(self, nonce: str, now: float) -> None:
        """Note a nonce of the gateway's challenge."""
        self._newest = hash(nonce), now

    def accepted(self, who: Who, now: float) -> None:
        """Note that the gateway took a login: all refusals before it are forgotten.

        Also those of logins without a user name from there: some clients try another scheme first.
        """
        self._records.pop((who[0], b""), None)
        self._store(who, _Record(now, accepted=now))

    def refused(self, who: Who, nonce: str | None, now: float) -> float:
        """Note that the gateway refused a login, whose ``nonce`` is None if it had none or the close may be a fault.

        Returns for how many seconds further ones are held back from now on, 0 if they are not.
        """
        record = self._records.get(who)
        if record is None or now - max(record.changed, record.until) >= FORGOTTEN:
            record = _Record(now)
        record.changed = now
        record.in_all += 1
        if nonce is not None:
            new = (hash(nonce), True) == (self._newest[0], now - self._newest[1] < NEW)
            record.refusals += new or hash(nonce) == record.nonce
            record.nonce = hash(nonce)
        self._store(who, record)
        if (record.refusals < REFUSALS and record.in_all < IN_ALL) or now - record.accepted < TRUSTED:
            return 0.0
        seconds = min(SHORTEST * float(1 << record.holds), LONGEST)
        record.holds = min(record.holds + 1, 8)
        record.until = now + seconds
        # After it one refused password is enough, but not one old nonce: the password may have been corrected.
        record.refusals, record.in_all, record.nonce = REFUSALS - 1, IN_ALL - 2, 0
        return seconds

    def addresses(self, now: float) -> tuple[str, ...]:
        """Return from where logins were held back and none was accepted since, in order."""
        held = {who[0] for who, each in self._records.items() if each.holds and now - each.until < FORGOTTEN}
        return tuple(sorted(held))

    def _store(self, who: Who, record: _Record) -> None:
        self._records.pop(who, None)
        self._records[who] = record
        if len(self._records) > MOST:
            del self._records[next(iter(self._records))]
