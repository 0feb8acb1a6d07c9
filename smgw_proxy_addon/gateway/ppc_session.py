"""Whose the one session of a PPC gateway is, and what requests and answers of its CGI mean for that.

The gateway allows one session at a time, held by whoever knows the value of its cookie; all integrations of one
Home Assistant share an address, so the address does not tell. Pure: nothing is sent or waited for here, and nothing
is read but the cookie's value and the names of two actions. No value of a cookie ever appears in a ``repr``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final
from urllib.parse import parse_qsl

CGI: Final = b"/cgi-bin/hanservice.cgi"
"""The one program that a PPC gateway serves."""

SILENCE: Final = 30.0
"""Seconds without a request after which a session is taken to be left behind."""

TENURE: Final = 300.0
"""Seconds after which a session is over for the proxy when others wait."""

DOUBT: Final = 3.0
"""Seconds that a holder who was asked for a login (401) gets to be answered well: clients log in at once or never."""

_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403

_COOKIE: Final = b"session"
_ENDING: Final = frozenset({"logout", "selftest"})  # the self-test restarts the gateway
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""What expired before this has expired for every client, however wrong the gateway's clock is."""


class Meaning(Enum):
    """What an answer of the CGI says about the session of its request."""

    OPENED = auto()
    """There is a new one, whose value is in the answer."""
    SERVED = auto()
    CHALLENGED = auto()
    """A login is asked for. Digest clients get this in the middle of a session, too, and go on with it."""
    ENDED = auto()
    """Logged out, refused, or its cookie was taken away."""
    UNCLEAR = auto()
    """An error that leaves the session as it is."""


@dataclass(frozen=True)
class Outcome:
    """An answer's meaning, and the value of the session that it opened."""

    meaning: Meaning
    opened: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, eq=False)
class CgiRequest:
    """A request to the CGI: the sessions that its cookies name, and whether it asks to end its session."""

    sessions: tuple[bytes, ...] = field(default=(), repr=False)
    ends: bool = False


def recognise(target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes | None) -> CgiRequest | None:
    """Return what a request is for the gateway's session, ``None`` if it is not for the CGI.

    ``target`` is in origin form; ``body`` is the whole one, ``None`` if it comes in pieces.
    """
    path, _, query = target.partition(b"?")
    if path != CGI:
        return None
    return CgiRequest(
        tuple(
            value
            for name, values in headers
            if name.lower() == b"cookie"
            for value in map(_session, values.split(b";"))
            if value
        ),
        _ends(query) or (body is not None and _ends(body)),
    )


