"""The verdicts that need no network: addresses of every kind, and what each error means at each step."""

import ipaddress

import pytest

from smgw_proxy_addon.config.target import Target
from smgw_proxy_addon.errors import (
    ConnectTimeoutError,
    HandshakeError,
    NameUnknownError,
    ProxyError,
    QueueTimeoutError,
    RefusedError,
    TargetIsProxyError,
    UnreachableError,
)
from smgw_proxy_addon.locales.explain import explain_finding
from smgw_proxy_addon.server.interfaces import Interface
from smgw_proxy_addon.status.findings import Destination, Finding, Step, judge_address, judge_answer, judge_failure


def interface(name: str, *addresses: str, up: bool = True, primary: bool = False, gateway: str = "") -> Interface:
    return Interface(name, up, tuple(map(ipaddress.ip_interface, addresses)), primary, gateway, ("192.168.1.1",))


LOOPBACK = interface("lo", "127.0.0.1/8", "::1/128")
HOME = interface("end0", "192.168.1.50/24", "fe80::50/64", primary=True, gateway="192.168.1.1")


def at(
    address: str = "192.168.100.100", *, in_app: bool = True, port: int = 443, zone: str | None = None
) -> Destination:
    return Destination(Target(address, port, zone), in_app=in_app)


def judged(where: Destination, *interfaces: Interface, reached: bool | None = False) -> Finding:
    finding = judge_address(where, [LOOPBACK, HOME, *interfaces], reached=reached)
    for language in ("en", "de"):
        assert "{" not in "".join(explain_finding(finding.code, language, finding.facts))
    return finding


@pytest.mark.parametrize(
    ("where", "others", "reached", "ok", "code"),
    [
        (at(), [], False, False, "address_missing_app"),
        (at(), [], None, None, "address_missing_app"),
        (at(), [], True, True, "address_routed"),
        (at(in_app=False), [], False, False, "address_missing"),
        (at(), [interface("enx1", "192.168.100.12/24")], False, True, "address_ok"),
        (at(), [interface("enx1", "192.168.0.12/16")], False, True, "address_ok"),
        (at(), [interface("enx1", "192.168.100.12/28")], False, False, "address_missing_app"),
        (at(), [interface("enx1", "192.168.100.12/24", up=False)], False, False, "address_down"),
        (at(), [interface("enx1", "192.168.100.100/24")], False, False, "address_is_own"),
        (at(), [interface("enx1", "0.0.0.0/0")], False, False, "address_missing_app"),
        (at("127.0.0.1"), [], False, True, "address_ok"),
        (at("fd00::7"), [], False, False, "address_missing_ipv6"),
        (at("fd00::7"), [interface("enx1", "fd00::1/64")], False, True, "address_ok"),
        (at("fe80::7", zone="end0"), [], False, False, "address_link_local_app"),
        (at("fe80::7", zone="end0", in_app=False), [], False, True, "address_ok"),
        (at("fe80::7", zone="eth7", in_app=False), [], False, False, "address_no_zone"),
        (at("fe80::7", in_app=False), [], False, False, "address_without_zone"),
        (at("fe80::7", zone="e", in_app=False), [interface("e", up=False)], False, False, "address_down"),
        (at("fe80::7", zone="end0"), [], True, True, "address_reached"),
        (at("172.30.33.7"), [], False, False, "address_of_apps"),
        (at("172.30.33.7"), [], None, None, "address_of_apps"),
        (at("172.30.33.7"), [], True, True, "address_routed"),
        (at("172.30.33.7", in_app=False), [], False, False, "address_missing"),
    ],
)
def test_addresses(
    where: Destination, others: list[Interface], reached: bool | None, ok: bool | None, code: str
) -> None:
    finding = judged(where, *others, reached=reached)
    assert (finding.ok, finding.code) == (ok, code)


@pytest.mark.parametrize(("reached", "code"), [(True, "address_reached"), (False, "address_not_known")])
def test_unknown_interfaces(reached: bool, code: str) -> None:
    assert judge_address(at(), None, reached=reached).code == code


def test_the_interface_that_is_up_is_the_one_that_counts() -> None:
    down, wide = interface("a", "192.168.100.11/24", up=False), interface("b", "192.168.100.12/16")
    assert judged(at(), down, wide).facts["interface"] == "b"


@pytest.mark.parametrize(
    ("gateway", "add", "netmask"),
    [
        ("192.168.100.100", "192.168.100.12", "255.255.255.0"),
        ("10.11.120.12", "10.11.120.13", "255.255.255.0"),
        ("169.254.20.30", "169.254.20.12", "255.255.0.0"),
    ],
)
def test_the_address_to_add(gateway: str, add: str, netmask: str) -> None:
    facts = judged(at(gateway)).facts
    assert (facts["add"], facts["netmask"], facts["gateway"]) == (add, netmask, gateway)
    assert facts["interface"] == "end0"


