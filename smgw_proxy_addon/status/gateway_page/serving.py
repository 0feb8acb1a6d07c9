"""Serves the gateway's pages below ``/gateway/<key>/`` of the status page, to the frame in it.

A request is admitted if the user may see the page, if it carries the browser's own cookie and the key of the same
jar, and if no other page made the browser send it.
"""

import html
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from aiohttp import web

from smgw_proxy_addon.errors import ABORT, BadAnswerError, GatewayError, ProxyError
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT, drain
from smgw_proxy_addon.http.headers import tokens, values
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.server import error_answer
from smgw_proxy_addon.server.request_body import too_large
from smgw_proxy_addon.status.gateway_page.asking import (
    LARGEST_PAGE,
    LARGEST_REWRITTEN,
    GatewayAsker,
    Pieces,
    read_whole,
)
from smgw_proxy_addon.status.gateway_page.confirmation import restarts
from smgw_proxy_addon.status.gateway_page.jars import Jar, Jars, KeptPage
from smgw_proxy_addon.status.gateway_page.policy import HEADERS, response_headers
from smgw_proxy_addon.status.gateway_page.rewriting import Rewriter, read_text, write_text
from smgw_proxy_addon.status.gateway_page.users import Users
from smgw_proxy_addon.status.gateway_page.view import COOKIE, PATH, View
from smgw_proxy_addon.status.page import security
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.text import read_number

