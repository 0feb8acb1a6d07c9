"""Asks the gateway for its page: as one more client, the last in the order, with an account's login.

Each request goes the way of every client's: the same queue, session and log. A page is read whole, then what it loads
is asked for, one after the other, so that the page never holds more than one place at the gateway.
"""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from smgw_proxy_addon.errors import BadAnswerError, ProxyError
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.http.headers import Headers, tokens, values
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.source import Client
from smgw_proxy_addon.status.gateway_page.confirmation import restarts
from smgw_proxy_addon.status.gateway_page.jars import Jar
from smgw_proxy_addon.status.gateway_page.policy import request_headers
from smgw_proxy_addon.status.gateway_page.rewriting import Rewriter, read_text

if TYPE_CHECKING:
    from smgw_proxy_addon.auth.login_once import LoginOnce

LARGEST_PAGE: Final = 1_000_000
"""Bytes of a page that is rewritten; a reading of a day has some kB."""
LARGEST_LOADED: Final = 500_000
MOST_LOADED: Final = 40
"""Files that the gateway is asked for on behalf of one page, those of its style sheets among them."""
LARGEST_REWRITTEN: Final = 8_000_000
"""Bytes of a page with all that is put into it."""
LARGEST_ADDED: Final = 4_000_000
"""Bytes of ``data:`` URLs in one page: one that stands in it many times is there as often."""
NOTHING: Final = "data:,"

Pieces = AsyncIterator[bytes]


@dataclass(eq=False, repr=False)
class GatewayAsker:
    """Asks for jars; ``host`` is the ``Host`` header, ``report`` gets every finished request."""

    login_once: "LoginOnce"
    host: bytes
    names: Callable[[], GatewayNames]
    report: Callable[[RequestRecord], None]

    def __post_init__(self) -> None:
        self._wanted: WeakKeyDictionary[Jar, asyncio.Future[None]] = WeakKeyDictionary()
        """Of the page that each browser asked for last; done once it wants another one."""
        self._reading = asyncio.Lock()

    def make_request(self, method: str, target: bytes, headers: Headers, body: bytes | None) -> GatewayRequest:
        """Make the gateway's request; its cookies follow when it is sent."""
        length = None if body is None else len(body)
        kept = request_headers(headers, host=self.host, length=length)
        return GatewayRequest(method.encode(), target, kept, body, chunked=False, has_login=False)

    @asynccontextmanager
    async def ask(
        self, jar: Jar, request: GatewayRequest, *, follows: bool = False
    ) -> AsyncIterator[tuple[Answer, Pieces]]:
        """Ask with the jar's account and cookies. Raises ``ProxyError``.

        ``follows``: the person wants this page in the place of the one that was asked for before. If that one still
        waits for the gateway, it is not sent.
        """
        record = RequestRecord(PAGE, request.method.decode(), request.target)
        client = Client(PAGE, self._follow(jar, follows), record)
        if cookie := jar.cookies_for(request.target):
            request.headers.append((b"Cookie", cookie))
        try:
            async with self.login_once.ask_as(jar.account, request, client) as (answer, pieces):
                record.status = answer.status
                jar.take_cookies(answer.headers, request.target)
                yield answer, _count(pieces, record)
        except ProxyError as error:
            record.fail(error)
            record.status = error.status
            raise
        finally:
            self.report(record)

    def _follow(self, jar: Jar, follows: bool) -> asyncio.Future[None]:
        gone = asyncio.get_running_loop().create_future()
        if follows:
            before = self._wanted.get(jar)
            if before and not before.done():
                before.set_result(None)
            self._wanted[jar] = gone
        return gone

    async def rewrite(self, text: str, rewriter: Rewriter, insert: str = "") -> str:
        """Rewrite a page in executor, one at a time: it takes up to 150 MB for one that is made to need much."""
        async with self._reading:
            return await asyncio.to_thread(rewriter.page, text, insert)

    async def load(self, jar: Jar, text: str, rewriter: Rewriter) -> dict[str, str]:
        """Return the ``data:`` URLs of what a page loads, from the jar or the gateway."""
        await self.rewrite(text, rewriter)
        asked: set[str] = set()
        for target in rewriter.found:
            await self._load(jar, target, rewriter, asked)
        return choose(jar.loaded, rewriter.found)

    async def _load(self, jar: Jar, target: str, rewriter: Rewriter, asked: set[str]) -> None:
        """Ask for one file, and for what a style sheet loads. One that is not there is empty.

        ``asked``: what was asked for on behalf of this page, also if the jar had no room for it. What fails for now
        is not kept: the next page asks again.
        """
        if target in jar.loaded or target in asked or len(asked) >= MOST_LOADED:
            return
        asked.add(target)
        request = self.make_request("GET", target.encode("latin-1", "replace"), [(b"Accept", b"*/*")], None)
        if restarts(request):
            return  # nothing that a page loads by itself restarts the gateway
        try:
            async with self.ask(jar, request) as (answer, pieces):
                body = await read_whole(answer, pieces, LARGEST_LOADED)
        except ProxyError:
            return
        kind = next(iter(values(answer.headers, b"content-type")), b"").decode("ascii", "ignore")
        if answer.status != 200:  # noqa: PLR2004 - HTTP
            if answer.status < 500:  # noqa: PLR2004 - HTTP
                jar.keep_loaded(target, NOTHING)
            return
        if "css" in kind or target.partition("?")[0].endswith(".css"):
            text = read_text(body)
            own = Rewriter(rewriter.prefix, target, rewriter.names)
            own.css(text)
            for each in own.found:
                await self._load(jar, each, rewriter, asked)
            body = own.with_loaded(choose(jar.loaded, own.found)).css(text).encode("ascii", "surrogateescape")
        elif "script" in kind or target.partition("?")[0].endswith(".js"):
            body = rewriter.script(body.decode("latin-1")).encode("latin-1")
        jar.keep_loaded(target, to_data_url(kind, body))


async def read_whole(answer: Answer, pieces: Pieces, limit: int) -> bytes:
    """Read a body, and decode it if the gateway encoded it although it was not asked to.

    Raises ``BadAnswerError`` for more than ``limit`` bytes.
    """
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise BadAnswerError("a page that is too large")
    if tokens(values(answer.headers, b"content-encoding")) & {b"gzip", b"deflate"}:
        decoder = zlib.decompressobj(wbits=47)
        try:
            body = decoder.decompress(body, limit)
        except zlib.error:
            raise BadAnswerError("a page that cannot be decoded") from None
        if decoder.unconsumed_tail:
            raise BadAnswerError("a page that is too large")
    return body


def choose(loaded: Mapping[str, str], targets: Mapping[str, int]) -> dict[str, str]:
    """Return each target's URL, which the page has as often as ``targets`` says; an empty one beyond the limit."""
    chosen, left = {}, LARGEST_ADDED
    for target, times in targets.items():
        url = loaded.get(target, NOTHING)
        chosen[target] = url if len(url) * times <= left else NOTHING
        left -= len(chosen[target]) * times
    return chosen


def to_data_url(kind: str, body: bytes) -> str:
    """Write a file as a URL (RFC 2397)."""
    bare = kind.replace(" ", "").replace('"', "").replace("'", "").replace(",", "") or "application/octet-stream"
    return f"data:{bare};base64,{base64.b64encode(body).decode()}"


async def _count(pieces: Pieces, record: RequestRecord) -> Pieces:
    async for piece in pieces:
        record.bytes_sent += len(piece)
        yield piece
