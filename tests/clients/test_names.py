"""Gateways that call themselves by a name of their own."""

from pathlib import Path

import pytest

from tests.clients.libraries import Aiohttp
from tests.clients.readings import read_theben
from tests.clients.rig import two
from tests.faults.scene import IN_BOTH_MODES, Mode


@IN_BOTH_MODES
@pytest.mark.parametrize("name", ["ETHE0300186023.SMGW", "ethe0300186023.local", "smgw.local"])
async def test_theben_may_redirect_to_a_name_of_its_own(tmp_path: Path, mode: Mode, name: str) -> None:
    async with two(Aiohttp, tmp_path, mode, location_authority=name) as (_, rig, one, _):
        await read_theben(one, rig.http)
