"""Which logins of clients were used, so that none counts twice: by nonce, counter (``nc``) and ``cnonce``.

A counter that comes again with another ``cnonce`` is taken from the owner of the nonce only, the address that got
it: some clients keep the nonce and count from 1 in each run. Counters may come in any order: parallel requests
overtake each other. The memory is bounded; what is forgotten is taken for too old, so that it cannot be used again.
Pure: times are milliseconds of the caller's clock.
"""

from dataclasses import dataclass, field
from typing import Final

LOGINS: Final = 8192
"""Logins that are kept of all nonces together, at most about 5 MB: 27 for each second of a nonce's life."""


@dataclass(slots=True)
class _Used:
    """The logins with one nonce: the hashes of the ``cnonce`` values of each counter."""

    issued: int
    account: int
    logins: dict[int, list[int]] = field(default_factory=dict, repr=False)


class UsedLogins:
    """The logins that were used; nonces issued at or before ``too_old`` are too old to be used."""

    def __init__(self, too_old: int) -> None:
        self._nonces: dict[bytes, _Used] = {}
        self._too_old = too_old
        self.size = 0
        """How many logins are kept."""

    def account_of(self, nonce: bytes) -> int | None:
        """Return the account that logged in with this nonce, None if none did."""
        used = self._nonces.get(nonce)
        return None if used is None else used.account

    def is_too_old(self, issued: int) -> bool:
        """Tell whether a nonce that was issued then is too old."""
        return issued <= self._too_old

    def take(self, nonce: bytes, issued: int, account: int, counter: int, cnonce: str, *, owner: bool) -> bool:
        """Use a login; returns False if that is not possible.

        ``owner``: it comes from the address that got the nonce.
        """
        known = self._nonces.setdefault(nonce, _Used(issued, account)).logins.setdefault(counter, [])
        if known and (not owner or hash(cnonce) in known):
            return False
        known.append(hash(cnonce))
        self.size += 1
        if self.size > LOGINS:  # the older half of the nonces goes
            self._drop(sorted(used.issued for used in self._nonces.values())[(len(self._nonces) - 1) // 2])
        return True

    def forget(self, too_old: int) -> None:
        """Forget the nonces that were issued at or before ``too_old``, once the first one that was used is."""
        self._too_old = max(self._too_old, too_old)
        if self._nonces and next(iter(self._nonces.values())).issued <= self._too_old:
            self._drop(self._too_old)

    def _drop(self, too_old: int) -> None:
        self._too_old = max(self._too_old, too_old)
        self._nonces = {nonce: used for nonce, used in self._nonces.items() if used.issued > self._too_old}
        self.size = sum(len(cnonces) for used in self._nonces.values() for cnonces in used.logins.values())
