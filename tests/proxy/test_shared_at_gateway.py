"""Shared answers with everything around them: clients of several kinds, the proxy, its pool, a simulated gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import pytest

from simulator.gateway import Simulator
from simulator.messages import Received
from simulator.theben import USAGE_POINT
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.http.digest import Challenge, authorize, parse_challenges
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program import wiring
from smgw_proxy_addon.proxy.cache import LARGEST
from smgw_proxy_addon.proxy.coalescing import SharedAnswers
from smgw_proxy_addon.proxy.source import Client, Transparent
from tests.rig import Rig, proxy_for

METERS: Final = "/json/metering/origin/"
LAST: Final = {
    "method": "readings",
    "usage-point-id": USAGE_POINT,
    "database": "origin",
    "last-reading": "true",
}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Sharing:
    """A source that logs in at the gateway by itself, and shares what it is answered.

    The account is what the client says in ``From``: who is really who is not the subject here.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float], sim: Simulator, shared: SharedAnswers) -> None:
        self._gateway = Transparent(pool, clock)
        self._sim = sim
        self._shared = shared
        self._challenge: Challenge | None = None
        self._count = 0
        self.clients: list[Client] = []

    @property
    def came(self) -> int:
        """How many requests came."""
        return len(self.clients)

    @property
    def left(self) -> int:
        """How many of their clients have left since."""
        return sum(each.gone.done() for each in self.clients)

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, client: Client, *_exchange: object
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        account = next((value.decode() for name, value in request.headers if name.lower() == b"from"), "")
        self.clients.append(client)
        async with self._shared.ask(account, request, client, self._ask_gateway) as given:
            yield given

    @asynccontextmanager
    async def _ask_gateway(
        self, request: GatewayRequest, client: Client
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        if self._challenge is None:
            async with self._gateway.ask(request, replace(client, record=RequestRecord())) as (answer, _):
                headers = {name.lower(): value for name, value in answer.headers}
            (self._challenge,) = parse_challenges(headers[b"www-authenticate"].decode())
        self._count += 1
        login = authorize(
            self._challenge,
            username=self._sim.user,
            password=self._sim.password,
            method=request.method.decode(),
            uri=request.target.decode(),
            cnonce="0a4f113b",
            nc=self._count,
        )
        headers_ = [*request.headers, (b"Authorization", login.encode())]
        async with self._gateway.ask(replace(request, headers=headers_), client) as given:
            yield given


class House:
    """A proxy that shares, before a simulated gateway."""

    def __init__(self, sim: Simulator, rig: Rig, source: Sharing, clock: Clock) -> None:
        self.sim, self.rig, self.source, self.clock = sim, rig, source, clock

    @property
    def reads(self) -> list[Received]:
        """What the gateway was asked by somebody who is logged in."""
        return [each for each in self.sim.records if each.header(b"authorization")]

    def at_work(self) -> asyncio.Event:
        """Have the next logged-in request wait at the gateway until the event is set."""
        gate = asyncio.Event()
        self.sim.faults.set("slow", gate=gate, times=1, when=lambda one: bool(one.header(b"authorization")))
        return gate

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - a plain counter, there is nothing to wait for
                await asyncio.sleep(0)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    @asynccontextmanager
    async def running(vendor: str, cache_seconds: float = 0, **hasten: Any) -> AsyncIterator[House]:
        clock = Clock()
        shared = SharedAnswers(cache_seconds, clock, slowest=75)
        sources: list[Sharing] = []

        def source(pool: Pool, real: Callable[[], float]) -> Sharing:
            sources.append(Sharing(pool, real, sim, shared))
            return sources[0]

        monkeypatch.setattr(wiring, "Transparent", source)
        async with Simulator(vendor=vendor) as sim, proxy_for(sim, tmp_path, hasten=hasten) as rig:
            yield House(sim, rig, sources[0], clock)

    return running


def pair(one: Any) -> tuple[int, bytes]:
    return one.status_code, one.content


async def test_ten_identical_reads_in_flight_are_one_request_at_the_gateway(house: Callable[..., Any]) -> None:
    async with house("emh") as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        gate = one.at_work()
        getting = [asyncio.create_task(client.get(METERS)) for _ in range(10)]
        await one.until(lambda: one.source.came == 10)
        gate.set()
        answers = await asyncio.gather(*getting)
        assert {pair(each) for each in answers} == {(200, b'["1emh0012345678"]')}
        assert len(one.reads) == 1
        told = sorted(each.headers["Cache-Status"] for each in answers)
        assert told == ["smgw-proxy; fwd=uri-miss"] + ["smgw-proxy; fwd=uri-miss; collapsed"] * 9
        assert sorted(str(each.shared) for each in one.rig.reports) == ["None"] + ["collapsed"] * 9
        assert [each.reused is None for each in one.rig.reports].count(False) == 1


async def test_clients_of_three_kinds_have_one_answer(house: Callable[..., Any]) -> None:
    async with (
        house("theben", 60) as one,
        httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as first,
        aiohttp.ClientSession(one.rig.http) as second,
    ):
        path = f"/smgw/m2m/{one.sim.user}.sm/json"
        kept = await first.post(path, json=LAST)
        one.clock.now += 20
        async with second.post(path, json=LAST) as answer:
            assert await answer.read() == kept.content
            assert (answer.headers["Age"], answer.headers["Cache-Status"]) == ("20", "smgw-proxy; hit; ttl=40")
        third = await first.post(
            path,
            content=json.dumps(LAST, indent=2, sort_keys=True),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "Go-http-client/1.1",
                "Accept-Encoding": "gzip",
            },
        )
        assert third.content == kept.content
        assert kept.headers["Cache-Status"] == "smgw-proxy; fwd=uri-miss; stored"
        assert "Age" not in kept.headers
        assert json.loads(kept.content)["readings"]["records"] == "2"
        assert [each.shared for each in one.rig.reports] == ["stored", "hit", "hit"]
        assert len(one.reads) == 1


