"""Logins of public clients: the proxy lets in every one that the gateway lets in."""

import asyncio
import contextlib
import re
from pathlib import Path

import httpx
import pytest

from tests.clients.libraries import Client, Httpx
from tests.clients.raw import IpSymcon, Raw, Trudi, TrudiForPpc
from tests.clients.readings import CGI, read_emh, read_ppc, read_theben
from tests.clients.rig import two
from tests.faults.scene import IN_BOTH_MODES, Mode

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
