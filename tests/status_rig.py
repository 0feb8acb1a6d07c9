"""The status page of a proxy in the test's own event loop, and Home Assistant's ingress before it."""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
from aiohttp import web
from multidict import CIMultiDict

from simulator.gateway import Simulator
from smgw_proxy_addon.config.options import from_command_line
from smgw_proxy_addon.program.wiring import Proxy
from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.gateway_page.asking import GatewayAsker
from smgw_proxy_addon.status.gateway_page.serving import GatewayPage, read_bridge
from smgw_proxy_addon.status.gateway_page.users import Users
from smgw_proxy_addon.status.page.actions import Actions
from smgw_proxy_addon.status.page.diagnosis import Diagnose, Diagnosis
from smgw_proxy_addon.status.page.guides import ProxyAddress
from smgw_proxy_addon.status.page.listener import StatusListener
from smgw_proxy_addon.status.page.pages import Pages
from smgw_proxy_addon.status.page.recorder import LogBuffer, RequestRecorder
from smgw_proxy_addon.status.page.security import Guard
from smgw_proxy_addon.status.page.server import StatusServer
from smgw_proxy_addon.status.page.state import Reader, RunningProxy
from smgw_proxy_addon.status.suggestions import SuggestionFile
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.store import TrustStore
from tests.rig import Rig, proxy_for

PREFIX: Final = "/api/hassio_ingress/Fv5-kZt_0"
"""The path of the page for the browser; the token in it is the Supervisor's."""

USER: Final = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
"""The id of a user of Home Assistant, who is an administrator."""

LOGIN: Final = httpx.DigestAuth("demo", "gateway")

_HOP_BY_HOP: Final = frozenset({"connection", "content-length", "content-encoding", "transfer-encoding"})


@dataclass
class Status:
    """A running status page and its parts."""

    url: str
    rig: Rig
    store: TrustStore
    recorder: RequestRecorder
    log: LogBuffer
    reader: Reader
    make_server: Callable[[], Awaitable[StatusServer]]

    @property
    def port(self) -> int:
        """Of the page's own listener."""
        return int(self.url.rsplit(":", 1)[1])

    async def ask(self, path: str = "/sim/status/200") -> int:
        """Send a request through the proxy; returns the status."""
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            login = httpx.DigestAuth("demo", "gateway")  # one of its own: it keeps the last challenge
            return (await client.get(self.rig.http + path, auth=login)).status_code


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def status_for(
    sim: Simulator | str,
    folder: Path,
    *,
    ingress: bool = True,
    diagnose: Diagnose | None = None,
    host: str = "127.0.0.1",
    supervisor: Supervisor | None = None,
    suggestions: Path | None = None,
    admins: Collection[str] = (USER,),
    everyone: bool = False,
    clock: Callable[[], float] = time.monotonic,
    **options: Any,
) -> AsyncIterator[Status]:
    """Run a proxy for the simulator with its status page at a free port of ``host``.

    The page sets options through the ``supervisor``; without ``diagnose`` it runs the proxy's own diagnosis. It
    offers what the file ``suggestions`` has. With ``accounts`` it has the gateway's page, for ``admins`` or for
    everyone; ``clock`` is that page's.
    """
    recorder = RequestRecorder(utc_now)
    log = LogBuffer()
    async with proxy_for(sim, folder, **options) as rig:
        target = sim if isinstance(sim, str) else sim.authority
        checked = from_command_line({"target": target, "cert_dir": str(rig.cert_dir)})
        store = TrustStore(rig.cert_dir, checked.target.name)
        rig.listen(recorder.record)
        running = RunningProxy(
            checked.target,
            store,
            rig.proxy.trust,
            rig.proxy.pool,
            serving=lambda: rig.proxy.serving,
            logins=rig.proxy.logins,
            held_back=rig.proxy.held_back,
            suggestions=SuggestionFile(suggestions).read if suggestions else lambda: None,
        )
        diagnosis = Diagnosis(diagnose or rig.proxy.doctor.examine, utc_now)
        reader = Reader(running, recorder, utc_now, diagnosis)
        guard = Guard(ingress=ingress)
        addresses = (ProxyAddress("inside", "local-smgw-proxy", 8080, 443), ProxyAddress("network", None, 8080))

        gateway_page = await _gateway_page(rig.proxy, admins, clock, everyone=everyone) if ingress else None

        async def make_server() -> StatusServer:
            return StatusServer(
                await asyncio.to_thread(Pages),
                reader,
                Actions(reader, store, utc_now, diagnosis, logins=rig.proxy.logins, supervisor=supervisor),
                guard,
                options=checked,
                log=log,
                addresses=lambda: addresses,
                gateway_page=gateway_page,
            )

        listener = StatusListener(guard, reader, make_server)
        listening = socket.create_server((host, 0))
        await listener.start([listening])
        logging.getLogger().addHandler(log)
        try:
            url = f"http://{host}:{listening.getsockname()[1]}"
            yield Status(url, rig, store, recorder, log, reader, make_server)
        finally:
            logging.getLogger().removeHandler(log)
            await listener.stop()


