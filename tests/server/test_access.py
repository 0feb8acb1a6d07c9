"""Access: which networks, names and web pages get in, and that nothing else does."""

import ipaddress
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.config.target import Network
from smgw_proxy_addon.errors import (
    BadRequestError,
    ForeignNetworkError,
    ForeignOriginError,
    MethodNotAllowedError,
    MisdirectedRequestError,
    RequestError,
)
from smgw_proxy_addon.http.headers import by_name
from smgw_proxy_addon.server.access import Access

HOST = (b"Host", b"proxy.local:8080")


def check(
    *headers: tuple[bytes, bytes],
    peer: str = "192.168.1.20",
    local: str = "192.168.1.5",
    method: str = "GET",
    http_11: bool = True,
    allowed: frozenset[str] = frozenset(),
) -> None:
    Access(allowed).check(peer=peer, local=local, method=method, fields=by_name(headers), http_11=http_11)


# --- networks


@pytest.mark.parametrize(
    "peer",
    [
        *("127.0.0.1", "127.9.9.9", "::1"),
        *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"),
        *("169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1", "fd12::1", "fc00::1"),
        *("100.64.0.1", "100.127.255.255"),
        *("::ffff:192.168.1.1", "::ffff:127.0.0.1", "::FFFF:10.0.0.1"),
    ],
)
@pytest.mark.parametrize("local", ["192.168.1.5", "2001:db8::5", ""])
def test_local_networks_come_in(peer: str, local: str) -> None:
    check(HOST, peer=peer, local=local)


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        *((peer, "192.168.1.5") for peer in ("8.8.8.8", "172.15.255.255", "172.32.0.1", "192.169.0.1")),
        *((peer, "192.168.1.5") for peer in ("100.63.255.255", "100.128.0.0", "0.0.0.0", "169.253.255.255")),
        *((peer, "::1") for peer in ("::ffff:8.8.8.8", "2001:db8::1", "fec0::1", "fbff::1")),
        ("2001:db8:0:1::1", "2001:db8::1"),
        ("2001:db8:0:1::1", ""),
        ("2001:db8::1", "192.168.1.5"),
        # IPv4 inside IPv6 shares its first 64 bits with all of IPv4
        ("::ffff:8.8.8.8", "::ffff:192.168.1.5"),
        ("8.8.8.8", "8.8.8.9"),
        ("8.8.8.8", "8.8.8.8"),
        ("", "192.168.1.5"),
        ("localhost", "192.168.1.5"),
    ],
)
def test_other_networks_stay_out(peer: str, local: str) -> None:
    with pytest.raises(ForeignNetworkError):
        check(HOST, peer=peer, local=local)


def test_the_own_link_comes_in_with_public_ipv6_addresses() -> None:
    check(HOST, peer="2001:db8:0:1:aaaa::1", local="2001:db8:0:1::5")


def admits(access: Access, peer: str, local: str = "192.168.1.5") -> bool:
    try:
        access.check(peer=peer, local=local, method="GET", fields=by_name([HOST]), http_11=True)
    except ForeignNetworkError:
        return False
    return True


def networks(*texts: str) -> list[Network]:
    return [ipaddress.ip_network(text) for text in texts]


def test_the_user_s_networks_take_the_place_of_all_others_but_loopback() -> None:
    access = Access(allow=networks("192.168.178.0/24", "203.0.113.7/32", "2001:db8:0:1::/64"))

    for peer in ("192.168.178.20", "::ffff:192.168.178.20", "203.0.113.7", "2001:db8:0:1::5", "127.0.0.1", "::1"):
        assert admits(access, peer), peer
    for peer in ("192.168.1.20", "203.0.113.8", "2001:db8:0:2::5", "fe80::1%eth0", "10.0.0.1", "100.64.0.1", ""):
        assert not admits(access, peer), peer
    assert not admits(access, "2001:db8:0:9::1", "2001:db8:0:9::2"), "the own link is a default, too"
    assert not access.learns