CONFIRM: Final = "/~confirm/"
_PAGE: Final = re.compile(r"[?&]~page=([\w-]+)$")
"""At the end of the address of an answer to a form."""
_CODING: Final = re.compile(rb"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
CONFIRM_HEADER: Final = "X-Smgw-Confirm"
_LARGEST_BODY: Final = 1_000_000
_DRAIN_SECONDS: Final = 10.0
_METHODS: Final = ("GET", "HEAD", "POST")


def read_bridge() -> str:
    """Read the script that each page of the gateway gets. Must be run in executor."""
    return files("smgw_proxy_addon.status.gateway_page").joinpath("bridge.js").read_text("utf-8")


@dataclass
class GatewayPage:
    """The handler; ``bridge`` is the script that each page gets, ``accounts`` how many there are."""

    asker: GatewayAsker
    users: Users
    bridge: str
    accounts: int
    clock: Callable[[], float] = time.monotonic
    jars: Jars = field(default_factory=lambda: Jars(lambda: secrets.token_urlsafe(24)))

    async def open(self, request: web.BaseRequest) -> View:
        """Return what the tab shows to this browser."""
        user = _user(request)
        if refusal := await self.users.judge(user):
            return View(refusal=refusal)
        number = read_number(request.query.get("account", "")) or 1
        account = number - 1 if number <= self.accounts else 0
        return View(self.jars.open(request.cookies.get(COOKIE, ""), user, account, self.clock()))

    async def handle(self, request: web.BaseRequest, texts: Texts) -> web.StreamResponse:
        """Answer a request of the frame. The caller has checked who connects."""
        key, slash, _ = request.path.removeprefix(PATH).partition("/")
        user = _user(request)
        jar = self.jars.find(key, request.cookies.get(COOKIE, ""), user, self.clock())
        is_own = security.is_own_site(request) and _is_framed(request)
        if jar is None or not slash or not is_own or await self.users.judge(user):
            return _plain(403, texts("page.gone"))
        if request.method not in _METHODS:
            return _plain(405, "", Allow=", ".join(_METHODS))
        try:
            return await self._answer(request, jar, request.raw_path.removeprefix(PATH + key), texts)
        except ProxyError as error:
            return _explain(error, request, texts)

    async def _answer(self, request: web.BaseRequest, jar: Jar, target: str, texts: Texts) -> web.StreamResponse:
        prefix = f"{security.read_ingress_path(request)}{PATH}{jar.key}"
        if target.startswith(CONFIRM):
            held = jar.held.pop(target.removeprefix(CONFIRM), None) if request.method == "POST" else None
            return await self._ask(request, jar, held, prefix) if held else _plain(404, texts("page.gone"))
        if number := _PAGE.search(target):
            target = target[: number.start()]
            if request.method != "POST":
                kept = jar.pages.get(number[1])
                if kept is None:
                    return _plain(303, "", Location=prefix + target)
                return await self._rewrite(jar, kept, self._rewriter(prefix, target))
        made = await self._make(request, target)
        if restarts(made):
            return self._ask_first(jar, made, texts, prefix)
        return await self._ask(request, jar, made, prefix)

    async def _make(self, request: web.BaseRequest, target: str) -> GatewayRequest:
        try:
            body = await request.clone(client_max_size=_LARGEST_BODY).read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large(_LARGEST_BODY) from None
        sent = body if request.method == "POST" else None
        return self.asker.make_request(request.method, target.encode("latin-1"), list(request.raw_headers), sent)

    async def _ask(
        self, request: web.BaseRequest, jar: Jar, asked: GatewayRequest, prefix: str
    ) -> web.StreamResponse:
        target = asked.target.decode("latin-1")
        rewriter = self._rewriter(prefix, target)
        async with self.asker.ask(jar, asked, follows=_is_navigation(request)) as (answer, pieces):
            if answer.status in range(300, 400) and (location := values(answer.headers, b"location")):
                # Whatever the form of the URL, the frame stays below its prefix. The browser follows with the user's
                # cookie of Home Assistant.
                leads_to = rewriter.locate(read_text(location[0]))
                if leads_to is None:
                    raise BadAnswerError("a redirect to another host")
                return _plain(answer.status, "", Location=prefix + leads_to)
            if not _is_page(answer) or asked.method == b"HEAD":
                return await _pass_on(request, answer, pieces)
            page = KeptPage(answer, await read_whole(answer, pieces, LARGEST_PAGE))
        if asked.method == b"POST" and answer.status == 200 and _is_navigation(request):  # noqa: PLR2004 - HTTP
            # A step back must neither send a form again nor show the browser's error: the address is one to get.
            number = secrets.token_urlsafe(8)
            jar.keep_page(number, page)
            return _plain(303, "", Location=f"{prefix}{target}{'&' if '?' in target else '?'}~page={number}")
        return await self._rewrite(jar, page, rewriter)

    def _rewriter(self, prefix: str, target: str) -> Rewriter:
        return Rewriter(prefix, target.partition("?")[0], self.asker.names())

    async def _rewrite(self, jar: Jar, kept: KeptPage, rewriter: Rewriter) -> web.Response:
        answer, text = kept.answer, read_text(kept.body)
        whole = rewriter.with_loaded(await self.asker.load(jar, text, rewriter))
        # The Supervisor drops the coding from Content-Type.
        coding = _CODING.search(b"".join(values(answer.headers, b"content-type")))
        head = f'<meta charset="{coding[1].decode()}">' if coding else ""
        insert = head + self._script(rewriter.prefix)
        page = await self.asker.rewrite(text, whole, insert)
        if len(page) > LARGEST_REWRITTEN:
            raise BadAnswerError("a page that is too large")
        headers = response_headers(answer.headers)
        headers.pop("Content-Encoding", None)
        return web.Response(status=answer.status, body=write_text(page), headers=headers)

    def _ask_first(self, jar: Jar, asked: GatewayRequest, texts: Texts, prefix: str) -> web.Response:
        """Hold a request that restarts the gateway, and ask the person.

        The answer is a success, because browsers report each other one as an error in their console.
        """
        number = secrets.token_urlsafe(16)
        jar.hold(number, asked)
        page = (
            f'<!DOCTYPE html><html lang="{texts.language}"><head><meta charset="utf-8">{self._script(prefix)}'
            f'<title>{texts("page.confirm")}</title><meta name="viewport" content="width=device-width">'
            "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;padding:1rem}"
            f"button{{font:inherit;padding:.6rem 1rem}}</style></head><h1>{texts('page.confirm')}</h1>"
            f"<p>{texts('page.confirm.why')}</p>"
            f'<form method="post" action="{html.escape(prefix + CONFIRM + number)}">'
            f"<button>{texts('page.confirm.yes')}</button></form></html>"
        )
        headers = {**HEADERS, CONFIRM_HEADER: number}
        return web.Response(text=page, content_type="text/html", headers=headers)

    def _script(self, prefix: str) -> str:
        return f'<script data-prefix="{html.escape(prefix)}">{self.bridge}</script>'


async def _pass_on(request: web.BaseRequest, answer: Answer, pieces: Pieces) -> web.StreamResponse:
    """Hand a body on byte for byte; what breaks off in the middle is seen as that."""
    response = web.StreamResponse(status=answer.status, headers=response_headers(answer.headers))
    length = values(answer.headers, b"content-length")
    if length and length[0].isdigit() and request.method != "HEAD":
        response.content_length = int(length[0])
    try:
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
    except ConnectionError:  # the browser left
        await drain(pieces, limit=DRAIN_LIMIT, seconds=_DRAIN_SECONDS)
    except ProxyError:
        if request.transport:
            request.transport.abort()
        raise
    return response


def _explain(error: ProxyError, request: web.BaseRequest, texts: Texts) -> web.Response:
    kind, body = error_answer.body(error, accept=request.headers.get("Accept"), accept_language=texts.language)
    status = GatewayError.status if error.status == ABORT else error.status
    return web.Response(status=status, body=body, headers={**HEADERS, "Content-Type": kind})


def _plain(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**HEADERS, **headers})


def _is_framed(request: web.BaseRequest) -> bool:
    """Tell whether the answer is for the frame, or the page around it; in a window of its own nothing keeps it here.

    Over HTTP, browsers say neither.
    """
    return request.headers.get("Sec-Fetch-Dest", "iframe") in ("iframe", "empty")


def _is_navigation(request: web.BaseRequest) -> bool:
    """Tell whether a browser asks for a page to show: scripts ask for anything."""
    return request.headers.get("Accept", "").startswith("text/html")


def _is_page(answer: Answer) -> bool:
    kinds = values(answer.headers, b"content-type")
    disposition = b"".join(values(answer.headers, b"content-disposition")).lower()
    readable = tokens(values(answer.headers, b"content-encoding")) <= {b"gzip", b"deflate", b"identity"}
    return readable and bool(kinds) and b"html" in kinds[0].lower() and not disposition.startswith(b"attachment")


def _user(request: web.BaseRequest) -> str:
    """Return who asks, empty unless exactly one says so.

    The Supervisor takes this header out of what a browser sent, but not in another case of letters.
    """
    given = request.headers.getall("X-Remote-User-Id", [])
    return given[0] if len(given) == 1 else ""
