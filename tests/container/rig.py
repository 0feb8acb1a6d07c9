"""A network with gateways in it, and the app in a container on it, under a stand-in for the Supervisor's hand.

Owns the namespaces, containers and processes that it makes, and removes them. Two namespaces: the app's, where
10.11.120.1 is, and the gateways', as if behind one cable.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.container.images import REPOSITORY, Engine

HOST_ADDRESS: Final = "10.11.120.1"
GATEWAY: Final = "10.11.120.2"
PPC_GATEWAY: Final = "10.11.120.3"
USER: Final = "demo"
PASSWORD: Final = "correct-horse"
TIME_ZONE: Final = "Asia/Kolkata"
PATIENCE: Final = 20.0
"""Seconds to wait for what the app does by itself."""
UTC_OFFSET: Final = "+05:30"
"""A zone without summer time, and with an offset that no other setting gives by accident."""


def eventually(check: Callable[[], bool], log: Callable[[], str], seconds: float = PATIENCE) -> None:
    """Wait until ``check`` holds; fails the test, with the log of then, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not in {seconds:g} s; the log:\n{log()}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Network:
    """The names of the two network namespaces."""

    app: str
    gateways: str

    def run(self, *command: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a program beside the app: loopback is the app's, and Home Assistant's host network."""
        return self._within(self.app, command, timeout)

    def run_beside_gateways(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program where the gateways are."""
        return self._within(self.gateways, command, 30)

    @staticmethod
    def _within(namespace: str, command: tuple[str, ...], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", namespace, *command],
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
        )


@contextmanager
def network(name: str) -> Iterator[Network]:
    """Make the two namespaces and the cable between them."""
    net = Network(f"{name}-app", f"{name}-gw")
    try:
        for namespace in (net.app, net.gateways):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", net.app, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", net.gateways)
        for namespace, addresses in ((net.app, [HOST_ADDRESS]), (net.gateways, [GATEWAY, PPC_GATEWAY])):
            for address in addresses:
                _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", namespace, "link", "set", "eth0", "up")
        yield net
    finally:
        for namespace in (net.app, net.gateways):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running simulator and the way to its control port."""

    network: Network
    control_port: int

    def ask(self, path: str, **fields: object) -> Any:
        """Return what the control port answers: GET without fields, else POST."""
        command = ["curl", "-fsS", f"http://127.0.0.1:{self.control_port}{path}"]
        if fields or path == "/rotate":
            command += ["-d", json.dumps(fields)]
        done = self.network.run_beside_gateways(*command)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextmanager
def gateway(net: Network, address: str, vendor: str) -> Iterator[Gateway]:
    """Run a simulated gateway at ``address``, port 443, without its delays."""
    command = ["ip", "netns", "exec", net.gateways, sys.executable, "-m", "simulator"]
    command += [f"--vendor={vendor}", f"--host={address}", "--port=443", f"--user={USER}", f"--password={PASSWORD}"]
    command += ["--handshake-delay=0", "--request-delay=0", "--control-port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready" in line, line
        yield Gateway(net, int(line.rpartition(":")[2]))
    finally:
        process.terminate()
        process.communicate(timeout=10)


@dataclass
class App:
    """One container of the app, and the folders that outlive it."""

    engine: Engine
    image: str
    network: Network
    folder: Path
    name: str
    options: Mapping[str, object] | None = field(default_factory=lambda: {"target": GATEWAY})
    mounts: tuple[str, ...] = ()
    capabilities: tuple[str, ...] | None = None
    """The only rights that root has; None means Docker's own choice."""

    @property
    def data(self) -> Path:
        """The app's private folder."""
        return self._made("data")

    @property
    def share(self) -> Path:
        """The folder that all apps share."""
        return self._made("share")

    @property
    def ssl(self) -> Path:
        """The folder of the user's certificates."""
        return self._made("ssl")

    def start(self) -> None:
        """Make a new container from the image, as the Supervisor does at every start of an app."""
        self.remove()
        file = self.data / "options.json"
        file.unlink(missing_ok=True)
        if self.options is not None:
            file.write_text(json.dumps(self.options))
            file.chmod(0o600)
        volumes = (f"{self.data}:/data", f"{self.share}:/share", f"{self.ssl}:/ssl:ro", *self.mounts)
        rights = []
        if self.capabilities is not None:
            rights = ["--cap-drop=all", *(f"--cap-add={name}" for name in self.capabilities)]
        self.engine.run(
            "--detach",
            *rights,
            f"--name={self.name}",
            f"--network=ns:/run/netns/{self.network.app}",
            "--log-driver=k8s-file",
            "--add-host=supervisor:127.0.0.2",
            f"--env=TZ={TIME_ZONE}",
            "--env=SUPERVISOR_TOKEN=not-a-secret",
            *(f"--volume={volume}" for volume in volumes),
            self.image,
        )

    def start_and_wait(self) -> None:
        """Start, and wait until the proxy answers its health check."""
        self.start()
        eventually(self.healthy, self.log)

    def start_again(self) -> None:
        """Start the stopped container once more, as ``docker start`` does: its files are as they were."""
        self.engine.podman("start", self.name)

    def stop(self) -> tuple[int, float]:
        """Stop as the Supervisor does, with its 10 s; return exit code and seconds."""
        started = time.monotonic()
        self.engine.podman("stop", "--time=10", self.name)
        return self.exit_code(), time.monotonic() - started

    def wait(self, seconds: float = 30) -> int:
        """Wait for the container's own end; return its exit code."""
        return int(self.engine.podman("wait", self.name, timeout=seconds).stdout)

    def exit_code(self) -> int:
        """Return the exit code of the stopped container."""
        return int(self.engine.podman("inspect", "--format={{.State.ExitCode}}", self.name).stdout)

    def running(self) -> bool:
        """Tell whether the container runs."""
        return self.engine.podman("inspect", "--format={{.State.Running}}", self.name).stdout.strip() == "true"

    def healthy(self) -> bool:
        """Run the image's HEALTHCHECK once."""
        return self.engine.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def log(self) -> str:
        """Return the app's log as the UI shows it."""
        return self.engine.log(self.name)

    def execute(self, *command: str) -> str:
        """Run a program in the container as root; return what it printed."""
        return self.engine.podman("exec", self.name, *command).stdout

    def signal_program(self, option: str) -> None:
        """Send the program a signal, by the option of s6-svc: ``-k`` is SIGKILL, ``-b`` SIGABRT, ``-p`` SIGSTOP."""
        self.execute("s6-svc", option, "/run/service/smgw-proxy")

    def program(self) -> int:
        """Return the process id of the program, inside the container; -1 when it does not run."""
        return int(self.execute("s6-svstat", "-o", "pid", "/run/service/smgw-proxy"))

    def remove(self) -> None:
        """Remove the container, if it is there."""
        self.engine.podman("rm", "--force", "--time=0", "--ignore", self.name)

    def curl(self, url: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Ask the app from beside it, as Home Assistant on the same host does."""
        return self.network.run(
            "curl", "-sS", "--max-time", "20", "--digest", "--user", f"{USER}:{PASSWORD}", *options, url
        )

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder
