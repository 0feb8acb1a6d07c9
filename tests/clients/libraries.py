"""The HTTP libraries and programs that clients of gateways are made of, with a login, behind one interface.

Nothing of theirs is changed: each signs, keeps cookies and connections, and reports errors in its own way.
"""

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import httpx
import requests
from requests.auth import HTTPDigestAuth

from simulator.gateway import Simulator

TIMEOUT: Final = 30.0


@dataclass(frozen=True)
class Reply:
    """What a client made of an answer; ``location`` as it was sent."""

    status: int
    text: str
    location: str = ""

    def json(self) -> Any:
        return json.loads(self.text)


class Client(ABC):
    """A client with a login, which keeps cookies and follows no redirects."""

    def __init__(self, user: str, password: str, folder: Path) -> None:
        self.user = user
        self.password = password
        self.folder = folder

    @abstractmethod
    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        """GET, or POST the body. Raises the client's own error."""

    async def call(self, url: str, call: object) -> Any:
        """POST JSON and return the answer's."""
        reply = await self.ask(url, json.dumps(call).encode(), {"Content-Type": "application/json"})
        assert reply.status == 200
        return reply.json()

    async def submit(self, url: str, **fields: str) -> Reply:
        """POST a form."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.ask(url, urlencode(fields).encode(), form)

    async def close(self) -> None:  # noqa: B027 - not every client keeps connections
        """Let the connections go."""


class Httpx(Client):
    def __init__(self, user: str, password: str, folder: Path) -> None:
        super().__init__(user, password, folder)
        login = httpx.DigestAuth(user, password)
        self.session = httpx.AsyncClient(auth=login, verify=False, trust_env=False, timeout=TIMEOUT)

    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        answer = await self.session.request("GET" if body is None else "POST", url, content=body, headers=headers)
        return Reply(answer.status_code, answer.text, answer.headers.get("location", ""))

    async def close(self) -> None:
        await self.session.aclose()


class Aiohttp(Client):
    def __init__(self, user: str, password: str, folder: Path) -> None:
        super().__init__(user, password, folder)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False),
            # Integrations for gateways keep cookies of bare addresses, too.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            middlewares=(aiohttp.DigestAuthMiddleware(user, password),),
        )

    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        method = "GET" if body is None else "POST"
        async with self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            return Reply(answer.status, await answer.text(), answer.headers.get("Location", ""))

    async def close(self) -> None:
        await self.session.close()


class Requests(Client):
    def __init__(self, user: str, password: str, folder: Path) -> None:
        super().__init__(user, password, folder)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = False
        self.session.auth = HTTPDigestAuth(user, password)

    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        answer = await asyncio.to_thread(
            self.session.request,
            "GET" if body is None else "POST",
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=TIMEOUT,
        )
        return Reply(answer.status_code, answer.text, answer.headers.get("Location", ""))

    async def close(self) -> None:
        self.session.close()


class CurlError(Exception):
    """Curl failed: its exit code and what it says."""


class Curl(Client):
    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        heads, cookies = self.folder / "heads", self.folder / "cookies"
        command = ["curl", "-q", "-sSk", "--noproxy", "*", "--max-time", f"{TIMEOUT:g}", "--globoff"]
        command += ["--compressed", "--digest", "-u", f"{self.user}:{self.password}"]
        command += ["-b", str(cookies), "-c", str(cookies), "-D", str(heads)]
        for name, value in (headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        if body is not None:
            command += ["--data-binary", body.decode()]
        process = await asyncio.create_subprocess_exec(*command, url, stdout=-1, stderr=-1)
        text, errors = await process.communicate()
        if process.returncode:
            raise CurlError(process.returncode, errors.decode())
        # One head for each step of the login: the last one counts.
        head = (await asyncio.to_thread(heads.read_text)).strip().split("\n\n")[-1]
        location = re.search(r"(?im)^location: (.*)$", head)
        return Reply(int(head.split()[1]), text.decode(), location[1] if location else "")


CLIENTS: Final[dict[str, type[Client]]] = {
    "httpx": Httpx,
    "aiohttp": Aiohttp,
    "requests": Requests,
    "curl": Curl,
}


@asynccontextmanager
async def opened(
    kind: type[Client], sim: Simulator, folder: Path, password: str | None = None
) -> AsyncIterator[Client]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    client = kind(sim.user, password or sim.password, folder)
    try:
        yield client
    finally:
        await client.close()
