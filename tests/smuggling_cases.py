"""Requests that two readers could understand differently, broken ones and odd ones, and what must become of each.

The expectations follow the RFCs and this proxy's rules, not a parser's habits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Headers = tuple[tuple[bytes, bytes], ...]

ECHO: Final = b"/sim/echo"
CRLF: Final = b"\r\n"


@dataclass(frozen=True)
class Got:
    """A request as it must reach the gateway; ``headers`` without ``Host`` and the framing.

    ``framing`` is "length", "chunked", or nothing for a request without a body.
    """

    method: str = "GET"
    target: bytes = ECHO
    headers: Headers = ()
    framing: str = ""
    body: bytes = b""


@dataclass(frozen=True)
class Case:
    """What a client sends, the statuses that it gets, and what the gateway gets.

    ``closes``: the proxy ends the connection after that. ``leaves``: the client does, and nothing is said of it.
    ``heads``: the answers' bodies are left out, because they answer HEAD. ``or_refused``: a parser that sees all
    of it at once may as well refuse all of it.
    """

    name: str
    sent: bytes
    statuses: tuple[int, ...] = (200,)
    received: tuple[Got, ...] = (Got(),)
    closes: bool = False
    leaves: bool = False
    heads: bool = False
    or_refused: bool = False


def get(*headers: bytes, target: bytes = ECHO, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    """Write a request without a body; ``headers`` follow a good ``Host``."""
    return CRLF.join([method + b" " + target + b" " + version, b"Host: proxy", *headers, b"", b""])


def post(*headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    """Write a request with a body, framed by ``headers``."""
    return get(*headers, method=b"POST", version=version) + body


def chunked(body: bytes, *headers: bytes) -> bytes:
    """Write a request whose body is this chunked coding, right or wrong."""
    return post(b"Transfer-Encoding: chunked", *headers, body=body)


def head(*lines: bytes) -> bytes:
    """Write a head line by line, right or wrong."""
    return CRLF.join([*lines, b"", b""])


SECOND: Final = get(target=b"/sim/status/201")
"""What a smuggler hides behind a first request: where it may not be a request, it must not arrive."""

EITHER: Final = b"0\r\n\r\n"
"""A body for both readings of a doubled framing: five bytes, or a last chunk."""

REFUSED: Final[Mapping[str, bytes]] = {
    # Two framings
    "cl-te": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=EITHER),
    "te-cl": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=EITHER),
    "cl-te-hiding-a-request": post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=EITHER + SECOND),
    "te-cl-hiding-a-request": post(
        b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"%x\r\n" % len(SECOND) + SECOND + b"\r\n" + EITHER
    ),
    "cl-0-te": post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=EITHER),
    "cl-te-lower-case": post(b"content-length: 5", b"transfer-encoding: chunked", body=EITHER),
    "cl-te-upper-case": post(b"CONTENT-LENGTH: 5", b"TRANSFER-ENCODING: CHUNKED", body=EITHER),
    "cl-te-identity": post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=EITHER),
    "cl-te-empty": post(b"Content-Length: 5", b"Transfer-Encoding:", body=EITHER),
    "cl-te-unknown": post(b"Content-Length: 5", b"Transfer-Encoding: xchunked", body=EITHER),
    "cl-te-named-by-connection": post(
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: Transfer-Encoding", body=EITHER
    ),
    "cl-named-by-connection-te": post(
        b"Connection: Content-Length", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=EITHER
    ),
    # Transfer-Encoding, spelt in every way
    "te-unknown": post(b"Transfer-Encoding: xchunked", body=EITHER),
    "te-identity": post(b"Transfer-Encoding: identity", body=EITHER),
    "te-empty": post(b"Transfer-Encoding:", body=EITHER),
    "te-gzip": post(b"Transfer-Encoding: gzip", body=EITHER),
    "te-gzip-chunked": post(b"Transfer-Encoding: gzip, chunked", body=EITHER),
    "te-chunked-gzip": post(b"Transfer-Encoding: chunked, gzip", body=EITHER),
    "te-chunked-identity": post(b"Transfer-Encoding: chunked, identity", body=EITHER),
    "te-identity-chunked": post(b"Transfer-Encoding: identity, chunked", body=EITHER),
    "te-chunked-twice-in-a-list": post(b"Transfer-Encoding: chunked, chunked", body=EITHER),
    "te-twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=EITHER),
    "te-twice-second-identity": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=EITHER),
    "te-twice-first-identity": post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=EITHER),
    "te-twice-in-two-cases": post(b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED", body=EITHER),
    "te-with-parameter": post(b"Transfer-Encoding: chunked;x=1", body=EITHER),
    "te-quoted": post(b'Transfer-Encoding: "chunked"', body=EITHER),
    "te-in-single-quotes": post(b"Transfer-Encoding: 'chunked'", body=EITHER),
    "te-trailing-comma": post(b"Transfer-Encoding: chunked,", body=EITHER),
    "te-leading-comma": post(b"Transfer-Encoding: , chunked", body=EITHER),
    "te-vertical-tab": post(b"Transfer-Encoding: \x0bchunked", body=EITHER),
    "te-form-feed": post(b"Transfer-Encoding: chunked\x0c", body=EITHER),
    "te-nul": post(b"Transfer-Encoding: chunked\x00", body=EITHER),
    "te-no-break-space": post(b"Transfer-Encoding: chunked\xa0", body=EITHER),
    "te-long-s": post("Transfer-Encoding: chun\u212aed".encode(), body=EITHER),
    "te-folded": post(b"Transfer-Encoding:\r\n chunked", body=EITHER),
    "te-space-before-colon": post(b"Transfer-Encoding : chunked", body=EITHER),
    "te-tab-before-colon": post(b"Transfer-Encoding\t: chunked", body=EITHER),
    "te-space-before-name": post(b"X: y", b" Transfer-Encoding: chunked", body=EITHER),
    "te-nul-in-name": post(b"Transfer-\x00Encoding: chunked", body=EITHER),
    "te-behind-bare-cr": post(b"X: y\rTransfer-Encoding: chunked", body=EITHER),
    "te-behind-bare-lf": post(b"X: y\nTransfer-Encoding: chunked", body=EITHER),
    "cl-te-space-before-colon": post(b"Content-Length: 5", b"Transfer-Encoding : chunked", body=EITHER),
    "cl-te-behind-bare-lf": post(b"Content-Length: 5", b"X: y\nTransfer-Encoding: chunked", body=EITHER),
    "te-http-1.0": post(b"Transfer-Encoding: chunked", body=EITHER, version=b"HTTP/1.0"),
    "te-http-1.0-keep-alive": post(
        b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=EITHER + SECOND, version=b"HTTP/1.0"
    ),
    # Content-Length, spelt in every way
    "cl-twice-equal": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "cl-twice-different": post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "cl-twice-in-two-cases": post(b"Content-Length: 5", b"content-length: 0", body=b"hello"),
    "cl-list-equal": post(b"Content-Length: 5, 5", body=b"hello"),
    "cl-list-different": post(b"Content-Length: 5, 6", body=b"hello"),
    "cl-list-with-0": post(b"Content-Length: 0, 5", body=b"hello"),
    "cl-trailing-comma": post(b"Content-Length: 5,", body=b"hello"),
    "cl-negative": post(b"Content-Length: -5", body=b"hello"),
    "cl-minus-0": post(b"Content-Length: -0", body=b""),
    "cl-plus": post(b"Content-Length: +5", body=b"hello"),
    "cl-hex": post(b"Content-Length: 0x5", body=b"hello"),
    "cl-hex-digits": post(b"Content-Length: a", body=b"helloworld"),
    "cl-decimal": post(b"Content-Length: 5.0", body=b"hello"),
    "cl-exponent": post(b"Content-Length: 5e0", body=b"hello"),
    "cl-underscore": post(b"Content-Length: 1_0", body=b"helloworld"),
    "cl-two-numbers": post(b"Content-Length: 5 5", body=b"hello"),
    "cl-word-behind": post(b"Content-Length: 5 bytes", body=b"hello"),
    "cl-quoted": post(b'Content-Length: "5"', body=b"hello"),
    "cl-empty": post(b"Content-Length:", body=b"hello"),
    "cl-blank": post(b"Content-Length: \t ", body=b"hello"),
    "cl-2^63": post(b"Content-Length: 9223372036854775808", body=b"hello"),
    "cl-2^64": post(b"Content-Length: 18446744073709551616", body=b"hello"),
    "cl-2^64+5": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "cl-of-100-digits": post(b"Content-Length: " + b"9" * 100, body=b"hello"),
    "cl-of-5000-digits": post(b"Content-Length: " + b"9" * 5000, body=b"hello"),
    "cl-100-zeros": post(b"Content-Length: " + b"0" * 100 + b"5", body=b"hello"),
    "cl-arabic-digit": post("Content-Length: \u0665".encode(), body=b"hello"),
    "cl-superscript": post(b"Content-Length: \xb2", body=b"hello"),
    "cl-nul": post(b"Content-Length: 5\x00", body=b"hello"),
    "cl-vertical-tab": post(b"Content-Length: \x0b5", body=b"hello"),
    "cl-folded": post(b"Content-Length:\r\n 5", body=b"hello"),
    "cl-folded-digits": post(b"Content-Length: 1\r\n 0", body=b"helloworld"),
    "cl-space-before-colon": post(b"Content-Length : 5", body=b"hello"),
    "cl-bare-cr": post(b"Content-Length: 5\rX: y", body=b"hello"),
    "cl-behind-bare-lf": post(b"X: y\nContent-Length: 5", body=b"hello"),
    # Chunks
    "chunk-0x": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk-plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk-minus": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk-minus-0": chunked(b"-0\r\n\r\n"),
    "chunk-space-before-size": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk-tab-behind-size": chunked(b"5\t\r\nhello\r\n0\r\n\r\n"),
    "chunk-space-behind-size": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk-underscore": chunked(b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
    "chunk-no-size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk-no-hex": chunked(b"g\r\nhello\r\n0\r\n\r\n"),
    "chunk-decimal-point": chunked(b"5.0\r\nhello\r\n0\r\n\r\n"),
    "chunk-2^64": chunked(b"10000000000000000\r\nhello\r\n0\r\n\r\n"),
    "chunk-2^64+5": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk-of-100-digits": chunked(b"f" * 100 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk-bare-lf-behind-size": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "chunk-bare-cr-behind-size": chunked(b"5\rhello\r\n0\r\n\r\n"),
    "chunk-bare-lf-behind-data": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "chunk-nothing-behind-data": chunked(b"5\r\nhello0\r\n\r\n"),
    "chunk-shorter-than-said": chunked(b"9\r\nhello\r\n0\r\n\r\n"),
    "chunk-longer-than-said": chunked(b"3\r\nhello\r\n0\r\n\r\n"),
    "chunk-bare-lf-everywhere": chunked(b"5\nhello\n0\n\n"),
    "chunk-last-bare-lf": chunked(b"5\r\nhello\r\n0\n\n"),
    "chunk-nul-behind-size": chunked(b"5\x00\r\nhello\r\n0\r\n\r\n"),
    "chunk-extension-bare-lf": chunked(b"5;x\nhello\r\n0\r\n\r\n"),
    "chunk-extension-bare-cr": chunked(b"5;x\rhello\r\n0\r\n\r\n"),
    "chunk-extension-nul": chunked(b"5;x\x00\r\nhello\r\n0\r\n\r\n"),
    "chunk-extension-hiding-a-request": chunked(b"5;x\n" + SECOND + b"\r\nhello\r\n0\r\n\r\n"),
    "trailer-without-colon": chunked(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "trailer-space-before-colon": chunked(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    "trailer-nul": chunked(b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"),
    "trailer-bare-cr": chunked(b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"),
    # Names
    "name-space-before-colon": get(b"X : y"),
    "name-tab-before-colon": get(b"X\t: y"),
    "name-with-space": get(b"Bad Name: y"),
    "name-empty": get(b": y"),
    "name-without-colon": get(b"nonsense"),
    "name-nul": get(b"X\x00Y: z"),
    "name-control": get(b"X\x01Y: z"),
    "name-delete": get(b"X\x7fY: z"),
    "name-non-ascii": get(b"X-\xc3\xa4: z"),
    "name-latin": get(b"X-\xe4: z"),
    "name-bare-cr": get(b"X\rY: z"),
    "name-parentheses": get(b"X(Y): z"),
    "name-at": get(b"X@Y: z"),
    "name-slash": get(b"X/Y: z"),
    "name-quotes": get(b'"X": z'),
    "name-comma": get(b"X,Y: z"),
    # Values
    "value-nul": get(b"X: a\x00b"),
    "value-bare-cr": get(b"X: a\rb"),
    "value-bare-cr-at-end": get(b"X: a\r"),
    "value-bare-lf": get(b"X: a\nY: b"),
    "value-cr-cr-lf": get(b"X: a\r\r\nY: b"),
    "value-bell": get(b"X: a\x07b"),
    "value-vertical-tab": get(b"X: a\x0bb"),
    "value-escape": get(b"X: a\x1bb"),
    "value-delete": get(b"X: a\x7fb"),
    "folded": get(b"X: a\r\n b"),
    "folded-tab": get(b"X: a\r\n\tb"),
    "folded-empty": get(b"X: a\r\n \r\nY: b"),
    "folded-first-header": head(b"GET /sim/echo HTTP/1.1", b" Host: proxy", b"Host: proxy"),
    "folded-host": head(b"GET /sim/echo HTTP/1.1", b"Host:", b" proxy"),
    "head-ends-with-bare-lf": b"GET /sim/echo HTTP/1.1\r\nHost: proxy\r\n\n" + SECOND,
    "head-of-bare-lf": b"GET /sim/echo HTTP/1.1\nHost: proxy\n\n",
    "head-of-bare-cr": b"GET /sim/echo HTTP/1.1\rHost: proxy\r\r" + SECOND,
    "line-ends-lf-cr": b"GET /sim/echo HTTP/1.1\n\rHost: proxy\n\r\n\r" + SECOND,
    # The request line
    "line-without-version": head(b"GET /sim/echo", b"Host: proxy"),
    "http-0.9": b"GET /sim/echo\r\n\r\n",
    "http-0.9-said": head(b"GET /sim/echo HTTP/0.9", b"Host: proxy"),
    "http-1.2": get(version=b"HTTP/1.2"),
    "http-1.10": get(version=b"HTTP/1.10"),
    "http-01.1": get(version=b"HTTP/01.1"),
    "http-2.0": get(version=b"HTTP/2.0"),
    "http-2": get(version=b"HTTP/2"),
    "http-3.0": get(version=b"HTTP/3.0"),
    "http-9.9": get(version=b"HTTP/9.9"),
    "http-1": get(version=b"HTTP/1"),
    "http-1.": get(version=b"HTTP/1."),
    "http-comma": get(version=b"HTTP/1,1"),
    "http-lower-case": get(version=b"http/1.1"),
    "http-minus": get(version=b"HTTP/-1.1"),
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    "line-tab-before-target": head(b"GET\t/sim/echo HTTP/1.1", b"Host: proxy"),
    "line-tab-before-version": head(b"GET /sim/echo\tHTTP/1.1", b"Host: proxy"),
    "line-space-at-start": head(b" GET /sim/echo HTTP/1.1", b"Host: proxy"),
    "line-tab-at-start": head(b"\tGET /sim/echo HTTP/1.1", b"Host: proxy"),
    "line-space-at-end": head(b"GET /sim/echo HTTP/1.1 ", b"Host: proxy"),
    "line-word-at-end": head(b"GET /sim/echo HTTP/1.1 x", b"Host: proxy"),
    "line-bare-cr-behind-version": b"GET /sim/echo HTTP/1.1\rX: y\r\nHost: proxy\r\n\r\n",
    "line-without-target": head(b"GET HTTP/1.1", b"Host: proxy"),
    "line-without-method": head(b"/sim/echo HTTP/1.1", b"Host: proxy"),
    "line-nonsense": head(b"nonsense", b"Host: proxy"),
    "line-nul-at-start": head(b"\x00GET /sim/echo HTTP/1.1", b"Host: proxy"),
    "line-byte-order-mark": head(b"\xef\xbb\xbfGET /sim/echo HTTP/1.1", b"Host: proxy"),
    # Methods: those that llhttp does not know are refused, too
    "method-lower-case": get(method=b"get"),
    "method-mixed-case": get(method=b"Get"),
    "method-unknown": get(method=b"READOUT"),
    "method-prefix": get(method=b"GE"),
    "method-longer": get(method=b"GETX"),
    "method-nul": get(method=b"GE\x00T"),
    "method-non-ascii": get(method=b"G\xc3\x8bT"),
    "method-delimiter": get(method=b"GET,POST"),
    # Targets
    "target-space": get(target=b"/sim/echo bar"),
    "target-nul": get(target=b"/sim/\x00echo"),
    "target-bell": get(target=b"/sim/\x07echo"),
    "target-tab": get(target=b"/sim/\techo"),
    "target-delete": get(target=b"/sim/\x7fecho"),
    "target-bare-cr": get(target=b"/sim/\recho"),
    "target-bare-lf": get(target=b"/sim/\necho"),
    "target-non-ascii": get(target="/z\u00e4hler".encode()),
    "target-latin": get(target=b"/z\xe4hler"),
    "target-hiding-a-request": b"GET /a\r\n\r\nGET /sim/echo HTTP/1.1\r\nHost: proxy\r\n\r\n",
    "target-authority": get(target=b"proxy:80"),
    "target-relative": get(target=b"sim/echo"),
    "target-dot": get(target=b"."),
    "target-query-alone": get(target=b"?x=y"),
    "target-fragment-alone": get(target=b"#x"),
    "target-backslash": get(target=b"\\sim\\echo"),
    "target-asterisk-and-more": get(target=b"*/sim/echo", method=b"OPTIONS"),
    "target-asterisk-of-get": get(target=b"*"),
    "target-other-scheme": get(target=b"ftp://proxy/sim/echo"),
    "target-file": get(target=b"file:///etc/passwd"),
    "target-without-authority": get(target=b"http:///sim/echo"),
    "target-scheme-alone": get(target=b"http://"),
    "target-space-in-url": get(target=b"http://proxy /sim/echo"),
    # Host
    "host-missing": head(b"GET /sim/echo HTTP/1.1", b"X: y"),
    "host-missing-alone": head(b"GET /sim/echo HTTP/1.1"),
    "host-missing-in-absolute-form": head(b"GET http://proxy/sim/echo HTTP/1.1"),
    "host-empty": head(b"GET /sim/echo HTTP/1.1", b"Host:"),
    "host-twice": get(b"Host: other"),
    "host-twice-equal": get(b"Host: proxy"),
    "host-twice-in-two-cases": get(b"hOST: proxy"),
    "host-twice-http-1.0": get(b"Host: other", version=b"HTTP/1.0"),
    "host-comma": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy, other"),
    "host-space": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy other"),
    "host-user": head(b"GET /sim/echo HTTP/1.1", b"Host: user@proxy"),
    "host-path": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy/sim"),
    "host-query": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy?x"),
    "host-fragment": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy#x"),
    "host-scheme": head(b"GET /sim/echo HTTP/1.1", b"Host: http://proxy"),
    "host-backslash": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy\\x"),
    "host-port-too-high": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy:65536"),
    "host-port-no-number": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy:x"),
    "host-port-negative": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy:-80"),
    "host-two-ports": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy:80:80"),
    "host-open-bracket": head(b"GET /sim/echo HTTP/1.1", b"Host: [::1"),
    "host-no-ipv6": head(b"GET /sim/echo HTTP/1.1", b"Host: [proxy]"),
    "host-non-ascii": head(b"GET /sim/echo HTTP/1.1", "Host: pr\u00f6xy".encode()),
    "host-nul": head(b"GET /sim/echo HTTP/1.1", b"Host: proxy\x00other"),
    "host-space-before-colon": head(b"GET /sim/echo HTTP/1.1", b"Host : proxy"),
    "host-in-absolute-form-malformed": head(b"GET http://proxy/sim/echo HTTP/1.1", b"Host: a b"),
}
"""Each is answered 400, closes the connection, and never reaches the gateway."""

TOO_LARGE: Final = {
    "line-of-100-kB": (414, get(target=b"/" + b"x" * 100_000)),
    "value-of-100-kB": (431, get(b"X: " + b"y" * 100_000)),
    "name-of-100-kB": (431, get(b"X" * 100_000 + b": y")),
    "headers-1100": (431, get(*(b"X-%d: y" % number for number in range(1100)))),
}
"""Each is answered with its own status, closes the connection, and never reaches the gateway."""
