"""The gateway's side of HTTP Digest (RFC 7616): nonces handed out, answers verified.

The arithmetic is ``smgw_proxy_addon.http.digest``'s; here is what only a server knows: which nonces are its own,
which counters were used, and that the signed ``uri`` must be the request target byte for byte.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.messages import Received
from smgw_proxy_addon.http.digest import Authorization, Challenge, DigestError, parse_authorization, verify


@dataclass
class _Nonce:
    issued: datetime
    counters: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Login:
    """Who may come in, and how they are asked."""

    user: str
    password: str
    realm: str
    algorithm: str
    opaque: str | None
    lifetime: timedelta
    clock: Callable[[], datetime]
    further_users: Mapping[str, str] = field(default_factory=dict)
    """Passwords of more users: import and feed-in can have separate logins."""
    broken_sha256: bool = False
    """Asks for SHA-256 and refuses it, as some firmware does."""
    counts_requests: bool = True
    """Refuses a ``nc`` that was used with the nonce before; most gateways do not look at it."""
    takes_get_signature: bool = False
    """Accepts a request of any method whose Digest was signed with GET."""
    lock_after: int | None = None
    """Wrong logins in a row, of whatever user, that lock it: then it refuses every login."""
    lock_time: timedelta = timedelta(minutes=5)
    locks: int = field(default=0, init=False)
    """How often it was locked."""
    _wrong: int = field(default=0, init=False)
    _locked_at: datetime | None = field(default=None, init=False)
    _nonces: dict[str, _Nonce] = field(default_factory=dict, init=False)

    def challenge(self, *, stale: bool = False) -> Challenge:
        """Hand out a new nonce."""
        now = self.clock()
        self._nonces = {key: one for key, one in self._nonces.items() if now - one.issued < self.lifetime}
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = _Nonce(now)
        return Challenge(self.realm, nonce, self.algorithm, ("auth",), self.opaque, stale)

    def check(self, request: Received, *, certified: bool = False) -> str:
        """Return the verdict on a request: see ``Received.login``; ``certified``: TLS accepted a certificate."""
        header = request.header(b"authorization")
        if header is None:
            return "certificate" if certified else "none"
        if self._locked_at and self.clock() - self._locked_at < self.lock_time:
            return "locked"
        verdict = self._judge(request, header)
        if verdict == "accepted":
            self._wrong = 0
        elif verdict == "wrong":
            self._wrong += 1
            if self._wrong == self.lock_after:
                self._wrong, self._locked_at = 0, self.clock()
                self.locks += 1
        return verdict

    def _judge(self, request: Received, header: bytes) -> str:
        try:
            given = parse_authorization(header.decode("utf-8", "surrogateescape"))
        except DigestError:
            return "wrong"
        if not self._credentials_are_right(given, request.method):
            return "wrong"
        if given.uri.encode("utf-8", "surrogateescape") != request.target:
            return "other-uri"
        return self._count(given)

    def _credentials_are_right(self, given: Authorization, method: str) -> bool:
        methods = {method, "GET"} if self.takes_get_signature else {method}
        # MD5 stays possible where SHA-256 is asked for: clients of some firmware insist on it.
        algorithms = ("md5",) if self.broken_sha256 else (self.algorithm.lower(), "md5")
        password = {**self.further_users, self.user: self.password}.get(given.username)
        return (
            password is not None
            and given.realm == self.realm
            and given.qop == "auth"
            and (given.algorithm or "MD5").lower() in algorithms
            and any(verify(given, password=password, method=each) for each in methods)
        )

    def _count(self, given: Authorization) -> str:
        nonce = self._nonces.get(given.nonce)
        if given.opaque not in (None, self.opaque):  # real gateways let in clients that do not return it
            return "stale"
        if nonce is None or self.clock() - nonce.issued >= self.lifetime:
            return "stale"
        if given.nc is None or (self.counts_requests and given.nc in nonce.counters):
            return "replayed"
        nonce.counters.add(given.nc)
        return "accepted"
