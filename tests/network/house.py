"""A house in network namespaces: a switch, the Home Assistant host, an app behind MASQUERADE, gateways, others.

Owns the namespaces and processes that it makes, and removes them. Never touches the machine's own network.
"""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
GATEWAY: Final = "10.11.120.2"
APP: Final = "172.30.33.5"
BRIDGE: Final = "172.30.32.1"
USER: Final = "demo"
PASSWORD: Final = "correct-horse"
PATIENCE: Final = 30.0
_NUMBER: Final = itertools.count()


def environment(**more: str) -> dict[str, str]:
    """Return the environment for the project's programs: without coverage, which only root could write."""
    kept = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "smgw_network")))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


def eventually(condition: Callable[[], object], seconds: float = PATIENCE, log: Callable[[], str] = str) -> float:
    """Wait until a condition holds; returns the seconds it took, fails with the log of then."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not in {seconds:g} s; the log:\n{log()}"
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass
class House:
    """The namespaces by name; ``stack`` undoes what is done to the house."""

    prefix: str
    folder: Path
    stack: ExitStack
    names: set[str] = field(default_factory=set)
    ports: dict[tuple[str, str], str] = field(default_factory=dict)
    """The switch's port at the other end of a cable."""

    def namespace(self, name: str) -> str:
        """Return the full name of a namespace."""
        return f"{self.prefix}-{name}"

    def at(self, name: str, command: str, *, check: bool = True) -> str:
        """Run a command in a namespace; words are separated by blanks."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace(name), *command.split()],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{name}: {command}: {done.stderr}"
        return done.stdout

    def can(self, name: str, command: str) -> bool:
        """Run a command that the kernel may not know; tell whether it went well."""
        words = ["ip", "netns", "exec", self.namespace(name), *command.split()]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def add(self, name: str) -> None:
        """Make a namespace without any link."""
        self.names.add(name)
        subprocess.run(["ip", "netns", "add", self.namespace(name)], check=True)
        self.stack.callback(
            subprocess.run, ["ip", "netns", "delete", self.namespace(name)], check=False, capture_output=True
        )
        self.at(name, "ip link set lo up")

    def cable(self, one: str, end: str, other: str, far_end: str) -> None:
        """Lay a cable between two namespaces, with the interfaces' names at its ends."""
        self.at(one, f"ip link add {end} type veth peer name {far_end} netns {self.namespace(other)}")
        self.at(one, f"ip link set {end} up")
        self.at(other, f"ip link set {far_end} up")

    def plug(self, name: str, *addresses: str, interface: str = "eth0", switch: str = "switch") -> None:
        """Join a namespace, which is made where there is none, to a switch, with these addresses."""
        if switch not in self.names:
            self.add(switch)
            self.at(switch, "ip link add sw type bridge")
            self.at(switch, "ip link set sw up")
        if name not in self.names:
            self.add(name)
        port = f"p{next(_NUMBER)}"
        self.cable(name, interface, switch, port)
        self.ports[name, interface] = port
        self.at(switch, f"ip link set {port} master sw")
        for address in addresses:
            self.at(name, f"ip address add {address} dev {interface}")

    def host(self, *addresses: str) -> None:
        """Make the Home Assistant host on the switch, and an app on the Supervisor's bridge behind MASQUERADE."""
        self.plug("hahost", *addresses)
        self.at("hahost", "ip link add hassio type bridge")
        self.at("hahost", f"ip address add {BRIDGE}/23 dev hassio")
        self.at("hahost", "ip link set hassio up")
        forward = ["ip", "netns", "exec", self.namespace("hahost"), "tee", "/proc/sys/net/ipv4/ip_forward"]
        subprocess.run(forward, input=b"1", check=True, capture_output=True)
        self.at("hahost", "iptables -t nat -A POSTROUTING -s 172.30.32.0/23 ! -o hassio -j MASQUERADE")
        self.add("app")
        self.cable("app", "eth0", "hahost", "veth1a2b3c4")
        self.at("hahost", "ip link set veth1a2b3c4 master hassio")
        self.at("app", f"ip address add {APP}/23 dev eth0")
        self.at("app", f"ip route add default via {BRIDGE}")

    def gateway(
        self,
        address: str = GATEWAY,
        name: str = "gateway",
        *,
        switch: str = "switch",
        vendor: str = "theben",
        options: str = "",
    ) -> "Gateway":
        """Make a gateway that drops every source outside its own /24, with the simulator in it."""
        if ":" in address:
            self.plug(name, switch=switch)
            self.at(name, f"ip -6 address add {address}/64 dev eth0 nodad")
        else:
            self.plug(name, f"{address}/24", switch=switch)
            own = address.rpartition(".")[0] + ".0/24"
            self.at(name, f"iptables -A INPUT -i eth0 ! -s {own} -j DROP")
        return self.simulator(name, address, vendor, options)

    def simulator(self, name: str, address: str, vendor: str, options: str = "") -> "Gateway":
        """Run a simulated gateway in a namespace."""
        host = "::" if ":" in address else address
        command = ["simulator", f"--vendor={vendor}", f"--host={host}", "--port=443", f"--user={USER}"]
        command += [f"--password={PASSWORD}", "--handshake-delay=0", "--request-delay=0", "--control-port=0"]
        command += options.split()
        program = self.start(name, command)
        eventually(lambda: "ready" in program.log(), log=program.log)
        found = re.search(r"control=http://127.0.0.1:(\d+)", program.log())
        assert found
        return Gateway(self, name, int(found[1]), address)

    def start(self, name: str, command: list[str], **more: str) -> "Program":
        """Run one of the project's modules in a namespace until the house is gone."""
        log = self.folder / f"{name}-{next(_NUMBER)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace(name), sys.executable, "-m", *command],
                stdout=stream,
                stderr=stream,
                cwd=self.folder,
                env=environment(**more),
            )
        program = Program(process, log)
        self.stack.callback(program.kill)
        return program

    def network(self, *options: str, state: str = "state", suggest: str = "share/gateways.json") -> "Program":
        """Run the app's program on the host."""
        folders = ["--state", str(self.folder / state), "--suggest", str(self.folder / suggest)]
        return self.start("hahost", ["smgw_network_addon", "run", *folders, *options])

    def suggested(self) -> list[dict[str, Any]]:
        """Return what the program suggests to the proxy."""
        with suppress(OSError, ValueError):
            gateways: list[dict[str, Any]] = json.loads((self.folder / "share/gateways.json").read_text())["gateways"]
            return gateways
        return []

    def reaches(self, target: str = GATEWAY, name: str = "app") -> bool:
        """Tell whether a TLS connection to a gateway is answered from a namespace."""
        command = f"curl -sk --max-time 2 -o /dev/null -w %{{http_code}} https://{target}/"
        return self.at(name, command, check=False) not in ("", "000")

    def picture(self, name: str = "hahost") -> dict[str, str]:
        """Return all that the program must not change, as text."""
        commands = {
            "addresses": "ip -o address",
            "routes": "ip -o route show table all",
            "routes6": "ip -6 -o route show table all",
            "rules": "ip rule",
            "proxies": "ip neigh show proxy",
            "sysctls": "grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward",
            "iptables": "iptables-save",
        }
        shown = {}
        # Addresses that the kernel still checks would look like a change.
        eventually(lambda: "tentative" not in self.at(name, "ip -6 address"))
        for what, command in commands.items():
            text = self.at(name, command, check=False)
            text = re.sub(r"valid_lft \d+sec|preferred_lft \d+sec|expires \d+sec|\[\d+:\d+\]", "", text)
            shown[what] = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        return shown

    def addresses(self, interface: str = "eth0") -> list[str]:
        """Return the host's IPv4 addresses on an interface in the kernel's order."""
        shown = self.at("hahost", f"ip -o -4 address show dev {interface}", check=False)
        return re.findall(r"inet ([\d.]+)", shown)


