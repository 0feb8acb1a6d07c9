"""Libraries and programs that nobody here wrote read all simulated gateways through both listeners, unmodified."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import pytest
import requests

from simulator.gateway import Simulator
from tests.clients.libraries import Aiohttp, Client, Curl, CurlError, Httpx, Requests, opened
from tests.clients.readings import CGI, READINGS, read_emh, read_ppc, read_sagemcom, read_theben
from tests.faults.scene import IN_BOTH_MODES, Mode, options_of
from tests.rig import Rig, proxy_for

pytestmark = pytest.mark.filterwarnings(
    # That nothing is verified is the point: a self-signed listener, as clients of gateways use it.
    "ignore:Unverified HTTPS request"
)


@IN_BOTH_MODES
async def test_theben_is_read(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str], mode: Mode
) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, https_port="0", **options_of(mode, sim.user, sim.password)) as rig,
    ):
        async with opened(client_kind, sim, tmp_path / "client") as client:
            await read_theben(client, listener(rig))
        assert [record.login for record in sim.records].count("accepted") == 3
        assert {record.login for record in sim.records} == {"none", "accepted"}


@IN_BOTH_MODES
async def test_ppc_is_read_and_left_so_that_the_next_client_can_log_in(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str], mode: Mode
) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path, https_port="0", **options_of(mode, sim.user, sim.password)) as rig,
    ):
        for number in ("first", "second"):
            async with opened(client_kind, sim, tmp_path / number) as client:
                await read_ppc(client, listener(rig))


@IN_BOTH_MODES
async def test_emh_is_read(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str], mode: Mode
) -> None:
    async with (
        Simulator(vendor="emh") as sim,
        proxy_for(sim, tmp_path, https_port="0", **options_of(mode, sim.user, sim.password)) as rig,
    ):
        async with opened(client_kind, sim, tmp_path / "client") as client:
            await read_emh(client, listener(rig))
        assert {record.header(b"host") for record in sim.records} == {sim.authority.encode()}


REFUSED: Final[dict[type[Client], type[Exception]]] = {
    Httpx: httpx.ConnectError,
    Aiohttp: aiohttp.ClientConnectorError,
    Requests: requests.exceptions.SSLError,
    Curl: CurlError,
}
"""How a client says that the handshake was refused."""


@IN_BOTH_MODES
async def test_sagemcom_is_read_through_the_proxy_only(
    tmp_path: Path, client_kind: type[Client], listener: Callable[[Rig], str], mode: Mode
) -> None:
    async with (
        Simulator(vendor="sagemcom") as sim,
        proxy_for(sim, tmp_path, https_port="0", **options_of(mode, sim.user, sim.password)) as rig,
        opened(client_kind, sim, tmp_path / "direct") as direct,
        opened(client_kind, sim, tmp_path / "client") as client,
    ):
        with pytest.raises(REFUSED[client_kind], match=re.compile("alert|handshake|SSL", re.IGNORECASE)):
            await direct.ask(sim.url)
        refused = sim.journal.refused_hellos
        assert refused
        await read_sagemcom(client, listener(rig))
        assert sim.journal.refused_hellos == refused + 1, "the proxy's own first one"


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
