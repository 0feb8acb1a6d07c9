"""Guessing passwords over real sockets: how many are checked, and that no other client is delayed by it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.auth.throttle import BURST, MOST_DELAYED
from smgw_proxy_addon.http.digest import authorize, parse_challenges
from tests.played_time import play
from tests.rig import Rig, proxy_for

USER, PASSWORD = "user-of-mine", "hunter2-secret"
OTHER = {"username": "other-user", "password": "other-secret"}
TARGET = "/json/metering/origin/"
SPEED = 50.0
"""Slow enough that the proxy's work, which takes no played time, keeps up with those who wait."""


@asynccontextmanager
async def guarded(folder: Path, **options: Any) -> AsyncIterator[tuple[Simulator, Rig]]:
    """Run a gateway and a proxy with two accounts, in played time."""
    accounts = [{"username": USER, "password": PASSWORD}, OTHER]
    gateway = Simulator(vendor="emh", user=USER, password=PASSWORD, further_users={"other-user": "other-secret"})
    clock = asyncio.get_running_loop().time
    async with gateway, proxy_for(gateway, folder, accounts=accounts, clock=clock, **options) as rig:
        yield gateway, rig


class Program:
    """A client with one connection; it keeps its nonce unless it is ``fresh``."""

    def __init__(
        self, rig: Rig, user: str = USER, password: str = PASSWORD, *, address: str = "127.0.0.1", fresh: bool = False
    ) -> None:
        transport = httpx.AsyncHTTPTransport(local_address=address)
        self._client = httpx.AsyncClient(base_url=rig.http, transport=transport, trust_env=False, timeout=30)
        self._user, self._password, self._fresh = user, password, fresh
        self._challenge = ""
        self._count = 0

    async def __aenter__(self) -> "Program":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def poll(self) -> httpx.Response:
        """Ask once, with a login."""
        if self._fresh or not self._challenge:
            self._challenge = (await self._client.get(TARGET)).headers["www-authenticate"]
            self._count = 0
        self._count += 1
        login = authorize(
            parse_challenges(self._challenge)[0],
            username=self._user,
            password=self._password,
            method="GET",
            uri=TARGET,
            cnonce="c",
            nc=self._count,
        )
        return await self._client.get(TARGET, headers={"Authorization": login})


async def guess(rig: Rig, count: int | Iterator[int], *, pause: float = 0.0, **who: Any) -> list[httpx.Response]:
    """Log in wrongly again and again over one connection; several may share the numbers of their guesses."""
    answers = []
    async with Program(rig, **{"password": "wrong", **who}) as program:
        for _ in range(count) if isinstance(count, int) else count:
            answers.append(await program.poll())
            await asyncio.sleep(pause)
    return answers


def checked(rig: Rig) -> int:
    """Return the number of wrong logins that were checked."""
    return sum(report.detail == "wrong" for report in rig.reports)


async def until(rig: Rig, happened: Callable[[], bool]) -> None:
    """Wait for a request after which something is true."""
    true = asyncio.Event()
    rig.listen(lambda _: true.set() if happened() else None)
    await true.wait()


@pytest.mark.parametrize("pause", [0.0, 1.0], ids=["as fast as it goes", "one a second each"])
def test_a_thousand_guesses_over_twenty_connections(
    tmp_path: Path, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with (
            guarded(tmp_path) as (sim, rig),
            Program(rig) as mine,
            Program(rig, address="127.0.0.2", fresh=True) as elsewhere,
            Program(rig, OTHER["username"], OTHER["password"], fresh=True) as another,
        ):
            assert (await mine.poll()).status_code == 200
            began, before = loop.time(), len(sim.records)
            numbers = iter(range(1000))
            guessing = [asyncio.create_task(guess(rig, numbers, pause=pause)) for _ in range(20)]
            await until(rig, lambda: checked(rig) > BURST)
            rounds = 0
            while not all(task.done() for task in guessing):
                rounds += 1
                for right in (mine, elsewhere, another):
                    asked = loop.time()
                    assert (await right.poll()).status_code == 200
                    assert loop.time() - asked < 1.0, "nobody waits for guesses"
                assert checked(rig) <= BURST + MOST_DELAYED + loop.time() - began
                await asyncio.sleep(1.0)
            answers = [answer for task in guessing for answer in await task]
            assert len(answers) == 1000
            assert {answer.status_code for answer in answers} == {401, 429}
            assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"10"}
            seconds = loop.time() - began
            assert BURST + seconds - MOST_DELAYED - 2 <= checked(rig) <= BURST + MOST_DELAYED + seconds
            assert len(sim.records) - before == 3 * rounds + 1, "and the second account's own login"
            async with Program(rig, fresh=True) as late:
                await asyncio.sleep(MOST_DELAYED)
                asked = loop.time()
                assert (await late.poll()).status_code == 200
                assert loop.time() - asked <= 1.5, "the guesses that were not looked at cost nothing"
            await asyncio.sleep(BURST + MOST_DELAYED)
            assert (await mine.poll()).status_code == 200
            await elsewhere.poll()

    caplog.set_level(logging.INFO)
    play(try_them(), speed=SPEED)
    news = [record.getMessage() for record in caplog.records if "wrong logins" in record.getMessage()]
    assert len(news) == 2
    assert all("127.0.0.1" in line for line in news)
    assert not any(secret in caplog.text for secret in (USER, PASSWORD, "wrong-", OTHER["username"]))


def test_a_program_that_never_stops_delays_the_right_one_at_its_address_by_seconds(tmp_path: Path) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with guarded(tmp_path) as (_, rig), Program(rig, fresh=True) as mine:
            stubborn = [asyncio.create_task(guess(rig, 40)) for _ in range(2)]
            await until(rig, lambda: checked(rig) > BURST)
            for _ in range(5):
                asked = loop.time()
                assert (await mine.poll()).status_code == 200
                assert loop.time() - asked < 4.0
            for task in stubborn:
                task.cancel()
            await asyncio.gather(*stubborn, return_exceptions=True)

    play(try_them(), speed=SPEED)


def test_a_wrong_password_that_is_tried_every_few_seconds_delays_nobody(tmp_path: Path) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with guarded(tmp_path) as (_, rig), Program(rig, fresh=True) as mine:
            wrong = asyncio.create_task(guess(rig, 60, pause=2.0, fresh=True))
            while not wrong.done():
                asked = loop.time()
                assert (await mine.poll()).status_code == 200
                assert loop.time() - asked < 0.9
                await asyncio.sleep(1.0)
            assert {answer.status_code for answer in wrong.result()} == {401}

    play(try_them(), speed=SPEED)


def test_neither_time_nor_status_tells_before_its_turn_which_guess_is_right(tmp_path: Path) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with guarded(tmp_path) as (_, rig):
            await guess(rig, BURST)

            async def one(password: str) -> tuple[int, float]:
                async with Program(rig, password=password) as program:
                    asked = loop.time()
                    return (await program.poll()).status_code, loop.time() - asked

            passwords = [PASSWORD, "wrong"] * (MOST_DELAYED // 2 + 3)
            answers = sorted(await asyncio.gather(*map(one, passwords)), key=itemgetter(1))
            assert [status for status, _ in answers[:6]] == [429] * 6, "right or wrong"
            assert {status for status, _ in answers[6:]} == {200, 401}
            times = [seconds for _, seconds in answers[6:]]
            assert times == pytest.approx([number + 1 for number in range(MOST_DELAYED)], abs=0.5), "right or wrong"

    play(try_them(), speed=SPEED / 5)


def test_a_wrong_password_with_a_made_up_nonce_is_a_guess_too(tmp_path: Path) -> None:
    async def try_them() -> None:
        async with guarded(tmp_path) as (_, rig), httpx.AsyncClient(base_url=rig.http, trust_env=False) as client:
            asked = (await client.get(TARGET)).headers["www-authenticate"]
            nonce = parse_challenges(asked)[0].nonce
            challenge = parse_challenges(asked.replace(nonce, "0" * 64))[0]

            async def one(password: str) -> httpx.Response:
                value = authorize(
                    challenge, username=USER, password=password, method="GET", uri=TARGET, cnonce="c", nc=1
                )
                return await client.get(TARGET, headers={"Authorization": value})

            answers = [await one(password) for password in ["wrong"] * BURST + [PASSWORD]]
            stale = [parse_challenges(answer.headers["www-authenticate"])[0].stale for answer in answers]
            assert stale == [False] * BURST + [True], "this is how a guess would show that it is right"
            assert rig.reports[-1].waiting > 0
            assert rig.reports[-2].waiting == 0

    play(try_them(), speed=SPEED)


async def fill(rig: Rig) -> list[asyncio.Task[list[httpx.Response]]]:
    """Have as many logins delayed as may be; returns when they are."""
    await guess(rig, BURST)
    trying = [asyncio.create_task(guess(rig, 1)) for _ in range(MOST_DELAYED + 1)]
    done, waiting = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result()[0].status_code for task in done] == [429]
    return list(waiting)


def test_a_client_that_leaves_gives_up_its_turn(tmp_path: Path) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with guarded(tmp_path) as (sim, rig):
            waiting = await fill(rig)
            await asyncio.sleep(0.3)  # who closes right behind a request may still read
            left = loop.time()
            for task in waiting:
                task.cancel()
            await until(rig, lambda: sum(report.code == "client_gone" for report in rig.reports) == MOST_DELAYED)
            assert (await guess(rig, 1, password=PASSWORD))[0].status_code == 200
            assert loop.time() - left < 2.0
            assert checked(rig) == BURST
            assert [record.login for record in sim.records] == ["none", "accepted"]
            assert rig.proxy.pool.status().active == 0

    play(try_them(), speed=SPEED / 5)


def test_a_proxy_that_stops_does_not_wait_for_them(tmp_path: Path) -> None:
    async def try_them() -> None:
        async with guarded(tmp_path) as (sim, rig):
            waiting = await fill(rig)
        answers = [task.result()[0] for task in (await asyncio.wait(waiting))[0]]
        assert {answer.status_code for answer in answers} == {503}
        assert not sim.records

    play(try_them(), speed=SPEED / 5)
