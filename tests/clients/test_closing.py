"""A gateway that closes some milliseconds after each answer, without saying so."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from tests.clients.libraries import Requests
from tests.clients.raw import Raw
from tests.clients.readings import read_emh, read_theben
from tests.clients.rig import two
from tests.faults.scene import IN_BOTH_MODES, Mode

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

EMH_PATH = "/json/metering/origin/"


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


async def test_of_posts_without_a_pause_none_is_lost(tmp_path: Path) -> None:
    async with two(Raw, tmp_path, Mode.TRANSPARENT) as (sim, rig, one, _):
        sim.faults.set("close-unannounced", seconds=0.05)
        statuses = [(await one.ask(f"{rig.http}/sim/echo?{number}", b"{}")).status for number in range(40)]
        assert Counter(statuses) == {200: 40}
        assert len({record.target for record in sim.records}) == len(sim.records) == 40


@pytest.mark.parametrize("vendor", ["emh", "theben"])
async def test_a_wrong_password_of_a_client_goes_once_to_the_gateway(tmp_path: Path, vendor: str) -> None:
    async with two(Raw, tmp_path, Mode.TRANSPARENT, vendor=vendor) as (sim, rig, one, other):
        path = EMH_PATH if vendor == "emh" else "/smgw/m2m"
        await other.ask(rig.http + path)  # the connection is kept
        assert isinstance(one, Raw)
        one.password, one.tries = "wrong", 1
        with pytest.raises(httpx.RemoteProtocolError) if vendor == "theben" else nullcontext():
            assert (await one.ask(rig.http + path)).status == 401
        assert [record.login for record in sim.records].count("wrong") == 1
