"""A request to the gateway and the head of its answer, as values; and the chunked coding."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from smgw_proxy_addon.http.headers import Headers

LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(slots=True)
class GatewayRequest:
    """What is sent: end-to-end headers, and the body, if any.

    ``body`` is the whole of it. One that comes in pieces is ``stream`` instead: it can be sent only once.
    ``login_proven``: the gateway has taken this login before, so that it cannot be a wrong password.
    """

    method: bytes
    target: bytes = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes | None = field(repr=False)
    chunked: bool
    has_login: bool
    stream: AsyncIterator[bytes] | None = field(default=None, repr=False)
    login_proven: bool = False

    def head(self) -> bytes:
        """Return the request line and headers as they are sent."""
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target)]
        lines += [b"%b: %b" % header for header in self.headers]
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join([*lines, b"", b""])


@dataclass(slots=True)
class Answer:
    """The head of the gateway's answer; ``headers`` in the gateway's own case and order.

    ``whole`` is the body, if all of it came together with the head.
    """

    status: int
    reason: bytes
    headers: Headers = field(repr=False)
    whole: bytes | None = field(default=None, repr=False)


def chunk(data: bytes) -> bytes:
    """Write a chunk (RFC 9112 section 7.1); nothing for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
