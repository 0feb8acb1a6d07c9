"""Both apps of the store together: from a foreign subnet to a reading, and the pin whichever way leads there."""

import json
import re
from pathlib import Path

import pytest

from smgw_proxy_addon.status.suggestions import SuggestionFile
from tests.network.house import APP, BRIDGE, GATEWAY, PASSWORD, USER, House, Program, eventually

pytestmark = pytest.mark.timeout(180)

CALL = '{"method":"user-info"}'


def proxy(house: House, target: str, *options: str) -> Program:
    """Run the proxy where apps are."""
    folders = ["--cert-dir", str(house.folder / "certs"), "--log-dir", str(house.folder / "logs")]
    words = ["smgw_proxy_addon", "run", "--target", target, "--port", "8080", "--bind", APP, *folders, *options]
    program = house.start("app", words)
    program.waits_for(" Ready\n")
    return program


def reading(house: House) -> str:
    """Read the gateway as a program in the home network does, on the host."""
    command = (
        f"curl -sS --max-time 20 --digest -u {USER}:{PASSWORD} -d {CALL} http://{APP}:8080/smgw/m2m/{USER}.sm/json"
    )
    return house.at("hahost", command)


def pinned(folder: Path, name: str) -> str:
    [file] = folder.glob("*.json")
    assert file.stem == name
    fingerprint: str = json.loads(file.read_text())["fingerprint"]
    return fingerprint


def offered(house: House) -> str:
    """Return what the button of the proxy's page would set as target."""
    [found] = SuggestionFile(house.folder / "share/gateways.json").read().gateways
    return found.target.text


@pytest.mark.parametrize("address", ["10.11.120.2", "fe80::2"])
def test_from_a_foreign_subnet_to_a_reading_with_the_gateways_own_pin(home: House, address: str) -> None:
    gateway = home.gateway(address)
    network = home.network("--gateway", address)
    eventually(home.suggested, 20, network.log)
    [found] = home.suggested()
    program = proxy(home, offered(home))
    assert "usage-points" in reading(home), program.log()
    fingerprint = gateway.ask("/state")["fingerprint"]
    assert pinned(home.folder / "certs", address) == found["fingerprint"] == fingerprint


def test_a_gateway_keeps_its_pin_whichever_way_leads_to_it(empty: House) -> None:
    empty.host("10.0.0.20/8")
    gateway = empty.gateway()
    network = empty.network("--gateway", GATEWAY)
    eventually(empty.suggested, 20, network.log)
    relayed = offered(empty)
    assert re.fullmatch(rf"{re.escape(f'{GATEWAY} via {BRIDGE}')}:\d+", relayed)
    program = proxy(empty, relayed)
    assert "usage-points" in reading(empty), program.log()
    fingerprint = gateway.ask("/state")["fingerprint"]
    program.stop()
    network.stop()
    empty.at("hahost", "ip address flush dev eth0 scope global")
    empty.at("hahost", "ip address add 192.168.178.20/24 dev eth0")
    network = empty.network("--gateway", GATEWAY)
    eventually(empty.suggested, 20, network.log)
    assert offered(empty) == GATEWAY
    gateway.post("/rotate")
    proxy(empty, GATEWAY)
    assert "certificate" in reading(empty)  # another one than by the relay
    assert pinned(empty.folder / "certs", GATEWAY) == fingerprint


def test_another_certificate_behind_the_relay_is_refused(home: House) -> None:
    gateway = home.gateway("fe80::2")
    network = home.network("--gateway", "fe80::2")
    eventually(home.suggested, 20, network.log)
    program = proxy(home, offered(home))
    assert "usage-points" in reading(home), program.log()
    program.stop()
    requests = gateway.ask("/state")["requests"]
    gateway.post("/rotate")
    proxy(home, offered(home))
    assert "certificate" in reading(home)
    assert gateway.ask("/state")["requests"] == requests


def test_the_relay_serves_eight_at_once_and_passes_nothing_twice(home: House) -> None:
    gateway = home.gateway("fe80::2")
    network = home.network("--gateway", "fe80::2")
    eventually(home.suggested, 20, network.log)
    target = home.suggested()[0]["target"]
    before = gateway.ask("/state")["connections"]
    holders = [home.start("app", ["tests.network.hold", target]) for _ in range(10)]
    eventually(lambda: sum("open" in each.log() for each in holders) == 8, 20, network.log)
    eventually(lambda: sum("closed" in each.log() for each in holders) == 2, 20, network.log)
    eventually(lambda: gateway.ask("/state")["connections"] - before == 8, 20, network.log)
    for each in holders:
        each.kill()
    eventually(lambda: home.reaches(target), 10, network.log)
    eventually(lambda: gateway.ask("/state")["open_connections"] == 0, 10, network.log)
