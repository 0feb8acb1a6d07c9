"""The proxy and its peers before a gateway, each set up as an expert would do it for a real one.

Owns their command lines and configurations. All write a line per request to a file, as the proxy does.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.client import Client, connected
from benchmarks.processes import Usage, find, free_port, running, usage

CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 75.0
KEEP_ALIVE: Final = 540.0
"""Seconds that a peer waits for a connection, for an answer, and that it keeps an idle connection: as the proxy."""


@dataclass(frozen=True)
class Place:
    """Where one is to run: its port, the gateway's, a folder of its own, and what delays are multiplied with."""

    port: int
    gateway: int
    folder: Path
    scale: float = 1.0


@dataclass(frozen=True)
class Kind:
    """What can be put before a gateway; without ``command`` clients ask the gateway directly."""

    name: str
    executable: str | None = None
    command: Callable[[Place], Sequence[str]] | None = None

    @property
    def installed(self) -> bool:
        """Whether its program is there."""
        return self.executable is None or find(self.executable) is not None


@dataclass(frozen=True)
class Peer:
    """A way to the gateway: the proxy, another one, or none at all (``pid`` is ``None``, TLS is the client's)."""

    name: str
    port: int
    pid: int | None = None
    spawned: float = 0.0
    """When the program was started, in ``time.perf_counter`` seconds."""

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self.pid is None else 'http'}://127.0.0.1:{self.port}"

    def client(self) -> AbstractContextManager[Client]:
        """Connect a new client for the time of a block."""
        return connected(self.port, tls=self.pid is None)

    def usage(self) -> Usage:
        """Measure the program now."""
        return Usage(0.0, 0.0) if self.pid is None else usage(self.pid)


def proxy(name: str, *options: str) -> Kind:
    """Return the proxy itself, with further options. Its own timeouts are fixed: ``scale`` shortens none of them."""

    def command(place: Place) -> Sequence[str]:
        common = ("--target", f"127.0.0.1:{place.gateway}", "--port", str(place.port), "--bind", "127.0.0.1")
        return (sys.executable, "-m", "smgw_proxy_addon", "run", *common, "--cert-dir", str(place.folder), *options)

    return Kind(name, sys.executable, command)


def _configured(executable: str, *arguments: str) -> Kind:
    """Return a peer with a template of this folder as its configuration."""
    text = Path(__file__).with_name(f"{executable}.conf").read_text(encoding="utf-8")

    def command(place: Place) -> Sequence[str]:
        file = place.folder / f"{executable}.conf"
        values = {
            "PORT": place.port,
            "GATEWAY": f"127.0.0.1:{place.gateway}",
            "FOLDER": place.folder,
            "FILE": file,
            "CONNECT": f"{CONNECT_TIMEOUT * place.scale * 1000:.0f}ms",
            "READ": f"{READ_TIMEOUT * place.scale * 1000:.0f}ms",
            "KEEP": f"{KEEP_ALIVE * place.scale * 1000:.0f}ms",
        }
        file.write_text(_filled(text, values), encoding="utf-8")
        return (find(executable) or executable, *(_filled(each, values) for each in arguments))

    return Kind(executable, executable, command)


def _filled(text: str, values: dict[str, object]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda name: str(values[name[1]]), text)


def _plain_aiohttp(place: Place) -> Sequence[str]:
    return (sys.executable, "-m", "benchmarks.plain_aiohttp", str(place.port), str(place.gateway))


DIRECT: Final = Kind("direct")
OURS: Final = proxy("smgw-proxy")
NGINX: Final = _configured("nginx", "-e", "@FOLDER@/error.log", "-c", "@FILE@")
HAPROXY: Final = _configured("haproxy", "-db", "-f", "@FILE@")
CADDY: Final = _configured("caddy", "run", "--adapter", "caddyfile", "--config", "@FILE@")
AIOHTTP: Final = Kind("plain aiohttp", sys.executable, _plain_aiohttp)


@contextmanager
def peer(kind: Kind, gateway: int, scale: float = 1.0) -> Iterator[Peer]:
    """Run one before the gateway at a port. It listens, but has not been used."""
    with TemporaryDirectory() as name, start(kind, gateway, Path(name), scale) as one:
        yield one


@contextmanager
def start(kind: Kind, gateway: int, folder: Path, scale: float = 1.0) -> Iterator[Peer]:
    """Run one before a gateway with a folder that may have been used before."""
    if kind.command is None:
        yield Peer(kind.name, gateway)
        return
    place = Place(free_port(), gateway, folder, scale)
    command = kind.command(place)
    spawned = time.perf_counter()
    with running(command, folder, place.port) as pid:
        yield Peer(kind.name, place.port, pid, spawned)


@contextmanager
def peers(kinds: Sequence[Kind], gateway: int) -> Iterator[list[Peer]]:
    """Run all of them that are installed before one gateway."""
    with ExitStack() as stack:
        yield [stack.enter_context(peer(kind, gateway)) for kind in kinds if kind.installed]


def turns(every: Sequence[Peer], rounds: int) -> Iterator[Peer]:
    """Give every peer once in each round, another one first each time."""
    for number in range(rounds):
        first = number % len(every)
        yield from (*every[first:], *every[:first])
