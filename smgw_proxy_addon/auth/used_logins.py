"""Which logins of clients were used, so that none counts twice: by nonce, counter (``nc``) and ``cnonce``.

A counter that comes again with another ``cnonce`` is taken from the owner of the nonce only, the address that got it:
some clients keep the nonce and count from 1 in each run. The memory is bounded; what is forgotten is taken for too
old, so that it cannot be used again. Pure: times are milliseconds of the caller's clock.
"""

from dataclasses import dataclass, field
from typing import Final

NONCES: Final = 4096
"""Nonces that are kept: many clients log in anew, with a new nonce, for each request."""

LOGINS: Final = 16384
"""Logins that are kept of all nonces together, about 3 MB."""

WINDOW: Final = 256
"""How far a nonce's counters may be out of order: parallel requests overtake each other."""

REPEATS: Final = 256
"""How often the counters of one nonce may come again with another ``cnonce``."""


@dataclass(slots=True)
class _Used:
    """The logins with one nonce: the hashes of the ``cnonce`` values of each counter."""

    issued: int
    account: int
    highest: int = 0
    repeats: int = 0
    logins: dict[int, list[int]] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return sum(map(len, self.logins.values()))

    def take(self, counter: int, cnonce: int, *, owner: bool) -> bool:
        known = self.logins.get(counter)
        if known is not None:
            if not owner or cnonce in known or self.repeats >= REPEATS:
                return False
            self.repeats += 1
            known.append(cnonce)
            return True
        if counter <= self.highest - WINDOW:
            return False  # forgotten, or never used
        self.logins[counter] = [cnonce]
        self.highest = max(self.highest, counter)
        if len(self.logins) > 2 * WINDOW:
            self.logins = {key: each for key, each in self.logins.items() if key > self.highest - WINDOW}
        return True


class UsedLogins:
    """The logins that were used; nonces issued at or before ``too_old`` are too old to be used."""

    def __init__(self, too_old: int) -> None:
        self._nonces: dict[bytes, _Used] = {}
        self._too_old = too_old
        self._taken = 0
        """How many logins are kept at most."""

    @property
    def nonces(self) -> int:
        """How many nonces are kept."""
        return len(self._nonces)

    @property
    def logins(self) -> int:
        """How many logins are kept."""
        return sum(used.size for used in self._nonces.values())

    def account_of(self, nonce: bytes) -> int | None:
        """Return the account that logged in with this nonce, None if none did."""
        used = self._nonces.get(nonce)
        return None if used is None else used.account

    def is_too_old(self, issued: int) -> bool:
        """Tell whether a nonce that was issued then is too old."""
        return issued <= self._too_old

    def take(self, nonce: bytes, issued: int, account: int, counter: int, cnonce: str, *, owner: bool) -> bool:
        """Use a login; returns False if that is not possible, or if it is too late to tell.

        ``owner``: it comes from the address that got the nonce.
        """
        used = self._nonces.get(nonce)
        if used is None:
            used = self._nonces[nonce] = _Used(issued, account)
        if not used.take(counter, hash(cnonce), owner=owner):
            return False
        self._taken += 1
        self._make_room()
        return True

    def forget(self, too_old: int) -> None:
        """Forget the nonces that were issued at or before ``too_old``."""
        self._too_old = max(self._too_old, too_old)
        if self._nonces and next(iter(self._nonces.values())).issued <= self._too_old:
            self._drop()

    def _make_room(self) -> None:
        """Forget the oldest nonces when there is too much."""
        if len(self._nonces) <= NONCES and self._taken <= LOGINS:
            return
        kept = 0
        for number, used in enumerate(sorted(self._nonces.values(), key=lambda each: -each.issued), start=1):
            kept += used.size
            if number > NONCES * 7 // 8 or kept > LOGINS * 7 // 8:
                self._too_old = max(self._too_old, used.issued)
                break
        self._drop()

    def _drop(self) -> None:
        self._nonces = {nonce: used for nonce, used in self._nonces.items() if used.issued > self._too_old}
        self._taken = self.logins
