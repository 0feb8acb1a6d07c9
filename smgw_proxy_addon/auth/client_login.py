"""The Digest login (RFC 7616) that the proxy demands from its own clients.

Owns the challenge, the nonces and the check of a client's ``Authorization``. Passwords of clients are compared here
only. Nothing that came in, and no user name, may get into a result's ``repr`` or reason. Pure: time (monotonic
seconds) and randomness come from the caller.

There is one challenge, MD5 with ``qop="auth"``: the only one that every client understands. A nonce is the time of
its issue and a random number, signed, so that nothing is kept of a challenge without a right login. Of the others,
the used counters are kept, so that no answer to a challenge counts twice.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from smgw_proxy_addon.errors import BadRequestError
from smgw_proxy_addon.http.digest import Authorization, Challenge, DigestError, parse_authorization, verify
from smgw_proxy_addon.http.rewrite import origin_form

REALM: Final = "smgw-proxy"

LIFETIME: Final = 300.0
"""Seconds for which a nonce can be used."""

NONCES: Final = 4096
"""Nonces whose used counters are kept: many clients log in anew, with a new nonce, for each request."""

WINDOW: Final = 256
"""How far a nonce's counters may be out of order: parallel requests overtake each other."""

_TIME: Final = 8
_RANDOM: Final = 8
_SEAL: Final = 16
_COUNTER: Final = re.compile(r"[0-9a-fA-F]{8}")


class ChallengeReason(StrEnum):
    """Why a client is challenged."""

    MISSING = "missing"
    WRONG = "wrong"
    STALE = "stale"
    REPLAYED = "replayed"
    MALFORMED = "malformed"


@dataclass(frozen=True)
class LoginNeeded:
    """The client has to log in; ``challenge`` is the ``WWW-Authenticate`` value to send."""

    reason: ChallengeReason
    challenge: str = field(repr=False)


class Account(Protocol):
    """A user name and its password."""

    @property
    def username(self) -> str:
        """The name, compared byte for byte."""
        ...

    @property
    def password(self) -> str:
        """The password."""
        ...


@dataclass(slots=True)
class _Used:
    """The counters of one nonce that were used: ``mask`` has a bit for ``highest`` and for each one below it."""

    issued: int
    account: int
    highest: int = 0
    mask: int = 0

    def take(self, counter: int) -> bool:
        """Use a counter; returns False if it was used before, or is too low to tell."""
        ahead = counter - self.highest
        if ahead > 0:
            self.mask = ((self.mask << min(ahead, WINDOW)) | 1) & ((1 << WINDOW) - 1)
            self.highest = counter
            return True
        if -ahead >= WINDOW or self.mask >> -ahead & 1:
            return False
        self.mask |= 1 << -ahead
        return True