async def test_another_account_never_has_it(house: Callable[..., Any]) -> None:
    async with house("emh", 60) as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        for count, account in enumerate(("a", "b", "A", "a,b"), start=1):
            assert (await client.get(METERS, headers={"From": account})).headers["Cache-Status"].endswith("stored")
            assert len(one.reads) == count


async def test_the_first_client_leaves_and_the_others_have_their_answer(house: Callable[..., Any]) -> None:
    async with house("emh") as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        gate = one.at_work()
        getting = []
        for number in range(3):
            getting.append(asyncio.create_task(client.get(METERS)))
            await one.until(lambda number=number: one.source.came == number + 1)
        getting[0].cancel()
        await one.until(lambda: one.source.left == 1)
        gate.set()
        assert [pair(each) for each in await asyncio.gather(*getting[1:])] == [(200, b'["1emh0012345678"]')] * 2
        assert len(one.reads) == 1


async def test_all_leave_and_the_gateway_may_finish_in_peace(house: Callable[..., Any]) -> None:
    async with house("emh", 60) as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        gate = one.at_work()
        getting = [asyncio.create_task(client.get(METERS)) for _ in range(3)]
        await one.until(lambda: one.source.came == 3)
        await one.sim.wait_until(lambda: one.sim.journal.working == 1)
        for each in getting:
            each.cancel()
        await one.until(lambda: one.source.left == 3)
        gate.set()
        await one.sim.wait_until(lambda: one.sim.journal.working == 0)
        again = await client.get(METERS)
        assert again.status_code == 200
        assert (len(one.reads), one.sim.handshakes, one.sim.journal.peak_working) == (1, 1, 1)


