"""The gate learns the networks of the own interfaces: again and again, and soon after somebody was refused."""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from simulator.gateway import Simulator
from smgw_proxy_addon.errors import ForeignNetworkError
from smgw_proxy_addon.program import background
from smgw_proxy_addon.server import own_networks
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.interfaces import Interface
from smgw_proxy_addon.server.own_networks import learn_own_networks
from smgw_proxy_addon.status.supervisor import Supervisor
from tests.rig import proxy_for, send, status_of


def interface(*addresses: str) -> Interface:
    return Interface("eth0", up=True, addresses=tuple(map(ipaddress.ip_interface, addresses)))


class House:
    """A computer whose interfaces change, and its gate."""

    def __init__(self, *, allow: Sequence[str] = ()) -> None:
        self.access = Access(allow=[ipaddress.ip_network(text) for text in allow])
        self.interfaces: list[Interface] | Exception | None = [interface("192.168.1.5/24")]
        self.looks = 0
        self.looked = asyncio.Event()
        self.refused = asyncio.Event()

    async def learn(self) -> None:
        await learn_own_networks(self.access, self._interfaces, self.refused)

    async def _interfaces(self) -> Sequence[Interface] | None:
        self.looks += 1
        self.looked.set()
        if isinstance(self.interfaces, Exception):
            raise self.interfaces
        return self.interfaces

    def admits(self, peer: str) -> bool:
        try:
            self.access.check(peer=peer, local="", method="GET", fields={}, http_11=False)
        except ForeignNetworkError:
            return False
        return True

    async def next_look(self) -> None:
        self.looked.clear()
        await asyncio.wait_for(self.looked.wait(), 5)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.learn())
        await self.next_look()
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_new_prefix_is_learnt_when_somebody_of_it_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_networks, "PAUSE", 0.01)
    house = House()
    async with house.running():
        house.interfaces = [interface("192.168.1.5/24", "2001:db8:1::5/64")]
        assert not house.admits("2001:db8:1::9")
        house.refused.set()
        await house.next_look()
        assert house.admits("2001:db8:1::9")


async def test_a_prefix_that_the_router_advertises_is_learnt_without_an_address_in_it() -> None:
    house = House()
    house.interfaces = [interface("2001:db8:1::5/64")._replace(on_link=(ipaddress.IPv6Network("2001:db8:2::/64"),))]
    async with house.running():
        assert house.admits("2001:db8:2::9")
        assert not house.admits("2001:db8:3::9")


async def test_strangers_cause_few_looks() -> None:
    house = House()
    async with house.running():
        for _ in range(100):
            house.refused.set()
            await asyncio.sleep(0)
        assert house.looks == 1


async def test_it_looks_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_networks, "PAUSE", 0)
    monkeypatch.setattr(own_networks, "REFRESH", 0.01)
    house = House()
    async with house.running():
        house.interfaces = [interface("2001:db8:2::5/64")]
        await house.next_look()
        assert house.admits("2001:db8:2::9")


@pytest.mark.parametrize("answer", [None, OSError("no network")])
async def test_what_was_known_counts_while_nobody_tells(
    answer: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_networks, "PAUSE", 0)
    monkeypatch.setattr(own_networks, "REFRESH", 0.01)
    caplog.set_level(logging.CRITICAL)
    house = House()
    house.interfaces = [interface("2001:db8:3::5/64")]
    async with house.running():
        house.interfaces = answer
        await house.next_look()
        await house.next_look()
        assert house.admits("2001:db8:3::9")


async def test_nobody_is_asked_when_the_user_has_named_the_networks() -> None:
    house = House(allow=["192.168.1.0/24"])
    await asyncio.wait_for(house.learn(), 1)
    assert house.looks == 0


async def test_a_refused_client_makes_the_running_proxy_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def learn(_access: Access, _interfaces: object, refused: asyncio.Event) -> None:
        await refused.wait()
        asked.set()

    monkeypatch.setattr(background, "learn_own_networks", learn)
    async with Simulator() as sim, proxy_for(sim, tmp_path, allow="10.0.0.0/8") as rig:
        monkeypatch.setattr("smgw_proxy_addon.server.access.LOOPBACK", ())
        answer = await send(rig.port, b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")
        await asyncio.wait_for(asked.wait(), 5)
    assert status_of(answer) == 403
    assert b'"foreign_network"' in answer
    assert b"127.0.0.1" in answer
    assert b"--allow" in answer


async def test_in_the_app_the_supervisor_tells_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smgw_proxy_addon.server.access._LOCAL_NETWORKS", ())
    request = b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n"
    told = {"data": {"interfaces": [{"interface": "end0", "ipv4": {"address": ["127.0.200.1/16"]}}]}}

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(told)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    supervisor = Supervisor("token", site.name)
    try:
        async with Simulator() as sim, proxy_for(sim, tmp_path, supervisor=supervisor) as rig, asyncio.timeout(20):
            while status_of(await send(rig.port, request)) != 200:
                pass
            assert {report.code for report in rig.reports} <= {"foreign_network", None}
    finally:
        await runner.cleanup()
