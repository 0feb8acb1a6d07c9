"""Clients of three kinds, as one household has them, that poll a simulated gateway through the proxy.

Every request that one of them puts on the wire has a header of its own, ``X-Tag``, so that the simulator's record
shows what came twice or never (and no two reads are alike, so that none is shared). Each client
fails on an answer that is not the right one.
"""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import aiohttp
import httpx

from simulator import meter
from simulator.emh import METER
from simulator.gateway import Simulator
from simulator.ppc import CGI as PPC_CGI
from simulator.ppc import METER_ID

TAG: Final = "X-Tag"
CGI: Final = PPC_CGI.decode()
PATIENCE: Final = 10.0
"""Seconds after which a client gives up."""
PARTS: Final = 5
"""What a browser loads at once besides its page."""

_LOGGED_IN_ALREADY: Final = "bereits ein Benutzer angemeldet"


@dataclass(frozen=True)
class Reply:
    """What a client got in the end."""

    status: int
    text: str
    location: str = ""


@dataclass
class Wire:
    """All requests of a household: the answer's status by tag, None while there is none."""

    statuses: dict[str, int | None] = field(default_factory=dict)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def tag(self, kind: str) -> str:
        """Give a tag that nobody else has."""
        tag = f"{kind}-{next(self._number)}"
        self.statuses[tag] = None
        return tag

    def httpx_client(self, kind: str) -> httpx.AsyncClient:
        """Make a client that tags each request, also the second one of a login."""

        async def tag(request: httpx.Request) -> None:
            request.headers[TAG] = self.tag(kind)

        async def note(answer: httpx.Response) -> None:
            self.statuses[answer.request.headers[TAG]] = answer.status_code

        hooks: dict[str, list[Callable[..., Any]]] = {"request": [tag], "response": [note]}
        return httpx.AsyncClient(event_hooks=hooks, verify=False, trust_env=False, timeout=PATIENCE)

    async def aiohttp_tag(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Do the same as a middleware."""
        tag = request.headers[TAG] = self.tag("kept")
        answer = await handler(request)
        self.statuses[tag] = answer.status
        return answer


@dataclass
class Client(ABC):
    """One client; ``poll`` reads what it is there for once."""

    url: str
    sim: Simulator
    wire: Wire
    polls: int = field(default=0, init=False)

    async def poll(self) -> None:
        """Read once; AssertionError if anything is not as it should be."""
        before = self.sim.clock()
        text = await self._poll()
        assert _shows(text, before) or _shows(text, self.sim.clock()), "not the reading of this time"
        self.polls += 1

    @abstractmethod
    async def _poll(self) -> str:
        """Return the text with the reading."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is kept."""


class Integration(Client):
    """Polls as the public clients of the vendor do, one request after the other."""

    @abstractmethod
    async def ask(self, path: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """GET, or POST a body; redirects are not followed."""

    async def _call(self, path: str, **fields: str) -> str:
        reply = await self.ask(path, json.dumps(fields), {"Content-Type": "application/json"})
        assert reply.status == 200, reply.status
        return reply.text

    async def _get(self, path: str) -> str:
        reply = await self.ask(path)
        assert reply.status == 200, reply.status
        assert _LOGGED_IN_ALREADY not in reply.text, "somebody else is logged in"
        return reply.text

    async def _submit(self, action: str, **fields: str) -> str:
        body = str(httpx.QueryParams({"action": action, **fields}))
        reply = await self.ask(CGI, body, {"Content-Type": "application/x-www-form-urlencoded"})
        assert reply.status == 200, reply.status
        assert _LOGGED_IN_ALREADY not in reply.text, "somebody else is logged in"
        return reply.text

    async def _poll(self) -> str:
        polls: dict[str, Callable[[], Awaitable[str]]] = {"theben": self._theben, "ppc": self._ppc, "emh": self._emh}
        return await polls[self.sim.vendor]()

    async def _theben(self) -> str:
        entry = await self.ask("/smgw/m2m", json.dumps({"method": "user-info"}))
        assert entry.status == 307, entry.status
        points = json.loads(await self._call(entry.location, method="user-info"))["user-info"]["usage-points"]
        (point,) = (each["usage-point-id"] for each in points if each["taf-state"] == "running")
        last = {"usage-point-id": point, "database": "origin", "last-reading": "true"}
        return await self._call(entry.location, method="readings", **last)

    async def _emh(self) -> str:
        assert json.loads(await self._get("/json/metering/origin/")) == [METER]
        return await self._get(f"/json/metering/origin/{METER}/extended")

    async def _ppc(self) -> str:
        assert "Willkommen" in await self._get(CGI)
        assert METER_ID in await self._submit("meterform")
        values = await self._submit("showMeterProfile", mid=METER_ID)
        assert "abgemeldet" in await self._submit("logout")
        return values


class Fresh(Integration):
    """As ha-ppc-smgw: a new connection for each poll, a new login for each request."""

    session: httpx.AsyncClient

    async def _poll(self) -> str:
        async with self.wire.httpx_client("fresh") as self.session:
            return await super()._poll()

    async def ask(self, path: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        login = httpx.DigestAuth(self.sim.user, self.sim.password)
        method = "GET" if body is None else "POST"
        answer = await self.session.request(method, self.url + path, content=body, headers=headers, auth=login)
        return Reply(answer.status_code, answer.text, answer.headers.get("location", ""))

    async def close(self) -> None:
        """Nothing is kept."""


@dataclass
class Kept(Integration):
    """As theben_conexa and Go's clients: one connection and one login, kept from poll to poll."""

    session: aiohttp.ClientSession = field(init=False)

    def __post_init__(self) -> None:
        login = aiohttp.DigestAuthMiddleware(self.sim.user, self.sim.password)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=90),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
            middlewares=(login, self.wire.aiohttp_tag),
        )

    async def ask(self, path: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        method = "GET" if body is None else "POST"
        asking = self.session.request(method, self.url + path, data=body, headers=headers, allow_redirects=False)
        async with asking as answer:
            return Reply(answer.status, await answer.text(), answer.headers.get("Location", ""))

    async def close(self) -> None:
        await self.session.close()


@dataclass
class Browser(Client):
    """Opens the page and loads several things at once; at a PPC it logs in there, and may forget the logout."""

    forgetful: bool = False

    async def _poll(self) -> str:
        login = httpx.DigestAuth(self.sim.user, self.sim.password)
        async with self.wire.httpx_client("browser") as session:
            session.auth = login
            session.headers["Accept"] = "text/html,*/*;q=0.8"
            page = await session.get(self.url + "/")
            parts = [session.get(f"{self.url}/?part={number}") for number in range(PARTS)]
            answers = [page, *await asyncio.gather(*parts)]
            if self.sim.vendor == "ppc":
                answers += await self._at_the_cgi(session)
            statuses = [each.status_code for each in answers]
            assert statuses == [200] * len(answers), statuses
            assert not any(_LOGGED_IN_ALREADY in each.text for each in answers), "somebody else is logged in"
            return page.text

    async def _at_the_cgi(self, session: httpx.AsyncClient) -> list[httpx.Response]:
        url = self.url + CGI
        answers = [await session.get(url)]
        actions = ("meterform", "showMeterProfile", "softwareVersions")
        forms = [session.post(url, data={"action": each, "mid": METER_ID}) for each in actions]
        answers += await asyncio.gather(*forms)
        if not self.forgetful:
            answers.append(await session.post(url, data={"action": "logout"}))
        return answers

    async def close(self) -> None:
        """Nothing is kept."""


def _shows(text: str, now: datetime) -> bool:
    """Tell whether a text has the meter's reading of this time, as a number or in kWh."""
    reading = meter.register(meter.IMPORT, meter.last_step(now))
    return f'"{reading}"' in text or f"{reading / 10_000:.4f}" in text
