"""The Digest login (RFC 7616) that the proxy demands from its own clients.

Owns the challenge, the nonces and the check of a client's ``Authorization``. Passwords of clients are compared here
only. Nothing that came in, and no user name, may get into an error. Pure: time (monotonic seconds) and randomness
come from the caller.

There is one challenge, MD5 with ``qop="auth"``: the only one that every client understands. A nonce is the time of
its issue, a random number and a tag of the client's address, signed, so that nothing is kept of a challenge without a
right login. Of the others ``used_logins`` keeps which logins were used, so that none counts twice.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from smgw_proxy_addon.auth.used_logins import UsedLogins
from smgw_proxy_addon.config.accounts import Account
from smgw_proxy_addon.errors import BadRequestError, LoginRequiredError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.http.digest import Authorization, Challenge, DigestError, parse_authorization, verify
from smgw_proxy_addon.http.rewrite import origin_form

REALM: Final = "smgw-proxy"

LIFETIME: Final = 300.0
"""Seconds for which a nonce can be used."""

_TIME: Final = 8
_RANDOM: Final = 8
_TAG: Final = 8
_SEAL: Final = 16
_COUNTER: Final = re.compile(r"[0-9a-fA-F]{8}")


class ChallengeReason(StrEnum):
    """Why a client is challenged."""

    MISSING = "missing"
    WRONG = "wrong"
    STALE = "stale"
    REPLAYED = "replayed"
    MALFORMED = "malformed"


class ClientLogin:
    """Checks clients' logins against a list of accounts; ``random`` gives so many unpredictable bytes."""

    def __init__(self, accounts: Sequence[Account], random: Callable[[int], bytes]) -> None:
        self._names = [list(map(_to_bytes, _encode(account.username))) for account in accounts]
        self._secrets = [_spell(account) for account in accounts]
        self._random = random
        self._key = random(32)
        self._opaque = random(16).hex()
        # Checked for an unknown user, so that the time does not tell which names exist.
        self._nobody = _spell(Account(random(16).hex(), random(16).hex()))
        self._used = UsedLogins(_to_milliseconds(-LIFETIME))

    def find_guessed_user(self, given: Authorization) -> str | None:
        """Return the user name whose password is tried, None if a login with this nonce was right before.

        Whoever has overheard such a nonce can try passwords without the proxy.
        """
        account = self._used.account_of(_split_nonce(given.nonce)[0])
        if account is None:
            return given.username
        name = _to_bytes(given.username)
        known = [hmac.compare_digest(name, each) for each in self._names[account]]
        return None if any(known) else given.username

    def check(
        self, given: Authorization | ChallengeReason, method: bytes, target: bytes, now: float, *, address: str
    ) -> int:
        """Return the position of the account that the request belongs to.

        ``given`` is what ``read_login`` made of its headers, ``target`` is its target in origin form, ``now`` are
        monotonic seconds, ``address`` is the client's. Raises ``LoginRequiredError``, whose ``detail`` is a
        ``ChallengeReason``.
        """
        if isinstance(given, ChallengeReason):
            raise self._challenge(given, now, address)
        account = self._find_account(given, _signed_methods(method, target))
        if account is None or not _is_for_target(given, target):
            raise self._challenge(ChallengeReason.WRONG, now, address)
        if reason := self._use(given, account, now, address):
            raise self._challenge(reason, now, address)
        return account

    def _challenge(self, reason: ChallengeReason, now: float, address: str) -> LoginRequiredError:
        # The password was right: the client can try again without asking a person (RFC 7616 section 3.3).
        stale = reason in (ChallengeReason.STALE, ChallengeReason.REPLAYED)
        nonce = self._make_nonce(now, address)
        challenge = Challenge(REALM, nonce, "MD5", ("auth",), self._opaque, stale)
        return LoginRequiredError(reason, challenge=challenge.header())

    def _find_account(self, given: Authorization, methods: Sequence[str]) -> int | None:
        name = _to_bytes(given.username)
        known = None
        for position, names in enumerate(self._names):
            # Every name is compared in full, so that the time tells nothing.
            for each in names:
                if hmac.compare_digest(name, each):
                    known = position
        logins = self._nobody if known is None else self._secrets[known]
        right = [
            verify(replace(given, username=username), password=password, method=method)
            for username, password in logins
            for method in methods
        ]
        return known if any(right) else None

    def _make_nonce(self, now: float, address: str) -> str:
        begin = _to_milliseconds(now).to_bytes(_TIME) + self._random(_RANDOM)
        content = begin + self._tag(begin, address)
        return (content + self._seal(content)).hex()

    def _tag(self, begin: bytes, address: str) -> bytes:
        return hmac.digest(self._key, b"address" + begin + address.encode(), hashlib.sha256)[:_TAG]

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:_SEAL]

    def _use(self, given: Authorization, account: int, now: float, address: str) -> ChallengeReason | None:
        """Use the nonce and its counter; returns why that is not possible."""
        content, seal = _split_nonce(given.nonce)
        if len(content) != _TIME + _RANDOM + _TAG or not hmac.compare_digest(seal, self._seal(content)):
            return ChallengeReason.STALE  # of an earlier run of the proxy, or forged
        if given.opaque and given.opaque != self._opaque:
            return ChallengeReason.STALE  # of another challenge; not every client returns it
        issued = int.from_bytes(content[:_TIME])
        self._used.forget(_to_milliseconds(now - LIFETIME))  # negative soon after the computer's start
        if self._used.is_too_old(issued):
            return ChallengeReason.STALE
        owner = hmac.compare_digest(content[-_TAG:], self._tag(content[:-_TAG], address))
        counter, cnonce = int(given.nc or "", 16), given.cnonce or ""
        taken = self._used.take(content, issued, account, counter, cnonce, owner=owner)
        return None if taken else ChallengeReason.REPLAYED


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


def _spell(account: Account) -> list[tuple[str, str]]:
    """Return name and password in each encoding; always the same number of pairs."""
    return list(zip(_encode(account.username), _encode(account.password), strict=True))


def _encode(text: str) -> tuple[str, str]:
    """Return a text as ``digest`` has it of clients that encode in UTF-8, and of older ones (RFC 7616 section 4)."""
    try:
        return text, text.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text, text


def _signed_methods(method: bytes, target: bytes) -> tuple[str, ...]:
    """Return the methods that a login may have signed: PPC's gateways take a POST that was signed as GET.

    TRuDI sends such ones. For all other targets the method is the request's own.
    """
    own = method.decode("latin-1")
    return (own, "GET") if method == b"POST" and target.partition(b"?")[0] == ppc_session.CGI else (own,)


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
