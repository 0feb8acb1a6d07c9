"""The address stays where it has to be, whatever happens to the interface, and gives way to whoever else has it."""

import time

import pytest

from tests.network.house import GATEWAY, House, Program, eventually

pytestmark = pytest.mark.timeout(180)

OWN = "192.168.178.20"
PEER = "10.11.120.250"
FLOOD = 4.0
"""Seconds."""
LEASES = 34
"""For each of three pauses."""


@pytest.mark.parametrize("pause", [0.0, 0.03, 0.3], ids=str)
def test_it_is_back_within_a_second_after_each_lease_and_never_first(
    lasting: tuple[House, Program], pause: float
) -> None:
    home, running = lasting
    slowest = 0.0
    for _ in range(LEASES):
        home.at("hahost", "ip address flush dev eth0")
        end = time.monotonic() + pause
        while time.monotonic() < end:
            assert home.addresses() == []
        home.at("hahost", f"ip address add {OWN}/24 dev eth0")
        slowest = max(slowest, eventually(lambda: home.addresses() == [OWN, PEER], 5, running.log))
    assert slowest < 1
    assert home.reaches()


def test_an_own_address_that_is_taken_away_alone_comes_first_again(lasting: tuple[House, Program]) -> None:
    home, running = lasting
    home.at("hahost", f"ip address del {OWN}/24 dev eth0")
    eventually(lambda: home.addresses() == [], 5, running.log)
    home.at("hahost", f"ip address add {OWN}/24 dev eth0")
    assert eventually(lambda: home.addresses() == [OWN, PEER], 5, running.log) < 1


def test_one_that_is_taken_away_alone_is_put_back(lasting: tuple[House, Program]) -> None:
    home, running = lasting
    before = running.log().count(": put back")
    home.at("hahost", f"ip address del {PEER} peer {GATEWAY}/32 dev eth0")
    assert eventually(lambda: home.addresses() == [OWN, PEER], 5, running.log) < 1
    eventually(lambda: running.log().count(": put back") > before, 5, running.log)


@pytest.mark.alone
def test_an_interface_without_an_address_of_its_own_gets_it_at_once(empty: House) -> None:
    empty.host("192.168.178.20/24")
    empty.plug("hahost", interface="eth1", switch="cabinet")
    empty.gateway(switch="cabinet")
    program = empty.network("--gateway", GATEWAY)
    assert eventually(empty.reaches, 20, program.log) < 5
    empty.at("hahost", "ip address flush dev eth1")
    assert eventually(lambda: empty.addresses("eth1") == [PEER], 5, program.log) < 1
    empty.at("hahost", "ip address add 192.168.9.1/24 dev eth1")
    eventually(lambda: empty.addresses("eth1") == ["192.168.9.1", PEER], 5, program.log)


def test_a_cable_that_was_out_for_10_seconds(home: House, running: Program) -> None:
    port = home.ports["hahost", "eth0"]
    home.at("switch", f"ip link set {port} down")
    eventually(lambda: not home.reaches(), 10, running.log)
    time.sleep(10)
    home.at("switch", f"ip link set {port} up")
    eventually(home.reaches, 10, running.log)
    assert home.addresses() == [OWN, PEER]


def test_an_interface_that_is_replaced_by_another_one(home: House, running: Program) -> None:
    home.at("hahost", "ip link delete eth0")
    home.plug("hahost", "192.168.178.20/24", interface="enp3s0")
    eventually(home.reaches, 20, running.log)
    assert home.addresses("enp3s0") == [OWN, PEER]


def test_a_taken_address_is_not_chosen(home: House) -> None:
    home.gateway()
    home.plug("printer", f"{PEER}/24")
    home.plug("hahost", interface="eth1", switch="cabinet")
    home.plug("camera", "10.11.120.249/24", switch="cabinet")  # would be cut off from the host: asked for, too
    program = home.network("--gateway", GATEWAY)
    eventually(home.reaches, 20, program.log)
    assert home.addresses() == [OWN, "10.11.120.248"]


def test_a_conflict_makes_it_choose_another_one(home: House, running: Program) -> None:
    home.plug("printer", f"{PEER}/24")
    home.start("printer", ["tests.network.noise", "eth0", "announce", PEER])
    eventually(lambda: home.addresses() == [OWN, "10.11.120.249"], 10, running.log)
    eventually(home.reaches, 10, running.log)
    assert ": conflict" in running.log()


@pytest.mark.usefixtures("running")
def test_a_forged_conflict_that_nobody_stands_by_changes_nothing(home: House) -> None:
    home.plug("liar")
    home.start("liar", ["tests.network.noise", "eth0", "announce", PEER])
    time.sleep(3)
    assert home.addresses() == [OWN, PEER]
    assert home.reaches()


@pytest.mark.parametrize("options", [[], ["--gateway", GATEWAY]], ids=["found", "given"])
def test_a_neighbour_that_answers_every_probe_does_not_win(home: House, options: list[str]) -> None:
    home.gateway()
    home.plug("liar")
    liar = home.start("liar", ["tests.network.noise", "eth0", "answer"])
    liar.waits_for("ready")
    program = home.network(*options)
    eventually(home.reaches, 60, program.log)
    assert home.addresses()[0] == OWN
    eventually(home.suggested, 10, program.log)
    assert [each["target"] for each in home.suggested()] == [GATEWAY]


@pytest.mark.parametrize("kind", ["ask", "announce", "reply"])
def test_10000_packets_a_second_cost_little(lasting: tuple[House, Program], kind: str) -> None:
    home, running = lasting
    if "liar" not in home.names:
        home.plug("liar")
    flood = home.start("liar", ["tests.network.noise", "eth0", "flood", kind, PEER])
    flood.waits_for("ready")
    eventually(lambda: len(flood.log().split()) > 1, 10, flood.log)  # a second of it has gone
    before, began = running.processor_time(), time.monotonic()
    time.sleep(FLOOD)
    used = (running.processor_time() - before) / (time.monotonic() - began)
    rate = max(map(int, flood.log().split()[1:]))
    assert rate > 3000
    assert used * max(1.0, 10_000 / rate) < 0.15  # a busy machine cannot send so many
    assert int(running.status()["VmRSS"].split()[0]) < 65_000
    flood.kill()
    assert home.addresses()[0] == OWN
    eventually(home.reaches, 20, running.log)


def test_a_neighbour_on_another_interface_that_answers_every_probe_is_not_taken_for_the_gateway(home: House) -> None:
    home.gateway()
    home.plug("hahost", interface="aaa0", switch="cabinet")  # asked first
    home.plug("liar", switch="cabinet")
    home.start("liar", ["tests.network.noise", "eth0", "answer"]).waits_for("ready")
    program = home.network("--gateway", GATEWAY)
    eventually(home.suggested, 40, program.log)
    assert home.suggested()[0]["interface"] == "eth0"
    eventually(home.reaches, 10, program.log)
    assert home.addresses("aaa0") == []


@pytest.mark.long
def test_a_home_device_that_has_gone_lets_the_gateway_in(empty: House) -> None:
    empty.host("192.168.1.20/24")
    empty.plug("printer", "192.168.1.200/24")
    empty.plug("hahost", interface="eth1", switch="cabinet")
    empty.gateway("192.168.1.200", switch="cabinet")
    program = empty.network("--no-search")
    program.waits_for("at_home", 30)
    empty.at("printer", "ip link set eth0 down")
    eventually(lambda: empty.reaches("192.168.1.200"), 100, program.log)
