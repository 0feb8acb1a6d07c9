"""The proxy's own Digest login at the gateway (RFC 7616), and when it must not be tried any more.

Owns one account's state: the gateway's challenge, how often it was answered, and how often the gateway refused the
password. After two refusals in a row nothing is sent with this account until a person says so, because gateways lock
up after some wrong logins. A connection closed instead of an answer means a wrong password at Theben's gateways and
may be a fault at any, so more of them are allowed, with pauses. Pure: time (``now``, monotonic seconds) and
randomness come from the caller. No user name, password or nonce may get into a ``repr``.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Literal

from smgw_proxy_addon.config.accounts import LoginOutcomes
from smgw_proxy_addon.gateway.learnt_limit import LearntLimit
from smgw_proxy_addon.http.digest import Challenge, DigestError, authorize, parse_challenges

DigestAlgorithm = Literal["auto", "md5", "sha-256"]
"""How challenges are answered.

``auto``: the first one offered whose algorithm is known, one with SHA-256 before the others. ``md5``: with MD5, even
if the gateway names another algorithm, as clients do for Theben's firmware whose SHA-256 is broken. ``sha-256``: only
those with SHA-256, so that nobody can talk the proxy down to MD5.
"""

REFUSALS: Final = 2
"""Refused passwords in a row after which the account is stopped."""

FORGIVEN: Final = 2
"""Closed connections in a row that are no refusal of a password that the gateway has taken before."""

PAUSES: Final = (0.0, 60.0, 300.0)
"""Seconds without a login after so many closed connections in a row: a gateway that restarts needs minutes.

An account that was never taken begins with the second, because it has fewer chances.
"""

FORGETFUL: Final = 4
"""Times in a row that a gateway may call a nonce stale that it has just given; beyond that the password is refused.

By RFC 7616 the password is right then, but trying for ever may lock the gateway up.
"""

NO_ACCIDENT: Final = 30.0
"""Seconds since a nonce was used after which its refusal shows that the gateway had forgotten it."""

_NEXT_NONCE: Final = re.compile(r'(?:^|[,\s])nextnonce\s*=\s*"([^"\\]+)"', re.IGNORECASE)


class LoginStatus(StrEnum):
    """What the gateway said last of an account's login."""

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DOUBTED = "doubted"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Attempt:
    """One answer to a challenge.

    ``fresh`` if the gateway had asked just before, for this request; ``idle`` are the seconds for which the nonce
    had not been used.
    """

    authorization: bytes = field(repr=False)
    nonce: str = field(repr=False)
    fresh: bool
    idle: float


