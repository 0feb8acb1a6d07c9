"""A gateway that drops foreign sources is reached from behind MASQUERADE, and the host stays as it was."""

import signal

import pytest

from tests.network.house import BRIDGE, GATEWAY, House, eventually

pytestmark = pytest.mark.timeout(180)


@pytest.mark.alone
def test_a_given_gateway_answers_within_5_seconds_and_nothing_else_changes(home: House) -> None:
    home.gateway()
    before = home.picture()
    assert not home.reaches()
    program = home.network("--gateway", GATEWAY)
    assert eventually(home.reaches, 20, program.log) < 5
    assert home.addresses() == ["192.168.178.20", "10.11.120.250"]
    assert program.stop() == 0
    assert home.picture() == before
    assert home.suggested() == []


def test_only_one_address_and_its_route_are_added(home: House) -> None:
    home.gateway()
    before = home.picture()
    program = home.network("--gateway", GATEWAY)
    eventually(home.reaches, 20, program.log)
    now = home.picture()
    changed = {what for what in before if before[what] != now[what]}
    assert changed == {"addresses", "routes"}
    new = {what: set(now[what].splitlines()) - set(before[what].splitlines()) for what in changed}
    assert len(new["addresses"]) == 1
    routes = {line.split(" proto")[0].strip() for line in new["routes"]}
    assert routes == {f"{GATEWAY} dev eth0", "local 10.11.120.250 dev eth0 table local"}
    assert all(set(before[what].splitlines()) <= set(now[what].splitlines()) for what in changed)


def test_a_known_gateway_answers_within_15_seconds(home: House) -> None:
    home.gateway("192.168.100.100")
    program = home.network()
    assert eventually(lambda: home.reaches("192.168.100.100"), 40, program.log) < 15
    eventually(home.suggested, 5, program.log)
    [found] = home.suggested()
    assert (found["target"], found["way"], found["maker"]) == ("192.168.100.100", "peer", "Theben")
    assert found["name"] == "ETHE0300186023.SMGW"


@pytest.mark.long
def test_any_address_of_a_known_subnet_answers_within_90_seconds(home: House) -> None:
    home.gateway("192.168.168.254")
    program = home.network()
    assert eventually(lambda: home.reaches("192.168.168.254"), 120, program.log) < 90


def test_a_gateway_that_starts_later_is_found(home: House) -> None:
    program = home.network("--no-search", "--gateway", GATEWAY)
    home.gateway()
    eventually(home.reaches, 20, program.log)


def test_it_is_not_root_and_keeps_two_capabilities(home: House) -> None:
    home.gateway()
    program = home.network("--gateway", GATEWAY)
    eventually(home.reaches, 20, program.log)
    status = program.status()
    assert "0" not in status["Uid"].split()
    assert {status[each] for each in ("CapPrm", "CapEff", "CapAmb")} == {"0000000000003000"}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("again", [["--gateway", GATEWAY], [], ["--gateway", "192.168.1.200"]])
def test_what_a_killed_run_has_left_is_taken_over_or_removed(home: House, again: list[str]) -> None:
    home.gateway()
    before = home.picture()
    program = home.network("--gateway", GATEWAY)
    eventually(home.reaches, 20, program.log)
    program.stop(signal.SIGKILL)
    assert "10.11.120.250" in home.addresses()
    program = home.network(*again)
    if "192.168.1.200" in again:
        eventually(lambda: "10.11.120.250" not in home.addresses(), 10, program.log)
    else:
        program.waits_for("reached: peer", 10)
        assert home.addresses() == ["192.168.178.20", "10.11.120.250"]
        assert ": added" not in program.log()
        assert home.reaches()
    assert program.stop() == 0
    assert home.picture() == before


def test_a_second_run_in_the_same_folder_is_refused(home: House) -> None:
    first = home.network("--gateway", GATEWAY)
    eventually((home.folder / "state/smgw-network.json").exists, 10, first.log)
    second = home.network("--gateway", GATEWAY)
    assert second.process.wait(20) == 1
    assert second.log().startswith("smgw-network: another run")


def test_the_home_network_has_the_same_numbers_on_another_interface(empty: House) -> None:
    empty.host("192.168.1.20/24")
    empty.plug("tv", "192.168.1.30/24")
    empty.plug("hahost", interface="eth1", switch="cabinet")
    empty.gateway("192.168.1.200", switch="cabinet")
    program = empty.network()
    eventually(lambda: empty.reaches("192.168.1.200"), 15, program.log)
    assert empty.addresses("eth1") == ["192.168.1.250"]
    assert "eth0" in empty.at("hahost", "ip route get 192.168.1.30")


