"""Messages from and to clients: a request as it is read, and the head of an answer as it is written.

llhttp (httptools) reads; what it lets pass and HTTP/1.1 does not is refused here. No connection is known here, and
nothing is waited for.
"""

from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httptools

from smgw_proxy_addon.errors import (
    BadRequestError,
    HeadersTooLargeError,
    ProxyError,
    RequestLineTooLongError,
)
from smgw_proxy_addon.http.headers import Headers

LONGEST_LINE: Final = 32768
"""Bytes of a request target."""

LARGEST_FIELD: Final = 65536
"""Bytes of a header's name, and of its value."""

LARGEST_HEAD: Final = 131072
"""Bytes of a head, and of what stands between two pieces of a chunked body."""

MOST_AHEAD: Final = 16
"""Requests that wait for their turn beyond which nothing more is read; one call of ``feed`` may add to them."""

READ_AHEAD: Final = 65536
"""Bytes of bodies that nobody has taken yet beyond which nothing more is read."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_MOST_HEADERS: Final = 1000
_VERSIONS: Final = {"1.0": False, "1.1": True}
_NOT_READ_YET: Final = "0.0"
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_TLS_HANDSHAKE: Final = b"\x16"
_WITHOUT_BODY: Final = frozenset({204, 304})
_UNKNOWN: Final = b"-"


@dataclass(eq=False, repr=False, slots=True)
class Request:
    """One request: its head, and what has come in of its body.

    ``target`` is that of the request line byte for byte, ``headers`` are in the client's case and order. A request
    whose head is broken has ``complete``, a ``problem``, and neither method nor target.
    """

    method: bytes
    target: bytes
    headers: Headers
    http_11: bool = True
    keeps_alive: bool = False
    """Whether the connection stays open behind the answer; may be cleared."""
    pieces: list[bytes] = field(default_factory=list)
    """Of the body, decoded from its transfer coding: those that nobody has taken yet."""
    complete: bool = False
    """Whether all of it has come in."""
    problem: ProxyError | None = None
    """Why the rest will never come in."""
    answered: bool = False
    """Whether the head of its answer was sent."""

    def check(self) -> None:
        """Raise the ``problem``, once."""
        if self.problem:
            try:
                raise self.problem
            finally:
                self.problem = None  # its traceback refers to the request


class RequestReader:
    """Reads the requests of one connection; called back by llhttp while bytes are fed."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        """Those whose head is there and whose turn has not come."""
        self.heads = 0
        """Heads that came in whole."""
        self.waiting = 0
        """Bytes of bodies that nobody has taken yet."""
        self.ended = False
        """Whether nothing more is read: after the last request, or because of what was no request."""
        self.oversized = False
        """Whether that was a head without end."""
        self.in_head = False
        """Whether a part of a head is there."""
        self._refused = False
        self._latest: Request | None = None  # made of the last head
        self._receiving: Request | None = None  # whose body comes in
        self._resumed: Request | None = None
        self._size = 0  # bytes since the last whole head or piece of a body, with all that was fed together with it
        self._fed = 0
        self._line = b""
        self._target = b""
        self._headers: Headers = []
        self._parser = httptools.HttpRequestParser(self)

    @property
    def full(self) -> bool:
        """Whether enough waits to be answered."""
        return len(self.requests) >= MOST_AHEAD or self.waiting > READ_AHEAD

    @property
    def settled(self) -> bool:
        """Whether all that was fed was whole requests."""
        return not (self._refused or self.in_head or self._receiving)

    def feed(self, data: bytes) -> None:
        """Read further bytes: a few kB at most, because all requests in them are made at once."""
        if self.ended:
            return
        self._fed = len(data)
        self._size += self._fed
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            raise  # a fault of the methods below
        except httptools.HttpParserError as error:
            # What llhttp says may quote the client: only its kind is passed on.
            at_wrong_port = data.startswith(_TLS_HANDSHAKE)
            detail = "TLS at a port for plain HTTP" if at_wrong_port else type(error).__name__
            self.refuse(BadRequestError(detail))
        if self.in_head:
            self._check_unfinished(data)
        elif self._size > LARGEST_HEAD:
            self.refuse(BadRequestError("a trailer or a chunk's size without end"))

    def refuse(self, problem: ProxyError) -> None:
        """Read no more, and say so in the place of the request that is not whole."""
        if self.ended:
            return
        self.ended = self._refused = True
        self.in_head = False
        request = self._receiving
        if request is None:
            request = Request(_UNKNOWN, _UNKNOWN, [])
            request.complete = True
            self.requests.append(request)
        request.problem = problem

    def close(self) -> None:
        """Forget everything: nobody answers any more."""
        self.ended = True
        self.requests.clear()
        self._receiving = self._resumed = self._latest = None
        del self._parser  # each of them refers to the other

    def _read_on(self, rest: bytes) -> None:
        """Read the body of a request that asks for another protocol: it gets none, and llhttp leaves the body out.

        Another parser takes it for the body of a request with the same framing. The connection ends behind it.
        """
        request = self._resumed = self._latest
        if request is None:
            return
        request.keeps_alive = request.complete = self.ended = False
        self._parser = httptools.HttpRequestParser(self)
        framing = [b"%b: %b\r\n" % header for header in request.headers if header[0].lower() in _FRAMING]
        self.feed(b"POST / HTTP/1.1\r\n%b\r\n%b" % (b"".join(framing), rest))

    def _check_unfinished(self, data: bytes) -> None:
        """Refuse a head before it is whole, as soon as it cannot become a request."""
        problem = self._too_large()
        if self._size > LARGEST_HEAD:
            self.oversized = True
            problem = HeadersTooLargeError("a head without end")
        elif not problem and self._parser.get_http_version() not in {_NOT_READ_YET, *_VERSIONS}:
            problem = _bad_version()
        elif not problem and not self._headers:
            # llhttp waits for more behind a request line without a version (HTTP/0.9).
            self._line += data
            self._line = self._line[self._line.rfind(b"\n", 0, -1) + 1 :]
            if self._line.endswith(b"\n") and self._line.split() == [self._parser.get_method(), self._target]:
                problem = _bad_version()
        if problem:
            self.refuse(problem)

    def _too_large(self) -> ProxyError | None:
        if len(self._target) > LONGEST_LINE:
            return RequestLineTooLongError()
        if len(self._headers) > _MOST_HEADERS:
            return HeadersTooLargeError("too many")
        if self._size > LARGEST_FIELD and any(max(map(len, pair)) > LARGEST_FIELD for pair in self._headers):
            return HeadersTooLargeError("one of them")
        return None

    # Called by llhttp

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.in_head = True
        self._line = self._target = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one of the trailer is dropped."""
        if self.in_head:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Make the request, unless it is none that HTTP/1.1 allows."""
        self.in_head = False
        if self._resumed:
            self._receiving, self._resumed = self._resumed, None
            return
        method = self._parser.get_method()
        http_11 = _VERSIONS.get(self._parser.get_http_version())
        problem = self._too_large()
        if http_11 is None:
            problem = _bad_version()
        elif self._target == b"*" and method != b"OPTIONS":
            problem = BadRequestError("a target that only OPTIONS may have")  # RFC 9112 section 3.2.4
        self._size = self._fed
        self._latest = None
        if problem:
            self.refuse(problem)
        elif not self.ended:
            self.heads += 1
            keeps_alive = self._parser.should_keep_alive()
            request = Request(method, self._target, self._headers, http_11=bool(http_11), keeps_alive=keeps_alive)
            self._latest = self._receiving = request
            self.requests.append(request)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._size = self._fed
        if self._receiving and not self.ended:
            self._receiving.pieces.append(body)
            self.waiting += len(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._receiving and not self.ended:
            self._receiving.complete = True
            self.ended = not self._receiving.keeps_alive
            self._receiving = None


def _bad_version() -> BadRequestError:
    return BadRequestError("a version other than HTTP/1.0 and HTTP/1.1")


def answer_head(request: Request, status: int, reason: bytes, headers: Headers) -> tuple[bytes, bool]:
    """Write the head of an answer: ``headers`` byte for byte, and behind them the framing of this hop.

    Also tells whether the body is to be chunked. Clears ``keeps_alive`` where nothing but the connection's end can
    end the body (RFC 9112 section 6.3).
    """
    chunked = False
    has_length = b"content-length" in [name.lower() for name, _ in headers]
    if not has_length and status not in _WITHOUT_BODY and request.method != b"HEAD":
        chunked = request.http_11
        request.keeps_alive = request.keeps_alive and chunked
    lines = [b"HTTP/1.%d %d %b" % (request.http_11, status, reason)]
    lines += [b"%b: %b" % header for header in headers]
    if request.keeps_alive is not request.http_11:
        lines.append(b"Connection: keep-alive" if request.keeps_alive else b"Connection: close")
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join([*lines, b"", b""]), chunked


def reason(status: int) -> bytes:
    """Give the reason phrase of one of our own answers."""
    return HTTPStatus(status).phrase.encode()