def test_all_networks_can_be_allowed() -> None:
    access = Access(allow=networks("0.0.0.0/0", "::/0"))

    assert admits(access, "8.8.8.8")
    assert admits(access, "2001:db8::1")


def test_the_networks_of_the_own_interfaces_come_in_until_others_are_learnt() -> None:
    access = Access()
    own = networks("2001:db8:1:2::/64", "203.0.113.0/24", "fe80::/64")
    assert not admits(access, "2001:db8:1:2::9")

    assert access.learn(own)
    assert not access.learn(reversed(own)), "the same"
    assert admits(access, "2001:db8:1:2::9")
    assert admits(access, "203.0.113.99")
    assert not admits(access, "2001:db8:1:3::9")
    assert not admits(access, "203.0.114.1")

    assert access.learn(networks("2001:db8:9::/56"))
    assert admits(access, "2001:db8:9:ff::9")
    assert not admits(access, "2001:db8:1:2::9")


@pytest.mark.parametrize("interface", ["10.8.0.2/0", "203.0.113.5/8", "2001:db8::1/0", "2001:db8::1/32"])
def test_an_interface_that_is_wider_than_any_home_opens_nothing(interface: str) -> None:
    access = Access()
    access.learn([ipaddress.ip_interface(interface).network])

    assert not admits(access, "203.0.113.9")
    assert not admits(access, "2001:db8::9")


def test_many_addresses_are_judged_one_by_one() -> None:
    access = Access()
    for number in range(3000):
        assert admits(access, f"10.0.{number // 250}.{number % 250}")
        assert not admits(access, f"8.8.{number // 250}.{number % 250}")


def test_a_refused_address_is_told_without_its_zone() -> None:
    with pytest.raises(ForeignNetworkError) as caught:
        Access(allow=networks("10.0.0.0/8")).check(
            peer="fe80::1%eth0", local="fe80::2%eth0", method="GET", fields=by_name([HOST]), http_11=True
        )

    assert caught.value.facts == {"peer": "fe80::1"}


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_the_check_of_pages_can_be_switched_off(headers: dict[str, str]) -> None:
    pairs = [HOST, *((name.encode(), value.encode()) for name, value in headers.items())]
    common = {"peer": "10.0.0.1", "local": "10.0.0.2", "method": "POST", "http_11": True}
    Access(check_origin=False).check(fields=by_name(pairs), **common)  # type: ignore[arg-type]  # of mixed types
    with pytest.raises(MisdirectedRequestError):
        Access(check_origin=False).check(fields={b"host": [b"example.com"]}, **common)  # type: ignore[arg-type]  # as above


def test_the_refused_address_is_a_fact() -> None:
    with pytest.raises(ForeignNetworkError) as caught:
        check(peer="8.8.8.8")

    assert caught.value.facts == {"peer": "8.8.8.8"}


@given(st.ip_addresses(), st.ip_addresses(v=4))
def test_no_global_address_comes_in(peer: ipaddress.IPv4Address | ipaddress.IPv6Address, local: object) -> None:
    if not peer.is_global:
        return
    with pytest.raises(ForeignNetworkError):
        check(HOST, peer=str(peer), local=str(local))


# --- method


def test_connect_is_refused() -> None:
    with pytest.raises(MethodNotAllowedError):
        check((b"Host", b"example.com:443"), method="CONNECT")


# --- Host