async def _gateway_page(
    proxy: Proxy, admins: Collection[str], clock: Callable[[], float], *, everyone: bool
) -> GatewayPage | None:
    async def fetch_admins() -> frozenset[str]:
        return frozenset(admins)

    if not proxy.login_once:
        return None
    asker = GatewayAsker(proxy.login_once, proxy.host.encode(), proxy.names, proxy.report)
    bridge = await asyncio.to_thread(read_bridge)
    accounts = len(proxy.login_once.logins.initials)
    return GatewayPage(asker, Users(fetch_admins, clock, everyone=everyone), bridge, accounts, clock)


class Ingress:
    """What Home Assistant and its Supervisor do: a page with a frame, and all below a prefix passed on.

    As documented, and as the Supervisor's source has it: the frontend sets the cookie of its session for
    ``/api/hassio_ingress/`` with ``SameSite=Strict``, each request without it is 401, and the user's id is passed on,
    whatever the browser sent under its name. Without ``user`` there is no session: every request is passed on.
    """

    def __init__(self, upstream: str, user: str = "") -> None:
        self._upstream = upstream
        self.user = user
        self.session = secrets.token_hex(16)
        self.seen: list[tuple[str, str, int]] = []
        """Method, path with query, and status of each request that the browser sent."""
        self.sent = b""
        """The heads and bodies of all answers that the browser got."""
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def page(self) -> str:
        """The URL of the status page itself, with a slash at its end."""
        return f"{self.url}{PREFIX}/"

    async def __aenter__(self) -> "Ingress":
        application = web.Application()
        application.router.add_get("/", self._frame)
        application.router.add_route("*", PREFIX + "/{path:.*}", self._pass_on)
        application.router.add_route("*", "/{path:.*}", self._elsewhere)
        self._session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(self._runner, listening).start()
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()
        if self._runner:
            await self._runner.cleanup()

    async def _frame(self, _: web.Request) -> web.Response:
        page = (
            '<!DOCTYPE html><html lang="en"><title>Home Assistant</title><link rel="icon" href="data:,">'
            "<style>body{margin:0}iframe{border:0;width:100%;height:100vh;display:block}</style>"
            '<main><h1 style="position:absolute;left:-99rem">App</h1>'
            f'<iframe title="App" src="{PREFIX}/"></iframe></main>'
        )
        response = web.Response(text=page, content_type="text/html")
        if self.user:
            response.set_cookie("ingress_session", self.session, path="/api/hassio_ingress/", samesite="Strict")
        return response

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        response = await self._answer(request)
        self.seen.append((request.method, request.raw_path, response.status))
        body = response.body if isinstance(response.body, bytes) else b""
        self.sent += str(response.headers).encode() + body
        return response

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.raw_path, 404))
        return web.Response(status=404)

    async def _answer(self, request: web.Request) -> web.Response:
        assert self._session
        if self.user and request.cookies.get("ingress_session") != self.session:
            return web.Response(status=401)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("x-remote-user-")}
        headers |= {"X-Ingress-Path": PREFIX, "X-Forwarded-Host": request.host, "X-Forwarded-Proto": "http"}
        if self.user:
            headers |= {"X-Remote-User-Id": self.user, "X-Remote-User-Name": "somebody"}
        body = request.content if request.method == "POST" else None  # in chunks, as Home Assistant sends it
        url = self._upstream + request.raw_path.removeprefix(PREFIX)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = CIMultiDict(
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            )
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


async def staged_diagnosis() -> Sequence[Finding]:
    """Return the findings of a diagnosis without a network."""
    at = {"at": "10.11.120.2:443", "seconds": "10"}
    own = {"own": "10.11.120.10/24", "interface": "end0"}
    dates = {"not_after": "2026-12-24", "groups": "ABAB CDCD", "subject": "CN=ETHE0300186023.SMGW"}
    return [
        Finding(Step.ADDRESS, True, "address_ok", own, 0.012),
        Finding(Step.TCP, False, "tcp_timeout", at, 10.0),
        Finding(Step.TLS, None, "not_tried"),
        Finding(Step.CERTIFICATE, None, "certificate_expires_soon", dates),
    ]