class ClientLogin:
    """Checks clients' logins against a list of accounts; ``random`` gives so many unpredictable bytes."""

    def __init__(self, accounts: Sequence[Account], random: Callable[[int], bytes]) -> None:
        self._names = [list(_encode(account.username)) for account in accounts]
        self._secrets = [list(_spell(account)) for account in accounts]
        self._random = random
        self._key = random(32)
        # Checked for an unknown user, so that the time does not tell which names exist.
        self._nobody = list(_spell(_Nobody(random(16).hex(), random(16).hex())))
        self._used: dict[bytes, _Used] = {}
        self._too_old = _to_milliseconds(-LIFETIME)

    @property
    def nonces(self) -> int:
        """How many nonces are kept that were used."""
        return len(self._used)

    def find_guessed_user(self, given: Authorization) -> str | None:
        """Return the user name whose password is tried, None if a login with this nonce was right before.

        Whoever has overheard such a nonce can try passwords without the proxy.
        """
        used = self._used.get(_split_nonce(given.nonce)[0])
        if used is None:
            return given.username
        name = _to_bytes(given.username)
        known = [hmac.compare_digest(name, each) for each in self._names[used.account]]
        return None if any(known) else given.username

    def check(
        self, given: Authorization | ChallengeReason, method: bytes, target: bytes, now: float
    ) -> int | LoginNeeded:
        """Return the position of the account that the request belongs to, or the challenge to answer it with.

        ``given`` is what ``read_login`` made of its headers, ``target`` is its target in origin form, ``now`` are
        monotonic seconds.
        """
        if isinstance(given, ChallengeReason):
            return self._challenge(given, now)
        account = self._find_account(given, method)
        if account is None or not _is_for_target(given, target):
            return self._challenge(ChallengeReason.WRONG, now)
        if reason := self._use(given, account, now):
            return self._challenge(reason, now)
        return account

    def _challenge(self, reason: ChallengeReason, now: float) -> LoginNeeded:
        # The password was right: the client can try again without asking a person (RFC 7616 section 3.3).
        stale = reason in (ChallengeReason.STALE, ChallengeReason.REPLAYED)
        return LoginNeeded(reason, Challenge(REALM, self._make_nonce(now), "MD5", ("auth",), None, stale).header())

    def _find_account(self, given: Authorization, method: bytes) -> int | None:
        name = _to_bytes(given.username)
        known = None
        for position, names in enumerate(self._names):
            # Every name is compared in full, so that the time tells nothing.
            for each in names:
                if hmac.compare_digest(name, each):
                    known = position
        logins = self._nobody if known is None else self._secrets[known]
        right = [
            verify(replace(given, username=username), password=password, method=method.decode("latin-1"))
            for username, password in logins
        ]
        return known if any(right) else None

    def _make_nonce(self, now: float) -> str:
        content = _to_milliseconds(now).to_bytes(_TIME) + self._random(_RANDOM)
        return (content + self._seal(content)).hex()

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:_SEAL]

    def _use(self, given: Authorization, account: int, now: float) -> ChallengeReason | None:
        """Use the nonce and its counter; returns why that is not possible."""
        content, seal = _split_nonce(given.nonce)
        if len(content) != _TIME + _RANDOM or not hmac.compare_digest(seal, self._seal(content)):
            return ChallengeReason.STALE  # of an earlier run of the proxy, or forged
        issued = int.from_bytes(content[:_TIME])
        self._forget(_to_milliseconds(now - LIFETIME))  # negative soon after the computer's start
        if issued <= self._too_old:
            return ChallengeReason.STALE
        used = self._used.get(content)
        if used is None:
            used = self._used[content] = _Used(issued, account)
            self._make_room()
        return None if used.take(int(given.nc or "", 16)) else ChallengeReason.REPLAYED

    def _make_room(self) -> None:
        """Forget the oldest nonces when there are too many: an unknown one is stale."""
        if len(self._used) > NONCES:
            issued = sorted(used.issued for used in self._used.values())
            self._forget(issued[NONCES // 8])

    def _forget(self, too_old: int) -> None:
        self._too_old = max(self._too_old, too_old)
        if len(self._used) > NONCES or (self._used and next(iter(self._used.values())).issued <= self._too_old):
            self._used = {key: used for key, used in self._used.items() if used.issued > self._too_old}


@dataclass(frozen=True)
class _Nobody:
    username: str
    password: str = field(repr=False)


def _split_nonce(nonce: str) -> tuple[bytes, bytes]:
    """Split a nonce into its content and its seal, both empty if the proxy cannot have made it."""
    try:
        raw = bytes.fromhex(nonce)
    except ValueError:
        raw = b""
    return raw[:-_SEAL], raw[-_SEAL:]


def _to_milliseconds(now: float) -> int:
    return int(now * 1000)


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _encode(text: str) -> Iterator[bytes]:
    """Yield a text as clients encode it: in UTF-8, and in Latin-1 as older ones do (RFC 7616 section 4)."""
    yield text.encode()
    try:
        yield text.encode("latin-1")
    except UnicodeEncodeError:
        yield text.encode()


def _spell(account: Account) -> Iterator[tuple[str, str]]:
    """Yield name and password in each encoding, as ``digest`` has them; always the same number of pairs."""
    for name, password in zip(_encode(account.username), _encode(account.password), strict=True):
        yield name.decode("utf-8", "surrogateescape"), password.decode("utf-8", "surrogateescape")


def read_login(authorizations: Iterable[bytes]) -> Authorization | ChallengeReason:
    """Read the answer to a challenge of the proxy, or tell why there is none.

    ``authorizations`` are the values of all ``Authorization`` headers of a request.
    """
    values = list(authorizations)
    if not values:
        return ChallengeReason.MISSING
    if len(values) != 1:
        return ChallengeReason.MALFORMED
    try:
        given = parse_authorization(values[0].decode("utf-8", "surrogateescape"))
    except DigestError:
        return ChallengeReason.MALFORMED
    usual = (given.algorithm or "MD5").lower() == "md5" and given.qop == "auth" and given.cnonce is not None
    counted = given.nc is not None and _COUNTER.fullmatch(given.nc) is not None
    return given if usual and counted else ChallengeReason.MALFORMED


def _is_for_target(given: Authorization, target: bytes) -> bool:
    """Tell whether the login is for this target. A client that sends a URL signs the URL or its path."""
    if given.realm != REALM:
        return False
    signed = _to_bytes(given.uri)
    try:
        return signed == target or origin_form(signed) == target
    except BadRequestError:
        return False