@pytest.mark.parametrize(
    "host",
    [
        *("192.168.1.5", "192.168.1.5:8080", "8.8.8.8", "127.0.0.1:65535"),
        *("[::1]", "[fe80::1]:8080", "[FE80::1%25eth0]", "[2001:db8::1]:443", "[::ffff:10.0.0.1]"),
        *("localhost", "LOCALHOST:8080", "homeassistant", "raspberry_pi", "a0d7b954-smgw-proxy", "ha.:80"),
        *("homeassistant.local", "HomeAssistant.LOCAL.:8123", "a.b.lan", "x.home", "x.home.arpa", "x.internal"),
        *("x.intranet", "x.localdomain", "x.localhost", "x.test", "fritz.box", "ha.fritz.box", "ha.speedport.ip"),
        *("ha.tail1234.ts.net", "ha.intern", "o2.box", "ha.o2.box", "ha.easy.box", "ha.kabel.box", "ha.vodafone.box"),
    ],
)
def test_names_that_only_a_home_can_have_come_in(host: str) -> None:
    check((b"hOST", f" {host}\t".encode()))
    check((b"Host", host.encode()), http_11=False)


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "example.com:80", "local.example.com", "homeassistant.local.example.com", "xlocal.com"),
        *("x.box", "notfritz.box", "1.2.3.4.example.com", "1.2.3", "0x7f.0.0.1", "192.168.1.5.nip.io", "x.ts.net.de"),
    ],
)
def test_other_names_are_misdirected(host: str) -> None:
    for http_11 in (True, False):
        with pytest.raises(MisdirectedRequestError) as caught:
            check((b"Host", host.encode()), http_11=http_11)

    assert caught.value.facts == {"host": host.removesuffix(":80")}


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "u@a",
            "a:",
            "a:x",
            "a:-1",
            "a:65536",
            "a:123456",
            "a:80:80",
            ".",
            ".local",
        ),
        *(
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]x",
            "[1.2.3.4]",
            "[g::]",
            "[:::]",
            "[1:2]",
            "a%20b",
            "a\\b",
            "<a>",
            "a\0",
        ),
        *("ä.local", "٣.local"),
    ],
)
def test_malformed_hosts_are_refused_without_an_echo(host: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        check((b"Host", host.encode()))

    assert caught.value.facts == {}
    assert str(caught.value) == "Host is missing, doubled or malformed"


@pytest.mark.parametrize("headers", [[], [HOST, HOST], [HOST, (b"HOST", b"other")]])
def test_http_11_has_exactly_one_host(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadRequestError):
        check(*headers)


def test_http_10_may_have_no_host_but_not_two() -> None:
    check(http_11=False)
    with pytest.raises(BadRequestError):
        check(HOST, HOST, http_11=False)


@pytest.mark.parametrize(
    ("allowed", "host", "comes_in"),
    [
        ("meter.example.com", "Meter.Example.com.:8443", True),
        ("meter.example.com", "x.meter.example.com", False),
        ("meter.example.com", "example.com", False),
        ("*", "example.com", True),
    ],
)
def test_allowed_hosts(allowed: str, host: str, comes_in: bool) -> None:
    header = (b"Host", host.encode())
    if comes_in:
        check(header, allowed=frozenset({allowed}))
        return
    with pytest.raises(MisdirectedRequestError):
        check(header, allowed=frozenset({allowed}))


@given(st.binary(max_size=30), st.booleans())
def test_any_bytes_as_host_come_in_or_are_refused_properly(value: bytes, http_11: bool) -> None:
    try:
        check((b"Host", value), http_11=http_11)
    except RequestError as error:
        assert isinstance(error, BadRequestError | MisdirectedRequestError)  # noqa: PT017 - one of two, or none


@given(st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,3}\.(com|de|box|example)", fullmatch=True))
def test_no_public_name_comes_in(name: str) -> None:
    if re.search(r"(^|\.)(fritz|o2|easy|kabel|vodafone)\.box$", name):
        return
    with pytest.raises((MisdirectedRequestError, BadRequestError)):
        check((b"Host", name.encode()))


# --- Origin


def send(
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    host: str = "proxy.local:8080",
    allowed: frozenset[str] = frozenset(),
) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    check((b"Host", host.encode()), *pairs, method=method, allowed=allowed)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("proxy.local:8080", "http://proxy.local:8080"),
        ("proxy.local:8080", "https://PROXY.local.:8080"),
        ("proxy", "http://proxy"),
        ("proxy", "https://proxy:443"),
        ("proxy:80", "https://proxy"),
        ("[fe80::1]:8080", "http://[FE80:0::1]:8080"),
        ("192.168.1.5", "http://192.168.1.5:80"),
    ],
)
def test_pages_of_the_proxy_itself_may_ask(host: str, origin: str) -> None:
    send({"Origin": origin, "Sec-Fetch-Site": "same-origin"}, host=host)
    send({"oRIGIN": origin}, host=host)


