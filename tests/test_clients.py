"""Clients that nobody here wrote read all simulated gateways through both listeners, unmodified."""

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
import requests
from requests.auth import HTTPDigestAuth

from simulator import meter
from simulator.emh import METER as EMH_METER
from simulator.gateway import Simulator
from simulator.ppc import METER_ID
from simulator.theben import USAGE_POINT
from tests.rig import Rig, proxy_for

pytestmark = pytest.mark.filterwarnings(
    # That nothing is verified is the point: a self-signed listener, as clients of gateways use it.
    "ignore:Unverified HTTPS request"
)

TIMEOUT: Final = 30.0
CGI: Final = "/cgi-bin/hanservice.cgi"
READINGS: Final = {
    "method": "readings",
    "usage-point-id": USAGE_POINT,
    "database": "origin",
    "last-reading": "true",
}


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
        command += ["--digest", "-u", f"{self.user}:{self.password}"]
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


@pytest.fixture(params=CLIENTS)
def client_kind(request: pytest.FixtureRequest, require: Callable[[str], None]) -> type[Client]:
    if request.param == "curl":
        require("curl")
    return CLIENTS[request.param]


@pytest.fixture(params=["http", "https"])
def listener(request: pytest.FixtureRequest) -> Callable[[Rig], str]:
    """Return what gives a proxy's base URL for the listener under test."""
    return lambda rig: str(getattr(rig, request.param))


def plain(values: object) -> list[int]:
    """Give the values of a list of readings as numbers."""
    assert isinstance(values, list)
    return [int(each["value"]) for each in values]


async def read_theben(client: Client, base: str) -> None:
    entry = await client.ask(f"{base}/smgw/m2m")
    assert entry.status == 307
    assert entry.location == f"/smgw/m2m/{client.user}.sm"
    user_url = f"{base}{entry.location}/json"
    points = (await client.call(user_url, {"method": "user-info"}))["user-info"]["usage-points"]
    assert [point["usage-point-id"] for point in points if point["taf-state"] == "running"] == [USAGE_POINT]
    answer = await client.call(user_url, READINGS)
    channels = {channel["obis"]: channel["readings"] for channel in answer["readings"]["channels"]}
    assert set(channels) == {meter.IMPORT, meter.EXPORT}
    # 12345.678 kWh at the start of 2025, in steps of 10^-4 kWh, and it never falls.
    assert plain(channels[meter.IMPORT])[0] > 123_456_780


async def read_ppc(client: Client, base: str) -> None:
    url = f"{base}{CGI}"
    login = await client.ask(url)
    token = re.search(r'name="tkn" value="([0-9a-f]{64})"', login.text)
    assert token, login.text
    # The session's cookie comes back from here on, or the gateway would see a second user.
    form = await client.submit(url, tkn=token[1], action="meterform")
    meter_id = re.search(r'<option value="(\w+)"', form.text)
    assert meter_id, form.text
    assert meter_id[1] == METER_ID
    profile = await client.submit(url, tkn=token[1], action="showMeterProfile", mid=meter_id[1])
    values = re.findall(r'_col_wert">([\d.]+)<.*?_col_obis">([\d:.-]+)<', profile.text)
    assert [obis for _, obis in values] == ["1-0:1.8.0", "1-0:2.8.0"]
    assert float(values[0][0]) > 12345.678
    await client.submit(url, action="logout")


async def read_emh(client: Client, base: str) -> None:
    assert (await client.ask(f"{base}/json/metering/origin/")).json() == [EMH_METER]
    extended = (await client.ask(f"{base}/json/metering/origin/{EMH_METER}/extended")).json()["values"]
    assert extended[0]["logical_name"] == f"{meter.IMPORT}.{EMH_METER}.sm"
    assert plain(extended)[0] > 123_456_780


async def test_theben_is_read(tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str]) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        async with opened(client_kind, sim, tmp_path / "client") as client:
            await read_theben(client, listener(rig))
        assert [record.login for record in sim.records].count("accepted") == 3
        assert {record.login for record in sim.records} == {"none", "accepted"}


async def test_ppc_is_read_and_left_so_that_the_next_client_can_log_in(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str]
) -> None:
    async with Simulator(vendor="ppc") as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        for number in ("first", "second"):
            async with opened(client_kind, sim, tmp_path / number) as client:
                await read_ppc(client, listener(rig))


