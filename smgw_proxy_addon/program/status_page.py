"""The status page of the running program, wired: its port, its addresses, what it reads."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.program.wiring import Proxy
from smgw_proxy_addon.server.interfaces import local_names
from smgw_proxy_addon.server.listeners import Listener, open_status_listeners
from smgw_proxy_addon.status import suggestions
from smgw_proxy_addon.status.page.actions import Actions
from smgw_proxy_addon.status.page.diagnosis import Diagnosis
from smgw_proxy_addon.status.page.guides import ProxyAddress
from smgw_proxy_addon.status.page.listener import StatusListener
from smgw_proxy_addon.status.page.recorder import LogBuffer, RequestRecorder
from smgw_proxy_addon.status.page.security import Guard
from smgw_proxy_addon.status.page.state import Reader, RunningProxy
from smgw_proxy_addon.status.supervisor import Supervisor

if TYPE_CHECKING:
    from smgw_proxy_addon.status.page.server import StatusServer

_LOGGER: Final = logging.getLogger(__name__)


class StatusPage:
    """Binds its port when it is made, before there is an event loop; listens from ``start``.

    ``ingress``: Home Assistant shows the page. Raises ``StartError``.
    """

    def __init__(self, options: Options, listeners: list[Listener], *, ingress: bool) -> None:
        self._sockets = open_status_listeners(options, ingress=ingress)
        self._listener: StatusListener | None = None
        self._asking: asyncio.Task[None] | None = None
        self.ingress: Final = ingress
        self.guard: Final = Guard(ingress=ingress)
        self.addresses: Sequence[ProxyAddress] = list(_addresses(options, listeners, ingress=ingress))
        """Those under which clients reach the proxy."""
        self.log: Final = LogBuffer()
        self.recorder: Final = RequestRecorder(_now)
        """Gets every finished request."""

    async def start(self, proxy: Proxy) -> None:
        """Listen. With a Supervisor the page learns at which port of the host clients reach the proxy."""
        supervisor = proxy.environment.supervisor
        running = RunningProxy(
            proxy.options.target,
            proxy.store,
            proxy.trust,
            proxy.pool,
            serving=lambda: proxy.serving,
            logins=proxy.logins,
            held_back=proxy.held_back,
            log_failure=proxy.environment.log_failure,
            connections=lambda: proxy.acceptor.counts,
            # In the app only, where an option can be set.
            suggestions=suggestions.SuggestionFile(suggestions.FILE).read if supervisor else lambda: None,
        )
        diagnosis = Diagnosis(lambda: proxy.doctor.examine(), _now)  # noqa: PLW0108 - the doctor is made when it is asked
        self.reader = Reader(running, self.recorder, _now, diagnosis)
        self.actions = Actions(self.reader, proxy.store, _now, diagnosis, logins=proxy.logins, supervisor=supervisor)

        async def serve() -> "StatusServer":
            make_server = await asyncio.to_thread(_load)
            return await make_server(self, proxy)

        self._listener = StatusListener(self.guard, self.reader, serve)
        await self._listener.start(self._sockets)
        if supervisor:
            self._asking = asyncio.create_task(self._ask_ports(supervisor))
        for each in self._sockets:
            _LOGGER.info("Status page at %s/", Listener(each, secure=False).url)

    async def stop(self) -> None:
        """Listen no more."""
        if self._asking:
            self._asking.cancel()
        if self._listener:
            await self._listener.stop()

    async def _ask_ports(self, supervisor: Supervisor) -> None:
        """Replace the container's ports by the host's. The user's change of a port restarts the app."""
        ports = await supervisor.fetch_ports()
        if ports is None:
            return
        addresses = []
        for address in self.addresses:
            if address.kind == "inside":
                addresses.append(address)
            elif (mapped := ports.get(f"{address.http_port}/tcp")) is not None:
                addresses.append(replace(address, http_port=mapped, sure=True))
        self.addresses = addresses


def _load() -> "Callable[[StatusPage, Proxy], Awaitable[StatusServer]]":
    from smgw_proxy_addon.program.page_server import make_server  # noqa: PLC0415 - aiohttp, Jinja2: 0.15 s, 15 MB

    return make_server


def _now() -> datetime:
    return datetime.now(UTC)


def _addresses(options: Options, listeners: list[Listener], *, ingress: bool) -> Iterator[ProxyAddress]:
    """Yield the addresses under which clients reach the proxy."""
    ports = {listener.secure: listener.port for listener in listeners}
    if ingress:
        # The Supervisor names the container after the app, with dashes.
        yield ProxyAddress("inside", socket.gethostname().replace("_", "-"), ports[False], ports.get(True))
        yield ProxyAddress("network", None, ports[False], sure=False)  # as config.yaml maps it; HTTPS is not mapped
        return
    reachable = [name for name in local_names() if "." in name and not name.startswith("127.")]
    host = next(iter([*options.bind, *reachable]), socket.gethostname())
    yield ProxyAddress("network", host, ports[False], ports.get(True))
