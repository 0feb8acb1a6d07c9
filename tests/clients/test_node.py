"""Node's own HTTP client, used as Node-RED's nodes for PPC use it, reads the meter."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.gateway import Simulator
from tests.clients.readings import CGI
from tests.faults.scene import IN_BOTH_MODES, Mode, options_of
from tests.rig import Rig, proxy_for


@pytest.fixture(autouse=True)
def _node(require: Callable[[str], None]) -> None:
    require("node")


async def read(base: str, sim: Simulator) -> None:
    script = Path(__file__).parent / "ppc_client.js"
    command = ("node", str(script), base + CGI, sim.user, sim.password)
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    async with asyncio.timeout(60):
        value, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert float(value) > 12345.678


@IN_BOTH_MODES
async def test_node_reads_ppc(tmp_path: Path, mode: Mode, listener: Callable[[Rig], str]) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path, https_port="0", **options_of(mode, sim.user, sim.password)) as rig,
    ):
        await read(listener(rig), sim)
        assert {record.login for record in sim.records} == {"none", "accepted"}