async def test_emh_is_read(tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str]) -> None:
    async with Simulator(vendor="emh") as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        async with opened(client_kind, sim, tmp_path / "client") as client:
            await read_emh(client, listener(rig))
        assert {record.header(b"host") for record in sim.records} == {sim.authority.encode()}


async def test_emh_is_asked_by_the_name_that_was_configured(tmp_path: Path) -> None:
    async with Simulator(vendor="emh") as sim, proxy_for(sim, tmp_path, host_header="smgw.local") as rig:
        async with opened(Httpx, sim, tmp_path / "client") as client:
            await read_emh(client, rig.http)
        assert {record.header(b"host") for record in sim.records} == {b"smgw.local"}


async def test_a_client_that_puts_its_own_host_before_the_location_finds_the_proxy(tmp_path: Path) -> None:
    # Home Assistant's theben_conexa builds https://{host}{Location}: an absolute one would double the host.
    async with (
        Simulator(absolute_location=True) as sim,
        proxy_for(sim, tmp_path, https_port="0") as rig,
        opened(Aiohttp, sim, tmp_path / "client") as client,
    ):
        host = rig.https.removeprefix("https://")
        entry = await client.ask(f"https://{host}/smgw/m2m", b"")
        assert entry.status == 307
        answer = await client.call(f"https://{host}{entry.location}", READINGS)
        assert answer["readings"]["records"] == "2"


async def test_a_redirect_that_a_client_follows_ends_at_the_proxy(
    tmp_path: Path, listener: Callable[[Rig], str]
) -> None:
    async with Simulator(absolute_location=True) as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        client = Aiohttp(sim.user, sim.password, tmp_path)
        async with client.session.post(f"{listener(rig)}/smgw/m2m", json=READINGS) as answer:
            assert str(answer.url) == f"{listener(rig)}/smgw/m2m/{sim.user}.sm"
            assert (await answer.json())["readings"]["records"] == "2"
        await client.close()
        assert len(rig.reports) == len(sim.records)


WRONG_PASSWORD: Final[dict[type[Client], tuple[type[Exception], str]]] = {
    Httpx: (httpx.RemoteProtocolError, "without sending a response"),
    Aiohttp: (aiohttp.ServerDisconnectedError, "disconnected"),
    Requests: (requests.ConnectionError, "without response"),
    Curl: (CurlError, "Empty reply"),
}
"""How a client says that the connection was closed without an answer, which is how Theben says it."""


async def test_a_wrong_password_at_theben_looks_as_without_a_proxy(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str]
) -> None:
    error, words = WRONG_PASSWORD[client_kind]
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        for base in (sim.url, listener(rig)):
            async with opened(client_kind, sim, tmp_path / "client", "wrong password") as client:
                with pytest.raises(error, match=words):
                    await client.ask(f"{base}/smgw/m2m", b"{}")
        # A challenge and a login (curl tries that again by itself), at the gateway as through the proxy.
        logins = [record.login for record in sim.records]
        half = len(logins) // 2
        assert logins[:half] == logins[half:]
        assert logins[:2] == ["none", "wrong"]
        assert {report.code for report in rig.reports[1:]} == {"gateway_closed_without_answer"}


async def test_a_person_with_a_wrong_password_reads_what_it_means(tmp_path: Path, client_kind: type[Client]) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "de-DE,de;q=0.9"}
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path) as rig,
        opened(client_kind, sim, tmp_path / "client", "wrong password") as client,
    ):
        reply = await client.ask(rig.http + "/", headers=browser)
        assert reply.status == 502
        assert "falsches Passwort" in reply.text
        assert "wrong password" not in reply.text


async def test_a_wrong_password_at_ppc_and_emh_is_asked_for_again(tmp_path: Path, client_kind: type[Client]) -> None:
    for vendor, path in (("ppc", CGI), ("emh", "/json/metering/origin/")):
        async with (
            Simulator(vendor=vendor) as sim,
            proxy_for(sim, tmp_path / vendor) as rig,
            opened(client_kind, sim, tmp_path / f"client-{vendor}", "wrong password") as client,
        ):
            assert (await client.ask(rig.http + path)).status == 401
