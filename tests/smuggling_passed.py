"""Odd requests that are understood in one way only, or not let in for another reason than their form."""

from typing import Final

from tests.smuggling_cases import ECHO, REFUSED, SECOND, Case, Got, chunked, get, head, post

SIZED: Final = Got("POST", framing="length", body=b"hello")
"""Also what came in as chunks: a body that is read whole has a length."""
EMPTY: Final = Got("POST", framing="length")
THEN: Final = Got(target=b"/sim/status/201")
LAST: Final = b"Connection: close"


def refused(name: str, status: int, sent: bytes, *, closes: bool = False) -> Case:
    """Say that a request never reaches the gateway."""
    return Case(name, sent, (status,), (), closes=closes)


def broken_off(name: str, sent: bytes, *received: Got) -> Case:
    """Say what the gateway gets of a client that sends so much and leaves."""
    return Case(name, sent, (200,) * len(received), received, leaves=True)


PASSED: Final = (
    # Framing
    Case("no-body", get()),
    Case("cl-0", post(b"Content-Length: 0"), received=(Got("POST", framing="length"),)),
    Case("cl-5", post(b"Content-Length: 5", body=b"hello"), received=(SIZED,)),
    Case("cl-tab", post(b"Content-Length:\t5\t", body=b"hello"), received=(SIZED,)),
    Case("cl-leading-zeros", post(b"Content-Length: 0005", body=b"hello"), received=(SIZED,)),
    Case(
        "cl-named-by-connection",
        post(b"Connection: Content-Length", b"Content-Length: 5", body=b"hello"),
        received=(SIZED,),
    ),
    Case(
        "cl-hiding-a-request",
        post(b"Content-Length: %d" % len(SECOND), body=SECOND),
        received=(Got("POST", framing="length", body=SECOND),),
    ),
    Case(
        "x-content-length",
        post(b"Content-Length: 5", b"X-Content-Length: 9", body=b"hello"),
        received=(Got("POST", headers=((b"X-Content-Length", b"9"),), framing="length", body=b"hello"),),
    ),
    Case(
        "content_length-is-another-header",
        post(b"Content-Length: 5", b"Content_Length: 9", body=b"hello"),
        received=(Got("POST", headers=((b"Content_Length", b"9"),), framing="length", body=b"hello"),),
    ),
    Case("post-without-body", post(), received=(Got("POST"),)),
    Case("get-with-body", get(b"Content-Length: 5") + b"hello", received=(Got(framing="length", body=b"hello"),)),
    Case(
        "get-with-chunks",
        get(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
        received=(Got(framing="length", body=b"hello"),),
    ),
    Case(
        "delete-with-body",
        get(b"Content-Length: 5", method=b"DELETE") + b"hello",
        received=(Got("DELETE", framing="length", body=b"hello"),),
    ),
    Case(
        "options-with-body",
        get(b"Content-Length: 5", method=b"OPTIONS") + b"hello",
        received=(Got("OPTIONS", framing="length", body=b"hello"),),
    ),
    Case(
        "te-upper-case",
        post(b"TRANSFER-ENCODING: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
        received=(SIZED,),
    ),
    Case(
        "te-blanks-around",
        post(b"Transfer-Encoding:   chunked  ", body=b"5\r\nhello\r\n0\r\n\r\n"),
        received=(SIZED,),
    ),
    Case(
        "te-no-blank",
        post(b"Transfer-Encoding:chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
        received=(SIZED,),
    ),
    Case(
        "te-named-by-connection",
        chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Connection: Transfer-Encoding"),
        received=(SIZED,),
    ),
    Case("chunks", chunked(b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), received=(SIZED,)),
    Case("chunks-none", chunked(b"0\r\n\r\n"), received=(EMPTY,)),
    Case("chunk-leading-zeros", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), received=(SIZED,)),
    Case(
        "chunk-hex",
        chunked(b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n"),
        received=(Got("POST", framing="length", body=b"01234567890123456789a"),),
    ),
    Case("chunk-extension", chunked(b"5;x=y\r\nhello\r\n0\r\n\r\n"), received=(SIZED,)),
    Case("chunk-extension-quoted", chunked(b'5;x="y;z"\r\nhello\r\n0;a\r\n\r\n'), received=(SIZED,)),
    Case(
        "chunk-hiding-a-request",
        chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SECOND), SECOND)),
        received=(Got("POST", framing="length", body=SECOND),),
    ),
    Case("trailers", chunked(b"5\r\nhello\r\n0\r\nX-Trailer: y\r\nX-More: z\r\n\r\n"), received=(SIZED,)),
    Case(
        "trailer-announced",
        chunked(b"5\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n", b"Trailer: X-Trailer"),
        received=(SIZED,),
    ),
    Case(
        "trailer-is-no-header-of-the-next-request",
        chunked(b"0\r\nX-Trailer: y\r\n\r\n") + SECOND,
        statuses=(200, 201),
        received=(EMPTY, THEN),
    ),
    Case(
        "trailer-authorization",
        chunked(b"0\r\nAuthorization: Basic eDp5\r\n\r\n") + SECOND,
        statuses=(200, 201),
        received=(EMPTY, THEN),
    ),
    refused("trailer-content-length", 400, chunked(b"0\r\nContent-Length: 50\r\n\r\n") + SECOND, closes=True),
    refused(
        "trailer-transfer-encoding", 400, chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n") + SECOND, closes=True
    ),
    Case("trailer-host", chunked(b"0\r\nHost: other\r\n\r\n") + SECOND, statuses=(200, 201), received=(EMPTY, THEN)),
    # Several on one connection
    Case("pipelined", get() + SECOND, (200, 201), (Got(), THEN)),
    Case("pipelined-after-body", post(b"Content-Length: 5", body=b"hello") + SECOND, (200, 201), (SIZED, THEN)),
    Case("pipelined-after-chunks", chunked(b"5\r\nhello\r\n0\r\n\r\n") + SECOND, (200, 201), (SIZED, THEN)),
    Case("pipelined-40", get() * 40, (200,) * 40, (Got(),) * 40),
    Case("pipelined-400", get() * 400, (200,) * 400, (Got(),) * 400),
    Case(
        "pipelined-with-chunks-between",
        get() + chunked(b"5\r\nhello\r\n0\r\nX-Trailer: y\r\n\r\n") + SECOND,
        (200, 200, 201),
        (Got(), SIZED, THEN),
    ),
    Case(
        "pipelined-chunks-40",
        chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n") * 40,
        (200,) * 40,
        (SIZED,) * 40,
    ),
    Case("pipelined-after-close", get(LAST) + SECOND, or_refused=True, closes=True),
    Case("pipelined-after-http-1.0", get(version=b"HTTP/1.0") + SECOND, or_refused=True, closes=True),
    Case("pipelined-after-empty-line", get() + b"\r\n" + SECOND, (200, 201), (Got(), THEN)),
    Case(
        "rubbish-after-body",
        post(b"Content-Length: 5", body=b"hello, world\r\n\r\n"),
        (200, 400),
        (SIZED,),
        or_refused=True,
        closes=True,
    ),
    Case(
        "rubbish-after-chunks",
        chunked(b"5\r\nhello\r\n0\r\n\r\nrubbish\r\n\r\n"),
        (200, 400),
        (SIZED,),
        or_refused=True,
        closes=True,
    ),
    Case("rubbish-after-request", get() + b"rubbish\r\n\r\n", (200, 400), (Got(),), or_refused=True, closes=True),
    Case(
        "second-refused",
        get() + REFUSED["cl-te-hiding-a-request"],
        (200, 400),
        (Got(),),
        or_refused=True,
        closes=True,
    ),
    Case("second-foreign", get() + head(b"GET / HTTP/1.1", b"Host: evil.example"), (200, 421), (Got(),)),
    # Before the request
    Case("empty-line-before", b"\r\n" + get()),
    Case("empty-lines-before", b"\r\n\r\n\r\n" + get()),
    # Versions
    Case("http-1.0", get(version=b"HTTP/1.0"), closes=True),
    Case("http-1.0-without-host", head(b"GET /sim/echo HTTP/1.0"), closes=True),
    Case("http-1.0-keep-alive", get(b"Connection: keep-alive", version=b"HTTP/1.0")),
    Case(
        "http-1.0-body",
        post(b"Content-Length: 5", body=b"hello", version=b"HTTP/1.0"),
        received=(SIZED,),
        closes=True,
    ),
    Case(
        "http-1.0-expect",
        post(b"Content-Length: 5", b"Expect: 100-continue", body=b"hello", version=b"HTTP/1.0"),
        received=(SIZED,),
        closes=True,
    ),
    # Read by words, and as HTTP of that number (RFC 9112 section 3): one request arrives, in our own spelling
    Case("line-two-spaces-before-target", head(b"GET  /sim/echo HTTP/1.1", b"Host: proxy")),
    Case("line-two-spaces-before-version", head(b"GET /sim/echo  HTTP/1.1", b"Host: proxy")),
    Case("rtsp", get(version=b"RTSP/1.0", method=b"DESCRIBE"), received=(Got("DESCRIBE"),), closes=True),
    Case("icecast", get(version=b"ICE/1.0", method=b"SOURCE"), received=(Got("SOURCE"),), closes=True),
    # Methods
    Case("head", get(method=b"HEAD"), received=(Got("HEAD"),), heads=True),
    Case(
        "head-with-body",
        get(b"Content-Length: 5", method=b"HEAD") + b"hello",
        received=(Got("HEAD", framing="length", body=b"hello"),),
        heads=True,
    ),
    *(
        Case(f"method-{name.lower()}", get(method=name.encode()), received=(Got(name),))
        for name in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH", "QUERY")
    ),
    Case("head-foreign", head(b"HEAD /sim/echo HTTP/1.1", b"Host: evil.example"), (421,), (), heads=True),
    refused("connect", 405, head(b"CONNECT proxy:443 HTTP/1.1", b"Host: proxy"), closes=True),
    refused(
        "connect-to-another", 405, head(b"CONNECT 192.168.1.1:443 HTTP/1.1", b"Host: 192.168.1.1:443"), closes=True
    ),
    refused(
        "connect-with-bytes-behind", 405, head(b"CONNECT proxy:443 HTTP/1.1", b"Host: proxy") + SECOND, closes=True
    ),
    refused("connect-origin-form", 405, head(b"CONNECT /sim/echo HTTP/1.1", b"Host: proxy"), closes=True),
    refused(
        "connect-with-body",
        405,
        head(b"CONNECT proxy:443 HTTP/1.1", b"Host: proxy", b"Content-Length: 5") + b"hello" + SECOND,
        closes=True,
    ),
    refused("trace", 405, get(method=b"TRACE")),
    refused("trace-with-login", 405, get(b"Authorization: Basic eDp5", b"Max-Forwards: 0", method=b"TRACE")),
    # Targets
    Case("target-asterisk", get(target=b"*", method=b"OPTIONS"), (404,), received=(Got("OPTIONS", target=b"*"),)),
    Case("target-absolute", get(target=b"http://proxy" + ECHO)),
    Case("target-absolute-of-another-host", get(target=b"http://evil.example" + ECHO)),
    Case("target-absolute-with-user", get(target=b"http://u:p@proxy" + ECHO)),
    Case("target-absolute-https", get(target=b"https://proxy:8443" + ECHO)),
    Case("target-absolute-upper-case", get(target=b"HTTP://PROXY" + ECHO)),
    Case("target-absolute-without-path", get(target=b"http://proxy"), (401,), received=(Got(target=b"/"),)),
    Case("target-absolute-query-alone", get(target=b"http://proxy?x"), (401,), received=(Got(target=b"/?x"),)),
    Case("target-absolute-two-slashes", get(target=b"http://proxy//sim"), (404,), received=(Got(target=b"//sim"),)),
    Case("target-two-slashes", get(target=b"//evil.example/x"), (404,), received=(Got(target=b"//evil.example/x"),)),
    Case("target-dots", get(target=b"/../../etc/passwd"), (404,), received=(Got(target=b"/../../etc/passwd"),)),
    Case("target-percent-crlf", get(target=b"/%0d%0aX:%20y"), (404,), received=(Got(target=b"/%0d%0aX:%20y"),)),
    Case("target-percent-nul", get(target=b"/%00"), (404,), received=(Got(target=b"/%00"),)),
    Case("target-of-8-kB", get(target=b"/" + b"x" * 8000), (404,), received=(Got(target=b"/" + b"x" * 8000),)),
    # Host
    refused("host-foreign", 421, head(b"GET /sim/echo HTTP/1.1", b"Host: evil.example")),
    refused("host-foreign-in-absolute-form", 421, head(b"GET http://proxy/sim/echo HTTP/1.1", b"Host: evil.example")),
    refused("host-rebound-with-port", 421, head(b"GET /sim/echo HTTP/1.1", b"Host: evil.example:8080")),
    Case("host-upper-case", head(b"GET /sim/echo HTTP/1.1", b"HOST: PROXY")),
    Case("host-ipv6", head(b"GET /sim/echo HTTP/1.1", b"Host: [::1]:8080")),
    Case(
        "host-in-the-end",
        head(b"GET /sim/echo HTTP/1.1", b"X: y", b"Host: proxy"),
        received=(Got(headers=((b"X", b"y"),)),),
    ),
    # Headers
    Case(
        "x-forwarded",
        get(b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=1.2.3.4"),
        received=(Got(headers=((b"X-Forwarded-For", b"1.2.3.4"), (b"Forwarded", b"for=1.2.3.4"))),),
    ),
    Case("value-empty", get(b"X:"), received=(Got(headers=((b"X", b""),)),)),
    Case("value-tab", get(b"X: a\tb"), received=(Got(headers=((b"X", b"a\tb"),)),)),
    Case("value-latin", get(b"X: gr\xfc\xdfe"), received=(Got(headers=((b"X", b"gr\xfc\xdfe"),)),)),
    Case("value-colon", get(b"X:: y"), received=(Got(headers=((b"X", b": y"),)),)),
    Case("connection-names-host", get(b"Connection: Host")),
    Case(
        "connection-names-authorization",
        get(b"Connection: Authorization", b"Authorization: Basic eDp5"),
        received=(Got(headers=((b"Authorization", b"Basic eDp5"),)),),
    ),
    Case(
        "connection-names-cookie",
        get(b"Connection: cookie", b"Cookie: a=b"),
        received=(Got(headers=((b"Cookie", b"a=b"),)),),
    ),
    Case(
        "connection-names-another",
        get(b"Connection: keep-alive, X-Hop", b"X-Hop: y", b"X: y"),
        received=(Got(headers=((b"X", b"y"),)),),
    ),
    Case("connection-twice", get(b"Connection: X-Hop", b"Connection: keep-alive", b"X-Hop: y")),
    Case("connection-close-and-keep-alive", get(b"Connection: close, keep-alive"), closes=True),
    Case("connection-odd-list", get(b"Connection: ,, X-Hop ,,", b"X-Hop: y")),
    Case("proxy-headers", get(b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5", b"Keep-Alive: 9")),
    Case("te-header", get(b"TE: trailers, gzip", b"Connection: TE")),
    Case(
        "headers-500",
        get(*(b"X-%d: y" % number for number in range(500))),
        received=(Got(headers=tuple((b"X-%d" % number, b"y") for number in range(500))),),
    ),
    Case("value-of-30-kB", get(b"X: " + b"y" * 30_000), received=(Got(headers=((b"X", b"y" * 30_000),)),)),
    Case(
        "content-encoding-of-rubbish",
        post(b"Content-Length: 5", b"Content-Encoding: gzip", body=b"hello"),
        received=(Got("POST", headers=((b"Content-Encoding", b"gzip"),), framing="length", body=b"hello"),),
    ),
    # Expect
    Case("expect", post(b"Content-Length: 5", b"Expect: 100-continue", body=b"hello"), (100, 200), (SIZED,)),
    Case(
        "expect-upper-case", post(b"Content-Length: 5", b"EXPECT: 100-CONTINUE", body=b"hello"), (100, 200), (SIZED,)
    ),
    Case("expect-without-body", get(b"Expect: 100-continue"), (100, 200)),
    Case(
        "expect-pipelined",
        get() + post(b"Content-Length: 5", b"Expect: 100-continue", body=b"hello") + SECOND,
        (200, 100, 200, 201),
        (Got(), SIZED, THEN),
    ),
    refused("expect-other", 417, get(b"Expect: the-unexpected")),
    refused("expect-empty", 417, get(b"Expect:")),
    refused("expect-two", 417, get(b"Expect: 100-continue, x")),
    # Upgrades are not made, and what follows is not taken for another protocol: the connection ends
    *(
        Case(
            f"upgrade-{name}",
            get(b"Connection: Upgrade", b"Upgrade: " + protocol, *more),
            received=(Got(headers=end_to_end),),
            closes=True,
        )
        for name, protocol, more, end_to_end in (
            (
                "websocket",
                b"websocket",
                (b"Sec-WebSocket-Version: 13",),
                ((b"Sec-WebSocket-Version", b"13"),),
            ),
            ("h2c", b"h2c", (b"HTTP2-Settings: AAMAAABkAAQAAP__",), ()),
            ("tls", b"TLS/1.0", (), ()),
            ("rubbish", b"%%%", (), ()),
        )
    ),
    Case(
        "upgrade-body",
        post(b"Content-Length: 5", b"Connection: Upgrade", b"Upgrade: h2c", body=b"hello"),
        received=(SIZED,),
        closes=True,
    ),
    Case("upgrade-with-a-request-behind", get(b"Connection: Upgrade", b"Upgrade: h2c") + SECOND, closes=True),
    Case(
        "upgrade-websocket-with-a-request-behind",
        get(b"Connection: Upgrade", b"Upgrade: websocket") + SECOND,
        closes=True,
    ),
    Case(
        "upgrade-body-with-a-request-behind",
        post(b"Content-Length: 5", b"Connection: Upgrade", b"Upgrade: h2c", body=b"hello") + SECOND,
        received=(SIZED,),
        closes=True,
    ),
    Case(
        "upgrade-chunks-with-a-request-behind",
        chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Connection: Upgrade", b"Upgrade: h2c") + SECOND,
        received=(SIZED,),
        closes=True,
    ),
    # Without the connection option it asks for nothing (RFC 9110 section 7.8): HTTP/1.1 goes on
    Case("upgrade-alone", get(b"Upgrade: h2c")),
    Case("upgrade-alone-with-a-request-behind", get(b"Upgrade: h2c") + SECOND, (200, 201), (Got(), THEN)),
    Case(
        "upgrade-alone-body-with-a-request-behind",
        post(b"Content-Length: 5", b"Upgrade: h2c", body=b"hello") + SECOND,
        (200, 201),
        (SIZED, THEN),
    ),
    refused(
        "upgrade-refused",
        421,
        head(b"GET /sim/echo HTTP/1.1", b"Host: evil.example", b"Connection: Upgrade", b"Upgrade: h2c") + SECOND,
        closes=True,
    ),
    refused(
        "upgrade-http-2.0",
        400,
        get(b"Connection: Upgrade", b"Upgrade: h2c", version=b"HTTP/2.0") + SECOND,
        closes=True,
    ),
    # The client leaves in the middle
    broken_off("left-at-once", b""),
    broken_off("left-in-the-method", b"GE"),
    broken_off("left-in-the-target", b"GET /sim/ec"),
    broken_off("left-in-a-header", b"GET /sim/echo HTTP/1.1\r\nHost: pro"),
    broken_off("left-before-the-empty-line", b"GET /sim/echo HTTP/1.1\r\nHost: proxy\r\n"),
    broken_off("left-in-the-empty-line", b"GET /sim/echo HTTP/1.1\r\nHost: proxy\r\n\r"),
    broken_off("left-in-the-body", post(b"Content-Length: 50", body=b"hello")),
    broken_off("left-in-the-body-that-is-a-request", post(b"Content-Length: 500", body=SECOND)),
    broken_off("left-in-a-chunk-size", chunked(b"5")),
    broken_off("left-in-a-chunk", chunked(b"5\r\nhel")),
    broken_off("left-behind-a-chunk", chunked(b"5\r\nhello\r\n")),
    broken_off("left-in-the-last-chunk", chunked(b"5\r\nhello\r\n0\r\n")),
    broken_off("left-in-a-trailer", chunked(b"5\r\nhello\r\n0\r\nX-Tra")),
    broken_off("left-in-the-second", get() + SECOND[:-2], Got()),
)
"""What reaches the gateway as it is meant, and what is refused for what it asks."""
