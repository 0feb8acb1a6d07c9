"""The page for people, by Home Assistant's ingress: what was found, and a button to search again.

Listens on the Supervisor's bridge at the port that the Supervisor has chosen, and answers nobody but the ingress.
"""

import asyncio
import base64
import hashlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Final

import aiohttp
from aiohttp import web

from smgw_network_addon import html
from smgw_network_addon.addresses import BRIDGE_HOST, INGRESS
from smgw_network_addon.html import View
from smgw_network_addon.locales import Language, choose_language
from smgw_network_addon.program import Program

_LOGGER: Final = logging.getLogger(__name__)

_STATIC: Final = Path(__file__).parent / "static"
_FRAME: Final = Template((_STATIC / "page.html").read_text())
_INLINE: Final = {"style": (_STATIC / "style.css").read_text(), "script": (_STATIC / "page.js").read_text()}
_COOKIE: Final = "smgw_network_language"
_LONGEST_FORM: Final = 1024
_SELF: Final = "http://supervisor/addons/self/info"
_PATIENCE: Final = aiohttp.ClientTimeout(total=10)
_PAUSE: Final = 10.0
_ALIVE: Final = Path("/run/smgw-network/alive")
_LIFE: Final = 20.0


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_INLINE_SOURCES: Final = "; ".join(f"{kind}-src {_source(text)}" for kind, text in _INLINE.items())
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; {_INLINE_SOURCES}; connect-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """Answers requests from ``visitor`` alone. ``view`` is what it shows, ``search`` what its button does."""

    def __init__(self, view: Callable[[], View], search: Callable[[], None], visitor: str = str(INGRESS)) -> None:
        self._shown = view
        self._search = search
        self._visitor = visitor
        self._token = secrets.token_urlsafe(16)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.5)

    async def start(self, listening: socket.socket) -> None:
        """Listen."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.remote == self._visitor:
            response = await self._answer(request)
        else:
            response = web.Response(status=403, text="Only by Home Assistant's ingress\n")
        response.headers.update(_HEADERS)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        language = _language(request)
        view = replace(self._shown(), token=self._token)
        match request.method, request.path:
            case "GET", "/":
                response = _html(html.page(view, language, _FRAME, **_INLINE))
                if "language" in request.query:
                    prefix = request.headers.get("X-Ingress-Path") or "/"
                    response.set_cookie(_COOKIE, language, path=prefix, httponly=True, samesite="Strict")
                return response
            case "GET", "/live":
                return _html(html.content(view, language))
            case "POST", "/search":
                body = await request.content.read(_LONGEST_FORM)
                if secrets.compare_digest(body, f"token={self._token}".encode()):
                    self._search()
                    return web.Response(status=303, headers={"Location": "./"})
                # After a restart an open page has the old token.
                view = replace(view, notice="error.form")
                return _html(html.page(view, language, _FRAME, **_INLINE), status=403)
        return web.Response(status=404, text="Not found\n")


@asynccontextmanager
async def serve(program: Program) -> AsyncIterator[None]:
    """Serve the page at the port that the Supervisor names, as soon as it does; keep the health check content."""

    def view() -> View:
        registry, given = program.registry, program.options.gateway is not None
        return View(registry.listed, program.trouble, registry.search.active, given, registry.wires.sent)

    page = Page(view, program.registry.search.start_again)
    tasks = [asyncio.create_task(_start(page)), asyncio.create_task(_show_life())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await page.stop()


async def _show_life() -> None:
    """Touch the file by which the image's HEALTHCHECK knows that the event loop runs."""
    while True:
        with suppress(OSError):
            await asyncio.to_thread(os.utime, _ALIVE)
        await asyncio.sleep(_LIFE)


async def _start(page: Page) -> None:
    level = logging.WARNING
    while True:
        try:
            port = await _ingress_port()
            await page.start(socket.create_server((str(BRIDGE_HOST), port)))
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
            _LOGGER.log(level, "The page cannot be served yet: %s: %s", type(error).__name__, error)
            level = logging.DEBUG
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _ingress_port() -> int:
    headers = {"Authorization": f"Bearer {os.environ.get('SUPERVISOR_TOKEN', '')}"}
    async with aiohttp.ClientSession(timeout=_PATIENCE) as session, session.get(_SELF, headers=headers) as answer:
        return int((await answer.json())["data"]["ingress_port"])


def _language(request: web.BaseRequest) -> Language:
    chosen: str = request.query.get("language") or request.cookies.get(_COOKIE) or ""
    return choose_language(chosen or request.headers.get("Accept-Language", ""))


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)
