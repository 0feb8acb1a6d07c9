"""Answers of a broken or hostile gateway, and what a client may get of each.

The expectations follow the RFCs and this proxy's rules, not a parser's habits.
"""

from dataclasses import dataclass
from typing import Final

STRAY: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Stray: stray\r\n\r\nstray"
"""What nobody asked for: no client may ever get a byte of it."""


@dataclass(frozen=True)
class Passed:
    """The gateway's answer as it is meant; of a ``body`` that is none, any."""

    status: int
    body: bytes | None = b""


ERROR: Final = "one of our errors"
BROKEN: Final = "an answer that is recognisably not whole"
Outcome = Passed | str

OK: Final = Passed(200, b"ok")


@dataclass(frozen=True)
class Answer:
    """What a gateway sends, and the outcomes that are fine. ``stays``: it keeps the connection open after that."""

    name: str
    raw: bytes
    wanted: tuple[Outcome, ...] = (ERROR,)
    method: str = "GET"
    stays: bool = False


def ok(*headers: bytes, body: bytes = b"ok", status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    """Write an answer; the framing is among the ``headers``."""
    return b"\r\n".join([version + b" " + status, *headers, b"", body])


def chunked(body: bytes, *headers: bytes) -> bytes:
    """Write an answer whose body is this chunked coding, right or wrong."""
    return ok(b"Transfer-Encoding: chunked", *headers, body=body)


TWO: Final = b"Content-Length: 2"
SPLIT: Final = b"\r\n\r\n" + STRAY

ANSWERS: Final = (
    # As it should be
    Answer("length", ok(TWO), (OK,), stays=True),
    Answer("chunks", chunked(b"2\r\nok\r\n0\r\n\r\n"), (OK,), stays=True),
    Answer("until-close", ok(), (OK,)),
    Answer("until-close-empty", ok(body=b""), (Passed(200),)),
    Answer("no-content", ok(status=b"204 No Content", body=b""), (Passed(204),), stays=True),
    Answer("not-modified", ok(status=b"304 Not Modified", body=b""), (Passed(304),), stays=True),
    Answer(
        "not-modified-with-length",
        ok(b"Content-Length: 5", status=b"304 Not Modified", body=b""),
        (Passed(304),),
        stays=True,
    ),
    Answer("head", ok(TWO, body=b""), (Passed(200),), method="HEAD", stays=True),
    Answer("head-chunked", ok(b"Transfer-Encoding: chunked", body=b""), (Passed(200),), method="HEAD", stays=True),
    # Old and odd, but understood in one way only
    Answer("http-1.0", ok(version=b"HTTP/1.0"), (OK,)),
    Answer("http-1.0-length", ok(TWO, version=b"HTTP/1.0"), (OK,)),
    Answer("reason-empty", ok(TWO, status=b"200 "), (OK,)),
    Answer("reason-missing", ok(TWO, status=b"200"), (OK, ERROR)),
    Answer("reason-latin", ok(TWO, status=b"200 Gr\xfc\xdfe"), (OK, ERROR)),
    Answer("reason-of-60-kB", ok(TWO, status=b"200 " + b"x" * 60_000), (OK, ERROR)),
    Answer("status-unknown", ok(TWO, status=b"299 ?"), (Passed(299, b"ok"),)),
    Answer("status-599", ok(TWO, status=b"599 ?"), (Passed(599, b"ok"),)),
    Answer("bare-line-feeds", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", (OK, ERROR)),
    Answer("trailers", chunked(b"2\r\nok\r\n0\r\nX-Trailer: y\r\n\r\n"), (OK,), stays=True),
    Answer("chunk-extension", chunked(b"2;x=y\r\nok\r\n0\r\n\r\n"), (OK,), stays=True),
    Answer("value-latin", ok(TWO, b"X: gr\xfc\xdfe"), (OK,)),
    Answer("value-empty", ok(TWO, b"X:"), (OK,)),
    Answer("connection-names-length", ok(TWO, b"Connection: Content-Length"), (OK,)),
    Answer("connection-names-cookie", ok(TWO, b"Connection: Set-Cookie", b"Set-Cookie: a=b"), (OK,)),
    Answer("cookies-500", ok(TWO, *(b"Set-Cookie: c%d=y; Domain=.example; Secure" % n for n in range(500))), (OK,)),
    Answer("headers-5000", ok(TWO, *(b"X-%d: y" % n for n in range(5000))), (OK, ERROR)),
    Answer("header-of-100-kB", ok(TWO, b"X: " + b"y" * 100_000), (OK, ERROR)),
    Answer(
        "interim", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok(TWO), (OK,)
    ),
    # More than the answer: not a byte of it arrives anywhere
    Answer("two-answers", ok(TWO) + STRAY, (OK,), stays=True),
    Answer("two-answers-until-close", ok(TWO) + STRAY, (OK,)),
    Answer("two-answers-chunked", chunked(b"2\r\nok\r\n0\r\n\r\n") + STRAY, (OK,), stays=True),
    Answer("longer-than-said", ok(TWO, body=b"okstray"), (OK,), stays=True),
    Answer(
        "no-content-with-body",
        ok(b"Content-Length: 5", status=b"204 No Content", body=b"stray"),
        (Passed(204), ERROR),
        stays=True,
    ),
    Answer(
        "no-content-with-chunks",
        ok(b"Transfer-Encoding: chunked", status=b"204 No Content", body=b"5\r\nstray\r\n0\r\n\r\n"),
        (Passed(204), ERROR),
        stays=True,
    ),
    Answer(
        "not-modified-with-body",
        ok(b"Content-Length: 5", status=b"304 Not Modified", body=b"stray"),
        (Passed(304), ERROR),
        stays=True,
    ),
    Answer(
        "head-with-body", ok(b"Content-Length: 5", body=b"stray"), (Passed(200), ERROR), method="HEAD", stays=True
    ),
    Answer("head-with-chunks", chunked(b"5\r\nstray\r\n0\r\n\r\n"), (Passed(200), ERROR), method="HEAD", stays=True),
    Answer("head-with-endless-body", ok(body=b"stray"), (Passed(200), ERROR), method="HEAD", stays=True),
    Answer("interim-with-body", b"HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nstray" + ok(TWO), (OK, ERROR)),
    Answer(
        "interim-with-chunks",
        b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstray\r\n0\r\n\r\n" + ok(TWO),
        (OK, ERROR),
    ),
    Answer("interim-with-login", b"HTTP/1.1 103 Hints\r\nSet-Cookie: stray=1\r\n\r\n" + ok(TWO), (OK,)),
    # Not whole
    Answer("shorter-than-said", ok(b"Content-Length: 5"), (BROKEN, ERROR)),
    Answer("chunks-without-end", chunked(b"2\r\nok\r\n"), (BROKEN, ERROR)),
    Answer("chunk-cut", chunked(b"9\r\nok"), (BROKEN, ERROR)),
    Answer("last-chunk-cut", chunked(b"2\r\nok\r\n0\r\n"), (BROKEN, ERROR)),
    Answer("head-cut", b"HTTP/1.1 200 OK\r\nContent-"),
    Answer("status-cut", b"HTTP/1.1 2"),
    Answer("nothing", b""),
    Answer("line-end-alone", b"\r\n"),
    Answer("interim-alone", b"HTTP/1.1 100 Continue\r\n\r\n"),
    # Two framings, or a wrong one
    Answer("te-cl", ok(b"Transfer-Encoding: chunked", TWO, body=b"2\r\nok\r\n0\r\n\r\n"), (OK, ERROR)),
    Answer("cl-te", ok(TWO, b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"), (OK, ERROR)),
    Answer("cl-te-identity", ok(TWO, b"Transfer-Encoding: identity"), (ERROR,)),
    Answer("te-unknown", ok(b"Transfer-Encoding: xchunked", body=b"2\r\nok\r\n0\r\n\r\n")),
    Answer("te-gzip", ok(b"Transfer-Encoding: gzip", body=b"\x1f\x8b")),
    Answer("te-gzip-chunked", ok(b"Transfer-Encoding: gzip, chunked", body=b"2\r\n\x1f\x8b\r\n0\r\n\r\n")),
    Answer(
        "te-chunked-twice",
        ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    ),
    Answer("te-empty", ok(b"Transfer-Encoding:")),
    Answer("te-folded", ok(b"Transfer-Encoding:\r\n chunked", body=b"2\r\nok\r\n0\r\n\r\n"), (OK, ERROR)),
    Answer(
        "te-http-1.0",
        ok(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n", version=b"HTTP/1.0"),
        (OK, ERROR),
    ),
    Answer("cl-twice-equal", ok(TWO, TWO), (OK, ERROR)),
    Answer("cl-twice-different", ok(TWO, b"Content-Length: 7", body=b"okstray")),
    Answer("cl-list-equal", ok(b"Content-Length: 2, 2"), (OK, ERROR)),
    Answer("cl-list-different", ok(b"Content-Length: 2, 7", body=b"okstray")),
    Answer("cl-negative", ok(b"Content-Length: -2")),
    Answer("cl-plus", ok(b"Content-Length: +2")),
    Answer("cl-hex", ok(b"Content-Length: 0x2")),
    Answer("cl-empty", ok(b"Content-Length:")),
    Answer("cl-2^64+2", ok(b"Content-Length: 18446744073709551618"), (ERROR, BROKEN)),
    Answer("cl-2^63", ok(b"Content-Length: 9223372036854775808"), (ERROR, BROKEN)),
    Answer("cl-nul", ok(b"Content-Length: 2\x00")),
    Answer("cl-space-before-colon", ok(b"Content-Length : 2")),
    Answer("chunk-0x", chunked(b"0x2\r\nok\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-minus", chunked(b"-2\r\nok\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-no-hex", chunked(b"g\r\nok\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-2^64+2", chunked(b"10000000000000002\r\nok\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-without-end", chunked(b"2\r\nok0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-longer", chunked(b"2\r\nokstray\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    Answer("chunk-size-empty", chunked(b"\r\nok\r\n0\r\n\r\n"), (ERROR, BROKEN)),
    # Response splitting: what looks like another answer stays in the value, or all is refused
    Answer("value-bare-cr", ok(TWO, b"X: a\rX-Stray: b")),
    Answer("value-nul", ok(TWO, b"X: a\x00b")),
    Answer("value-bell", ok(TWO, b"X: a\x07b"), (OK, ERROR)),
    Answer("value-bare-crs", ok(TWO, b"X: a\r\rstray")),
    Answer("value-folded", ok(TWO, b"X: a\r\n b"), (OK, ERROR)),
    Answer("location-bare-cr", ok(TWO, b"Location: /x\rX-Stray: b", status=b"302 Found")),
    Answer("cookie-bare-cr", ok(TWO, b"Set-Cookie: a=b\rX-Stray: c")),
    Answer("cookie-nul", ok(TWO, b"Set-Cookie: a=b\x00; Secure")),
    Answer("reason-nul", ok(TWO, status=b"200 O\x00K"), (OK,)),
    Answer("reason-bare-cr", ok(TWO, status=b"200 OK\rX-Stray: b")),
    Answer("reason-bell", ok(TWO, status=b"200 O\x07K"), (OK,)),
    Answer("name-space-before-colon", ok(TWO, b"X : y")),
    Answer("name-with-space", ok(TWO, b"X Y: y")),
    Answer("name-empty", ok(TWO, b": y")),
    Answer("name-nul", ok(TWO, b"X\x00: y")),
    Answer("name-latin", ok(TWO, b"X-\xe4: y")),
    Answer("name-without-colon", ok(TWO, b"nonsense")),
    Answer("folded-first-header", ok(b" X: y", TWO)),
    # Not an answer
    Answer("status-000", ok(TWO, status=b"000 OK")),
    Answer("status-099", ok(TWO, status=b"099 OK")),
    Answer("status-600", ok(TWO, status=b"600 ?"), (Passed(600, b"ok"), ERROR)),
    Answer("status-999", ok(TWO, status=b"999 ?"), (Passed(999, b"ok"), ERROR)),
    Answer("status-1000", ok(TWO, status=b"1000 ?")),
    Answer("status-20", ok(TWO, status=b"20 ?")),
    Answer("status-negative", ok(TWO, status=b"-200 OK")),
    Answer("status-plus", ok(TWO, status=b"+200 OK")),
    Answer("status-word", ok(TWO, status=b"OK")),
    Answer("status-empty", ok(TWO, status=b"")),
    Answer("switching", ok(b"Upgrade: x", b"Connection: Upgrade", status=b"101 Switching", body=STRAY), stays=True),
    Answer("switching-alone", ok(status=b"101 Switching", body=b""), stays=True),
    Answer(
        "switching-h2c",
        ok(b"Upgrade: h2c", b"Connection: Upgrade", status=b"101 Switching", body=b"\x00\x00\x00\x04"),
        stays=True,
    ),
    Answer("upgrade-in-200", ok(TWO, b"Upgrade: h2c", b"Connection: Upgrade"), (OK, ERROR), stays=True),
    Answer(
        "upgrade-required",
        ok(TWO, b"Upgrade: h2c", b"Connection: Upgrade", status=b"426 Upgrade Required"),
        (Passed(426, b"ok"), ERROR),
        stays=True,
    ),
    Answer("interim-1000", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + ok(TWO), (OK, ERROR), stays=True),
    Answer("interim-199", b"HTTP/1.1 199 ?\r\n\r\n" + ok(TWO), (OK, ERROR)),
    Answer("http-0.9", b"<html>ok</html>"),
    Answer("http-0.9-said", ok(TWO, version=b"HTTP/0.9"), (OK, ERROR)),
    Answer("http-2.0", ok(TWO, version=b"HTTP/2.0"), (OK, ERROR)),
    Answer("http-9.9", ok(TWO, version=b"HTTP/9.9")),
    Answer("http-lower-case", ok(TWO, version=b"http/1.1")),
    Answer("icecast", ok(TWO, version=b"ICY"), (OK, ERROR)),
    Answer("rtsp", ok(TWO, version=b"RTSP/1.0"), (OK, ERROR)),
    Answer("request-instead", b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n", stays=True),
    Answer("http-2-frames", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), stays=True),
    Answer("rubbish", bytes(range(256)) * 4),
    Answer("spaces-before", b"   " + ok(TWO)),
    Answer("lines-before", b"\r\n\r\n" + ok(TWO), (OK, ERROR)),
    Answer("head-of-300-kB", ok(TWO, *(b"X: " + b"y" * 10_000 for _ in range(30))), (OK, ERROR)),
    Answer("header-of-1-MB", ok(TWO, b"X: " + b"y" * 1_000_000)),
    Answer("lines-before-of-1-MB", b"\r\n" * 500_000 + ok(TWO)),
    Answer("reason-of-1-MB", ok(TWO, status=b"200 " + b"x" * 1_000_000)),
)
