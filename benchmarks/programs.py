"""The gateway, the proxy and its peers as processes of their own on 127.0.0.1.

Owns how each is set up, as an expert would do it, and that none outlives its block. Never ends a process that it
did not start.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from benchmarks.client import Client, connected

ROOT: Final = Path(__file__).parent.parent
START_TIMEOUT: Final = 20.0
STOP_TIMEOUT: Final = 6.0
_POLL: Final = 0.002
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True)
class Gateway:
    """A running simulator."""

    port: int
    control: int

    def state(self) -> dict[str, Any]:
        """Return its counters."""
        return self._control("GET", "/state")

    def close_connections(self) -> None:
        """Close every connection in order, and wait until all are gone."""
        self._control("POST", "/close")
        deadline = time.monotonic() + START_TIMEOUT
        while self.state()["open_connections"] and time.monotonic() < deadline:
            time.sleep(_POLL)  # a closing connection tells nobody over the control port

    def _control(self, method: str, target: str) -> dict[str, Any]:
        # It ends each answer with the connection.
        with socket.create_connection(("127.0.0.1", self.control), START_TIMEOUT) as connection:
            connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: control\r\nContent-Length: 0\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                state: dict[str, Any] = json.loads(answer.read().partition(b"\r\n\r\n")[2])
        return state


@dataclass(frozen=True)
class Usage:
    """What a program and its children use: memory in MiB (resident, shared pages counted in each), CPU in seconds."""

    memory: float
    cpu: float


@dataclass(frozen=True)
class Peer:
    """A way to the gateway: the proxy, another one, or none at all (``pid`` is ``None``, TLS is the client's)."""

    name: str
    port: int
    pid: int | None = None
    spawned: float = 0.0
    """When the program was started, in ``time.perf_counter`` seconds."""

    @property
    def tls(self) -> bool:
        """Whether clients must speak TLS."""
        return self.pid is None

    def client(self) -> AbstractContextManager[Client]:
        """Connect a new client for the time of a block."""
        return connected(self.port, tls=self.tls)

    def usage(self) -> Usage:
        """Measure the program now."""
        if self.pid is None:
            return Usage(0.0, 0.0)
        parent = psutil.Process(self.pid)
        family = [parent, *parent.children(recursive=True)]
        times = [each.cpu_times() for each in family]
        memory = sum(each.memory_info().rss for each in family)
        return Usage(memory / 2**20, sum(each.user + each.system for each in times))


@dataclass(frozen=True)
class Kind:
    """What can be put before a gateway. ``command`` is given its port, the gateway's port and a folder of its own."""

    name: str
    executable: str | None = None
    command: Callable[[int, int, Path], Sequence[str]] | None = None

    @property
    def installed(self) -> bool:
        """Whether its program is there."""
        return self.executable is None or find(self.executable) is not None


def find(executable: str) -> str | None:
    """Return the path of a program; servers are often not on a user's own path."""
    return shutil.which(executable, path=_PATH)


def proxy(name: str, *options: str) -> Kind:
    """Return the proxy itself, with further options."""

    def command(port: int, gateway: int, folder: Path) -> Sequence[str]:
        common = ("--target", f"127.0.0.1:{gateway}", "--port", str(port), "--bind", "127.0.0.1")
        return (sys.executable, "-m", "smgw_proxy_addon", "run", *common, "--cert-dir", str(folder), *options)

    return Kind(name, sys.executable, command)


def _configured(executable: str, *arguments: str) -> Kind:
    """Return a peer with a template of this folder as its configuration."""
    template = Path(__file__).with_name(f"{executable}.conf").read_text(encoding="utf-8")

    def command(port: int, gateway: int, folder: Path) -> Sequence[str]:
        file = folder / f"{executable}.conf"
        values = {"PORT": port, "GATEWAY": f"127.0.0.1:{gateway}", "FOLDER": folder, "FILE": file}
        file.write_text(_filled(template, values), encoding="utf-8")
        return (find(executable) or executable, *(_filled(each, values) for each in arguments))

    return Kind(executable, executable, command)


def _filled(text: str, values: dict[str, object]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda name: str(values[name[1]]), text)


DIRECT: Final = Kind("direct")
OURS: Final = proxy("smgw-proxy")
QUIET: Final = proxy("smgw-proxy, quiet", "--log-level", "warning")
NGINX: Final = _configured("nginx", "-e", "@FOLDER@/error.log", "-c", "@FILE@")
HAPROXY: Final = _configured("haproxy", "-db", "-f", "@FILE@")
CADDY: Final = _configured("caddy", "run", "--adapter", "caddyfile", "--config", "@FILE@")
KINDS: Final = (DIRECT, OURS, NGINX, HAPROXY, CADDY)
"""Those that every scenario compares."""


@contextmanager
def gateway(*, handshake_delay: float = 0, request_delay: float = 0) -> Iterator[Gateway]:
    """Run a simulated Theben gateway with delays in seconds."""
    port, control = free_port(), free_port()
    options = ["--vendor", "theben", "--port", str(port), "--control-port", str(control)]
    options += ["--handshake-delay", str(handshake_delay), "--request-delay", str(request_delay)]
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "simulator", *options]
        # The control port opens last; asking the other one would count as a connection.
        with _running(command, Path(folder), control):
            yield Gateway(port, control)


@contextmanager
def peer(kind: Kind, before: Gateway) -> Iterator[Peer]:
    """Run one before a gateway. It listens, but has not been used."""
    with TemporaryDirectory() as name, start(kind, before, Path(name)) as running:
        yield running


@contextmanager
def start(kind: Kind, before: Gateway, folder: Path) -> Iterator[Peer]:
    """Run one before a gateway with a folder that may have been used before."""
    if kind.command is None:
        yield Peer(kind.name, before.port)
        return
    port = free_port()
    command = kind.command(port, before.port, folder)
    spawned = time.perf_counter()
    with _running(command, folder, port) as pid:
        yield Peer(kind.name, port, pid, spawned)


@contextmanager
def peers(before: Gateway, kinds: Sequence[Kind] = KINDS) -> Iterator[list[Peer]]:
    """Run all of them that are installed before one gateway."""
    with ExitStack() as stack:
        yield [stack.enter_context(peer(kind, before)) for kind in kinds if kind.installed]


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now: not every peer can choose and tell one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """Run a program from when it listens at a port to the end of the block; gives its process id."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "output").open("ab") as output:
        # A session of its own: Ctrl-C must reach this program alone, which then stops them in order.
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=environment, start_new_session=True
        )
    try:
        _wait_for(process, port, folder / "output")
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL)  # not every peer says when it listens
    raise SystemExit(f"{process.args!r} does not listen:\n{output.read_text(encoding='utf-8', errors='replace')}")