def test_a_home_device_with_the_gateways_number_is_not_cut_off(empty: House) -> None:
    empty.host("192.168.1.20/24")
    empty.plug("printer", "192.168.1.200/24")
    empty.plug("hahost", interface="eth1", switch="cabinet")
    empty.gateway("192.168.1.200", switch="cabinet")
    before = empty.picture()
    program = empty.network("--no-search")
    program.waits_for("at_home", 30)
    assert empty.picture() == before
    program.stop()
    program = empty.network("--gateway", "192.168.1.200")
    eventually(lambda: empty.reaches("192.168.1.200"), 20, program.log)
    assert empty.addresses("eth1") == ["192.168.1.250"]


def test_a_gateway_that_the_home_network_reaches_needs_nothing(empty: House) -> None:
    empty.host("192.168.1.20/24")
    empty.gateway("192.168.1.200")
    before = empty.picture()
    program = empty.network("--no-search")
    eventually(empty.suggested, 20, program.log)
    [found] = empty.suggested()
    assert (found["target"], found["way"], found["local"]) == ("192.168.1.200", "direct", None)
    assert empty.picture() == before


@pytest.mark.parametrize(("own", "gateway"), [("10.0.0.20/8", GATEWAY), ("192.168.178.20/16", "192.168.1.200")])
def test_a_wide_home_network_gets_a_relay(empty: House, own: str, gateway: str) -> None:
    empty.host(own)
    empty.gateway(gateway)
    program = empty.network()
    eventually(empty.suggested, 30, program.log)
    [found] = empty.suggested()
    assert (found["way"], found["host"]) == ("relay", gateway)
    assert found["target"].startswith(f"{BRIDGE}:")
    assert empty.reaches(found["target"])
    assert empty.reaches(gateway, "hahost")
    assert empty.addresses()[0] == own.partition("/")[0]


def test_a_link_local_gateway_gets_a_relay(home: House) -> None:
    home.gateway("fe80::2")
    program = home.network("--gateway", "fe80::2")
    eventually(home.suggested, 30, program.log)
    [found] = home.suggested()
    assert (found["way"], found["host"], found["interface"]) == ("relay", "fe80::2", "eth0")
    assert home.reaches(found["target"])
    assert home.addresses() == ["192.168.178.20"]
    target = found["target"]
    program.stop()
    assert not home.reaches(target)
    program = home.network("--gateway", "fe80::2")
    eventually(home.suggested, 30, program.log)
    assert home.suggested()[0]["target"] == target  # the proxy's target stays


def test_only_apps_may_use_the_relay(home: House) -> None:
    home.gateway("fe80::2")
    program = home.network("--gateway", "fe80::2")
    eventually(home.suggested, 30, program.log)
    target = home.suggested()[0]["target"]
    home.at("router", f"ip route add {BRIDGE}/32 via 192.168.178.20")
    assert home.reaches(target)
    assert not home.reaches(target, "router")


def test_two_gateways_on_two_interfaces_are_both_served(home: House) -> None:
    home.gateway("192.168.100.100")
    home.plug("hahost", interface="eth1", switch="cabinet")
    home.gateway("10.11.120.2", "gateway2", switch="cabinet", vendor="ppc")
    program = home.network("--no-search")
    eventually(lambda: len(home.suggested()) == 2, 30, program.log)
    assert home.reaches("192.168.100.100")
    assert home.reaches("10.11.120.2")
    assert {(each["interface"], each["maker"]) for each in home.suggested()} == {("eth0", "Theben"), ("eth1", "PPC")}


def test_two_gateways_with_the_same_address_are_told_so(home: House) -> None:
    home.gateway()
    home.plug("hahost", interface="eth1", switch="cabinet")
    home.gateway(GATEWAY, "gateway2", switch="cabinet", vendor="ppc")
    program = home.network("--no-search")
    program.waits_for("two with one address cannot be served", 30)
    eventually(home.reaches, 10, program.log)
    assert len(home.suggested()) == 1


def test_a_gateway_on_a_vlan_is_found(home: House) -> None:
    if not home.can("hahost", "ip link add link eth0 name eth0.7 type vlan id 7"):
        pytest.skip("this kernel has no VLANs")
    home.at("hahost", "ip link set eth0.7 up")
    home.plug("gateway")
    home.at("gateway", "ip link add link eth0 name eth0.7 type vlan id 7")
    home.at("gateway", "ip link set eth0.7 up")
    home.at("gateway", f"ip address add {GATEWAY}/24 dev eth0.7")
    home.simulator("gateway", GATEWAY, "theben")
    program = home.network("--no-search")
    eventually(home.reaches, 30, program.log)
    assert home.addresses("eth0.7") == ["10.11.120.250"]