@pytest.mark.parametrize(
    "origin",
    [
        *("http://example.com", "https://proxy.local", "http://proxy.local:8123", "http://proxy.local:8080.evil.com"),
        *("proxy.local:8080", "http://proxy.local:8080/", "http://proxy.local:8080@evil.com", "http://", "", "NULL"),
        *("http://proxy.local:8080 http://example.com", "chrome-extension://abcdef", "file://", "//proxy.local:8080"),
        *("http://[proxy.local]:8080", "http://xproxy.local:8080", "\xff"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("allowed", [frozenset[str](), frozenset({"*"})])
def test_foreign_pages_may_not(origin: str, method: str, allowed: frozenset[str]) -> None:
    with pytest.raises(ForeignOriginError):
        send({"Origin": origin}, method=method, allowed=allowed)


def test_a_page_under_an_allowed_name_may() -> None:
    allowed = frozenset({"meter.example.com"})

    send({"Origin": "https://Meter.example.com:8443", "Sec-Fetch-Site": "cross-site"}, allowed=allowed)
    with pytest.raises(ForeignOriginError):
        send({"Origin": "https://x.meter.example.com", "Sec-Fetch-Site": "cross-site"}, allowed=allowed)


def test_one_own_origin_does_not_cover_for_a_foreign_one() -> None:
    with pytest.raises(ForeignOriginError):
        check(HOST, (b"Origin", b"http://proxy.local:8080"), (b"Origin", b"http://example.com"))


def test_an_origin_without_a_host_to_compare_is_foreign() -> None:
    with pytest.raises(ForeignOriginError):
        check((b"Origin", b"http://proxy.local:8080"), http_11=False)


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("headers", "method", "comes_in"),
    [
        ({}, "POST", True),
        ({"Sec-Fetch-Site": "same-origin"}, "POST", True),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, "GET", True),
        # a link on a foreign page, opened
        (LINK, "GET", True),
        (LINK, "HEAD", True),
        (LINK | {"Origin": "null"}, "GET", True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "GET", True),
        # a form, a frame, a picture, a script of a foreign page
        (LINK, "POST", False),
        (LINK | {"Sec-Fetch-Dest": "iframe"}, "GET", False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, "GET", False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, "GET", False),
        ({"Sec-Fetch-Site": "cross-site"}, "GET", False),
        # an origin that the browser hides
        ({"Origin": "null"}, "GET", True),
        ({"Origin": "null"}, "HEAD", True),
        ({"Origin": "null"}, "POST", False),
        ({"Origin": "null"}, "OPTIONS", False),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, "POST", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, "POST", False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-site"}, "POST", False),
        ({"Origin": "null", "Sec-Fetch-Site": "none"}, "DELETE", False),
    ],
)
def test_what_browsers_say_of_the_page(headers: dict[str, str], method: str, comes_in: bool) -> None:
    if comes_in:
        send(headers, method=method)
        return
    with pytest.raises(ForeignOriginError):
        send(headers, method=method)


@given(
    st.from_regex(r"https?://[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.sampled_from([{}, LINK, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}]),
)
def test_only_the_own_origin_passes(origin: str, method: str, headers: dict[str, str]) -> None:
    with pytest.raises(ForeignOriginError):
        send({"Origin": origin, **headers}, method=method, host="a-name-that-is-longer-than-those:1")
