"""Several clients of a gateway that allows one session, through the whole proxy; and no client starves another."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.gateway import Simulator
from simulator.messages import Received
from smgw_proxy_addon.gateway.ppc_session import PpcSession
from smgw_proxy_addon.gateway.scheduler import Scheduler
from smgw_proxy_addon.logs import request_line
from smgw_proxy_addon.program import wiring
from tests.rig import Rig, proxy_for

CGI = "/cgi-bin/hanservice.cgi"
LOGIN = {"Authorization": 'Digest username="demo"'}
LOGGED_IN_ALREADY = "bereits ein Benutzer angemeldet"


@dataclass
class PpcClient:
    """Asks as py-ppc-smgw does: a Digest login, a cookie sent under two names, forms, a logout.

    With ``fresh`` each request is challenged anew, also in the middle of the session.
    """

    url: str
    sim: Simulator
    fresh: bool = False
    session: httpx.AsyncClient = field(init=False)
    cookies: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.session = httpx.AsyncClient(trust_env=False, timeout=10)
        self.auth = httpx.DigestAuth(self.sim.user, self.sim.password)

    async def log_in(self) -> httpx.Response:
        self.auth = httpx.DigestAuth(self.sim.user, self.sim.password)
        self.cookies = {}
        self.session.cookies.clear()
        answer = await self.session.get(self.url + CGI, auth=self.auth)
        if answer.status_code == 200:
            assert LOGGED_IN_ALREADY not in answer.text
            self.cookies = {"Cookie": answer.cookies["session"]}
        return answer

    async def submit(self, action: str, **fields: str) -> httpx.Response:
        if self.fresh:
            self.auth = httpx.DigestAuth(self.sim.user, self.sim.password)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.all_cookies())}
        return await self.session.post(
            self.url + CGI, data={"action": action, **fields}, auth=self.auth, headers=headers
        )

    def all_cookies(self) -> list[tuple[str, str]]:
        return [*self.cookies.items(), *self.session.cookies.items()]

    async def log_out(self) -> httpx.Response:
        self.cookies = {}
        return await self.submit("logout")

    async def poll(self) -> list[int]:
        """Log in, read, log out; return the statuses."""
        answers = [await self.log_in(), await self.submit("meterform")]
        answers.append(await self.submit("showMeterProfile", mid="41f3a8ed992e8ee9da39a3084a387ac3"))
        answers.append(await self.log_out())
        assert "table_metervalues_col_wert" in answers[2].text
        return [answer.status_code for answer in answers]


@asynccontextmanager
async def clients(rig: Rig, sim: Simulator, count: int = 2, *, fresh: bool = False) -> AsyncIterator[list[PpcClient]]:
    made = [PpcClient(rig.http, sim, fresh) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            await each.session.aclose()


def hasten(monkeypatch: pytest.MonkeyPatch, *, session_timeout: float = 8.0, **session: Any) -> None:
    """Give the proxies of this test other timeouts."""
    monkeypatch.setattr(
        wiring, "Scheduler", partial(Scheduler, session_timeout=session_timeout, session=PpcSession(**session))
    )


class Clock:
    """The simulator's clock: the real time and ``ahead``."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def value_of(record: Received) -> bytes | None:
    """Return the session that a request names."""
    for pair in (record.header(b"cookie") or b"").split(b"; "):
        name, _, value = pair.partition(b"=")
        if name == b"session":
            return value
    return None


def sessions(sim: Simulator) -> list[str]:
    """Return what was asked in each session, in the order of arrival; fails if two sessions overlap."""
    asked: list[list[str]] = []
    values: list[set[bytes | None]] = []
    for record in sim.records:
        if not record.authorized or record.path != CGI.encode():
            continue
        if record.method == "GET":
            assert not asked or asked[-1][-1] == "logout", asked
            asked.append(["login"])
            values.append(set())
        else:
            asked[-1].append(record.body.partition(b"&")[0].removeprefix(b"action=").decode())
            values[-1].add(value_of(record))
    assert [len(each) for each in values] == [1] * len(asked)
    return [" ".join(each) for each in asked]


async def until_waiting(rig: Rig, count: int) -> None:
    async with asyncio.timeout(10):
        while rig.proxy.pool.status().waiting != count:  # noqa: ASYNC110 - a number, nothing tells of its change
            await asyncio.sleep(0.002)


