"""The gateways: a simulated one that is as slow as a real one, and nginx as one that takes no time.

Owns how they are started and how their counters are read.
"""

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.processes import MB, START_TIMEOUT, find, free_port, running
from simulator.certificates import OPENSSL_NAMES, CertificateOptions, make_identity

HANDSHAKE: Final = 1.2
REQUEST: Final = 0.3
"""Seconds, as measured on real gateways."""
LARGE: Final = 200 * MB
"""Bytes of the fast gateway's ``/large``; ``/megabyte`` has one, and ``/close`` ends its connection."""


@dataclass(frozen=True)
class Counters:
    """What a gateway has seen so far; the fast one counts connections instead of handshakes."""

    handshakes: int
    requests: int

    def since(self, earlier: "Counters") -> "Counters":
        """Return what came after an earlier look."""
        return Counters(self.handshakes - earlier.handshakes, self.requests - earlier.requests)


@dataclass(frozen=True)
class Slow:
    """A running simulator."""

    port: int
    control: int

    def counters(self) -> Counters:
        """Return what it has seen so far."""
        state = json.loads(_get(self.control, "/state"))
        return Counters(state["handshakes"], state["requests"])


@dataclass
class Fast:
    """A running nginx."""

    port: int
    control: int
    _asked: int = 0

    def counters(self) -> Counters:
        """Return what it has seen so far, less these calls."""
        self._asked += 1
        status = re.search(r"requests\s+(\d+) \d+ (\d+)", _get(self.control, "/"))
        if not status:
            raise SystemExit("script/bench: nginx does not tell its counters")
        return Counters(int(status[1]) - self._asked, int(status[2]) - self._asked)


@contextmanager
def slow_gateway(scale: float = 1.0) -> Iterator[Slow]:
    """Run a simulated Theben gateway that does one thing at a time; its delays are multiplied with ``scale``."""
    port, control = free_port(), free_port()
    options = ["--vendor", "theben", "--port", str(port), "--control-port", str(control), "--serial"]
    options += ["--handshake-delay", str(HANDSHAKE * scale), "--request-delay", str(REQUEST * scale)]
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "simulator", *options]
        # The control port opens last; asking the other one would count as a connection.
        with running(command, Path(folder), control):
            yield Slow(port, control)


@dataclass(frozen=True)
class Suite:
    """The fast gateway's suite by number and by OpenSSL's name, and the curve of its key and of the key exchange."""

    number: str
    ciphers: str
    curve: str

    @property
    def name(self) -> str:
        """The name for a table."""
        return f"{self.number}, {self.curve}"


GCM: Final = Suite("0xC02C", "ECDHE-ECDSA-AES256-GCM-SHA384", "P-384")
CBC: Final = Suite("0xC023", "ECDHE-ECDSA-AES128-SHA256", "P-256")


@contextmanager
def fast_gateway(suite: Suite = GCM) -> Iterator[Fast]:
    """Run nginx with a gateway's kind of certificate and TLS 1.2. Raises ``SystemExit`` without nginx."""
    nginx = find("nginx")
    if nginx is None:
        raise SystemExit("script/bench: nginx is the fast gateway and is missing: sudo apt-get install nginx-light")
    port, control = free_port(), free_port()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        identity = make_identity(CertificateOptions(common_name="ETHE0300186023.SMGW", curve=suite.curve))
        (folder / "gateway.pem").write_bytes(identity.certificate_pem + identity.key_pem)
        for name, size in (("large", LARGE), ("megabyte", MB)):
            with (folder / name).open("wb") as body:
                body.truncate(size)
        text = Path(__file__).with_name("nginx_gateway.conf").read_text(encoding="utf-8")
        values = {"PORT": port, "CONTROL": control, "FOLDER": folder, "CIPHERS": suite.ciphers}
        values["CURVE"] = OPENSSL_NAMES[suite.curve]
        for placeholder, value in values.items():
            text = text.replace(f"@{placeholder}@", str(value))
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        command = [nginx, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        with running(command, folder, control):
            yield Fast(port, control)


def _get(port: int, target: str) -> str:
    """Return the body of an answer that ends with its connection."""
    with socket.create_connection(("127.0.0.1", port), START_TIMEOUT) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: control\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2].decode()
