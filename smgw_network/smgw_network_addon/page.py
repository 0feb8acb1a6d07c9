"""The page for people, by Home Assistant's ingress: what was found, and a button to search again.

Listens on the Supervisor's bridge at the port that the Supervisor has chosen, and answers nobody but the ingress.
What comes from outside is escaped in the HTML.
"""

import asyncio
import base64
import hashlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import aiohttp
from aiohttp import web

from smgw_network_addon.addresses import BRIDGE_HOST, INGRESS
from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.locales import TEXTS, Language, choose_language
from smgw_network_addon.program import Program

_LOGGER: Final = logging.getLogger(__name__)

_STATIC: Final = Path(__file__).parent / "static"
_INLINE: Final = {"style": (_STATIC / "style.css").read_text(), "script": (_STATIC / "page.js").read_text()}
_GROUP: Final = 4
_BAD: Final = (Trouble.NO_CARRIER, Trouble.NO_PERMISSION, Trouble.NO_INTERFACE)

Texts = Mapping[str, str]

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


class _Frame(Template):
    """HTML in which ``${key}`` is a sentence in the reader's language, or a value that is HTML already."""

    idpattern = r"[a-z][a-z._]*"


_FRAMES: Final = {path.stem: _Frame(path.read_text()) for path in _STATIC.glob("*.html")}


@dataclass(frozen=True, slots=True)
class View:
    """What is shown."""

    gateways: Sequence[Gateway]
    trouble: Trouble | None
    searching: bool
    given: bool
    sent: Mapping[str, int]
    token: str = ""
    notice: str = ""


def page_html(view: View, language: Language, **inline: str) -> str:
    """Return the whole page, with ``inline`` style and script."""
    current = {f"{each}_current": "true" if each == language else "false" for each in TEXTS}
    shown = content_html(view, language)
    return _FRAMES["page"].substitute(TEXTS[language], shown=language, content=shown, **current, **inline)


def content_html(view: View, language: Language) -> str:
    """Return what changes: the verdict, the gateways, the search."""
    texts = TEXTS[language]
    tone, title, text = _verdict(view)
    sent = (texts["search.sent"].format(interface=escape(name), count=count) for name, count in view.sent.items())
    return _FRAMES["content"].substitute(
        texts,
        notice=f'<p class="callout warn" role="alert">{texts[view.notice]}</p>' if view.notice else "",
        tone=tone,
        badge=texts[f"badge.{tone}"],
        verdict=texts[title],
        text=texts[text],
        gateways="".join(_gateway(each, texts) for each in view.gateways),
        state=texts["search.off" if view.given else "search.active" if view.searching else "search.idle"],
        sent=" ".join(f"{each}." for each in sent),
        token=escape(view.token),
    )


def _verdict(view: View) -> tuple[str, str, str]:
    """Return the tone, and the keys of title and text."""
    if view.trouble:
        return "bad" if view.trouble in _BAD else "warn", f"trouble.{view.trouble}", f"remedy.{view.trouble}"
    tone, name = "warn", "verdict.trouble"
    if all(each.reached for each in view.gateways):
        tone, name = ("good", "verdict.reached") if view.gateways else ("idle", "verdict.searching")
    return tone, name, f"{name}.text"


def _gateway(gateway: Gateway, texts: Texts) -> str:
    certificate = gateway.certificate
    maker = certificate.maker if certificate else ""
    target = f"{gateway.host} via {gateway.target}" if gateway.way is Way.RELAY else gateway.target
    facts = {
        "gateway.address": _code(gateway.host),
        "gateway.interface": escape(gateway.interface),
        "gateway.name": escape(certificate.name) if certificate else texts["gateway.certificate.none"],
        "way": texts[f"way.{gateway.way}"],
        "gateway.local": _code(str(gateway.local)) if gateway.local else "",
        "gateway.since": _time(gateway.since) if gateway.since else "",
        "gateway.target": _code(target) if gateway.way is not Way.NONE else "",
        "gateway.fingerprint": _code(_groups(certificate.fingerprint)) if certificate else "",
    }
    shown = ((name, value, name in ("way", "gateway.fingerprint")) for name, value in facts.items() if value)
    rows = (f"<div{' class=wide' * wide}><dt>{texts[name]}</dt><dd>{value}</dd></div>" for name, value, wide in shown)
    steps = (f"<li>{_time(at)}<span>{texts[f'step.{step}']}</span></li>" for at, step in gateway.steps)
    return _FRAMES["gateway"].substitute(
        texts,
        title=texts["gateway.by"].format(maker=escape(maker)) if maker else texts["gateway.title"],
        trouble=f'<p class="callout warn">{texts[f"gateway.{gateway.trouble}"]}</p>' if gateway.trouble else "",
        facts="".join(rows),
        done="".join(steps),
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _groups(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + _GROUP] for at in range(0, len(fingerprint), _GROUP))


def _time(moment: datetime) -> str:
    local = moment.astimezone()
    return f'<time datetime="{local.isoformat()}">{local:%Y-%m-%d %H:%M:%S}</time>'


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
                response = _html(page_html(view, language, **_INLINE))
                if "language" in request.query:
                    prefix = request.headers.get("X-Ingress-Path") or "/"
                    response.set_cookie(_COOKIE, language, path=prefix, httponly=True, samesite="Strict")
                return response
            case "GET", "/live":
                return _html(content_html(view, language))
            case "POST", "/search":
                body = await request.content.read(_LONGEST_FORM)
                if secrets.compare_digest(body, f"token={self._token}".encode()):
                    self._search()
                    return web.Response(status=303, headers={"Location": "./"})
                # After a restart an open page has the old token.
                view = replace(view, notice="error.form")
                return _html(page_html(view, language, **_INLINE), status=403)
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
