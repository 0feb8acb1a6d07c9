"""Finding: by name, by what is heard, and what is not looked at twice."""

import time

import pytest

from tests.network.house import GATEWAY, House, eventually

pytestmark = pytest.mark.timeout(180)


def test_a_link_local_gateway_is_found_by_its_name(home: House) -> None:
    home.gateway("fe80::2")
    home.start("gateway", ["tests.network.responder", "fe80::2"]).waits_for("ready")
    program = home.network("--no-search")
    assert eventually(home.suggested, 30, program.log) < 15
    [found] = home.suggested()
    assert (found["way"], found["host"], found["interface"]) == ("relay", "fe80::2", "eth0")
    assert home.reaches(found["target"])


def test_an_unknown_address_is_found_by_its_name(home: House) -> None:
    home.gateway("10.77.3.9")
    home.at("gateway", "iptables -I INPUT -p udp --dport 5353 -j ACCEPT")
    home.at("gateway", "ip route add 224.0.0.0/4 dev eth0")
    home.start("gateway", ["tests.network.responder", "10.77.3.9"]).waits_for("ready")
    program = home.network("--no-search")
    eventually(lambda: home.reaches("10.77.3.9"), 30, program.log)
    assert home.addresses()[1:] == ["10.77.3.250"]


@pytest.mark.parametrize("address", ["169.254.7.7", "10.77.3.9"])
def test_an_unknown_address_is_found_when_it_is_heard(home: House, address: str) -> None:
    home.gateway(address)
    program = home.network("--no-search")
    home.start("gateway", ["tests.network.noise", "eth0", "announce", address, "60"])
    eventually(lambda: home.reaches(address), 30, program.log)


def test_a_device_that_is_no_gateway_is_looked_at_once_and_left_alone(home: House) -> None:
    home.plug("printer", f"{GATEWAY}/24")
    printer = home.start("printer", ["tests.network.plain", GATEWAY])
    printer.waits_for("ready")
    before = home.picture()
    program = home.network("--no-search")
    printer.waits_for("connection", 30)
    time.sleep(5)
    assert printer.log().count("connection") == 1
    assert home.picture() == before
    assert home.suggested() == []
    assert program.process.poll() is None


def test_no_request_is_sent(home: House) -> None:
    gateway = home.gateway()
    program = home.network()
    eventually(home.suggested, 30, program.log)
    state = gateway.ask("/state")
    assert (state["requests"], state["handshakes"], state["peak_connections"]) == (0, 1, 1)


@pytest.mark.alone
def test_at_most_20_packets_a_second_are_sent_on_an_interface(home: House) -> None:
    counter = home.start("router", ["tests.network.plain", "count", "eth0"])
    counter.waits_for("ready")
    home.network()

    def counts() -> list[int]:
        return [int(line) for line in counter.log().splitlines()[1:]]

    eventually(lambda: sum(counts()) > 80, 60)
    assert max(counts()) <= 22  # a second of the counter's is none of the program's


def test_a_search_that_a_cable_interrupted_begins_again(home: House) -> None:
    counter = home.start("router", ["tests.network.plain", "count", "eth0"])
    counter.waits_for("ready")
    program = home.network()
    eventually(lambda: sum(map(int, counter.log().splitlines()[1:])) > 60, 60)  # the sweep is beyond 10.11.120.9
    port = home.ports["hahost", "eth0"]
    home.at("switch", f"ip link set {port} down")
    home.gateway("10.11.120.9")
    home.at("switch", f"ip link set {port} up")
    eventually(lambda: home.reaches("10.11.120.9"), 75, program.log)


@pytest.mark.long
def test_a_gateway_that_was_silent_at_first_is_looked_at_again(home: House) -> None:
    home.plug("gateway", "10.77.3.9/24")
    home.at("gateway", "iptables -A INPUT -p tcp --dport 443 -j DROP")
    program = home.network("--no-search")
    noise = home.start("gateway", ["tests.network.noise", "eth0", "announce", "10.77.3.9", "60"])
    eventually(lambda: len(home.addresses()) == 2, 30, program.log)
    noise.kill()
    eventually(lambda: len(home.addresses()) == 1, 30, program.log)
    home.at("gateway", "iptables -F INPUT")
    home.simulator("gateway", "10.77.3.9", "theben")
    eventually(lambda: home.reaches("10.77.3.9"), 90, program.log)


@pytest.mark.long
def test_the_search_ends_and_the_known_addresses_are_asked_again(home: House) -> None:
    program = home.network("--no-search")
    time.sleep(6)
    home.gateway()
    assert eventually(home.reaches, 80, program.log) < 70


@pytest.mark.parametrize("vendor", ["theben", "ppc", "emh", "sagemcom"])
def test_every_makers_certificate_is_known(home: House, vendor: str) -> None:
    home.gateway(vendor=vendor)
    program = home.network("--no-search")
    eventually(home.suggested, 30, program.log)
    assert home.suggested()[0]["maker"].lower().startswith(vendor)


def test_brainpool_curves_are_offered(home: House) -> None:
    home.gateway(options="--curve=brainpoolP384r1")
    program = home.network("--no-search")
    eventually(home.suggested, 30, program.log)
