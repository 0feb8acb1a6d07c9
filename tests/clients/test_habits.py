"""Habits of real clients and gateways that public reports name: what the gateway lets in, the proxy lets in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from simulator.gateway import Simulator
from tests.clients.libraries import Aiohttp, Client, Httpx, Reply, Requests, opened
from tests.clients.raw import NodeRed
from tests.clients.readings import read_emh, read_ppc, read_theben
from tests.clients.rig import two
from tests.faults.scene import IN_BOTH_MODES, Mode, options_of
from tests.rig import proxy_for

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@IN_BOTH_MODES
async def test_two_clients_read_at_once(tmp_path: Path, client_kind: type[Client], mode: Mode) -> None:
    for vendor, read in (("theben", read_theben), ("emh", read_emh), ("ppc", read_ppc)):
        async with two(client_kind, tmp_path / vendor, mode, vendor=vendor) as (sim, rig, one, other):
            await asyncio.gather(read(one, rig.http), read(other, rig.http))
            assert sim.journal.peak_working == 1


class HaPpcSmgw(Httpx):
    """ha-ppc-smgw for Theben and EMH: a new login for each request."""

    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        self.session.auth = httpx.DigestAuth(self.user, self.password)
        return await super().ask(url, body, headers)


@IN_BOTH_MODES
async def test_two_clients_that_ask_for_a_challenge_each_time_read_at_once(tmp_path: Path, mode: Mode) -> None:
    for vendor, read in (("theben", read_theben), ("emh", read_emh)):
        async with two(HaPpcSmgw, tmp_path / vendor, mode, vendor=vendor) as (_, rig, one, other):
            await asyncio.gather(read(one, rig.http), read(other, rig.http))


@IN_BOTH_MODES
async def test_a_client_that_does_not_return_the_opaque_is_let_in(tmp_path: Path, mode: Mode) -> None:
    async with two(NodeRed, tmp_path, mode, vendor="ppc") as (sim, rig, one, _):
        await read_ppc(one, rig.http)
        assert "wrong" not in {record.login for record in sim.records}


@IN_BOTH_MODES
async def test_emh_that_takes_smgw_local_only_is_read(tmp_path: Path, mode: Mode) -> None:
    async with (
        Simulator(vendor="emh", smgw_local_only=True) as sim,
        proxy_for(sim, tmp_path, host_header="smgw.local", **options_of(mode, sim.user, sim.password)) as rig,
        opened(Requests, sim, tmp_path / "client") as client,
    ):
        await read_emh(client, rig.http)


@IN_BOTH_MODES
async def test_a_small_body_reaches_the_gateway_with_its_length(tmp_path: Path, mode: Mode) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"method":'
        yield b'"smgw-info"}'

    async with two(Aiohttp, tmp_path, mode, needs_length=True) as (sim, rig, one, _):
        assert isinstance(one, Aiohttp)
        url = f"{rig.http}/smgw/m2m/{sim.user}.sm/json"
        assert (await one.call(url, {"method": "smgw-info"}))["method"] == "smgw-info"
        async with one.session.post(url, data=pieces()) as answer:
            assert answer.status == 200  # straight to the gateway: 411


@IN_BOTH_MODES
@pytest.mark.parametrize("fault", ["close-announced", "close-unannounced"])
async def test_a_gateway_that_closes_at_once_after_each_answer_is_read(
    tmp_path: Path, client_kind: type[Client], mode: Mode, fault: str
) -> None:
    async with two(client_kind, tmp_path, mode) as (sim, rig, one, other):
        sim.faults.set(fault)
        for client in (one, other, one):
            await read_theben(client, rig.http)
        assert sim.journal.peak_working == 1