class GatewayLogin:
    """One account's login; ``random`` gives so many unpredictable bytes, ``pauses`` are those of ``PAUSES``."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        algorithm: DigestAlgorithm = "auto",
        random: Callable[[int], bytes],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._username = username
        self._password = password
        self._algorithm = algorithm
        self._random = random
        self._pauses = pauses
        self._challenge: Challenge | None = None
        self._fresh = False
        self._cnonce = ""
        self._count = 0
        self._refusals = 0
        self._closed = 0
        self._paused_until = -math.inf
        self._stale = 0
        self._taken = False
        self._taken_lately = False  # since the start
        self._proven = False
        self._used = 0.0
        self._nonce_age = LearntLimit(math.inf)
        """For how long this gateway knows a nonce that is not used."""

    @property
    def initial(self) -> str:
        """The first letter of the user name: all of it that may be shown."""
        return self._username[:1]

    @property
    def status(self) -> LoginStatus:
        """What the gateway said last of the login."""
        if self._refusals:
            return LoginStatus.STOPPED if self.stopped else LoginStatus.REFUSED
        if self._closed:
            return LoginStatus.DOUBTED
        return LoginStatus.ACCEPTED if self._taken_lately else LoginStatus.UNKNOWN

    @property
    def stopped(self) -> bool:
        """Whether nothing may be sent with this account."""
        return self._refusals >= REFUSALS

    @property
    def outcomes(self) -> LoginOutcomes:
        """What the gateway has said of the account."""
        return LoginOutcomes(self._taken, self._refusals, self._closed)

    @property
    def proven(self) -> bool:
        """Whether the gateway took the last login; until then each one may be a wrong password."""
        return self._proven

    def pause_left(self, now: float) -> float:
        """Give the seconds for which nothing may be sent with this account, 0 if it may."""
        return max(0.0, self._paused_until - now)

    def restore(self, outcomes: LoginOutcomes, now: float) -> None:
        """Go on from what the gateway said before the program started. A pause begins anew: nobody knows its age."""
        self._taken, self._refusals, self._closed = outcomes
        if self._closed:
            self._paused_until = now + self._pause_after(self._closed)

    def retry(self) -> None:
        """Begin again: a person says so."""
        self._taken, self._taken_lately, self._proven, self._challenge = False, False, False, None
        self._count_anew()

    def attempt(self, method: bytes, target: bytes, now: float) -> Attempt | None:
        """Answer the challenge for one request, to be sent at once; None if there is none that may be answered.

        A nonce that the gateway will have forgotten is not used: some gateways take that for a wrong password.
        """
        idle = now - self._used
        challenge, fresh = self._challenge, self._fresh and idle < NO_ACCIDENT
        if challenge is None or self.stopped or (idle > self._nonce_age.value(now) and not fresh):
            return None
        self._count, self._fresh, self._used = self._count + 1, False, now
        # One cnonce for each nonce: then a session key (-sess) is the same however it is understood.
        header = authorize(
            challenge,
            username=self._username,
            password=self._password,
            method=method.decode("latin-1"),
            uri=target.decode("utf-8", "surrogateescape"),
            cnonce=self._cnonce,
            nc=self._count,
        )
        return Attempt(header.encode("utf-8", "surrogateescape"), challenge.nonce, fresh, idle)

    def challenged(self, values: Iterable[bytes], attempt: Attempt | None, now: float) -> bool:
        """Learn from a 401 what to answer next; tells whether it refuses the password of ``attempt``.

        ``values`` are those of its ``WWW-Authenticate`` headers. Only an answer to a fresh challenge does: of an
        older one the gateway may have forgotten the nonce, and not every gateway says ``stale`` then (PPC's).
        """
        offered = [each for value in values for each in parse_challenges(value.decode("utf-8", "surrogateescape"))]
        fresh = attempt is not None and attempt.fresh
        stale = any(each.stale for each in offered)
        self._stale += fresh and stale
        refused = fresh and (not stale or self._stale > FORGETFUL)
        if attempt and not stale:
            self._learn_nonce_age(attempt, now)
        self._proven = self._proven and attempt is None
        self._refusals += refused
        if refused:
            self._challenge = None  # the next request asks for one of its own
        elif attempt is None or self._challenge is None or self._answers(attempt):
            self._set_challenge(self._choose(offered), fresh=not fresh)
            self._used = now
        return refused

    def accepted(self, values: Iterable[bytes], attempt: Attempt) -> None:
        """Learn that the gateway took the login; ``values`` are those of ``Authentication-Info``."""
        self._taken, self._taken_lately, self._proven = True, True, True
        self._count_anew()
        found = [match for value in values if (match := _NEXT_NONCE.search(value.decode("latin-1")))]
        if found and self._challenge and self._answers(attempt):
            self._set_challenge(replace(self._challenge, nonce=found[-1][1]), fresh=False)

    def closed_silently(self, attempt: Attempt, now: float, *, idle: bool = False) -> bool:
        """Learn that the connection was closed instead of an answer; tells whether that refuses the password.

        A close right after a challenge may refuse it (Theben's gateways do that); then ``pause_left`` tells when to
        try again. Any other close is taken for a fault, and the next request begins without a login. ``idle`` if the
        connection may have been kept for too long: that tells nothing of the nonce's age.
        """
        self._proven = False
        if not idle:
            self._learn_nonce_age(attempt, now)
        if self._answers(attempt):
            self._challenge = None
        if not attempt.fresh:
            return False
        self._closed += 1
        self._paused_until = now + self._pause_after(self._closed)
        refused = not self._taken or self._closed > FORGIVEN
        self._refusals += refused
        return refused

    def _pause_after(self, closed: int) -> float:
        step = closed - 1 if self._taken else closed
        return self._pauses[min(step, len(self._pauses) - 1)]

    def _count_anew(self) -> None:
        self._refusals, self._closed, self._stale, self._paused_until = 0, 0, 0, -math.inf

    def _learn_nonce_age(self, attempt: Attempt, now: float) -> None:
        """Learn from a refusal for how long this gateway knows a nonce."""
        if attempt.idle >= NO_ACCIDENT and not attempt.fresh:
            self._nonce_age.observe(attempt.idle, now)

    def _answers(self, attempt: Attempt) -> bool:
        """Whether it is an answer to the challenge at hand."""
        return self._challenge is not None and self._challenge.nonce == attempt.nonce

    def _set_challenge(self, challenge: Challenge | None, *, fresh: bool) -> None:
        self._challenge, self._fresh, self._count, self._cnonce = challenge, fresh, 0, self._random(16).hex()

    def _choose(self, offered: Iterable[Challenge]) -> Challenge | None:
        answerable = [each for each in offered if self._can_answer(each)]
        for algorithm in ("sha-256", "md5") if self._algorithm == "auto" else (self._algorithm,):
            for each in answerable:
                if (each.algorithm or "md5").lower().removesuffix("-sess") == algorithm:
                    return each
        if self._algorithm == "md5" and answerable:
            return replace(answerable[0], algorithm="MD5")
        return None

    def _can_answer(self, challenge: Challenge) -> bool:
        try:
            # An algorithm that is not known is no obstacle here: the choice is made by its name.
            probe = replace(challenge, algorithm="MD5")
            authorize(probe, username=self._username, password="", method="", uri="", cnonce="", nc=1)
        except DigestError:
            return False
        return True
