"""Who holds the one session of a PPC gateway, and what its CGI's requests and answers say about that.

The gateway allows one session at a time. Whoever sends its key holds it: the address does not tell, because all
integrations of one Home Assistant share one. The key is the value of a cookie, or, with firmware of 2018, of a hidden
input of each page that comes back as a form field. Pure. Reads only the key and the names of two actions; no key
appears in a ``repr``.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final
from urllib.parse import parse_qsl

CGI: Final = b"/cgi-bin/hanservice.cgi"
"""The one program that a PPC gateway serves."""

_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403

_COOKIE: Final = b"session"
FIELD: Final = "sessionid"
"""The form field that holds the session with firmware of 2018."""
_INPUT: Final = re.compile(rb"<input\s[^>]{0,512}>", re.IGNORECASE)
_NAME: Final = re.compile(rb"""\sname\s*=\s*["']?sessionid["'\s/>]""", re.IGNORECASE)
_VALUE: Final = re.compile(rb"""\svalue\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'>]+))""", re.IGNORECASE)
_ENDING_ACTIONS: Final = frozenset({"logout", "selftest"})  # the self-test restarts the gateway
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""A cookie that expired before this is deleted by every client, however wrong the gateway's clock is."""


class Meaning(Enum):
    """What an answer of the CGI says about the session of its request."""

    OPENED = auto()
    """There is a new session; its value is in the answer."""
    SERVED = auto()
    CHALLENGED = auto()
    """A login is asked for. Digest clients also get this in the middle of a session, and go on with it."""
    ENDED = auto()
    """Logged out, refused, or the cookie was deleted."""
    UNCLEAR = auto()
    """An error that says nothing about the session."""


@dataclass(frozen=True)
class CgiAnswer:
    """The meaning of an answer, and the key of the session that it opened, which its page may hold (``in_form``)."""

    meaning: Meaning
    opened: bytes = field(default=b"", repr=False)
    in_form: bool = False


@dataclass(frozen=True, eq=False)
class CgiRequest:
    """A request to the CGI: the sessions that it names, and whether it asks to end its session.

    ``in_form``: they come from form fields, as no cookie names one. ``browser``: it asks for a page before anything
    else (``Accept: text/html, …``). Each browser does when a person follows a link or sends a form, also over HTTP,
    and no known program does.
    """

    sessions: tuple[bytes, ...] = field(default=(), repr=False)
    ends: bool = False
    in_form: bool = False
    browser: bool = False
    page: bool = False
    """It is of the gateway's page in Home Assistant, whose session ends as soon as others wait."""


def read_request(
    target: bytes, headers: Collection[tuple[bytes, bytes]], body: object, *, page: bool = False
) -> CgiRequest | None:
    """Return what a request means for the session, None if it is not for the CGI.

    ``target`` is in origin form. A ``body`` that is not ``bytes`` comes in pieces and is not read. ``page`` as in
    ``CgiRequest``.
    """
    path, _, query = target.partition(b"?")
    if path != CGI:
        return None
    cookies = tuple(
        value
        for name, values in headers
        if name.lower() == b"cookie"
        for value in map(_session, values.split(b";"))
        if value
    )
    fields = _read_form(query) + (_read_form(body) if isinstance(body, bytes) else [])
    keys = tuple(value.encode("latin-1") for name, value in fields if name == FIELD and value)
    ends = any(name == "action" and value in _ENDING_ACTIONS for name, value in fields)
    browser = any(name.lower() == b"accept" and value.lower().startswith(b"text/html") for name, value in headers)
    return CgiRequest(cookies + keys, ends, in_form=bool(keys) and not cookies, browser=browser, page=page)


def read_answer(
    request: CgiRequest, status: int, headers: Iterable[tuple[bytes, bytes]], page: bytes = b""
) -> CgiAnswer:
    """Return what an answer means for the session of its request; ``page`` is the begin of its body, if known."""
    opened: bytes | None = None
    deleted = False
    for name, value in headers:
        if name.lower() == b"set-cookie":
            pair, *attributes = value.split(b";")
            given = _session(pair)
            if given is not None:
                deleted = not given or deletes_cookie(attributes)
                opened = None if deleted else given
    if deleted or status == _FORBIDDEN:
        return CgiAnswer(Meaning.ENDED)
    if status == _UNAUTHORIZED:
        return CgiAnswer(Meaning.CHALLENGED)
    if status >= _BAD_REQUEST:
        return CgiAnswer(Meaning.UNCLEAR)
    if request.ends:
        return CgiAnswer(Meaning.ENDED)
    if opened is not None:
        return CgiAnswer(Meaning.OPENED, opened)
    hidden = _hidden_key(page)
    return CgiAnswer(Meaning.OPENED, hidden, in_form=True) if hidden else CgiAnswer(Meaning.SERVED)


@dataclass
class PpcSession:
    """The gateway's session and who holds it; times are in seconds, ``now`` is always of the same clock.

    ``may_start`` says whether a request may be sent; ``begin``, ``record_answer`` and ``end`` follow it at the
    gateway. None stands for a request that is not for the CGI: it may always be sent and changes nothing.

    A request that names no session, or another one, may open one: it is sent only while no other is under way. With
    ``proxy_logs_out``, nobody else may start before the proxy has logged out a holder whose session is over; for
    others it is over after ``silence``, or ``reading_time`` of a browser, and at once if the page holds it.
    """

    idle_timeout: float = 30.0
    """Seconds without a request after which a holder is taken to have left without a logout."""
    silence: float = 2.0
    """Seconds without a request after which the proxy may log a holder out for others: programs make no pause."""
    reading_time: float = 20.0
    """The same for a browser, whose person reads in between."""
    max_duration: float = 300.0
    """Seconds after which a session is over for the proxy when others wait."""
    login_timeout: float = 3.0
    """Seconds that a holder has to log in after a 401: clients do it at once or never."""
    proxy_logs_out: bool = False
    holder: bytes | None = field(default=None, init=False, repr=False)
    """The key of the holder's session; not to be set from outside."""
    in_form: bool = field(default=False, init=False)
    """Whether that is a form field, and no cookie; not to be set from outside."""
    _in_browser: bool = field(default=False, init=False)
    _in_page: bool = field(default=False, init=False)
    _opened_at: float = field(default=0.0, init=False)
    _last_end: float = field(default=0.0, init=False)
    _challenged_at: float | None = field(default=None, init=False)
    """When the holder got a 401 that no good answer has followed."""
    _opener: CgiRequest | None = field(default=None, init=False)
    """The request under way that may open a session."""
    _running: int = field(default=0, init=False)
    _yielding: bytes | None = field(default=None, init=False, repr=False)
    """The session that is over, until somebody else's request starts: its holder must not be the first again."""

    @property
    def free(self) -> bool:
        """Whether any request may start: nobody holds the session, may open it just now, or has to yield it."""
        return self.holder is None and not self._running and self._yielding is None

    @property
    def must_yield(self) -> bool:
        """Whether the session of the holder is over because others wait."""
        return self.holder is not None and self.holder == self._yielding

    def is_held_by(self, request: CgiRequest | None) -> bool:
        """Tell whether a request is the holder's."""
        return request is not None and self.holder is not None and self.holder in request.sessions

    def needs_page(self, request: CgiRequest | None, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether only the page of an answer can say that its request opened a session (firmware of 2018)."""
        if request is None or self.is_held_by(request):
            return False
        headers = list(headers)
        is_page = any(name.lower() == b"content-type" and b"html" in value.lower() for name, value in headers)
        return is_page and read_answer(request, status, headers).meaning is Meaning.SERVED

    def contends(self, request: CgiRequest | None) -> bool:
        """Tell whether a request needs the session and is not of its holder, nor of one that had to yield."""
        return request is not None and not self.is_held_by(request) and not self._yields(request)

    def may_start(self, request: CgiRequest | None) -> bool:
        """Tell whether a request may be sent now without putting somebody's session at risk."""
        if request is None:
            return True
        if self.must_yield:
            return self.is_held_by(request) and request.ends and not self._running
        if self.holder is None and not self._running:
            return not self._yields(request)
        return self.is_held_by(request)

    def begin(self, request: CgiRequest | None) -> None:
        """Note that a request is sent."""
        if request is None:
            return
        self._running += 1
        if self.is_held_by(request):
            self._in_browser |= request.browser
        else:
            self._opener = request
            self._yielding = None

    def record_answer(self, request: CgiRequest, answer: CgiAnswer, now: float) -> None:
        """Note what the head of an answer means."""
        if answer.meaning is Meaning.OPENED:
            self._hold(answer.opened, request, now, in_form=answer.in_form)
        elif request is self._opener:
            # Served with a key that is not known here: the proxy was restarted in the middle of this session.
            if answer.meaning is Meaning.SERVED and request.sessions:
                self._hold(request.sessions[0], request, now, in_form=request.in_form)
        elif self.is_held_by(request):
            if answer.meaning is Meaning.ENDED:
                self.holder = None
            elif answer.meaning is Meaning.SERVED:
                self._challenged_at = None
            elif answer.meaning is Meaning.CHALLENGED and self._challenged_at is None:
                self._challenged_at = now

    def end(self, request: CgiRequest | None, now: float) -> None:
        """Note that a request is over, with or without an answer."""
        if request is None:
            return
        self._running -= 1
        self._last_end = now
        if self.must_yield and request.ends and self.is_held_by(request):
            self.holder = None  # whether or not the logout was answered: nobody else can end this session
        if request is self._opener:
            self._opener = None

    def update_yielding(self, now: float, *, others_wait: bool, holder_waits: bool) -> None:
        """Have the holder yield if ``others_wait`` and its time is over: it may only log out."""
        if not others_wait:
            self._yielding = None
            return
        yields = self.yields_at(holder_waits=holder_waits)
        if yields is not None and now >= yields:
            self._yielding = self.holder

    def yields_at(self, *, holder_waits: bool) -> float | None:
        """Return when the holder must yield to others, None if it must already or there is none.

        A holder with a request at the gateway or one that waits (``holder_waits``) is not silent; the page's wait is
        no reason for others to wait.
        """
        if self.holder is None or self.must_yield:
            return None
        yields = self._opened_at + self.max_duration
        if self.proxy_logs_out and not self._running and (self._in_page or not holder_waits):
            silence = self.reading_time if self._in_browser else self.silence
            yields = min(yields, self._last_end + (0.0 if self._in_page else silence))
        return yields

    def expires_at(self, *, holder_waits: bool) -> float | None:
        """Return when the session is over for those who wait; None while time alone does not end it.

        A holder with a request that waits (``holder_waits``) is not idle.
        """
        if self.holder is None or self._running:
            return None
        if self.proxy_logs_out and self.must_yield:
            return self._last_end + self.idle_timeout  # no logout was sent
        expires = self._opened_at + self.max_duration
        if not holder_waits:
            expires = min(expires, self._last_end + self.idle_timeout)
            if self._challenged_at is not None:
                expires = min(expires, self._challenged_at + self.login_timeout)
        return expires

    def expire(self, now: float, *, holder_waits: bool) -> None:
        """End the session if its time is over."""
        expires = self.expires_at(holder_waits=holder_waits)
        if expires is not None and now >= expires:
            self.holder = None

    def _hold(self, session: bytes, request: CgiRequest, now: float, *, in_form: bool) -> None:
        self.in_form = in_form
        if session != self.holder:
            self.holder, self._opened_at, self._in_browser = session, now, request.browser
            self._in_page = request.page
        self._challenged_at = None

    def _yields(self, request: CgiRequest) -> bool:
        return self._yielding is not None and self._yielding in request.sessions


def _session(pair: bytes) -> bytes | None:
    """Return the value of a cookie if it is the session's. Some clients put quotes around it."""
    name, given, value = pair.partition(b"=")
    return value.strip(b' \t"') if given and name.strip(b" \t") == _COOKIE else None


def deletes_cookie(attributes: list[bytes]) -> bool:
    """Tell whether these attributes of a ``Set-Cookie`` delete the cookie.

    ``Max-Age`` wins over ``Expires`` (RFC 6265 section 5.3).
    """
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


def _read_form(form: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form or query; none if it has neither an action nor a session."""
    if b"action" not in form and FIELD.encode() not in form:
        return []
    return parse_qsl(form.decode("latin-1"), encoding="latin-1")


def _hidden_key(page: bytes) -> bytes:
    """Return the key of the session that a page's hidden input holds, empty if there is none."""
    for tag in _INPUT.findall(page):
        if _NAME.search(tag) and (value := _VALUE.search(tag)):
            return value[1] or value[2] or value[3]
    return b""
