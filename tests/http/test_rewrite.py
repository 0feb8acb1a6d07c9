"""What changes between client and gateway, and that everything else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.errors import BadRequestError
from smgw_proxy_addon.http.headers import Headers, by_name
from smgw_proxy_addon.http.rewrite import (
    Framing,
    GatewayNames,
    origin_form,
    request_framing,
    request_headers,
    response_headers,
    shared_headers,
)

HOP_BY_HOP = (
    *("Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate"),
    *("Proxy-Authentication-Info", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings"),
)
GATEWAY = GatewayNames.of("10.11.120.2", 443, "smgw.local")


def response_header(name: bytes, value: bytes, *, plain: bool = True, gateway: GatewayNames = GATEWAY) -> bytes:
    [(kept, rewritten)] = response_headers([(name, value)], gateway=gateway, plain=plain)
    assert kept == name
    return rewritten


# --- target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", b"/"),
        (b"/?", b"/?"),
        (b"//x", b"//x"),
        (b"//x//y?z=//", b"//x//y?z=//"),
        (b"/a%2Fb?x=%7E&y=a+b&&", b"/a%2Fb?x=%7E&y=a+b&&"),
        (b"/.//../x#y", b"/.//../x#y"),
        (b"/http://x/y", b"/http://x/y"),
        (b"*", b"*"),
        (b"http://x", b"/"),
        (b"http://x/y?z", b"/y?z"),
        (b"http://x?y", b"/?y"),
        (b"http://x/?", b"/?"),
        (b"HTTPS://u@x:8080//a%2Fb?", b"//a%2Fb?"),
        (b"http://[::1]:80/y", b"/y"),
    ],
)
def test_origin_form(target: bytes, expected: bytes) -> None:
    assert origin_form(target) == expected


@pytest.mark.parametrize("target", [b"", b"x:443", b"x", b"?x", b"http:///x", b"ftp://x/y", b"http:/x", b"**"])
def test_other_forms_of_a_target_are_refused_without_an_echo(target: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        origin_form(target)

    assert not target or target.decode() not in str(caught.value).split()


@given(st.binary())
def test_a_path_is_passed_byte_for_byte_in_both_forms(rest: bytes) -> None:
    assert origin_form(b"/" + rest) == b"/" + rest
    assert origin_form(b"http://proxy:8080/" + rest) == b"/" + rest


# --- framing


@pytest.mark.parametrize(
    ("headers", "expected", "has_body"),
    [
        ([], Framing(), False),
        ([(b"Content-Length", b"0")], Framing(length=0), False),
        ([(b"content-LENGTH", b" 007\t")], Framing(length=7), True),
        ([(b"Transfer-Encoding", b"Chunked")], Framing(chunked=True), True),
        ([(b"X-Content-Length", b"5")], Framing(), False),
        ([(b"Content-Length", b"9" * 18)], Framing(length=10**18 - 1), True),
    ],
)
def test_framing(headers: Headers, expected: Framing, has_body: bool) -> None:
    assert request_framing(by_name(headers)) == expected
    assert expected.has_body is has_body


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", b"5"), (b"Content-Length", b"5")],
        [(b"Content-Length", b"5"), (b"Content-Length", b"6")],
        [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"identity")],
        [(b"Transfer-Encoding", b"\x0bchunked")],
        [(b"Transfer-Encoding", b"")],
        *([(b"Content-Length", value)] for value in (b"", b"-1", b"+1", b"5, 5", b"0x5", b"1_0", b"5\x0b")),
        [(b"Content-Length", "\u0665".encode())],
        [(b"Content-Length", b"9" * 19)],
        [(b"Content-Length", b"9" * 5000)],
    ],
)
def test_framing_that_two_readers_could_read_differently_is_refused(headers: Headers) -> None:
    with pytest.raises(BadRequestError):
        request_framing(by_name(headers))


# --- request headers


def test_a_request_as_the_ppc_client_sends_it() -> None:
    received = [
        (b"user-agent", b"x"),
        (b"HOST", b"homeassistant.local:8080"),
        (b"Cookie", b"session=a; Cookie=session=a"),
        (b"cookie", b"b"),
        (b"X-Content-Length", b"5"),
        (b"connection", b"keep-alive, X-Mine ,Host,authorization,Content-Length"),
        (b"X-Mine", b"1"),
        (b"Authorization", b'Digest uri="/"'),
        (b"Accept-Encoding", b"gzip"),
        (b"Expect", b"100-continue"),
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"Forwarded", b"for=1.2.3.4"),
        (b"Via", b"1.1 other"),
        (b"content-length", b"5"),
    ]

    assert request_headers(received, host=b"10.11.120.2") == [
        (b"user-agent", b"x"),
        (b"HOST", b"10.11.120.2"),
        (b"Cookie", b"session=a; Cookie=session=a"),
        (b"cookie", b"b"),
        (b"X-Content-Length", b"5"),
        (b"Authorization", b'Digest uri="/"'),
        (b"Accept-Encoding", b"gzip"),
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"Forwarded", b"for=1.2.3.4"),
        (b"Via", b"1.1 other"),
        (b"content-length", b"5"),
    ]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ([], [(b"Host", b"gw")]),
        ([(b"a", b"b")], [(b"Host", b"gw"), (b"a", b"b")]),
        ([(b"host", b"x"), (b"a", b"b"), (b"Host", b"y")], [(b"host", b"gw"), (b"a", b"b")]),
    ],
)
def test_one_host_reaches_the_gateway(received: Headers, expected: Headers) -> None:
    assert request_headers(received, host=b"gw") == expected


# --- response headers


def test_what_a_gateway_answers_passes_in_its_own_case_and_order() -> None:
    received = [
        (b"X-FRAME-OPTIONS", b"deny"),
        (b"strict-Transport-Security", b"max-age=31536000; includeSubDomains"),
        (b"Alt-Svc", b'h2=":443"'),
        (b"www-authenticate", b'Digest realm="a", nonce="b"'),
        (b"Connection", b"close, Set-Cookie, X-Mine"),
        (b"x-mine", b"1"),
        (b"WWW-Authenticate", b"Basic"),
        (b"sET-cookie", b"session=1; Path=/; Secure; HttpOnly"),
        (b"Set-Cookie", b"b=2;Domain=gw"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"3"),
    ]

    assert response_headers(received, gateway=GATEWAY, plain=True) == [
        (b"X-FRAME-OPTIONS", b"deny"),
        (b"www-authenticate", b'Digest realm="a", nonce="b"'),
        (b"WWW-Authenticate", b"Basic"),
        (b"sET-cookie", b"session=1; Path=/; HttpOnly"),
        (b"Set-Cookie", b"b=2"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"3"),
    ]


def test_a_length_beside_chunks_is_not_passed_on() -> None:
    received = [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked"), (b"a", b"b")]

    assert response_headers(received, gateway=GATEWAY, plain=True) == [(b"a", b"b")]


@pytest.mark.parametrize(
    ("cookie", "plain", "tls"),
    [
        (b"a=b", b"a=b", b"a=b"),
        (b"a=b; Secure", b"a=b", b"a=b; Secure"),
        (b"a=b;secure;HttpOnly", b"a=b;HttpOnly", b"a=b;secure;HttpOnly"),
        (b"a=b \t;\tsEcUrE ; HttpOnly", b"a=b \t; HttpOnly", b"a=b \t;\tsEcUrE ; HttpOnly"),
        (b"a=b; Secure=1; Secure = ; Path=/", b"a=b; Path=/", b"a=b; Secure=1; Secure = ; Path=/"),
        (b"a=b; Domain=gw; path=/x", b"a=b; path=/x", b"a=b; path=/x"),
        (b"a=b; DOMAIN = .gw ;domain; Max-Age=1;", b"a=b; Max-Age=1;", b"a=b; Max-Age=1;"),
        (b"a=b; Secure; SameSite=None; Partitioned", b"a=b", b"a=b; Secure; SameSite=None; Partitioned"),
        (b"a=b; samesite = Lax; Secure", b"a=b; samesite = Lax", b"a=b; samesite = Lax; Secure"),
        # only attributes count: not the cookie itself, not a value, not a longer word
        (b"secure", b"secure", b"secure"),
        (b"Secure=1; Path=/", b"Secure=1; Path=/", b"Secure=1; Path=/"),
        (b"domain=gw", b"domain=gw", b"domain=gw"),
        (b"a=secure; Path=/secure; x=Secure", b"a=secure; Path=/secure; x=Secure", None),
        (b"a=b; Securely; Insecure; X-Domain=1", b"a=b; Securely; Insecure; X-Domain=1", None),
        (b'a="b c"; Expires=Wed, 21 Oct 2026 07:28:00 GMT', b'a="b c"; Expires=Wed, 21 Oct 2026 07:28:00 GMT', None),
        (b"__Host-a=b; Secure; Path=/", b"__Host-a=b; Path=/", b"__Host-a=b; Secure; Path=/"),
        (b"a=\xff\x00; \xff", b"a=\xff\x00; \xff", None),
        (b"", b"", None),
    ],
)
def test_cookies(cookie: bytes, plain: bytes, tls: bytes | None) -> None:
    assert response_header(b"Set-Cookie", cookie, plain=True) == plain
    assert response_header(b"Set-Cookie", cookie, plain=False) == (cookie if tls is None else tls)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"https://10.11.120.2/smgw/m2m/ETHE0300186023.sm", b"/smgw/m2m/ETHE0300186023.sm"),
        (b"HTTP://10.11.120.2:80/a%2Fb?x=%7E&&#f", b"/a%2Fb?x=%7E&&#f"),
        (b"https://10.11.120.2", b"/"),
        (b"https://10.11.120.2:443?x", b"/?x"),
        (b"https://10.11.120.2:#x", b"/#x"),
        (b"//10.11.120.2/x", b"/x"),
        (b"https://SMGW.local./x", b"/x"),
        (b"https://10.11.120.2//x", b"/.//x"),
        (b"//smgw.local//x//y", b"/.//x//y"),
        # relative
        *((value, value) for value in (b"/x", b"x", b"?x", b"", b"../x", b"/x?u=https://10.11.120.2/")),
        # foreign
        *(
            (value, value)
            for value in (
                b"https://example.com/x",
                b"https://10.11.120.20/",
                b"https://10.11.120.2:8443/",
                b"https://10.11.120.2:123456/",
                b"https://10.11.120.2@example.com/",
                b"https://user@10.11.120.2/",
                b"https://10.11.120.2:443@example.com/",
                b"https://10.11.120.2\\@example.com/",
                b"https://smgw.local%41/",
                b"https://[smgw.local/",
                b"ftp://10.11.120.2/",
                b"https:/10.11.120.2/",
                b"https:///x",
                b"//example.com/10.11.120.2",
                b"javascript://10.11.120.2/",
                b"https://\xff/",
            )
        ),
    ],
)
def test_location(location: bytes, expected: bytes) -> None:
    assert response_header(b"lOCATION", location) == expected
    assert response_header(b"Location", location, plain=False) == expected


@pytest.mark.parametrize(
    ("gateway", "location", "expected"),
    [
        (GatewayNames.of("fe80::1", 443, "[fe80::1]"), b"https://[FE80:0::1]/x", b"/x"),
        (GatewayNames.of("fe80::1", 443), b"https://[fe80::1%25eth0]:443/x", b"/x"),
        (GatewayNames.of("fe80::1", 443), b"https://[fe80::2]/x", b"https://[fe80::2]/x"),
        (GatewayNames.of("gw", 8443), b"https://gw:8443/x", b"/x"),
        (GatewayNames.of("gw", 8443), b"https://gw/x", b"/x"),
        (GatewayNames.of("gw", 8443), b"https://gw:9443/x", b"https://gw:9443/x"),
        (GatewayNames.of("GW", 443, "Other.:9443"), b"https://other:9443/x", b"/x"),
        (GatewayNames.of("gw", 443, "not an:authority"), b"https://gw/x", b"/x"),
    ],
)
def test_location_of_other_gateways(gateway: GatewayNames, location: bytes, expected: bytes) -> None:
    assert response_header(b"Location", location, gateway=gateway) == expected


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *((host, True) for host in ("ETHE0300186023.SMGW", "ethe0300186023.local", "ETHE0300186023", "smgw.local")),
        *((host, True) for host in ("ethe0300186023.smgw.:443", "gateway.example", "gateway.example.smgw")),
        *((host, True) for host in ("10.11.120.2", "10.11.120.2:8443")),
        *((host, False) for host in ("smgw", "local", "other.smgw", "x.ethe0300186023.smgw", "smgw.local:9000")),
    ],
)
def test_the_names_of_the_certificate_are_the_gateway_s(host: str, own: bool) -> None:
    names = GatewayNames.of("10.11.120.2", 8443).with_certificate(
        ["ETHE0300186023.SMGW", "gateway.example", ".local"]
    )
    location = f"https://{host}/x".encode()
    assert response_header(b"Location", location, gateway=names) == (b"/x" if own else location)


# --- properties


NAMES = st.sampled_from(
    [
        *HOP_BY_HOP,
        *("Host", "Expect", "Content-Length", "X-Content-Length", "Authorization", "Cookie", "X-Mine", "Accept"),
        *("Set-Cookie", "Location", "Strict-Transport-Security", "Alt-Svc", "WWW-Authenticate", "X-Frame-Options"),
    ]
).flatmap(lambda name: st.sampled_from([name, name.lower(), name.upper()]).map(str.encode))
TEXTS = st.lists(
    st.sampled_from(
        [
            *(b"a", b"=", b";", b" ", b"\t", b",", b"/", b"//", b":", b"?", b"#", b"@", b"\xff", b"x-mine"),
            *(b"Secure", b"secure", b"Domain", b"SameSite=None", b"https://", b"10.11.120.2", b"smgw.local"),
        ]
    ),
    max_size=8,
).map(b"".join)
HEADERS = st.lists(st.tuples(NAMES, TEXTS), max_size=12)


def is_subsequence(part: list[bytes], whole: list[bytes]) -> bool:
    rest = iter(whole)
    return all(each in rest for each in part)


def named_by_connection(headers: Headers) -> set[bytes]:
    return {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }


@given(HEADERS)
def test_requests_keep_all_but_the_hop_by_hop(headers: Headers) -> None:
    rewritten = request_headers(headers, host=b"gw")
    names = [name.lower() for name, _ in rewritten]

    assert request_headers(rewritten, host=b"gw") == rewritten
    assert not set(names) & {name.lower().encode() for name in HOP_BY_HOP}
    assert not {b"x-mine", b"expect"} & named_by_connection(headers) & set(names)
    assert [value for name, value in rewritten if name.lower() == b"host"] == [b"gw"]
    passed = [each for each in rewritten if each[0].lower() != b"host"]
    rest = iter(headers)
    assert all(each in rest for each in passed)
    for each in headers:
        if each[0].lower() in {b"authorization", b"cookie", b"x-content-length", b"set-cookie"}:
            assert passed.count(each) == headers.count(each)


def test_an_answer_tells_how_it_came_about() -> None:
    headers = [(b"age", b"5"), (b"Cache-Status", b"Other; hit"), (b"X", b"y")]
    status = (b"Cache-Status", b"smgw-proxy; hit")

    assert shared_headers(headers, cache_status=status[1], age=None) == [*headers, status]
    assert shared_headers(headers, cache_status=status[1], age=42) == [*headers[1:], (b"Age", b"42"), status]


@given(HEADERS, st.booleans())
def test_responses_keep_all_but_the_hop_by_hop(headers: Headers, plain: bool) -> None:
    rewritten = response_headers(headers, gateway=GATEWAY, plain=plain)
    names = [name for name, _ in rewritten]

    assert response_headers(rewritten, gateway=GATEWAY, plain=plain) == rewritten
    assert not {name.lower() for name in names} & {
        *(name.lower().encode() for name in HOP_BY_HOP),
        *(b"strict-transport-security", b"alt-svc"),
    }
    assert is_subsequence(names, [name for name, _ in headers])
    for kept in (b"set-cookie", b"location", b"www-authenticate"):
        assert sum(name.lower() == kept for name in names) == sum(name.lower() == kept for name, _ in headers)


@given(TEXTS, TEXTS)
def test_a_cookie_keeps_its_own_bytes(pair: bytes, attributes: bytes) -> None:
    pair = pair.replace(b";", b"")

    plain = response_header(b"Set-Cookie", pair + b";" + attributes)

    assert plain.split(b";")[0] == pair
    remaining = [each.partition(b"=")[0].strip(b" \t").lower() for each in plain.split(b";")[1:]]
    assert not {b"secure", b"domain"} & set(remaining)
    assert is_subsequence(plain.split(b";"), (pair + b";" + attributes).split(b";"))


@given(TEXTS)
def test_a_location_that_named_the_gateway_stays_on_the_proxy(rest: bytes) -> None:
    location = response_header(b"Location", b"https://10.11.120.2/" + rest)

    assert location.startswith(b"/")
    assert not location.startswith(b"//")
    assert location.endswith(rest)
