"""The status page of the running program: its port, its names, and what it is told, wired."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.gateway.tls import GatewayTrust
from smgw_proxy_addon.server.certificate import local_names
from smgw_proxy_addon.server.limits import Counts
from smgw_proxy_addon.server.listeners import Listener, open_status_listeners
from smgw_proxy_addon.status.page.decisions import Decisions
from smgw_proxy_addon.status.page.diagnosis import Diagnose, Diagnosis
from smgw_proxy_addon.status.page.guides import Way
from smgw_proxy_addon.status.page.observer import LogMemory, Observer
from smgw_proxy_addon.status.page.pages import Pages
from smgw_proxy_addon.status.page.server import StatusServer
from smgw_proxy_addon.status.page.state import Reader
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.store import TrustStore

_LOGGER: Final = logging.getLogger(__name__)


class StatusPage:
    """Binds its port and reads its files when it is made, before there is an event loop; listens from ``start``.

    ``ingress``: Home Assistant shows the page. Raises ``StartError``.
    """

    def __init__(self, options: Options, listeners: list[Listener], *, ingress: bool) -> None:
        self._options = options
        self._ingress = ingress
        self._sockets = open_status_listeners(options, ingress=ingress)
        self._ways = list(_ways(options, listeners, ingress=ingress))
        self._pages = Pages()
        self._server: StatusServer | None = None
        self._asking: asyncio.Task[None] | None = None
        self.log: Final = LogMemory()
        self.observer: Final = Observer(_now)
        """To be told of every request."""

    async def start(
        self,
        *,
        store: TrustStore,
        trust: GatewayTrust,
        pool: Pool,
        logins: GatewayLogins | None = None,
        serving: Callable[[], bool],
        diagnose: Diagnose | None = None,
        supervisor: Supervisor | None = None,
        log_failure: Callable[[], str | None] = lambda: None,
        connections: Callable[[], Counts] = Counts,
    ) -> None:
        """Listen. With a ``supervisor`` the page learns at which port of the host clients reach the proxy."""
        reader = Reader(
            target=self._options.target,
            store=store,
            trust=trust,
            pool=pool,
            observer=self.observer,
            now=_now,
            log_failure=log_failure,
            logins=logins,
            connections=connections,
        )
        diagnosis = Diagnosis(diagnose, _now) if diagnose else None
        self._server = StatusServer(
            options=self._options,
            pages=self._pages,
            reader=reader,
            decisions=Decisions(reader, store, _now, diagnosis=diagnosis, logins=logins),
            log=self.log,
            ways=self._ways,
            now=_now,
            serving=serving,
            ingress=self._ingress,
            diagnosis=diagnosis,
        )
        await self._server.start(self._sockets)
        if supervisor:
            self._asking = asyncio.create_task(self._ask_ports(supervisor, self._server))
        for each in self._sockets:
            _LOGGER.info("Status page at %s/", Listener(each, secure=False).url)

    async def stop(self) -> None:
        """Listen no more."""
        if self._asking:
            self._asking.cancel()
        if self._server:
            await self._server.stop()

    async def _ask_ports(self, supervisor: Supervisor, server: StatusServer) -> None:
        """Put the host's ports in the place of the container's; a change of theirs starts the app anew."""
        ports = await supervisor.ports()
        if ports is None:
            return
        ways = []
        for way in self._ways:
            if way.kind == "inside":
                ways.append(way)
            elif (mapped := ports.get(f"{way.http_port}/tcp")) is not None:
                ways.append(replace(way, http_port=mapped, sure=True))
        server.show_ways(ways)


def _now() -> datetime:
    return datetime.now(UTC)


def _ways(options: Options, listeners: list[Listener], *, ingress: bool) -> Iterator[Way]:
    """Give the names under which clients reach the proxy."""
    ports = {listener.secure: listener.port for listener in listeners}
    if ingress:
        # The Supervisor names the container after the app, with dashes.
        yield Way("inside", socket.gethostname().replace("_", "-"), ports[False], ports.get(True))
        yield Way("network", None, ports[False], sure=False)  # as config.yaml maps it; HTTPS is not mapped
        return
    reachable = [name for name in local_names() if "." in name and not name.startswith("127.")]
    host = next(iter([*options.bind, *reachable]), socket.gethostname())
    yield Way("network", host, ports[False], ports.get(True))
