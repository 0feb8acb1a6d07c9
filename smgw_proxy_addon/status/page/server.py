"""The status page over HTTP: requests in, answers out. Loaded when somebody opens the page, with aiohttp and Jinja2.

``pages`` renders, ``security`` decides who may come in, ``actions`` changes what a form asks for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.http.headers import by_name
from smgw_proxy_addon.locales import Language, pick_language
from smgw_proxy_addon.server.error_answer import choose_language
from smgw_proxy_addon.status.gateway_page.view import COOKIE as GATEWAY_COOKIE
from smgw_proxy_addon.status.gateway_page.view import PATH as GATEWAY
from smgw_proxy_addon.status.gateway_page.view import View
from smgw_proxy_addon.status.page import security
from smgw_proxy_addon.status.page.actions import Action, Actions
from smgw_proxy_addon.status.page.bundle import write_bundle
from smgw_proxy_addon.status.page.guides import ProxyAddress
from smgw_proxy_addon.status.page.listener import report_health
from smgw_proxy_addon.status.page.pages import RESTART_NOTICES, PageContext, Pages
from smgw_proxy_addon.status.page.recorder import LogBuffer
from smgw_proxy_addon.status.page.state import Reader
from smgw_proxy_addon.status.page.texts import Texts

if TYPE_CHECKING:
    from smgw_proxy_addon.status.gateway_page.serving import GatewayPage

_LOGGER: Final = logging.getLogger(__name__)

_COOKIE: Final = "smgw_proxy_language"
_YEAR: Final = 365 * 24 * 3600
_LONGEST_FORM: Final = 4096
_CLOSING: Final = 0.2

_Get = Callable[[web.BaseRequest], Awaitable[web.Response]]


@dataclass(eq=False, repr=False)
class StatusServer:
    """Serves the page on connections that ``accept`` makes the protocol of, until ``stop``.

    ``options`` and ``log`` are for the diagnosis file; ``addresses`` returns those under which clients reach the
    proxy, Home Assistant's inside first; ``gateway_page`` serves the gateway's own.
    """

    pages: Pages
    reader: Reader
    actions: Actions
    guard: security.Guard
    options: Options
    log: LogBuffer
    addresses: Callable[[], Sequence[ProxyAddress]]
    gateway_page: "GatewayPage | None" = None

    def __post_init__(self) -> None:
        self._headers = security.build_headers(self.pages.style, self.pages.script)
        self.accept = _Server(self.handle)
        paths = ("/", "/connect", "/diagnosis", "/live", "/requests", "/trust", "/forget")
        self._gets: dict[str, _Get] = {
            **dict.fromkeys(paths, self._page),
            "/gateway": self._gateway,
            "/bundle": self._bundle,
            "/health": self._health,
        }

    async def stop(self) -> None:
        """Close all connections."""
        await self.actions.stop()
        self.accept.pre_shutdown()
        await self.accept.shutdown(_CLOSING)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request. Raises only CancelledError."""
        try:
            response = await self._answer(request)
        except Exception:
            _LOGGER.exception("A fault of the status page; please report it")
            response = web.Response(status=500, text="Internal error\n")
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        peer, fields = request.get_extra_info("peername"), by_name(request.raw_headers)
        if not self.guard.admits(peer, request.method, fields, http_11=request.version >= (1, 1)):
            return web.Response(status=403, text=f"{_texts(request)('error.forbidden')}\n")
        if self.gateway_page and request.path.startswith(GATEWAY):
            return await self.gateway_page.handle(request, _texts(request))
        get, post = self._gets.get(request.path), self.actions.by_path.get(request.path)
        if request.method in ("GET", "HEAD") and get:
            response = await get(request)
            if "language" in request.query:
                path, language = security.read_ingress_path(request) or "/", _language(request)
                response.set_cookie(_COOKIE, language, path=path, max_age=_YEAR, httponly=True, samesite="Strict")
            return response
        if request.method == "POST" and post:
            return await self._post(request, post)
        if get or post:
            return web.Response(status=405, headers={"Allow": "GET, HEAD" if get else "POST"})
        return web.Response(status=404, text=f"{_texts(request)('error.title')}\n")

    # GET

    async def _page(self, request: web.BaseRequest) -> web.Response:
        return await self._render(request, request.path[1:] or "overview")

    async def _gateway(self, request: web.BaseRequest) -> web.Response:
        view = await self.gateway_page.open(request) if self.gateway_page else View()
        response = await self._render(request, "gateway", view=view)
        if view.jar:
            path = security.read_ingress_path(request) or "/"
            response.set_cookie(GATEWAY_COOKIE, view.jar.secret, path=path, httponly=True, samesite="Strict")
            policy = self._headers["Content-Security-Policy"]
            response.headers["Content-Security-Policy"] = security.frame_policy(request, policy, GATEWAY)
        return response

    async def _bundle(self, _: web.BaseRequest) -> web.Response:
        state = await self.reader.read()
        name = f"smgw-proxy-diagnosis-{state.now:%Y-%m-%d}.txt"
        return web.Response(
            text=write_bundle(state, self.options, self.log.lines()),
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def _health(self, _: web.BaseRequest) -> web.Response:
        status, health = report_health(await self.reader.read())
        return web.json_response(health, status=status)

    async def _render(
        self, request: web.BaseRequest, name: str, *, notice: str = "", view: View | None = None
    ) -> web.Response:
        state = await self.reader.read()
        notice = notice or ("restart_failed" if self.actions.restart_failed else request.query.get("notice", ""))
        if notice in RESTART_NOTICES and not self.reader.option_set:
            notice = ""  # the restart is done
        host = security.find_browser_host(request)
        context = PageContext(
            _language(request),
            self.guard.token,
            addresses=[address if address.host else replace(address, host=host) for address in self.addresses()],
            notice=notice,
            asked=request.query.get("fingerprint", ""),
            view=view or View(),
            kept=self.actions.kept,
            offers_smgw_local=self.actions.offers_smgw_local,
        )
        return web.Response(text=self.pages.render(name, state, context), content_type="text/html")

    # POST

    async def _post(self, request: web.BaseRequest, action: Action) -> web.Response:
        form = await _form(request)
        if not self.guard.is_own_form(request, form.get("token", "")):
            # After a restart an open page holds the old token: its user gets the page again, and nothing is done.
            response = await self._render(request, "overview", notice="form")
            response.set_status(403)
            return response
        # Relative to this path, as the browser knows it: the prefix of the ingress stays.
        return web.Response(status=303, headers={"Location": await self.actions.run(action, form)})


class _Connection(web.RequestHandler):
    """A browser's connection. What is not HTTP gets a constant answer: aiohttp's own echoes what came in."""

    def handle_error(self, *_: object, **__: object) -> web.StreamResponse:
        response = web.Response(status=400, text="Bad request\n")
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        off: Any = None  # aiohttp takes it, its annotation does not
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=off, logger=_LOGGER)


async def _form(request: web.BaseRequest) -> Mapping[str, str]:
    """Read a form; empty for a body that is not one of ours."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        fields = await request.clone(client_max_size=_LONGEST_FORM).post()
    except (LookupError, ValueError, web.HTTPException):  # no such coding; not in it; too long
        return {}
    return {name: str(fields[name]) for name in fields}


def _language(request: web.BaseRequest) -> Language:
    for chosen in (request.query.get("language"), request.cookies.get(_COOKIE)):
        if chosen in ("de", "en"):
            return pick_language(chosen)
    return choose_language(request.headers.get("Accept-Language"))


def _texts(request: web.BaseRequest) -> Texts:
    return Texts(_language(request))
