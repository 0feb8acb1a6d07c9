"""Reads the gateway's answers with llhttp (httptools); refuses what is ambiguous or has no end.

Bytes go in, the head and pieces of the body come out: no connection is known here and nothing is waited for.
"""

import re
from typing import TYPE_CHECKING, Final

import httptools

from smgw_proxy_addon.errors import BadAnswerError, GatewayError, TruncatedAnswerError
from smgw_proxy_addon.http.messages import Answer

if TYPE_CHECKING:
    from smgw_proxy_addon.http.headers import Headers

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_HEAD: Final = 262144
"""Bytes of an answer without a byte of its body in between."""
_MAX_INTERIM: Final = 16
_FRAMING: Final = frozenset({b"transfer-encoding", b"content-length"})
_OK: Final = 200
_SWITCHING: Final = 101


class AnswerParser:
    """Parses one answer. Its ``on_…`` methods are called by llhttp while bytes are fed."""

    complete = False
    """Whether the answer was read to its end."""
    head_complete = False
    """Whether the head of the final answer was read."""
    started = False
    buffered = 0
    """Bytes in ``pieces``."""
    excess = False
    """Whether bytes came after the end of the answer."""
    keeps_alive = False
    problem: GatewayError | None = None
    _interim = 0
    _beside_body = 0
    """Bytes since the last one of the body."""
    _until_close = False
    _status = 0
    _reason = b""

    def __init__(self, method: bytes) -> None:
        self._bodiless = method == b"HEAD"
        self._headers: Headers = []
        self.pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        # A bare LF ends a line (RFC 9112 section 2.2). No risk for the client: its head is written anew.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)

    def answer(self) -> Answer:
        """Return the head, and the body if that is complete; ``pieces`` keeps it, too."""
        return Answer(
            self._status,
            b"" if _CONTROL.search(self._reason) else self._reason,  # may be left out (RFC 9112 section 4)
            self._headers,
            b"".join(self.pieces) if self.complete else None,
        )

    def feed(self, data: bytes) -> None:
        """Read further bytes."""
        self.started = True
        if self.complete:
            self.excess = True
            return
        self._beside_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("a switch of protocols that nobody asked for")
        except httptools.HttpParserError as error:
            # Only the kind of the error: its text may quote the gateway.
            self._refuse(type(error).__name__)
        if self._beside_body > _MAX_HEAD:
            self._refuse("a head, a trailer or a chunk's size without end")

    def end(self, error: BaseException | None) -> None:
        """Note that the connection has ended, in order or by ``error``."""
        if self._until_close and error is None and self.problem is None:
            self._finish()
        elif not self.complete and self.problem is None and self.started:
            self.problem = TruncatedAnswerError(type(error).__name__ if error else "closed")

    def _refuse(self, detail: str) -> None:
        if self.complete:
            self.excess = True
        elif self.problem is None:
            self.problem = BadAnswerError(detail)

    # Called by llhttp

    def on_message_begin(self) -> None:
        """Note that a message begins: after a complete answer, one that nobody asked for."""
        self.excess = self.excess or self.complete

    def on_status(self, status: bytes) -> None:
        """Add a part of the reason phrase."""
        if not self.complete:
            self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; those of a trailer are dropped."""
        if not self.head_complete:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Decide how the body ends (RFC 9112 section 6.3)."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < _OK and status != _SWITCHING:
            return
        if status == _SWITCHING:
            self._refuse("a switch of protocols that nobody asked for")
            return
        self._until_close = True
        for name, value in self._headers:
            lower = name.lower()
            if lower == b"transfer-encoding" and (value.lower() != b"chunked" or not self._until_close):
                self._refuse("a transfer coding other than chunked, or more than one framing")
                return
            if lower in _FRAMING:
                self._until_close = False
        self._status, self.head_complete = status, True
        if self._bodiless:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """Add a piece of the body."""
        if self.complete:
            self.excess = True
        else:
            self._beside_body = 0
            self.pieces.append(body)
            self.buffered += len(body)

    def on_message_complete(self) -> None:
        """End the answer. After an interim one (RFC 9110 section 15.2), which is dropped, begin anew."""
        if self.head_complete:
            self._finish()
            return
        self._interim += 1
        if self._interim > _MAX_INTERIM:
            self._refuse("interim answers without end")
        self._reason, self._headers = b"", []

    def _finish(self) -> None:
        if not self.complete:
            self.complete = True
            self.keeps_alive = self._parser.should_keep_alive()
            del self._parser  # each of them refers to the other: only the garbage collector would free them
