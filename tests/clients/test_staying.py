"""Clients of PPC gateways that never log out."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from tests.clients.libraries import Client
from tests.clients.raw import NodeRed
from tests.clients.readings import CGI
from tests.clients.rig import two
from tests.faults.scene import Mode


async def read_ppc_and_stay(client: Client, base: str) -> None:
    page = (await client.ask(f"{base}{CGI}")).text
    token = re.search(r'name="tkn" value="(\w+)"', page)
    assert token, page
    form = await client.submit(f"{base}{CGI}", tkn=token[1], action="meterform")
    assert "meterform_select_meter" in form.text


@pytest.mark.parametrize("later", [0, 0.5])
async def test_two_clients_that_never_log_out_both_read_with_login_once(tmp_path: Path, later: float) -> None:
    async with two(NodeRed, tmp_path, Mode.LOGIN_ONCE, vendor="ppc") as (sim, rig, one, other):
        began = time.monotonic()
        first = asyncio.create_task(read_ppc_and_stay(one, rig.http))
        await asyncio.sleep(later)
        await asyncio.gather(first, read_ppc_and_stay(other, rig.http))
        assert sim.device.sessions_refused == 0
        assert time.monotonic() - began < 6


async def test_who_comes_when_the_holder_has_been_silent_waits_for_nothing_but_its_logout(tmp_path: Path) -> None:
    async with two(NodeRed, tmp_path, Mode.LOGIN_ONCE, vendor="ppc") as (sim, rig, one, other):
        await read_ppc_and_stay(one, rig.http)
        await asyncio.sleep(2.5)
        assert sim.device.sessions_ended == 0  # nobody waits
        await read_ppc_and_stay(other, rig.http)
        assert (sim.device.sessions_refused, sim.device.sessions_ended) == (0, 1)
        assert max(record.waiting for record in rig.reports) < 1
        # The first one goes on in a session of its own.
        await read_ppc_and_stay(one, rig.http)
        assert (sim.device.sessions_refused, sim.device.sessions_opened) == (0, 3)