# One after the other


@pytest.mark.parametrize("fresh", [False, True], ids=["one-digest", "fresh-digests"])
@pytest.mark.parametrize("places", ["1", "2"])
async def test_clients_that_poll_in_the_same_second_all_succeed_one_session_after_the_other(
    tmp_path: Path, places: str, fresh: bool
) -> None:
    async with (
        Simulator(vendor="ppc", request_delay=0.02) as sim,
        proxy_for(sim, tmp_path, max_connections=places) as rig,
        clients(rig, sim, 3, fresh=fresh) as three,
    ):
        for _ in range(2):
            polls = await asyncio.gather(*(client.poll() for client in three))
            assert polls == [[200] * 4] * 3
        assert sessions(sim) == ["login meterform showMeterProfile logout"] * 6
        assert {report.code for report in rig.reports} == {None}


async def test_others_pass_while_one_waits_for_a_session(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (first, second),
    ):
        await first.log_in()
        waiting = asyncio.create_task(second.poll())
        await until_waiting(rig, 1)
        answer = await second.session.get(rig.http + "/sim/status/200")
        assert answer.status_code == 200
        assert (await first.submit("meterform")).status_code == 200
        assert not waiting.done()
        assert (await first.log_out()).status_code == 200
        assert await waiting == [200] * 4
        assert max(report.waiting for report in rig.reports) > 0.005


async def test_a_login_on_its_way_lets_no_other_go_but_everything_else(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path, max_connections="2") as rig,
        clients(rig, sim) as (first, second),
    ):
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, when=lambda record: record.header(b"authorization") is not None)
        polls = [asyncio.create_task(client.poll()) for client in (first, second)]
        await until_waiting(rig, 1)
        assert (await second.session.get(rig.http + "/sim/status/200")).status_code == 200
        # The second one's first request passed: the gateway only asks for the login.
        assert sim.journal.heads == 4
        gate.set()
        assert await asyncio.gather(*polls) == [[200] * 4] * 2
        assert sim.journal.peak_working == 2
        assert len(sessions(sim)) == 2


async def test_a_session_from_before_a_restart_of_the_proxy_is_kept(tmp_path: Path) -> None:
    async with Simulator(vendor="ppc") as sim, proxy_for(sim, tmp_path) as before, clients(before, sim) as (one, two):
        await one.log_in()
        await before.proxy.stop(grace=0.1)
        async with proxy_for(sim, tmp_path) as rig:
            one.url = two.url = rig.http
            assert (await one.submit("meterform")).status_code == 200
            waiting = asyncio.create_task(two.poll())
            await until_waiting(rig, 1)
            await one.log_out()
            assert await waiting == [200] * 4
        assert len(sessions(sim)) == 2


# Clients that do not log out


async def test_a_holder_that_goes_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch, idle_timeout=0.3)
    clock = Clock()
    async with (
        Simulator(vendor="ppc", clock=clock) as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (silent, other),
    ):
        await silent.log_in()
        clock.ahead += timedelta(minutes=11)  # the gateway forgets it, too
        begun = time.monotonic()
        assert await other.poll() == [200] * 4
        assert time.monotonic() - begun >= 0.25
        # The silent one has no session any more, and logs in anew.
        assert (await silent.submit("meterform")).headers["set-cookie"].startswith("session=")
        assert (await silent.log_out()).status_code == 200
        assert await silent.poll() == [200] * 4


async def test_a_holder_that_never_logs_out_yields_when_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, max_duration=0.6)
    async with (
        Simulator(vendor="ppc", request_delay=0.01) as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (endless, other),
    ):
        await endless.log_in()
        begun = time.monotonic()
        asking = asyncio.create_task(other.session.get(rig.http + CGI, auth=other.auth))
        while not asking.done() and time.monotonic() - begun < 5:
            assert (await endless.submit("meterform")).status_code in {200, 503}
        # The gateway itself still has the first session: this answer is its own, not the proxy's.
        assert LOGGED_IN_ALREADY in (await asking).text
        assert 0.5 < time.monotonic() - begun < 4


