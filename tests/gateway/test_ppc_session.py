"""What a PPC gateway's requests and answers mean for its session, and who holds it, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.gateway.ppc_session import (
    CGI,
    CgiAnswer,
    CgiRequest,
    Meaning,
    PpcSession,
    read_answer,
    read_request,
)

Headers = list[tuple[bytes, bytes]]


# Requests


@pytest.mark.parametrize(
    "target",
    [b"/", b"/cgi-bin/", CGI + b"/", b"/" + CGI, CGI + b"x", b"/cgi-bin/HANSERVICE.cgi", b"*", b"/smgw/m2m?" + CGI],
)
def test_only_the_cgi_has_a_session(target: bytes) -> None:
    assert read_request(target, [(b"Cookie", b"session=a")], b"action=logout") is None


@pytest.mark.parametrize(
    ("cookies", "sessions"),
    [
        ([], ()),
        ([b"session=a"], (b"a",)),
        ([b"Cookie=a; session=b"], (b"b",)),  # as py-ppc-smgw sends it
        ([b"session=b; Cookie=a"], (b"b",)),
        ([b"Cookie=session=a"], ()),
        ([b"x=1;session=a;session=b", b"session=c"], (b"a", b"b", b"c")),
        ([b' session = "a" '], (b"a",)),
        ([b"session=a=b=="], (b"a=b==",)),
        ([b"session=", b"session", b"Session=a", b"xsession=a", b";;"], ()),
    ],
)
def test_the_sessions_that_cookies_name(cookies: list[bytes], sessions: tuple[bytes, ...]) -> None:
    request = read_request(CGI + b"?x", [(b"Host", b"h"), *((b"cooKie", cookie) for cookie in cookies)], None)
    assert request is not None
    assert request.sessions == sessions


@pytest.mark.parametrize(
    ("query", "body", "ends"),
    [
        (b"", b"action=logout", True),
        (b"", b"tkn=0123&action=logout", True),
        (b"", b"action=selftest&x=%ff", True),
        (b"", b"%61ction=log%6Fut", False),  # no client writes it so
        (b"", b"action=meterform", False),
        (b"", b"action=logout2", False),
        (b"", b"xaction=logout", False),
        (b"", b"mid=action=logout", False),
        (b"", b"logout", False),
        (b"", b"\xff\xfe&action=logout", True),
        (b"", None, False),
        (b"?action=logout", None, True),
        (b"?tkn=1&action=selftest", b"", True),
        (b"?action=meterform", b"action=logout", True),
        (b"?logout", None, False),
    ],
)
def test_which_requests_end_their_session(query: bytes, body: bytes | None, ends: bool) -> None:
    request = read_request(CGI + query, [], body)
    assert request is not None
    assert request.ends is ends


@pytest.mark.parametrize(
    ("cookies", "query", "body", "sessions", "in_form"),
    [
        ([], b"", b"tkn=1&sessionid=a&action=meterform", (b"a",), True),  # firmware of 2018
        ([], b"?sessionid=a", None, (b"a",), True),
        ([], b"", b"sessionid=a%2Bb%FF", (b"a+b\xff",), True),
        ([b"session=c"], b"", b"sessionid=a", (b"c", b"a"), False),
        ([], b"", b"sessionid=&xsessionid=a&sessionidx=a", (), False),
        ([], b"", None, (), False),
    ],
)
def test_the_sessions_that_form_fields_name(
    cookies: list[bytes], query: bytes, body: bytes | None, sessions: tuple[bytes, ...], in_form: bool
) -> None:
    request = read_request(CGI + query, [(b"Cookie", cookie) for cookie in cookies], body)
    assert request is not None
    assert (request.sessions, request.in_form) == (sessions, in_form)


# Answers

LOGOUT = CgiRequest((b"a",), ends=True)
ANY = CgiRequest((b"a",))


@pytest.mark.parametrize(
    ("request_", "status", "cookies", "meaning", "opened"),
    [
        (ANY, 200, [], Meaning.SERVED, b""),
        (ANY, 302, [], Meaning.SERVED, b""),
        (ANY, 200, [b"session=new; Path=/; Secure; HttpOnly"], Meaning.OPENED, b"new"),
        (ANY, 200, [b' session = "new" ;Max-Age=600'], Meaning.OPENED, b"new"),
        (ANY, 200, [b"x=1", b"session=new", b"y=2"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"session=old; Max-Age=0", b"session=new"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"session=new", b"session=; Path=/"], Meaning.ENDED, b""),
        (ANY, 200, [b"session=deleted; max-age = -1"], Meaning.ENDED, b""),
        (ANY, 200, [b"session=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], Meaning.ENDED, b""),
        (ANY, 200, [b"session=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT"], Meaning.ENDED, b""),
        (ANY, 200, [b"session=new; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"session=new; Expires=Fri, 31 Dec 2038 23:59:59 GMT"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"session=new; Expires=soon; Max-Age=x"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"session=new; Expires=Thu, 01 Jan 99999999999999999999 00:00:00"], Meaning.OPENED, b"new"),
        (ANY, 200, [b"xsession=new", b"session"], Meaning.SERVED, b""),
        (ANY, 200, [b"other=1"], Meaning.SERVED, b""),
        (ANY, 401, [], Meaning.CHALLENGED, b""),
        (ANY, 401, [b"session=new"], Meaning.CHALLENGED, b""),
        (ANY, 401, [b"session=; Max-Age=0"], Meaning.ENDED, b""),
        (ANY, 403, [], Meaning.ENDED, b""),
        (ANY, 400, [], Meaning.UNCLEAR, b""),
        (ANY, 500, [b"session=new"], Meaning.UNCLEAR, b""),
        (LOGOUT, 200, [], Meaning.ENDED, b""),
        (LOGOUT, 200, [b"session=new"], Meaning.ENDED, b""),
        (LOGOUT, 401, [], Meaning.CHALLENGED, b""),  # not logged out yet: the login is asked for first
        (LOGOUT, 500, [], Meaning.UNCLEAR, b""),
    ],
)
def test_what_an_answer_means(
    request_: CgiRequest, status: int, cookies: list[bytes], meaning: Meaning, opened: bytes
) -> None:
    headers = [(b"Server", b"SmartMeterGateway"), *((b"sET-cookie", cookie) for cookie in cookies)]
    assert read_answer(request_, status, headers) == CgiAnswer(meaning, opened)


HIDDEN = b'<input type="hidden" name="sessionid" value="new">'


@pytest.mark.parametrize(
    ("request_", "status", "page", "opened"),
    [
        (CgiRequest(), 200, b'<form><input type="hidden" name="tkn" value="t">' + HIDDEN, b"new"),
        (CgiRequest(), 200, b"<INPUT value='new' NAME='sessionid'/>", b"new"),
        (CgiRequest(), 200, b"<input name=sessionid value=new>", b"new"),
        (CgiRequest(), 200, b'<input name="sessionid" value="">', b""),
        (CgiRequest(), 200, b'<input name="xsessionid" value="a"><p name="sessionid" value="a">', b""),
        (CgiRequest(), 200, b'<input name="sessionid"', b""),
        (CgiRequest(), 401, HIDDEN, b""),
        (CgiRequest(), 403, HIDDEN, b""),
        (LOGOUT, 200, HIDDEN, b""),
    ],
)
def test_what_a_page_says_of_its_session(request_: CgiRequest, status: int, page: bytes, opened: bytes) -> None:
    answer = read_answer(request_, status, [], page)
    assert (answer.opened, answer.in_form) == (opened, bool(opened))
    assert read_answer(request_, status, [(b"Set-Cookie", b"session=c")], page).opened in (b"c", b"")


def test_a_page_is_needed_only_if_nothing_else_tells() -> None:
    session, html = PpcSession(), [(b"content-Type", b"text/html; charset=utf-8")]
    assert session.needs_page(CgiRequest(), 200, html)
    assert session.needs_page(CgiRequest((b"old",)), 200, html)
    assert not session.needs_page(None, 200, html)
    assert not session.needs_page(CgiRequest(), 200, [(b"Content-Type", b"application/pkcs7-mime")])
    assert not session.needs_page(CgiRequest(), 200, [*html, (b"Set-Cookie", b"session=new")])
    assert not session.needs_page(CgiRequest(), 401, html)
    request = CgiRequest()
    session.begin(request)
    session.record_answer(request, read_answer(request, 200, html, HIDDEN), 0)
    assert (session.holder, session.in_form) == (b"new", True)
    assert not session.needs_page(CgiRequest((b"new",)), 200, html)
    session.record_answer(ANY, CgiAnswer(Meaning.OPENED, b"c"), 0)
    assert not session.in_form


@given(st.binary(), st.binary(), st.binary(), st.integers(100, 599))
def test_nothing_that_clients_or_gateways_send_breaks_it(
    query: bytes, cookie: bytes, body: bytes, status: int
) -> None:
    request = read_request(CGI + b"?" + query, [(b"Cookie", b"session=" + cookie)], b"action=" + body)
    assert request is not None
    read_answer(
        request, status, [(b"Set-Cookie", b"session=x; Expires=" + cookie), (b"Set-Cookie", b"session=" + cookie)]
    )


def test_no_cookie_is_ever_shown() -> None:
    session = PpcSession()
    request = read_request(CGI, [(b"Cookie", b"session=SECRET")], None)
    assert request is not None
    answer = read_answer(request, 200, [(b"Set-Cookie", b"session=SECRET")])
    session.begin(request)
    session.record_answer(request, answer, 0)
    assert session.is_held_by(request)
    assert session.holder == b"SECRET"
    assert "SECRET" not in f"{request!r}{answer!r}{session!r}{request}{answer}{session}"


# Who holds the session


class Gateway:
    """Plays requests one after the other; ``may_start`` is what the session allows afterwards."""

    def __init__(self) -> None:
        self.session = PpcSession()
        self.active: list[CgiRequest] = []

    def play(self, step: str) -> None:
        """Take a step, written ``<seconds> <what> <session or ->``."""
        at, what, session = step.split()
        now = float(at)
        request = CgiRequest(() if session == "-" else (session.encode(),))
        if what == "begins":
            assert self.session.may_start(request)
            self.session.begin(request)
            self.active.append(request)
        elif what == "leaves":
            self.session.end(self.active.pop(0), now)
        elif what in ("waits", "wanted"):
            self.session.expire(now, holder_waits=what == "wanted")
        elif what.startswith("is:"):
            self.record_answer(self.active[0], what.removeprefix("is:"), now)
        else:
            assert self.session.may_start(request)
            self.session.begin(request)
            self.record_answer(request, what, now)
            self.session.end(request, now)

    def record_answer(self, request: CgiRequest, what: str, now: float) -> None:
        if what.startswith("opens:"):
            answer = CgiAnswer(Meaning.OPENED, what.removeprefix("opens:").encode())
        else:
            answer = CgiAnswer(Meaning[what.upper()])
        self.session.record_answer(request, answer, now)

    @property
    def may_start(self) -> str:
        """Whose requests may start: ``-`` is one without a cookie."""
        return "".join(
            name
            for name, request in (("a", ANY), ("b", CgiRequest((b"b",))), ("-", CgiRequest()))
            if self.session.may_start(request)
        )


@pytest.mark.parametrize(
    ("steps", "may_start"),
    [
        # Nobody is logged in
        ("", "ab-"),
        ("0 challenged -", "ab-"),
        ("0 served -", "ab-"),
        ("0 unclear -", "ab-"),
        ("0 ended a", "ab-"),
        # A login is under way
        ("0 begins -", ""),
        ("0 begins -, 1 is:challenged -", ""),
        ("0 begins -, 1 is:challenged -, 2 leaves -", "ab-"),
        ("0 begins -, 1 leaves -", "ab-"),  # it failed without an answer
        ("0 begins -, 1 is:opens:a -", "a"),
        ("0 begins -, 1 is:opens:a -, 2 leaves -", "a"),
        ("0 begins -, 1 is:opens:a -, 2 begins a", "a"),
        # Somebody is logged in
        ("0 opens:a -", "a"),
        ("0 opens:a -, 1 served a", "a"),
        ("0 opens:a -, 1 unclear a", "a"),
        ("0 opens:a -, 1 begins a", "a"),
        ("0 opens:a -, 1 opens:b a", "b"),  # logged in anew
        # A session from before a restart of the proxy
        ("0 served a", "a"),
        ("0 unclear a", "ab-"),
        ("0 challenged a", "ab-"),
        ("0 opens:b a", "b"),
        ("0 begins a", ""),
        # Logged out, refused
        ("0 opens:a -, 1 ended a", "ab-"),
        ("0 opens:a -, 1 begins a, 2 is:ended -", ""),  # its answer is still on the way
        ("0 opens:a -, 1 begins a, 1 begins a, 2 is:ended a, 2 leaves a", ""),  # another one of the holder
        ("0 opens:a -, 1 begins a, 1 begins a, 2 is:ended a, 2 leaves a, 3 is:served a, 3 leaves a", "ab-"),
        ("0 opens:a -, 1 ended a, 2 opens:b -", "b"),
        # Asked for a login in the middle of it
        ("0 opens:a -, 1 challenged a", "a"),
        ("0 opens:a -, 1 challenged a, 3.9 waits -", "a"),
        ("0 opens:a -, 1 challenged a, 4 waits -", "ab-"),
        ("0 opens:a -, 1 challenged a, 4 wanted -", "a"),
        ("0 opens:a -, 1 challenged a, 3 challenged a, 4 waits -", "ab-"),
        ("0 opens:a -, 1 challenged a, 1.1 served a, 4.2 waits -", "a"),
        ("0 opens:a -, 1 challenged a, 2 begins a, 20 waits -", "a"),
        ("0 opens:a -, 1 challenged a, 2 begins a, 20 is:served a, 20 leaves a, 49 waits -", "a"),
        ("0 opens:a -, 1 challenged a, 4 waits -, 5 opens:a -, 9 waits -", "a"),
        # Idle
        ("0 opens:a -, 29.9 waits -", "a"),
        ("0 opens:a -, 30 waits -", "ab-"),
        ("0 opens:a -, 100 wanted -", "a"),
        ("0 opens:a -, 20 unclear a, 49 waits -", "a"),
        ("0 opens:a -, 20 begins a, 90 waits -", "a"),
        ("0 opens:a -, 20 begins a, 90 leaves a, 119 waits -", "a"),
        ("0 opens:a -, 20 begins a, 90 leaves a, 120 waits -", "ab-"),
        # Held for too long
        ("0 opens:a -, 299 served a, 299.9 waits -", "a"),
        ("0 opens:a -, 299 served a, 300 waits -", "ab-"),
        ("0 opens:a -, 299 served a, 300 wanted -", "ab-"),
        ("0 opens:a -, 299 begins a, 301 waits -", "a"),
        ("0 opens:a -, 299 opens:a a, 300 waits -", "ab-"),
        ("0 opens:a -, 299 opens:b a, 300 waits -", "b"),
        ("0 opens:a -, 299 served a, 300 waits -, 301 served a, 302 waits -", "a"),  # nobody else waited
    ],
)
def test_whose_requests_may_start(steps: str, may_start: str) -> None:
    gateway = Gateway()
    for step in filter(None, steps.split(", ")):
        gateway.play(step)
    assert gateway.may_start == may_start


def test_a_request_that_is_sent_again_counts_for_the_session_of_that_time() -> None:
    session = PpcSession()
    for meaning in (Meaning.SERVED, Meaning.ENDED):
        session.begin(ANY)
        session.record_answer(ANY, CgiAnswer(meaning), 0)
        session.end(ANY, 0)
    assert session.free
