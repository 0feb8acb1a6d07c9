"""Public reports of clients that a gateway lets in and a proxy did not, and of gateways that a client locks."""

import asyncio
import contextlib
import re
from pathlib import Path

import httpx
import pytest

from tests.clients.libraries import Aiohttp, Client, Httpx, Requests
from tests.clients.raw import IpSymcon, NodeRed, Raw, Trudi, TrudiForPpc
from tests.clients.readings import CGI, read_emh, read_ppc, read_theben
from tests.clients.rig import two
from tests.faults.scene import IN_BOTH_MODES, Mode

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

EMH_PATH = "/json/metering/origin/"


async def read_ppc_of_2018(client: Client, base: str) -> None:
    """Read the meter with the session in a form field; the client keeps no cookie."""
    page = (await client.ask(f"{base}{CGI}")).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page))
    assert set(hidden) == {"tkn", "sessionid", "action"}, page
    form = await client.submit(f"{base}{CGI}", **hidden)
    meter_id = re.search(r'<option value="(\w+)"', form.text)
    assert meter_id, form.text
    profile = await client.submit(f"{base}{CGI}", **{**hidden, "action": "showMeterProfile", "mid": meter_id[1]})
    assert '_col_wert">' in profile.text, profile.text
    await client.submit(f"{base}{CGI}", **{**hidden, "action": "logout"})


@IN_BOTH_MODES
async def test_trudi_finds_the_opaque_in_the_challenge(tmp_path: Path, mode: Mode) -> None:
    for vendor, read in (("theben", read_theben), ("emh", read_emh), ("ppc", read_ppc)):
        async with two(Trudi, tmp_path / vendor, mode, vendor=vendor) as (_, rig, one, _):
            await read(one, rig.http)


@IN_BOTH_MODES
async def test_trudi_reads_ppc_with_posts_that_are_signed_as_get(tmp_path: Path, mode: Mode) -> None:
    async with two(TrudiForPpc, tmp_path, mode, vendor="ppc") as (_, rig, one, _):
        await read_ppc(one, rig.http)


@IN_BOTH_MODES
async def test_posts_that_are_signed_as_get_are_ppc_s_alone(tmp_path: Path, mode: Mode) -> None:
    async with two(TrudiForPpc, tmp_path, mode, vendor="emh") as (sim, rig, one, _):
        assert isinstance(one, TrudiForPpc)
        one.tries = 1
        assert (await one.ask(rig.http + EMH_PATH)).status == 200
        assert (await one.ask(rig.http + EMH_PATH, b"{}")).status == 401
        assert sim.records[-1].method == ("POST" if mode is Mode.TRANSPARENT else "GET")


@IN_BOTH_MODES
async def test_a_client_that_keeps_the_nonce_and_does_not_count_reads_again_and_again(
    tmp_path: Path, mode: Mode
) -> None:
    async with two(IpSymcon, tmp_path, mode, vendor="emh", counts_requests=False) as (sim, rig, one, other):
        for client in (one, one, other):
            await read_emh(client, rig.http)
        assert {record.login for record in sim.records} == {"none", "accepted"}


@IN_BOTH_MODES
async def test_two_clients_of_ppc_of_2018_read_at_once(tmp_path: Path, mode: Mode) -> None:
    async with two(Httpx, tmp_path, mode, vendor="ppc", session_in_form=True) as (sim, rig, one, other):
        await asyncio.gather(read_ppc_of_2018(one, rig.http), read_ppc_of_2018(other, rig.http))
        assert sim.device.sessions_refused == 0


async def read_ppc_and_stay(client: Client, base: str) -> None:
    page = (await client.ask(f"{base}{CGI}")).text
    token = re.search(r'name="tkn" value="(\w+)"', page)
    assert token, page
    form = await client.submit(f"{base}{CGI}", tkn=token[1], action="meterform")
    assert "meterform_select_meter" in form.text


@pytest.mark.parametrize("later", [0, 0.5])
async def test_two_clients_that_never_log_out_both_read_with_login_once(tmp_path: Path, later: float) -> None:
    async with two(NodeRed, tmp_path, Mode.LOGIN_ONCE, vendor="ppc") as (sim, rig, one, other):
        first = asyncio.create_task(read_ppc_and_stay(one, rig.http))
        await asyncio.sleep(later)
        await asyncio.gather(first, read_ppc_and_stay(other, rig.http))
        assert sim.device.sessions_refused == 0


@IN_BOTH_MODES
@pytest.mark.parametrize("name", ["ETHE0300186023.SMGW", "ethe0300186023.local", "smgw.local"])
async def test_theben_may_redirect_to_a_name_of_its_own(tmp_path: Path, mode: Mode, name: str) -> None:
    async with two(Aiohttp, tmp_path, mode, location_authority=name) as (_, rig, one, _):
        await read_theben(one, rig.http)


@IN_BOTH_MODES
@pytest.mark.parametrize("vendor", ["emh", "theben"])
async def test_a_wrong_password_in_one_program_does_not_lock_the_gateway(
    tmp_path: Path, mode: Mode, vendor: str
) -> None:
    async with two(Raw, tmp_path, mode, vendor=vendor, lock_after=5) as (sim, rig, one, _):
        one.password = "wrong"
        path = EMH_PATH if vendor == "emh" else "/smgw/m2m"
        for _ in range(6):
            with contextlib.suppress(httpx.RemoteProtocolError):
                reply = await one.ask(rig.http + path)
        assert reply.status == (429 if mode is Mode.TRANSPARENT else 401)
        assert sim.login.locks == 0


@IN_BOTH_MODES
@pytest.mark.parametrize("vendor", ["emh", "theben"])
async def test_a_gateway_that_closes_some_time_after_each_answer_is_read(
    tmp_path: Path, mode: Mode, vendor: str
) -> None:
    read, path, status = (read_emh, EMH_PATH, 200) if vendor == "emh" else (read_theben, "/smgw/m2m", 307)
    async with two(Requests, tmp_path, mode, vendor=vendor) as (sim, rig, one, other):
        sim.faults.set("close-unannounced", seconds=0.05)
        assert (await one.ask(rig.http + path)).status == status
        await sim.wait_for_open(0)
        # What it did once is known: not one of these may be lost.
        for client in (one, other, one, other, one):
            await read(client, rig.http)
        assert {record.status for record in rig.reports} <= {200, 307, 401}