async def test_who_waits_for_too_long_is_told_so_and_the_holder_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, session_timeout=0.2)
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (first, second),
    ):
        await first.log_in()
        # The gateway asks for the login, which needs no session: some programs take any first answer for that.
        assert (await second.session.get(rig.http + CGI)).status_code == 401
        heads = sim.journal.heads
        refused = await second.session.get(rig.http + CGI, headers=LOGIN)
        assert (refused.status_code, refused.json()["error"]) == (503, "session_busy")
        assert refused.headers["retry-after"] == "15"
        assert sim.journal.heads == heads
        for language, words in (("en", "Somebody else is logged in"), ("de", "schon jemand angemeldet")):
            page = await second.session.get(
                rig.http + CGI, headers={**LOGIN, "Accept": "text/html", "Accept-Language": language}
            )
            assert (page.status_code, words in page.text) == (503, True)
        assert (await first.log_out()).status_code == 200
        assert await second.poll() == [200] * 4
        shown = "".join(map(request_line, rig.reports)) + refused.text + page.text
        assert "waiting=2" in shown
        assert not any(value and value.decode() in shown for value in map(value_of, sim.records))


async def test_a_client_that_leaves_while_it_waits_for_a_session_gives_up_its_place(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (first, second),
    ):
        await first.log_in()
        heads = sim.journal.heads
        impatient = asyncio.create_task(second.poll())
        await until_waiting(rig, 1)
        impatient.cancel()
        await until_waiting(rig, 0)
        assert rig.reports[-1].code == "client_gone"
        await first.log_out()
        assert sim.journal.heads == heads + 2  # it asked for the challenge
        assert await second.poll() == [200] * 4


async def test_a_login_whose_answer_never_came_keeps_nobody_out(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (first, second),
    ):
        sim.faults.set("drop", times=1)
        assert (await first.log_in()).status_code == 502
        assert await second.poll() == [200] * 4


async def test_a_stopping_proxy_ends_the_wait_for_a_session(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="ppc") as sim,
        proxy_for(sim, tmp_path) as rig,
        clients(rig, sim) as (first, second),
    ):
        await first.log_in()
        waiting = asyncio.create_task(second.session.get(rig.http + CGI, headers=LOGIN))
        await until_waiting(rig, 1)
        rig.proxy.pool.cancel_waiting()
        answer = await waiting
        assert (answer.status_code, answer.json()["error"]) == (503, "shutting_down")


# Fairness


def greedy_client() -> httpx.AsyncClient:
    """A client at another address, without a limit of connections."""
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2", limits=httpx.Limits(max_connections=None))
    return httpx.AsyncClient(transport=transport, trust_env=False, timeout=20)


async def test_a_greedy_client_starves_nobody(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, greedy_client() as greedy:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        thirty = [
            asyncio.create_task(greedy.get(f"{rig.http}/sim/status/200?greedy{number}")) for number in range(30)
        ]
        await until_waiting(rig, 29)
        async with httpx.AsyncClient(trust_env=False, timeout=20) as modest:
            two = [asyncio.create_task(modest.get(f"{rig.http}/sim/status/200?modest")) for _ in range(2)]
            await until_waiting(rig, 31)
            gate.set()
            answers = await asyncio.gather(*thirty, *two)
        assert {answer.status_code for answer in answers} == {200}
        order = [record.query.decode().rstrip("0123456789") for record in sim.records]
        assert order[:5].count("modest") == 2, order
        assert sim.journal.peak_working == 1


async def ask_often(rig: Rig, count: int) -> list[int]:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return [(await client.get(rig.http + "/sim/status/200")).status_code for _ in range(count)]


async def test_a_burst_of_64_clients_on_a_fast_gateway_is_served_whole(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answers = await asyncio.gather(*(ask_often(rig, 4) for _ in range(64)))
        assert answers == [[200] * 4] * 64
        assert (sim.connections, sim.journal.peak_working) == (1, 1)


async def test_the_time_in_the_overflow_queue_is_waiting_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[str, Any] = {"overflow_timeout": 0.15}
    monkeypatch.setattr(wiring, "Scheduler", partial(Scheduler, **limits))
    monkeypatch.setattr(wiring, "ROOM", 0)
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate)
        first = asyncio.create_task(ask_often(rig, 1))
        await sim.wait_for_heads(1)
        assert await ask_often(rig, 1) == [503]
        (refused,) = rig.reports
        assert refused.code == "queue_full"
        assert 0.15 <= refused.waiting < 2
        gate.set()
        assert await first == [200]
