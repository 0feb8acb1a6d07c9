"""Which answers may be shared: every rule as a table, the cache's bounds by chance."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.http.headers import Headers
from smgw_proxy_addon.http.messages import Answer
from smgw_proxy_addon.proxy.cache import (
    LARGEST,
    Cache,
    Read,
    StoredAnswer,
    format_forward,
    format_hit,
    may_be_shared,
    may_change,
    recognise_read,
)

ORIGIN = b"/json/metering/origin/"
USER = b"/smgw/m2m/ETHE0300186023.sm"
THEBEN = USER + b"/json"
HTTPX = [
    (b"Host", b"smgw-proxy:8080"),
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"User-Agent", b"python-httpx/0.28.1"),
]
AIOHTTP = [
    (b"Host", b"10.0.0.5"),
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
    (b"User-Agent", b"HomeAssistant/2026.10 aiohttp/3.14 Python/3.14"),
]
GO = [(b"Host", b"x"), (b"User-Agent", b"Go-http-client/1.1"), (b"Accept-Encoding", b"gzip")]
EVCC = [*GO, (b"Accept", b"application/json"), (b"Authorization", b'Digest username="a"')]
CURL = [(b"Host", b"x"), (b"User-Agent", b"curl/8.14"), (b"Accept", b"*/*")]
BROWSER = [(b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")]


def read(
    target: bytes = ORIGIN,
    headers: Headers | None = None,
    *,
    method: bytes = b"GET",
    body: bytes | None = None,
    account: str = "a",
) -> Read | None:
    return recognise_read(account, method, target, headers or [], body)


def post(body: object, target: bytes = THEBEN, headers: Headers | None = None) -> Read | None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(target, headers, method=b"POST", body=data)


def key(one: Read | None) -> bytes:
    assert one is not None
    return one.key


@pytest.mark.parametrize(
    "target",
    [
        ORIGIN,
        b"/json/",
        b"/json/metering/origin/1emh0012345678/extended",
        b"/json/metering/derived/01005e318021.taf7-1.sm",
        b"/json/metering/derived?from=2026-01-01T00:00:00/../x",  # a query leads nowhere
        b"/json/a%20b",
    ],
)
def test_what_emh_is_only_read_for(target: bytes) -> None:
    assert read(target)
    assert read(target, body=b"")


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        (b"HEAD", ORIGIN, None),
        (b"get", ORIGIN, None),
        (b"POST", ORIGIN, b"{}"),
        (b"POST", ORIGIN, b'{"method":"readings"}'),
        (b"PUT", ORIGIN, None),
        (b"GET", ORIGIN, b"x"),
        (b"GET", b"/json", None),
        (b"GET", b"/jsonp/x", None),
        (b"GET", b"/JSON/x", None),
        (b"GET", b"//json/x", None),
        (b"GET", b"/", None),
        (b"GET", b"*", None),
        (b"GET", b"/smgw/m2m", None),
        (b"GET", THEBEN, None),
        (b"GET", b"/cgi-bin/hanservice.cgi", None),
        (b"POST", b"/cgi-bin/hanservice.cgi", b"action=meterform"),
        (b"POST", b"/cgi-bin/hanservice.cgi", b'{"method":"readings"}'),
        (b"GET", b"/json/../cgi-bin/hanservice.cgi", None),
        (b"GET", b"/json/%2e%2E/cgi-bin/hanservice.cgi", None),
        (b"GET", b"/json/..%2fcgi-bin/hanservice.cgi", None),
        (b"GET", b"/json/..\\restart", None),
        (b"GET", b"/json/./x", None),
        (b"GET", b"/json/x#y", None),
    ],
)
def test_what_is_no_read(method: bytes, target: bytes, body: bytes | None) -> None:
    assert read(target, method=method, body=body) is None


@pytest.mark.parametrize("method", ["smgw-info", "user-info", "usage-point-info", "readings", "log"])
@pytest.mark.parametrize("target", [USER, THEBEN])
def test_what_theben_is_only_read_for(method: str, target: bytes) -> None:
    assert post({"method": method, "database": "origin"}, target)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"readings",
        b"[]",
        b"{}",
        b"null",
        b'["readings"]',
        b'{"method":"self-test"}',
        b'{"method":"Readings"}',
        b'{"method":"readings "}',
        b'{"method":["readings"]}',
        b'{"method":null}',
        b'{"METHOD":"readings"}',
        b'{"method":"readings","method":"self-test"}',
        b'{"method":"self-test","method":"readings"}',
        b'{"method":"readings","m\\u0065thod":"self-test"}',
        b'{"method":"readings","x":{"a":1,"a":2}}',
        b'{"method":"readings","x":1.0}',
        b'{"method":"readings","x":1e3}',
        b'{"method":"readings","x":NaN}',
        b'{"method":"readings"}{"method":"self-test"}',
        b'{"method":"readings"}\0',
        b'\xef\xbb\xbf{"method":"readings"}',
        '{"method":"readings"}'.encode("utf-16"),
        '{"method":"readings"}'.encode("utf-16-le"),
        b'{"method":"readings","x":"\xff"}',
        b'{"method":"readings","x":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"method":"readings","x":"' + b"x" * 4096 + b'"}',
    ],
)
def test_what_is_not_clearly_a_read_is_none(body: bytes) -> None:
    assert post(body) is None
    assert may_change(b"POST", THEBEN, body)


@pytest.mark.parametrize(
    "target",
    [
        b"/smgw/m2m",
        b"/smgw/m2m/",
        b"/smgw/m2m//json",
        b"/smgw/m2m/../json",
        b"/smgw/m2m/./json",
        b"/smgw/m2m/a%2e/json",
        b"/smgw/m2m/a/json/",
        b"/smgw/m2m/a/b/json",
        THEBEN + b"?x=1",
        b"/smgw/hgp/a/json",
        b"/x" + THEBEN,
    ],
)
def test_theben_is_read_only_at_the_users_own_url(target: bytes) -> None:
    assert post({"method": "readings"}, target) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Range", b"bytes=0-1"),
        (b"If-None-Match", b'"x"'),
        (b"if-modified-since", b"x"),
        (b"If-Range", b"x"),
        (b"Cookie", b"session=1"),
        (b"Cache-Control", b"no-store"),
        (b"Cache-Control", b"max-age=0, No-Store"),
        (b"Accept", b"text/html, */*;q=0.8"),
        (b"Accept", b"text/html"),
        (b"Accept", b"application/json;q=0"),
        (b"Accept", b"*/*, application/json;q=0.1"),
        (b"Accept", b"application/json;q=nonsense"),
    ],
)
def test_a_request_with_wishes_of_its_own_is_none(name: bytes, value: bytes) -> None:
    assert read(headers=[(name, value)]) is None


@pytest.mark.parametrize(
    "value",
    [b"", b"*/*", b"application/json", b"application/json, text/plain, */*", b"application/*, text/html;q=0.9"],
)
def test_who_likes_json_best_reads(value: bytes) -> None:
    assert read(headers=[(b"Accept", value)])


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"Cache-Control", b"no-cache"), (b"Cache-Control", b"max-age=0"), (b"Pragma", b"no-cache")],
)
def test_who_speaks_of_the_cache_wants_a_fresh_answer_that_others_may_have(name: bytes, value: bytes) -> None:
    fresh, usual = read(headers=[(name, value)]), read()
    assert fresh
    assert usual
    assert (fresh.fresh, usual.fresh) == (True, False)
    assert fresh.key == usual.key


def test_clients_of_all_kinds_ask_for_the_same() -> None:
    clients = [HTTPX, AIOHTTP, GO, EVCC, CURL, list(reversed(CURL))]
    assert len({key(read(headers=headers)) for headers in clients}) == 1
    assert read(headers=BROWSER) is None


def test_calls_that_differ_only_in_spelling_are_the_same() -> None:
    spellings = [
        b'{"method":"readings","database":"origin"}',
        b'{"method": "readings", "database": "origin"}',
        b'{"database":"origin","method":"readings"}\n',
        b'{"d\\u0061tabase":"origin","method":"readings"}',
    ]
    assert len({key(post(each)) for each in spellings}) == 1


def test_whatever_may_change_the_answer_is_in_the_key() -> None:
    several: list[Read | None] = [
        read(),
        read(account="b"),
        read(account=""),
        read(ORIGIN + b"x"),
        read(ORIGIN + b"?"),
        read(b"/json/metering%2Forigin/"),
        read(headers=[(b"Accept-Language", b"de")]),
        read(headers=[(b"Accept-Language", b"en")]),
        read(headers=[(b"X-A", b"1"), (b"X-A", b"2")]),
        read(headers=[(b"X-A", b"2"), (b"X-A", b"1")]),
        read(headers=[(b"X-A", b"12")]),
        read(headers=[(b"X-A1", b"2")]),
        read(headers=[(b"Origin", b"http://a")]),
        post({"method": "readings"}),
        post({"method": "readings"}, USER),
        post({"method": "readings", "last-reading": "true"}),
        post({"method": "readings", "last-reading": True}),
        post({"method": "readings", "last-reading": 1}),
        post({"method": "readings", "last-reading": "1"}),
        post({"method": "log"}),
        post({"method": "log"}, headers=[(b"X-Content-Length", b"17")]),
        post({"method": "log"}, headers=[(b"Content-Type", b"application/json")]),
        post({"method": "log"}, headers=[(b"Content-Encoding", b"gzip")]),
    ]
    keys = [key(each) for each in several]
    assert len(set(keys)) == len(keys)


@given(st.text(max_size=5), st.binary(max_size=5), st.text(max_size=5), st.binary(max_size=5))
def test_accounts_never_meet(one: str, value: bytes, other: str, another: bytes) -> None:
    first = read(headers=[(b"X", value)], account=one)
    second = read(headers=[(b"X", another)], account=other)
    assert (key(first) == key(second)) == ((one, value) == (other, another))


@given(st.binary(max_size=300), st.sampled_from([USER, THEBEN, ORIGIN]), st.sampled_from([b"GET", b"POST"]))
def test_nothing_that_comes_in_breaks_the_reading(body: bytes, target: bytes, method: bytes) -> None:
    read(target, [(b"Accept", body), (b"Accept-Encoding", body)], method=method, body=body)
    may_change(method, body, body)
    may_be_shared(200, [(b"Vary", body), (b"Content-Length", body)])


@pytest.mark.parametrize(
    ("wanted", "coding", "taken"),
    [
        ([], None, True),
        ([], b"identity", True),
        ([], b"gzip", False),
        ([b""], b"gzip", False),
        ([b"gzip"], None, True),
        ([b"gzip"], b"GZIP", True),
        ([b"gzip"], b"br", False),
        ([b"deflate", b"br, gzip"], b"gzip", True),
        ([b"gzip;q=0"], b"gzip", False),
        ([b"gzip;q=0.001"], b"gzip", True),
        ([b"gzip;q=x"], b"gzip", False),
        ([b"*"], b"br", True),
        ([b"*;q=0"], None, False),
        ([b"identity;q=0, gzip"], None, False),
        ([b"*;q=0, identity"], None, True),
        ([b"gzip"], b"gzip, br", False),
    ],
)
def test_nobody_gets_a_coding_that_he_does_not_accept(wanted: list[bytes], coding: bytes | None, taken: bool) -> None:
    one = read(headers=[(b"Accept-Encoding", each) for each in wanted])
    assert one
    assert one.accepts([(b"Content-Encoding", coding)] if coding else []) is taken


@pytest.mark.parametrize(
    ("method", "target", "body", "changes"),
    [
        (b"POST", THEBEN, b'{"method":"self-test"}', True),
        (b"POST", THEBEN, None, True),
        (b"POST", THEBEN, b'{"method":"log"}', False),
        (b"POST", b"/smgw/m2m", None, False),
        (b"POST", b"/smgw/m2m/", b"", False),
        (b"POST", b"/smgw/m2m", b'{"method":"log"}', False),
        (b"POST", b"/smgw/m2m", b'{"method":"self-test"}', True),
        (b"POST", b"/smgw/m2m", b"\0", True),
        (b"POST", b"/cgi-bin/hanservice.cgi", b"action=selftest", True),
        (b"PUT", b"/json/x", None, True),
        (b"DELETE", b"/smgw/m2m", None, True),
        (b"BREW", b"/", None, True),
        (b"GET", b"/", None, False),
        (b"GET", b"/cgi-bin/hanservice.cgi?action=selftest", None, False),
        (b"HEAD", ORIGIN, None, False),
        (b"OPTIONS", b"*", None, False),
    ],
)
def test_what_may_change_the_gateway(method: bytes, target: bytes, body: bytes | None, changes: bool) -> None:
    assert may_change(method, target, body) is changes


@pytest.mark.parametrize(
    ("status", "headers", "shared"),
    [
        (200, [], True),
        (200, [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")], True),
        (200, [(b"Content-Length", b"%d" % LARGEST)], True),
        (200, [(b"Content-Length", b"%d" % (LARGEST + 1))], False),
        (200, [(b"Content-Length", b"9" * 5000)], False),
        (200, [(b"Content-Length", b"-1")], False),
        (200, [(b"Set-Cookie", b"a=b")], False),
        (200, [(b"Content-Range", b"bytes 0-1/2")], False),
        (200, [(b"Vary", b"Accept-Encoding, accept-language")], True),
        (200, [(b"vary", b"Authorization, Origin")], True),
        (200, [(b"Vary", b"*")], False),
        (200, [(b"Vary", b"Accept-Encoding"), (b"Vary", b"User-Agent")], False),
        (200, [(b"Vary", b"Accept")], False),
        *((status, [], False) for status in (100, 204, 206, 301, 304, 307, 400, 401, 404, 500, 503)),
    ],
)
def test_which_answers_may_be_shared(status: int, headers: Headers, shared: bool) -> None:
    assert may_be_shared(status, headers) is shared


def test_what_the_client_is_told() -> None:
    assert format_hit(42.9) == b"smgw-proxy; hit; ttl=42"
    assert format_forward(b"uri-miss") == b"smgw-proxy; fwd=uri-miss"
    assert format_forward(b"request", stored=True) == b"smgw-proxy; fwd=request; stored"
    assert format_forward(b"uri-miss", collapsed=True) == b"smgw-proxy; fwd=uri-miss; collapsed"


def kept(at: float = 0.0, size: int = 10) -> StoredAnswer:
    return StoredAnswer(Answer(200, b"OK", [], bytes(size)), at)


def test_an_answer_is_kept_for_its_time_and_no_longer() -> None:
    cache = Cache(60)
    assert cache.put(b"k", kept(100), 101)
    assert cache.get(b"k", 159.9) == kept(100)
    assert cache.get(b"other", 101) is None
    assert cache.get(b"k", 160) is None
    assert (len(cache), cache.size) == (0, 0)


def test_without_seconds_nothing_is_kept() -> None:
    cache = Cache(0)
    assert not cache.put(b"k", kept(100), 100)
    assert cache.get(b"k", 100) is None


def test_a_slow_old_answer_does_not_replace_a_newer_one() -> None:
    cache = Cache(60)
    assert cache.put(b"k", kept(20), 21)
    assert not cache.put(b"k", kept(10), 22)
    assert cache.put(b"k", kept(30, size=3), 31)
    assert cache.get(b"k", 31) == kept(30, size=3)
    assert cache.size == 3


def test_what_is_too_large_for_the_shelf_pushes_nothing_out() -> None:
    cache = Cache(60, most_bytes=100)
    assert cache.put(b"k", kept(), 0)
    assert not cache.put(b"large", kept(size=101), 0)
    assert cache.get(b"k", 0)


def test_all_are_forgotten_at_once() -> None:
    cache = Cache(60)
    cache.put(b"k", kept(), 0)
    cache.clear()
    assert (cache.get(b"k", 1), cache.size) == (None, 0)


def test_an_answer_tells_nothing_in_a_log() -> None:
    told = repr(StoredAnswer(Answer(200, b"OK", [(b"X", b"secret-1")], b"secret-2"), 0))
    assert "secret" not in told
    cache = Cache(60)
    cache.put(b"k", StoredAnswer(Answer(200, b"OK", [], b"secret-2"), 0), 0)
    assert "secret" not in repr(cache)


PUTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.floats(0, 5)), max_size=60)


@given(PUTS, st.integers(1, 5), st.integers(1, 100))
def test_the_shelf_stays_in_its_bounds_and_keeps_the_newest(
    puts: list[tuple[int, int, float]], most: int, most_bytes: int
) -> None:
    cache = Cache(8, most, most_bytes)
    now = 0.0
    held: dict[bytes, Any] = {}
    for name, size, later in puts:
        now += later
        asked, answer = b"%d" % name, kept(now, size)
        if cache.put(asked, answer, now):
            held[asked] = answer
        assert len(cache) <= most
        alive = {each: cache.get(each, now) for each in held}
        assert cache.size == sum(one.size for one in alive.values() if one) <= most_bytes
        assert all(one is None or (one == held[each] and now - one.at < 8) for each, one in alive.items())
        gone = [held[each].at for each, one in alive.items() if one is None]
        assert max(gone, default=0) <= min((one.at for one in alive.values() if one), default=now)
        held = {each: one for each, one in alive.items() if one}