@dataclass
class Program:
    """A process and its log."""

    process: subprocess.Popen[bytes]
    path: Path

    def log(self) -> str:
        """Return what it has written so far."""
        return self.path.read_text()

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def kill(self) -> None:
        """End it, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def waits_for(self, text: str, seconds: float = PATIENCE) -> float:
        """Wait for a text in the log; returns the seconds."""
        return eventually(lambda: text in self.log() or self._ended(), seconds, self.log)

    def status(self) -> dict[str, str]:
        """Return the kernel's words about the process."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return {key: value.strip() for key, value in (line.split(":", 1) for line in text.splitlines())}

    def processor_time(self) -> float:
        """Return the seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _ended(self) -> bool:
        assert self.process.poll() is None, self.log()
        return False


@dataclass
class Gateway:
    """A running simulator."""

    house: House
    name: str
    control_port: int
    address: str

    def ask(self, path: str) -> Any:
        """Return what the control port answers."""
        return json.loads(self.house.at(self.name, f"curl -fsS http://127.0.0.1:{self.control_port}{path}"))

    def post(self, path: str) -> None:
        """Have the control port do something."""
        self.house.at(self.name, f"curl -fsS -d {{}} http://127.0.0.1:{self.control_port}{path}")


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """Make an empty house."""
    with ExitStack() as stack:
        yield House(f"sn{os.getpid()}-{next(_NUMBER)}", folder, stack)
