"""A proxy in the test's own event loop, in front of a simulated gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.gateway import Simulator
from smgw_proxy_addon.config.options import from_command_line
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.environment import Environment, Tuning
from smgw_proxy_addon.program.wiring import Proxy, gateway_tls
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.server.listeners import open_listeners, own_certificate
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.store import TrustStore

tls = "auto"
"""Value of the option ``tls`` in ``proxy_for``; the fixture ``engine`` sets it."""


@dataclass
class Rig:
    """What a test needs to know of the running proxy."""

    proxy: Proxy
    port: int
    https_port: int | None
    cert_dir: Path
    reports: list[RequestRecord] = field(default_factory=list)
    listeners: list[Callable[[RequestRecord], None]] = field(default_factory=list)

    def listen(self, report: Callable[[RequestRecord], None]) -> None:
        """Have every further request reported to somebody else, too."""
        self.listeners.append(report)

    @property
    def http(self) -> str:
        """The URL of the plain listener, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        """The URL of the HTTPS listener, without a path."""
        return f"https://127.0.0.1:{self.https_port}"


@asynccontextmanager
async def proxy_for(
    sim: Simulator | str,
    folder: Path,
    *,
    files: Files | None = None,
    hasten: Mapping[str, Any] | None = None,
    supervisor: Supervisor | None = None,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
    login_pauses: Sequence[float] | None = None,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Run a proxy for the simulator, or for a target given as text; pins are kept in ``folder``.

    ``hasten`` sets timeouts (seconds) below what a user may choose; ``limits`` are those of clients' connections,
    ``clock`` gives the proxy's seconds, ``login_pauses`` are those between logins that the gateway did not answer.
    """
    target = sim if isinstance(sim, str) else sim.authority
    given = {"target": target, "port": 0, "bind": ["127.0.0.1"], "cert_dir": str(folder / "certs"), "tls": tls}
    given |= options
    checked = from_command_line(given)._replace(**(hasten or {}))
    listeners = await asyncio.to_thread(open_listeners, checked)
    certificate = await asyncio.to_thread(own_certificate, checked)
    context = await asyncio.to_thread(gateway_tls, checked)
    reports: list[RequestRecord] = []
    others: list[Callable[[RequestRecord], None]] = []

    def report(record: RequestRecord) -> None:
        for each in (reports.append, *others):
            each(record)

    store = TrustStore(checked.cert_dir, checked.target.name, checked.target.aliases, files)
    proxy = Proxy(
        checked,
        listeners,
        certificate,
        store,
        Environment(report, supervisor, gateway_tls=context),
        Tuning(limits or Limits(), clock, login_pauses, files),
    )
    ports = [listener.port for listener in listeners] + [None]
    await proxy.start()
    try:
        yield Rig(proxy, ports[0] or 0, ports[1], folder / "certs", reports, others)
    finally:
        await proxy.stop(grace=0.5)


async def send(port: int, request: bytes) -> bytes:
    """Send bytes as they are to the plain listener and return all that comes back until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def status_of(answer: bytes) -> int:
    """Read the status out of raw bytes."""
    return int(answer.split(b" ", 2)[1])


def headers_of(answer: bytes) -> list[tuple[bytes, bytes]]:
    """Read the headers out of raw bytes, in their own order and case."""
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
