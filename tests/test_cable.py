"""A cable that is really pulled: two network namespaces, and packets that are dropped or have no link.

In the fault matrix a relay stands for the cable; here the kernel's TCP is what waits, sends again and gives up.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.faults.scene import PASSWORD, USER, Mode, flags_of
from tests.waiting import wait_until

ROOT: Final = Path(__file__).parent.parent
GATEWAY: Final = "192.168.100.100"
CONNECT, READ = 1, 5
"""Seconds: the timeouts of the proxy, the lowest that its options take."""
BOUND: Final = 2.0
"""Seconds in which the way back has to be found."""


@dataclass
class Network:
    """The namespaces' names and the proxy's port at home."""

    home: str
    gateway: str
    port: int
    log: Path
    mode: Mode

    def at(self, host: str, *command: str) -> str:
        """Run a command in a namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", host, *command], check=True, capture_output=True, text=True
        ).stdout

    def get(self) -> tuple[int, str | None]:
        """Ask through the proxy; returns the status and the code of its error."""
        form = r"\n%{http_code}"
        url = f"http://127.0.0.1:{self.port}/sim/status/200"
        login = ["--digest", "--user", f"{USER}:{PASSWORD}"] if self.mode is Mode.LOGIN_ONCE else []
        body, _, status = self.at(self.home, "curl", "-s", "-m", "20", "-w", form, *login, url).rpartition("\n")
        return int(status), json.loads(body)["error"] if status != "200" else None

    def comes_back(self) -> None:
        """Ask now that the cause is gone: the very first request must succeed, and soon."""
        began = time.monotonic()
        assert self.get() == (200, None)
        assert time.monotonic() - began < BOUND

    def outages(self) -> tuple[int, int]:
        """Count the lines at the start and at the end of an outage, which is over."""
        wait_until(lambda: "can be used again" in self.log.read_text())  # written beside the requests
        text = self.log.read_text()
        return text.count("cannot be used for now"), text.count("can be used again")

    def drop(self, *, on: bool) -> None:
        """Let the gateway's side drop every packet, in both directions."""
        for chain in ("INPUT", "OUTPUT"):
            self.at(self.gateway, "iptables", "-A" if on else "-D", chain, "-j", "DROP")


PLAYED: Final = {
    "transparent": (Mode.TRANSPARENT, "openssl"),
    "login once": (Mode.LOGIN_ONCE, "openssl"),
    "compatible TLS": (Mode.TRANSPARENT, "compatible"),
}
"""How the gateway's password is used, and what speaks TLS with it."""


@pytest.fixture(params=PLAYED)
def network(require: Callable[[str], None], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Network]:
    require("netns")
    require("curl")
    home, gateway = (f"smgw-{os.getpid()}-{name}" for name in ("cable-home", "cable-far"))
    mode, engine = PLAYED[request.param]
    made = Network(home, gateway, 0, tmp_path / "log", mode)
    with ExitStack() as stack:
        for name in (home, gateway):
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
            made.at(name, "ip", "link", "set", "lo", "up")
        made.at(home, "ip", "link", "add", "eth9", "type", "veth", "peer", "name", "han", "netns", gateway)
        made.at(gateway, "ip", "address", "add", f"{GATEWAY}/24", "dev", "han")
        made.at(gateway, "ip", "link", "set", "han", "up")
        made.at(home, "ip", "address", "add", "192.168.100.12/24", "dev", "eth9")
        made.at(home, "ip", "link", "set", "eth9", "up")
        simulator = ["simulator", "--host", GATEWAY, "--port", "443"]
        simulator += ["--handshake-delay", "0", "--request-delay", "0", "--user", USER, "--password", PASSWORD]
        simulator += ["--protect-all"] if made.mode is Mode.LOGIN_ONCE else []
        stack.enter_context(_running(gateway, simulator, "ready", tmp_path))
        options = ["--target", GATEWAY, "--port", "0", "--bind", "127.0.0.1", "--cert-dir", str(tmp_path / "certs")]
        options += ["--connect-timeout", str(CONNECT), "--read-timeout", str(READ), "--tls", engine]
        options += flags_of(made.mode, tmp_path)
        stack.enter_context(_running(home, ["smgw_proxy_addon", *options], " Ready", tmp_path))
        found = re.search(r"Listening at http://\S*:(\d+)$", made.log.read_text(), re.MULTILINE)
        assert found
        made.port = int(found[1])
        yield made


@contextmanager
def _running(host: str, words: list[str], ready: str, folder: Path) -> Iterator[None]:
    """Run a module of the project in a namespace; what it writes is in the file ``log``."""
    log = folder / "log"
    command = ["ip", "netns", "exec", host, sys.executable, "-m", *words]
    with (
        log.open("ab") as stream,
        subprocess.Popen(
            command, stdout=stream, stderr=stream, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as process,
    ):
        try:
            end = time.monotonic() + 30
            while ready not in log.read_text():
                assert time.monotonic() < end, log.read_text()
                assert process.poll() is None, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.kill()


def test_packets_that_are_dropped(network: Network) -> None:
    assert network.get() == (200, None)
    network.drop(on=True)
    assert network.get() == (504, "gateway_timeout")  # on the connection that was kept
    assert network.get() == (504, "gateway_connect_timeout")
    network.drop(on=False)
    network.comes_back()
    assert network.outages() == (1, 1)


def test_a_link_that_is_down(network: Network) -> None:
    assert network.get() == (200, None)
    network.at(network.home, "ip", "link", "set", "eth9", "down")
    assert network.get()[0] in (502, 504)
    assert network.get()[1] in ("gateway_unreachable", "gateway_connect_timeout")
    network.at(network.home, "ip", "link", "set", "eth9", "up")
    network.comes_back()
    assert network.outages() == (1, 1)


def test_a_connection_that_the_gateway_forgot_while_the_cable_was_out(network: Network) -> None:
    assert network.get() == (200, None)
    network.drop(on=True)
    # The gateway's side ends, and its farewell is lost.
    network.at(network.gateway, "ss", "--kill", "state", "established")
    network.drop(on=False)
    if network.mode is Mode.TRANSPARENT:
        assert network.get() == (200, None)  # a read without a login is sent once more
        network.comes_back()
        assert "cannot be used for now" not in network.log.read_text()
        return
    assert network.get() == (502, "gateway_connection_lost")  # the proxy's login may have been refused
    network.comes_back()
    assert network.outages() == (1, 1)