def test_the_dialog_is_told_field_by_field() -> None:
    remedy = explain_finding("address_missing_app", "en", judged(at()).facts).remedy
    for words in (
        "Settings → System → Network → Configure network interfaces → end0 → IPv4",
        "address 192.168.1.50/24, gateway 192.168.1.1, DNS 192.168.1.1",
        "Static instead of Automatic",
        "+ Add address: 192.168.100.12, netmask 255.255.255.0",
        "Gateway address 192.168.100.100 (the field must not be empty), DNS empty, IPv6 Disabled",
        "static route to 192.168.100.0/24",
        "ha network update end0 --ipv4-method static --ipv4-address 192.168.1.50/24 --ipv4-address 192.168.100.12/24",
        " --ipv4-gateway 192.168.1.1 --ipv4-nameserver 192.168.1.1",
    ):
        assert words in remedy


def test_without_any_interface_there_is_still_something_to_add() -> None:
    facts = judge_address(at(), [LOOPBACK], reached=False).facts
    assert facts["interface"] == "eth0"
    assert "{" not in "".join(explain_finding("address_missing_app", "en", facts))


@pytest.mark.parametrize(
    ("error", "done", "own", "step", "code"),
    [
        (RefusedError(), {}, True, Step.TCP, "tcp_refused"),
        (UnreachableError(), {}, True, Step.TCP, "tcp_nobody"),
        (UnreachableError(), {}, False, Step.TCP, "tcp_no_route"),
        (QueueTimeoutError(), {}, True, Step.TCP, "tcp_busy"),
        (HandshakeError("WRONG_CURVE"), {Step.TCP: 0.1}, True, Step.TLS, "tls_curve"),
        (HandshakeError("TLSV1_UNRECOGNIZED_NAME"), {Step.TCP: 0.1}, True, Step.TLS, "tls_name"),
        (HandshakeError("A_NEW_THING"), {Step.TCP: 0.1}, True, Step.TLS, "tls_failed"),
        (ProxyError(), {}, True, Step.TCP, "failed"),
        (ProxyError(), {Step.TCP: 0.1, Step.TLS: 0.1}, True, Step.HTTP, "failed"),
    ],
)
def test_failures(error: ProxyError, done: dict[Step, float], own: bool, step: Step, code: str) -> None:
    finding = judge_failure(error, at(), done, own_address=own)
    assert (finding.step, finding.code) == (step, code)
    for language in ("en", "de"):
        assert "{" not in "".join(explain_finding(finding.code, language, finding.facts))


@pytest.mark.parametrize("error", [UnreachableError(), ConnectTimeoutError(seconds="10")])
def test_a_gateway_with_an_address_of_apps_is_not_looked_for_at_the_cable(error: ProxyError) -> None:
    finding = judge_failure(error, at("172.30.32.9"), {}, own_address=False)
    assert (finding.step, finding.code) == (Step.TCP, "tcp_of_apps")
    assert judge_address(at("172.30.32.9"), None, reached=False).code == "address_of_apps"


@pytest.mark.parametrize(
    ("error", "done", "code"),
    [
        (RefusedError(target="172.30.32.1"), {}, "tcp_no_relay"),
        (ConnectTimeoutError(seconds="10"), {}, "tcp_no_relay"),
        (ConnectTimeoutError(seconds="10"), {Step.TCP: 0.1}, "tls_relay_silent"),
        (HandshakeError("the connection was closed during the handshake"), {Step.TCP: 0.1}, "tls_relay_silent"),
        (HandshakeError("WRONG_CURVE"), {Step.TCP: 0.1}, "tls_curve"),
    ],
)
def test_behind_a_relay_the_gateway_s_own_address_is_not_looked_for(
    error: ProxyError, done: dict[Step, float], code: str
) -> None:
    where = Destination(Target("fe80::2", relay=Target("172.30.32.1", 18443)), in_app=True)
    assert judged(where, reached=False).code == "address_relay"
    finding = judge_failure(error, where, done, own_address=False)
    assert finding.code == code
    words = explain_finding(finding.code, "en", finding.facts).sentence
    assert "172.30.32.1:18443" in words
    assert ("fe80::2" in words) is (code != "tls_curve")


@pytest.mark.parametrize("error", [NameUnknownError(), TargetIsProxyError(target="10.11.120.2")])
def test_the_name_of_a_relay_is_named(error: ProxyError) -> None:
    where = Destination(Target("10.11.120.2", relay=Target("relay.lan", 8443)))
    finding = judge_failure(error, where, {}, own_address=False)
    assert "relay.lan" in explain_finding(finding.code, "en", finding.facts).sentence


def test_a_wrong_port_is_named() -> None:
    finding = judge_failure(RefusedError(), at(port=8443), {}, own_address=True)
    assert finding.code == "tcp_refused_port"
    assert "443" in explain_finding(finding.code, "en", finding.facts).remedy


def test_a_second_challenge_may_be_the_one() -> None:
    headers = [(b"WWW-Authenticate", b"Basic realm=x"), (b"www-authenticate", b'DIGEST realm="y"')]
    assert judge_answer(401, headers, at(), subject="").code == "http_ok"


def test_what_a_device_says_about_itself_cannot_move_the_cursor() -> None:
    finding = judge_answer(200, [], at(), subject="CN=\x1b[2J{at}")
    words = explain_finding(finding.code, "en", finding.facts)
    assert "CN=\\x1b[2J{at}" in words.sentence
