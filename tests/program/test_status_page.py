"""The status page of the program as a person starts it."""

import asyncio
import re
from pathlib import Path

import httpx
import psutil

from simulator.gateway import Simulator
from tests.process import proxy_program


async def test_the_program_shows_its_page_and_examines_the_way(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_program(tmp_path, sim.authority, "--status-port", "0") as program,
        httpx.AsyncClient(trust_env=False, timeout=30, follow_redirects=True) as client,
    ):
        found = re.search(r"Status page at (http://127\.0\.0\.1:\d+)/$", program.output, re.MULTILINE)
        assert found
        assert (await client.get(program.http + "/sim/status/200")).status_code == 200
        assert (await client.get(f"{found[1]}/health")).json()["status"] == "ok"
        libraries = await asyncio.to_thread(psutil.Process(program.process.pid).memory_maps)
        assert not [each.path for each in libraries if "aiohttp" in each.path], "loaded without an open page"
        page = (await client.get(found[1])).text
        assert "It works." in page
        assert f"{program.http}/smgw/m2m/USER-ID.sm/json" in page
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token
        page = (await client.post(f"{found[1]}/diagnose", data={"token": token[1]})).text
        assert '<ol class="checks">' in page
        assert '<li class="failed">' not in page
        assert "GET /sim/status/200 200" in (await client.get(f"{found[1]}/bundle")).text
        assert (await client.get(f"{found[1]}/health")).json()["status"] == "ok"
        assert (await program.stop())[0] == 0


async def test_without_the_option_there_is_no_page(tmp_path: Path) -> None:
    async with proxy_program(tmp_path, "127.0.0.1:1") as program:
        assert "Status page" not in program.output
