"""Messages to and from the gateway: a request as it is sent, an answer as it is read.

llhttp (httptools) reads; what is dangerous in an answer, or has no end, is refused here. No connection is known here,
and nothing is waited for.
"""

import re
from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

from smgw_proxy_addon.errors import BadAnswerError, GatewayError, TruncatedAnswerError
from smgw_proxy_addon.http.messages import Answer

if TYPE_CHECKING:
    from smgw_proxy_addon.http.headers import Headers

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_HEAD: Final = 262144
_MAX_INTERIM: Final = 16
_FRAMING: Final = frozenset({b"transfer-encoding", b"content-length"})
_OK: Final = 200
_SWITCHING: Final = 101


class Reading:
    """What llhttp has found of one answer; called back by it while bytes are fed."""

    def __init__(self, method: bytes) -> None:
        self._bodiless = method == b"HEAD"
        self._interim = 0
        self._parser = httptools.HttpResponseParser(self)
        # A bare line feed ends a line (RFC 9112 section 2.2): the head is written anew for the client.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._beside_body = 0  # bytes since the last one of a body
        self._until_close = False
        self._complete = False
        self.heard = False
        self.pieces: deque[bytes] = deque()
        self.waiting = 0
        """Bytes in ``pieces``."""
        self.stray = False
        """Whether more came than the answer."""
        self.keeps_alive = False
        self.problem: GatewayError | None = None
        self._begin()

    def _begin(self) -> None:
        self._reason = b""
        self._headers: Headers = []
        self._status: int | None = None

    @property
    def head_complete(self) -> bool:
        """Whether the head of the final answer is there."""
        return self._status is not None

    @property
    def complete(self) -> bool:
        """Whether the answer is there up to its end."""
        return self._complete

    def answer(self) -> Answer:
        """Give the head, with the body if that is complete; its pieces stay."""
        return Answer(
            self._status or 0,
            b"" if _CONTROL.search(self._reason) else self._reason,  # nobody needs it (RFC 9112 section 4)
            self._headers,
            b"".join(self.pieces) if self._complete else None,
        )

    def feed(self, data: bytes) -> None:
        """Read further bytes."""
        self.heard = True
        if self._complete:
            self.stray = True
            return
        self._beside_body += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("a switch of protocols that nobody asked for")
        except httptools.HttpParserError as error:
            # What llhttp says may quote the gateway: only its kind is passed on.
            self._refuse(type(error).__name__)
        if self._beside_body > _MAX_HEAD:
            self._refuse("a head, a trailer or a chunk's size without end")

    def end(self, error: BaseException | None) -> None:
        """Learn that the connection has ended: in order, or by an error."""
        if self._until_close and error is None and self.problem is None:
            self._complete = True
        elif not self._complete and self.problem is None and self.heard:
            self.problem = TruncatedAnswerError(type(error).__name__ if error else "closed")

    def _refuse(self, detail: str) -> None:
        if self._complete:
            self.stray = True
        elif self.problem is None:
            self.problem = BadAnswerError(detail)

    # Called by llhttp

    def on_message_begin(self) -> None:
        """Note that a message begins: ours, the one after an interim answer, or one that nobody asked for."""
        self.stray = self.stray or self._complete

    def on_status(self, status: bytes) -> None:
        """Take (a part of) the reason phrase."""
        if not self._complete:
            self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one of the trailer is dropped."""
        if self._status is None:
            self._headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Decide how the body ends (RFC 9112 section 6.3)."""
        status = self._parser.get_status_code()
        if self._complete or (status < _OK and status != _SWITCHING):
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
        self._status = status
        if self._bodiless:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._complete:
            self.stray = True
        else:
            self._beside_body = 0
            self.pieces.append(body)
            self.waiting += len(body)

    def on_message_complete(self) -> None:
        """End the answer, or begin anew after an interim one (RFC 9110 section 15.2): no client waits for those."""
        if self._status is not None:
            self._finish()
            return
        self._interim += 1
        if self._interim > _MAX_INTERIM:
            self._refuse("interim answers without end")
        self._begin()

    def _finish(self) -> None:
        if not self._complete:
            self._complete = True
            self.keeps_alive = self._parser.should_keep_alive()
