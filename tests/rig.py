"""A proxy in the test's own event loop, in front of a simulated gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.gateway import Simulator
from smgw_proxy_addon.listeners import listener_certificate, open_listeners
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.options import from_command_line
from smgw_proxy_addon.proxy import Proxy


@dataclass
class Rig:
    """What a test needs to know of the running proxy."""

    proxy: Proxy
    port: int
    https_port: int | None
    cert_dir: Path
    reports: list[RequestRecord] = field(default_factory=list)

    @property
    def http(self) -> str:
        """The URL of the plain listener, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        """The URL of the HTTPS listener, without a path."""
        return f"https://127.0.0.1:{self.https_port}"


@asynccontextmanager
async def proxy_for(sim: Simulator | str, folder: Path, **options: Any) -> AsyncIterator[Rig]:
    """Run a proxy for the simulator, or for a target given as text; pins are kept in ``folder``."""
    target = sim if isinstance(sim, str) else sim.authority
    given = {"target": target, "port": 0, "bind": ["127.0.0.1"], "cert_dir": str(folder / "certs"), **options}
    checked = from_command_line(given)
    certificate = listener_certificate(checked)
    listeners = open_listeners(checked, certificate)
    reports: list[RequestRecord] = []
    proxy = Proxy(checked, listeners, certificate, report=reports.append)
    ports = [listener.port for listener in listeners] + [None]
    await proxy.start()
    try:
        yield Rig(proxy, ports[0] or 0, ports[1], folder / "certs", reports)
    finally:
        await proxy.stop(grace=0.5)
