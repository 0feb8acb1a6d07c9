"""Cookies of the gateway, browsers' jars, what is asked about first, and who may see the page."""

import itertools
from collections.abc import Callable

import pytest

from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.status.gateway_page.asking import LARGEST_ADDED, NOTHING, choose
from smgw_proxy_addon.status.gateway_page.confirmation import restarts
from smgw_proxy_addon.status.gateway_page.jars import (
    LONGEST_IDLE,
    MOST_COOKIES,
    MOST_HELD,
    MOST_JARS,
    MOST_LOADED,
    MOST_PAGE_BYTES,
    Jar,
    Jars,
    KeptPage,
)
from smgw_proxy_addon.status.gateway_page.users import KNOWN_FOR, Refusal, Users


def numbers() -> Callable[[], str]:
    count = itertools.count()
    return lambda: f"r{next(count)}"


def jar() -> Jar:
    return Jar("key", "secret", "user", 0, 0.0)


def request(target: bytes = b"/", body: bytes | None = None) -> GatewayRequest:
    return GatewayRequest(b"POST", target, [], body, chunked=False, has_login=False)


@pytest.mark.parametrize(
    ("given", "target", "sent"),
    [
        ([b"a=1; Path=/; Secure; HttpOnly", b"b=2"], b"/x?y", b"a=1; b=2"),
        ([b"a=1; path=/cgi-bin"], b"/cgi-bin/x", b"a=1"),
        ([b"a=1; path=/cgi-bin"], b"/cgi-binary", b""),
        ([b"a=1; path=/", b"a=2; Path=/"], b"/", b"a=2"),
        ([b"a=1", b"a=; Max-Age=0"], b"/", b""),
        ([b"a=1", b"a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT"], b"/", b""),
        ([b"a", b"=1", b"a=" + b"x" * 5000], b"/", b""),
        ([b"a=1; path=/" + b"x" * 5000], b"/" + b"x" * 5000, b""),
        ([b"a%d=1" % each for each in range(99)], b"/", b"; ".join(b"a%d=1" % each for each in range(MOST_COOKIES))),
    ],
)
def test_cookies_go_where_they_belong(given: list[bytes], target: bytes, sent: bytes) -> None:
    kept = jar()
    kept.take_cookies([(b"Set-COOKIE", each) for each in given], b"/page")
    assert kept.cookies_for(target) == sent


def test_a_jar_is_bounded() -> None:
    kept = jar()
    for each in range(9):
        kept.keep_loaded(f"/{each}", "x" * (MOST_LOADED // 4))
        kept.hold(f"{each}", request())
        kept.keep_page(f"{each}", KeptPage(Answer(200, b"OK", []), b"x" * (MOST_PAGE_BYTES // 2)))
    assert len(kept.loaded) == 3
    for each in range(9):
        kept.keep_loaded(f"/{each}" + "x" * (MOST_LOADED // 8), "")  # targets count, too
    assert len(kept.loaded) == 4
    assert list(kept.pages) == ["7", "8"]
    assert list(kept.held) == [f"{each}" for each in range(9 - MOST_HELD, 9)]


def test_what_stands_in_a_page_many_times_does_not_make_it_too_large() -> None:
    loaded = {"/small": "x" * 10, "/large": "x" * (LARGEST_ADDED // 2)}
    assert choose(loaded, {"/small": 5, "/large": 1, "/none": 1}) == {**loaded, "/none": NOTHING}
    assert choose(loaded, {"/large": 3, "/small": 5}) == {"/large": NOTHING, "/small": "x" * 10}
    assert choose(loaded, {"/small": LARGEST_ADDED}) == {"/small": NOTHING}


def test_a_browser_finds_its_own_jar_for_each_account() -> None:
    jars = Jars(numbers())
    first = jars.open("", "user", 0, 0)
    assert jars.open(first.secret, "user", 0, 1) is first
    second = jars.open(first.secret, "user", 1, 1)
    assert second is not first
    assert second.secret == first.secret  # one browser, one cookie
    assert jars.find(second.key, first.secret, "user", 1) is second
    foreign = jars.open(first.secret, "other", 0, 1)
    assert foreign.secret != first.secret
    for key, secret, owner in (
        (first.key, "", "user"),
        (first.key, "x", "user"),
        (first.key, first.secret, "other"),
        (first.key, foreign.secret, "other"),
        (first.secret, first.secret, "user"),
    ):
        assert jars.find(key, secret, owner, 1) is None


def test_jars_are_few_and_the_one_that_was_not_used_for_long_goes_first() -> None:
    jars = Jars(numbers())
    first, second = jars.open("", "a", 0, 0), jars.open("", "b", 0, 0)
    assert jars.find(first.key, first.secret, "a", 1) is first
    for each in range(MOST_JARS - 1):
        jars.open("", f"{each}", 0, 2)
    assert jars.find(second.key, second.secret, "b", 2) is None
    assert jars.find(first.key, first.secret, "a", 2) is first
    assert jars.find(first.key, first.secret, "a", 2 + LONGEST_IDLE) is first
    assert jars.find(first.key, first.secret, "a", 3 + 2 * LONGEST_IDLE) is None


@pytest.mark.parametrize(
    ("target", "body", "asked"),
    [
        (b"/cgi-bin/hanservice.cgi", b"tkn=1&action=selftest", True),
        (b"/cgi-bin/hanservice.cgi", b"action=self%74est", True),
        (b"/cgi-bin/hanservice.cgi?action=selftest", None, True),
        (b"/cgi-bin/%68anservice.cgi?action=selftest", None, True),
        (b"/cgi-bin/hanservice.cgi", b"action=logout", False),
        (b"/smgw/m2m/u.sm/json", b'{"method":"self-test"}', True),
        (b"/smgw/m2m/u.sm/json", b'{"method":"self\\u002dtest"}', True),
        (b"/smgw/m2m/u.sm", b'{"method":"SELF-TEST"}', True),
        (b"//cgi-bin/hanservice.cgi?action=selftest", None, True),
        (b"/x/%2e%2e/cgi-bin/./hanservice.cgi", b"action=selftest", True),
        (b"/CGI-BIN/hanservice.cgi/selftest", None, True),
        (b"/smgw//m2m/u.sm/json", b'{"method":"self-test"}', True),
        (b"/smgw/m2m/u.sm/self-test", None, True),
        (b"/smgw/m2m/u.sm/json", b'{"method":"readings"}', False),
        (b"/self-test", b"selftest", False),
    ],
)
def test_a_self_test_is_recognised_in_any_spelling(target: bytes, body: bytes | None, asked: bool) -> None:
    assert restarts(request(target, body)) is asked


async def test_the_list_of_administrators_is_fetched_once_a_minute() -> None:
    answers: list[frozenset[str] | None] = [None, frozenset({"a"}), frozenset()]
    now = [0.0]

    async def fetch() -> frozenset[str] | None:
        return answers.pop(0)

    users = Users(fetch, lambda: now[0], everyone=False)
    assert await users.judge("a") is Refusal.UNKNOWN
    assert await users.judge("a") is None  # asked again at once, because there was no answer
    assert await users.judge("b") is Refusal.ADMINS_ONLY
    now[0] = KNOWN_FOR
    assert await users.judge("a") is Refusal.ADMINS_ONLY
    assert await users.judge("") is Refusal.UNKNOWN