def read(request: CgiRequest, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Outcome:
    """Return what an answer means for the session of its request."""
    opened: bytes | None = None
    deleted = False
    for name, value in headers:
        if name.lower() == b"set-cookie":
            pair, *attributes = value.split(b";")
            given = _session(pair)
            if given is not None:
                deleted = not given or _expired(attributes)
                opened = None if deleted else given
    if deleted or status == _FORBIDDEN:
        return Outcome(Meaning.ENDED)
    if status == _UNAUTHORIZED:
        return Outcome(Meaning.CHALLENGED)
    if status >= _BAD_REQUEST:
        return Outcome(Meaning.UNCLEAR)
    if request.ends:
        return Outcome(Meaning.ENDED)
    return Outcome(Meaning.SERVED) if opened is None else Outcome(Meaning.OPENED, opened)


@dataclass
class SessionLease:
    """Who holds the gateway's session; times are in seconds, ``now`` of one clock.

    ``may_go`` asks, ``begin``, ``note`` and ``end`` tell how a request fares at the gateway, ``expire`` that time
    has passed. A request that knows no session, or another one, may open one: it goes alone.

    With ``logs_out`` the proxy itself logs a holder out whose tenure is over, and nobody else goes before that.
    """

    silence: float = SILENCE
    tenure: float = TENURE
    doubt: float = DOUBT
    logs_out: bool = False
    _holder: bytes | None = field(default=None, init=False, repr=False)
    _since: float = field(default=0.0, init=False)
    _heard: float = field(default=0.0, init=False)
    _doubted: float | None = field(default=None, init=False)
    _newcomer: CgiRequest | None = field(default=None, init=False)
    _active: int = field(default=0, init=False)
    _yielding: bytes | None = field(default=None, init=False, repr=False)
    """The session whose tenure is over, from then until somebody else goes: its holder is not to be first again."""

    @property
    def free(self) -> bool:
        """Whether any request may go: nobody holds the session, or is about to, or has to give way."""
        return self._holder is None and not self._active and self._yielding is None

    @property
    def holder(self) -> bytes | None:
        """The value of the session that is held."""
        return self._holder

    @property
    def over(self) -> bool:
        """Whether the holder gives way: its tenure is over, and others wait."""
        return self._holder is not None and self._holder == self._yielding

    def holds(self, request: CgiRequest) -> bool:
        """Tell whether a request is the holder's."""
        return self._holder is not None and self._holder in request.sessions

    def yields(self, request: CgiRequest) -> bool:
        """Tell whether a request has to give way to those of others."""
        return self._yielding is not None and self._yielding in request.sessions

    def may_go(self, request: CgiRequest) -> bool:
        """Tell whether a request may be sent now without putting somebody's session at risk."""
        if self.over:
            return self.holds(request) and request.ends and not self._active
        if self._holder is None and not self._active:
            return not self.yields(request)
        return self.holds(request)

    def begin(self, request: CgiRequest) -> None:
        """Note that a request goes to the gateway."""
        self._active += 1
        if not self.holds(request):
            self._newcomer = request
            self._yielding = None

    def note(self, request: CgiRequest, outcome: Outcome, now: float) -> None:
        """Note what an answer's head means."""
        if outcome.meaning is Meaning.OPENED:
            self._take(outcome.opened, now)
        elif request is self._newcomer:
            # Its cookie is good and yet unknown: the proxy was restarted in the middle of this session.
            if outcome.meaning is Meaning.SERVED and request.sessions:
                self._take(request.sessions[0], now)
        elif self.holds(request):
            if outcome.meaning is Meaning.ENDED:
                self._holder = None
            elif outcome.meaning is Meaning.SERVED:
                self._doubted = None
            elif outcome.meaning is Meaning.CHALLENGED and self._doubted is None:
                self._doubted = now

    def end(self, request: CgiRequest, now: float) -> None:
        """Note that a request has left the gateway, with or without an answer."""
        self._active -= 1
        self._heard = now
        if self.over and request.ends and self.holds(request):
            self._holder = None  # whatever came of it: nobody else can end this session
        if request is self._newcomer:
            self._newcomer = None

    def give_way(self, now: float, *, others: bool) -> None:
        """Note whether ``others`` wait: once its tenure is over, a holder starts nothing more then but its logout."""
        if not others:
            self._yielding = None
        elif self._holder is not None and now >= self._since + self.tenure:
            self._yielding = self._holder

    def ends_at(self, *, wanted: bool) -> float | None:
        """Tell when the session is over for those who wait; ``None`` if that is not for the time to say.

        ``wanted`` tells whether the holder has a request that waits: then it is not silent.
        """
        if self._holder is None or self._active:
            return None
        ends = self._since + self.tenure
        if self.logs_out and self.over:
            return self._heard + self.silence  # the logout has not come
        if not wanted:
            ends = min(ends, self._heard + self.silence)
            if self._doubted is not None:
                ends = min(ends, self._doubted + self.doubt)
        return ends

    def expire(self, now: float, *, wanted: bool) -> None:
        """End the session if its time is over."""
        ends = self.ends_at(wanted=wanted)
        if ends is not None and now >= ends:
            self._holder = None

    def _take(self, session: bytes, now: float) -> None:
        if session != self._holder:
            self._holder, self._since = session, now
        self._doubted = None


def _session(pair: bytes) -> bytes | None:
    """Return the value of a cookie if it is the session's; some clients put it into quotes."""
    name, given, value = pair.partition(b"=")
    return value.strip(b' \t"') if given and name.strip(b" \t") == _COOKIE else None


def _expired(attributes: list[bytes]) -> bool:
    """Tell whether a cookie is set only to be deleted; ``Max-Age`` counts first (RFC 6265 section 5.3)."""
    values = {}
    for attribute in attributes:
        name, _, value = attribute.partition(b"=")
        values[name.strip(b" \t").lower()] = value.strip(b' \t"').decode("latin-1")
    try:
        if b"max-age" in values:
            return int(values[b"max-age"]) <= 0
        when = parsedate_to_datetime(values.get(b"expires", ""))
    except (ValueError, OverflowError):
        return False
    return (when if when.tzinfo else when.replace(tzinfo=UTC)) < _LONG_AGO


def _ends(form: bytes) -> bool:
    """Tell whether a form or query has an action that ends the session."""
    if b"action" not in form:
        return False
    return any(name == "action" and value in _ENDING for name, value in parse_qsl(form.decode("latin-1")))
