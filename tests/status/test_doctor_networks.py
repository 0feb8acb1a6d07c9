"""The doctor command on a host of its own: network namespaces stand for the computer and for the gateway's network.

The gateway answers only what comes from its own network, as real ones do that have no default route.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATEWAY = "192.168.100.100"
HOME = "192.168.1.2/24"


@dataclass
class Hosts:
    """Two namespaces by name, joined by a cable whose end at home is called ``eth9``."""

    home: str
    gateway: str
    cert_dir: Path

    def at(self, host: str, *words: str) -> str:
        """Run ``ip`` in a namespace."""
        return subprocess.run(["ip", "-n", host, *words], check=True, capture_output=True, text=True).stdout

    def doctor(self, target: str = GATEWAY, **environment: str) -> tuple[int, str]:
        """Run the command at home; return its exit code and its output as one line, without times."""
        program = [sys.executable, "-m", "smgw_proxy_addon", "doctor", "--target", target, "--connect-timeout", "1"]
        finished = subprocess.run(
            ["ip", "netns", "exec", self.home, *program, "--cert-dir", str(self.cert_dir)],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
            timeout=60,
        )
        assert not finished.stderr
        untimed = re.sub(r"\(\d+\.\d\d s\)", "", finished.stdout)
        return finished.returncode, " ".join(untimed.split())


@pytest.fixture
def hosts(require: Callable[[str], None], tmp_path: Path) -> Iterator[Hosts]:
    require("netns")
    home, gateway = (f"smgw-{os.getpid()}-{name}" for name in ("home", "gateway"))
    made = Hosts(home, gateway, tmp_path / "certs")
    try:
        for name in (home, gateway):
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.at(name, "link", "set", "lo", "up")
        yield made
    finally:
        for name in (home, gateway):
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "delete", name], check=True, capture_output=True)


@pytest.fixture
def cable(hosts: Hosts) -> Hosts:
    """Join the two: home has an address of its own network, its router is where the gateway is."""
    hosts.at(hosts.home, "link", "add", "eth9", "type", "veth", "peer", "name", "han", "netns", hosts.gateway)
    hosts.at(hosts.gateway, "address", "add", "192.168.1.1/24", "dev", "han")
    hosts.at(hosts.gateway, "address", "add", f"{GATEWAY}/24", "dev", "han")
    hosts.at(hosts.gateway, "link", "set", "han", "up")
    hosts.at(hosts.gateway, "rule", "add", "from", GATEWAY, "to", "192.168.1.0/24", "blackhole")
    hosts.at(hosts.home, "address", "add", HOME, "dev", "eth9")
    hosts.at(hosts.home, "link", "set", "eth9", "up")
    hosts.at(hosts.home, "route", "add", "default", "via", "192.168.1.1")
    return hosts


@pytest.fixture
def simulator(cable: Hosts) -> Iterator[None]:
    program = [sys.executable, "-m", "simulator", "--host", GATEWAY, "--port", "443", "--handshake-delay", "0"]
    with subprocess.Popen(
        ["ip", "netns", "exec", cable.gateway, *program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert "ready" in process.stdout.readline()
        yield
        process.terminate()


def test_no_route(hosts: Hosts) -> None:
    code, text = hosts.doctor()
    assert code == 1
    assert f"FAILED Connection This computer knows no way to {GATEWAY}:443." in text
    assert "FAILED Network address This computer has no address in the gateway's network" in text


@pytest.mark.usefixtures("simulator")
def test_without_an_address_in_the_gateways_network_the_remedy_is_what_helps(cable: Hosts) -> None:
    code, text = cable.doctor()
    assert code == 1
    assert "FAILED Network address This computer has no address in the gateway's network" in text
    assert f"Nobody answers at {GATEWAY}:443: no connection within 1 seconds." in text
    remedy = re.search(r"sudo ip (address add \S+ dev eth9)", text)
    assert remedy
    cable.at(cable.home, *remedy[1].split())
    code, text = cable.doctor()
    assert "ok Network address This computer has the address 192.168.100.12/24" in text
    assert text.endswith("All is well.")
    assert code == 0


@pytest.mark.usefixtures("simulator")
def test_a_router_in_between_makes_an_own_address_needless(cable: Hosts) -> None:
    cable.at(cable.gateway, "rule", "delete", "from", GATEWAY, "to", "192.168.1.0/24", "blackhole")
    code, text = cable.doctor()
    assert "reaches the gateway, over a router in between" in text
    assert code == 0


def test_a_port_without_a_cable(cable: Hosts) -> None:
    cable.at(cable.home, "address", "add", "192.168.100.12/24", "dev", "eth9")
    cable.at(cable.gateway, "link", "set", "han", "down")
    code, text = cable.doctor()
    assert code == 1
    assert "The network port eth9 (192.168.100.12/24) leads to the gateway, but it is switched off" in text


def test_an_address_that_no_device_has(cable: Hosts) -> None:
    cable.at(cable.home, "address", "add", "192.168.100.12/24", "dev", "eth9")
    code, text = cable.doctor("192.168.100.77")
    assert code == 1
    assert "no device with this address" in text or "Nobody answers at 192.168.100.77:443" in text


def test_the_gateways_address_on_this_computer(cable: Hosts) -> None:
    cable.at(cable.home, "address", "add", f"{GATEWAY}/24", "dev", "eth9")
    code, text = cable.doctor(LC_ALL="de_DE.UTF-8")
    assert code == 1
    assert f"Dieser Rechner hat selbst die Adresse des Gateways, {GATEWAY}." in text