async def test_all_leave_and_the_gateway_may_finish_what_is_not_shared(house: Callable[..., Any]) -> None:
    async with house("emh", 60) as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        assert (await client.get(METERS + "?first")).status_code == 200
        gate, rest = one.at_work(), asyncio.Event()
        one.sim.faults.set("stall-body", gate=rest, times=1, when=lambda one: bool(one.header(b"authorization")))
        getting = asyncio.create_task(client.get("/json/unknown"))
        await one.sim.wait_until(lambda: one.sim.journal.working == 1)
        getting.cancel()
        await one.until(one.source.clients[-1].gone.done)
        gate.set()
        again = asyncio.create_task(client.get(METERS))
        await one.until(lambda: one.rig.proxy.pool.status().waiting == 1)
        rest.set()
        assert (await again).status_code == 200
        assert (one.sim.handshakes, one.sim.journal.peak_working) == (1, 1)


async def test_a_locked_gateway_is_asked_once_for_ten(house: Callable[..., Any]) -> None:
    async with (
        house("emh", connect_timeout=0.5) as one,
        httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client,
    ):
        one.sim.faults.set("locked")
        answers = await asyncio.gather(*(client.get(METERS) for _ in range(10)))
        assert {each.status_code for each in answers} == {504}
        assert {each.json()["error"] for each in answers} == {"gateway_connect_timeout"}
        assert one.sim.connections == 1


async def test_an_error_of_the_gateway_is_never_shared(house: Callable[..., Any]) -> None:
    async with house("theben", 60) as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        path = f"/smgw/m2m/{one.sim.user}.sm/json"
        gate = one.at_work()
        getting = [asyncio.create_task(client.post(path, json={"method": "readings"})) for _ in range(3)]
        await one.until(lambda: one.source.came == 3)
        gate.set()
        assert {each.status_code for each in await asyncio.gather(*getting)} == {404}
        assert len(one.reads) == 3
        assert one.sim.journal.peak_working == 1


async def test_a_large_answer_reaches_each_whole_and_is_asked_for_each(house: Callable[..., Any]) -> None:
    month = {"fromtime": "2026-01-01T00:00:00Z", "totime": "2026-01-31T00:00:00Z"}
    question = {name: value for name, value in LAST.items() if name != "last-reading"} | month
    async with (
        house("theben", 60) as one,
        httpx.AsyncClient(base_url=one.rig.http, trust_env=False, timeout=30) as client,
    ):
        path = f"/smgw/m2m/{one.sim.user}.sm/json"
        gate = one.at_work()
        getting = [asyncio.create_task(client.post(path, json=question)) for _ in range(2)]
        await one.until(lambda: one.source.came == 2)
        gate.set()
        first, second = await asyncio.gather(*getting)
        assert len(first.content) > LARGEST
        assert first.content == second.content
        assert json.loads(first.content)["readings"]["records"] == str(2 * (30 * 96 + 1))
        assert len(one.reads) == 2


async def test_after_a_self_test_nothing_old_is_given(house: Callable[..., Any]) -> None:
    async with house("theben", 900) as one, httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client:
        path = f"/smgw/m2m/{one.sim.user}.sm/json"
        for method in ("smgw-info", "self-test", "self-test", "smgw-info"):
            assert (await client.post(path, json={"method": method})).status_code == 200
        assert one.sim.restarts == 2
        assert [each.shared for each in one.rig.reports] == ["stored", None, None, "stored"]


@pytest.mark.parametrize(("cache_seconds", "most"), [(60, 60), (900, 4)])
async def test_an_hour_of_ten_clients_is_that_of_one(
    house: Callable[..., Any], cache_seconds: float, most: int
) -> None:
    async with (
        house("emh", cache_seconds) as one,
        httpx.AsyncClient(base_url=one.rig.http, trust_env=False) as client,
    ):
        for minute in range(60):
            for number in range(10):
                one.clock.now = 60.0 * minute + 5.5 * number
                assert (await client.get(METERS)).status_code == 200
        assert len(one.rig.reports) == 600
        assert len(one.reads) == most
