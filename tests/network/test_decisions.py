"""What is decided without the network: addresses, order, options, packets, certificates."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from simulator.certificates import CURVES, CertificateOptions, make_identity
from smgw_network_addon import addresses, wire
from smgw_network_addon.addresses import (
    NEW_INTERFACE,
    OWN_ADDRESS_RETURNS,
    Address,
    Assigned,
    Interface,
    LinkLocal,
    Network,
    OwnAddress,
    Snapshot,
    change,
)
from smgw_network_addon.handshake import read_certificate
from smgw_network_addon.options import OptionError, Options, from_file, parse

GATEWAY = Address("10.11.120.2")
LOCAL = Address("10.11.120.250")
OWN = Assigned(Address("192.168.178.20"), Network("192.168.178.0/24"))
SECOND = Assigned(Address("192.168.9.1"), Network("192.168.9.0/24"))
OURS = Assigned(LOCAL, Network("10.11.120.2/32"))


def interface(*assigned: Assigned, name: str = "eth0", port: bool = False, ethernet: bool = True) -> Interface:
    return Interface(2, name, b"\x02" * 6, True, True, ethernet, port, assigned)


# Addresses


def test_candidates_go_down_from_250_and_leave_out_what_is_taken() -> None:
    taken = {Address("10.11.120.250"), Address("10.11.120.248")}
    found = list(addresses.candidates(GATEWAY, taken))
    assert [str(each) for each in found[:3]] == ["10.11.120.249", "10.11.120.247", "10.11.120.246"]
    assert GATEWAY not in found
    assert all(2 <= each.packed[3] <= 250 for each in found)
    assert len(found) == 249 - 3


def test_the_sweep_asks_each_other_address_of_the_known_subnets_once() -> None:
    found = list(addresses.sweep())
    assert len(found) == len(set(found)) == 4 * 254 - 4
    assert not set(found) & set(addresses.KNOWN)
    assert len(found) / 20 < 60  # seconds at 20 a second


@given(st.ip_addresses(v=4))
def test_a_gateway_has_a_private_address_of_a_single_host(address: Address) -> None:
    if addresses.may_be_gateway(address):
        assert address.is_private or address.is_link_local
        assert address not in ip_network("127.0.0.0/8")
        assert address.packed[3] not in (0, 255)


@pytest.mark.parametrize("address", ["10.11.120.2", "192.168.1.200", "169.254.7.7", "172.16.0.9"])
def test_seen_addresses_may_be_gateways(address: str) -> None:
    assert addresses.may_be_gateway(Address(address))


# The order of addresses


NOTHING, ADD, REMOVE, REORDER = (False, False), (False, True), (True, False), (True, True)
"""Whether ours has to be removed, and whether it has to be added after that."""


@pytest.mark.parametrize(
    ("assigned", "waiting", "expected"),
    [
        ((OWN,), False, ADD),
        ((OWN, OURS), False, NOTHING),
        ((OWN, SECOND, OURS), False, NOTHING),
        ((OURS, OWN), False, REORDER),
        ((OWN, OURS, SECOND), False, NOTHING),
        ((), False, ADD),
        ((OURS,), False, NOTHING),
        ((), True, NOTHING),
        ((OURS,), True, REMOVE),
        ((OWN,), True, ADD),
    ],
)
def test_ours_is_never_the_first_beside_an_own_one(
    assigned: tuple[Assigned, ...], waiting: bool, expected: tuple[bool, bool]
) -> None:
    assert change(interface(*assigned), OURS, {OURS}, waiting=waiting) == expected


@given(st.permutations([OWN, SECOND, OURS]), st.integers(0, 3))
def test_a_reordered_address_is_in_its_place(assigned: list[Assigned], count: int) -> None:
    before = assigned[:count]
    removed, added = change(interface(*before), OURS, {OURS}, waiting=False)
    after = [each for each in before if each != OURS or not removed] + [OURS] * added
    assert change(interface(*after), OURS, {OURS}, waiting=False) == NOTHING
    assert after[0] != OURS or not {OWN, SECOND} & set(after)


def test_an_own_address_is_waited_for_where_it_was_or_where_it_may_come() -> None:
    there_at_start = OwnAddress()
    there_at_start.note(present=False, now=10)
    assert there_at_start.until == 0
    there_at_start.note(present=True, now=11)
    there_at_start.note(present=False, now=12)
    there_at_start.note(present=False, now=100)
    assert there_at_start.until == 12 + OWN_ADDRESS_RETURNS
    new = OwnAddress(until=50 + NEW_INTERFACE)
    new.note(present=False, now=50)
    assert new.until == 50 + NEW_INTERFACE
    new.note(present=True, now=51)
    assert new.until == 0


@pytest.mark.parametrize(
    "name", ["docker0", "br-1a2b", "veth9f", "hassio", "tun0", "wg0", "lo", "virbr0", "tailscale0"]
)
def test_virtual_interfaces_are_left_alone(name: str) -> None:
    assert not interface(name=name).real


@pytest.mark.parametrize("name", ["eth0", "end0", "enp3s0", "enx00e04c680001", "wlan0", "eth0.7", "br0", "bond0"])
def test_real_ones_and_vlans_are_used(name: str) -> None:
    assert interface(name=name).real


def test_ports_of_a_bridge_and_links_without_arp_are_left_alone() -> None:
    assert not interface(port=True).real
    assert not interface(ethernet=False).real


def test_the_home_network_holds_its_addresses_and_ours_does_not_count() -> None:
    home = Snapshot((interface(OWN, OURS), interface(SECOND, name="eth1")))
    assert home.holding(Address("192.168.178.9"), {OURS}) == ["eth0"]
    assert home.holding(GATEWAY, {OURS}) == []
    assert home.holding(GATEWAY, set()) == ["eth0"]


# Options


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Options()),
        ({"gateway": "", "interface": None, "address": " "}, Options()),
        ({"gateway": "10.11.120.2", "search": False}, Options(gateway=GATEWAY, search=False)),
        ({"gateway": "fe80::1%eth1"}, Options(LinkLocal("fe80::1"), interface="eth1")),
        ({"gateway": "FE80::0:1"}, Options(LinkLocal("fe80::1"))),
        ({"interface": "enx00e04c680001", "address": "10.11.120.9"},
         Options(interface="enx00e04c680001", address=Address("10.11.120.9"))),
    ],
)  # fmt: skip
def test_good_options(given: dict[str, object], expected: Options) -> None:
    assert parse(given) == expected


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"gateway": "10.11.120"}, "gateway"),
        ({"gateway": "8.8.8.8"}, "gateway"),
        ({"gateway": "10.11.120.255"}, "gateway"),
        ({"gateway": "127.0.0.1"}, "gateway"),
        ({"gateway": "2001:db8::1"}, "gateway"),
        ({"gateway": "smgw.local"}, "gateway"),
        ({"gateway": "x" * 99}, "gateway"),
        ({"gateway": 7}, "gateway"),
        ({"gateway": "fe80::1%eth1", "interface": "eth0"}, "interface"),
        ({"interface": "eth0; reboot"}, "interface"),
        ({"interface": "a" * 16}, "interface"),
        ({"address": "10.11.120.1"}, "address"),
        ({"address": "10.11.120.0"}, "address"),
        ({"address": "10.11.120.255"}, "address"),
        ({"address": "1.2.3.4"}, "address"),
        ({"gateway": "10.11.120.2", "address": "10.11.120.2"}, "address"),
        ({"search": "yes"}, "search"),
        ({"serach": True}, "serach"),
    ],
)
def test_a_bad_value_is_named_in_one_line(given: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(given)
    assert str(caught.value).startswith(f"{named}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_a_file_that_holds_no_options(text: str, tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(text)
    with pytest.raises(OptionError):
        from_file(file)


@given(st.dictionaries(st.sampled_from(["gateway", "interface", "address", "search", "x"]), st.none() | st.text()))
def test_nothing_but_an_option_error_comes_of_options(given: dict[str, object]) -> None:
    with suppress(OptionError):
        parse(given)


# ARP


def runs(program: wire.Filter, packet: bytes) -> bool:
    """Run a filter as the kernel does; tell whether the packet passes."""
    at, value = 0, 0
    while True:
        code, if_equal, otherwise, constant = program[at]
        at += 1
        match code:
            case 0x28:
                value = int.from_bytes(packet[constant : constant + 2])
            case 0x20:
                value = int.from_bytes(packet[constant : constant + 4])
            case 0x54:
                value &= constant
            case 0x15:
                at += if_equal if value == constant else otherwise
            case 0x06:
                return bool(constant)


def packet(operation: int, sender: str, target: str) -> bytes:
    return wire._LAYOUT.pack(  # noqa: SLF001
        1, 0x0800, 6, 4, operation, b"\x0a" * 6, ip_address(sender).packed, bytes(6), ip_address(target).packed
    )


@pytest.mark.parametrize(
    ("operation", "sender", "target", "passes"),
    [
        (2, "10.11.120.2", "0.0.0.0", True),
        (2, "10.11.120.2", "192.168.178.20", False),
        (2, "10.11.120.250", "10.11.120.2", True),
        (1, "10.11.120.250", "10.11.120.250", True),
        (1, "0.0.0.0", "10.11.120.250", True),
        (1, "0.0.0.0", "10.11.120.249", False),
        (1, "192.168.178.1", "192.168.178.20", False),
        (1, "192.168.178.1", "10.11.120.250", False),
    ],
)
def test_the_filter_passes_answers_and_claims(operation: int, sender: str, target: str, passes: bool) -> None:
    program = wire.answers_and_claims([Address("10.11.120.251"), LOCAL])
    assert runs(program, packet(operation, sender, target)) is passes


@pytest.mark.parametrize(
    ("sender", "passes"),
    [("10.11.120.2", True), ("192.168.178.1", False), ("0.0.0.0", False), ("192.168.179.1", True)],
)
def test_the_filter_for_strangers_drops_the_own_networks(sender: str, passes: bool) -> None:
    program = wire.strangers([Network("192.168.178.0/24"), Network("10.11.120.9/32")])
    assert runs(program, packet(1, sender, "192.168.178.20")) is passes


@given(st.binary(max_size=64))
def test_any_bytes_are_a_packet_or_none(data: bytes) -> None:
    assert wire.parse(data) is None or len(data) >= 28


def test_packets_are_read_as_they_are_written() -> None:
    mac = b"\x02\x00\x00\x00\x00\x01"
    assert wire.parse(wire.probe(mac, GATEWAY)) == wire.Packet(mac, Address(0), GATEWAY, reply=False)
    announced = wire.parse(wire.announcement(mac, LOCAL))
    assert announced is not None
    assert (announced.sender, announced.target, announced.claimed) == (LOCAL, LOCAL, LOCAL)


# Certificates


def made(curve: str, name: str, organization: str, issuer: str = "somebody") -> bytes:
    key = ec.generate_private_key(CURVES[curve])

    def named(common: str, unit: str) -> x509.Name:
        attributes = [(NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, unit), (NameOID.COUNTRY_NAME, "DE")]
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes if text])

    start = datetime(2025, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name, organization))
        .issuer_name(named(issuer, ""))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=900))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


@pytest.mark.parametrize("curve", ["P-256", "P-384", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"])
def test_a_gateways_certificate_is_known_on_every_curve(curve: str) -> None:
    der = make_identity(CertificateOptions(curve=curve)).der
    found = read_certificate(der)
    assert found is not None
    assert found.is_gateways
    assert (found.name, found.organization, found.maker) == ("ETHE0300186023.SMGW", "SMGW", "Theben")
    assert found.fingerprint == make_fingerprint(der)


def make_fingerprint(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize(
    ("name", "organization", "issuer", "is_one"),
    [
        ("EEMH0012345678.SMGW", "", "x", True),
        ("eppc0212345678.smgw", "", "x", True),
        ("whatever", "SMGW", "x", True),
        ("whatever", "", "Sub-CA SM-PKI-DE", True),
        ("printer.local", "Printers", "x", False),
        ("", "", "x", False),
        ("SMGW.example", "", "x", False),
    ],
)
def test_who_is_a_gateway(name: str, organization: str, issuer: str, is_one: bool) -> None:
    found = read_certificate(made("P-256", name, organization, issuer))
    assert found is not None
    assert found.is_gateways is is_one


@pytest.mark.parametrize("curve", ["RSA", "P-521"])
def test_a_key_of_another_kind_is_none_of_a_gateway(curve: str) -> None:
    found = read_certificate(make_identity(CertificateOptions(curve=curve)).der)
    assert found is not None
    assert not found.is_gateways


@given(st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_none(data: bytes) -> None:
    assert read_certificate(data) is None or data


def test_a_certificate_that_was_cut_or_changed_is_read_or_none() -> None:
    der = make_identity(CertificateOptions()).der
    for at in itertools.chain(range(0, len(der), 7), range(40)):
        read_certificate(der[:at])
        read_certificate(der[:at] + b"\xff" + der[at + 1 :])


def test_names_hold_nothing_that_could_leave_a_line() -> None:
    found = read_certificate(made("P-256", "evil\n\x1b[31m.SMGW", ""))
    assert found is not None
    assert found.name == "evil??[31m.SMGW"
