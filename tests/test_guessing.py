"""Guessing passwords over real sockets: how many are looked at, and that nobody else is worse off for it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.digest import authorize, parse_challenges
from smgw_proxy_addon.guesses import FREE, PLACES
from tests.played_time import play
from tests.rig import Rig, proxy_for

USER, PASSWORD = "user-of-mine", "hunter2-secret"
OTHER = {"username": "other-user", "password": "other-secret"}
TARGET = "/json/metering/origin/"
SPEED = 50.0
"""Slow enough that the work of others, which counts for nothing, is not outrun by who waits."""


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


async def guess(rig: Rig, count: int, *, pause: float = 0.0, **who: Any) -> list[httpx.Response]:
    """Log in wrongly again and again over one connection."""
    answers = []
    async with Program(rig, **{"password": "wrong", **who}) as program:
        for _ in range(count):
            answers.append(await program.poll())
            await asyncio.sleep(pause)
    return answers


def checks(rig: Rig) -> Callable[[], int]:
    """Give what counts the wrong logins that were looked at."""
    return lambda: sum(report.detail == "wrong" for report in rig.reports)


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
            Program(rig, **{"user": OTHER["username"], "password": OTHER["password"]}, fresh=True) as another,
        ):
            assert (await mine.poll()).status_code == 200
            began, before = loop.time(), len(sim.records)
            checked = checks(rig)
            guessing = [asyncio.create_task(guess(rig, 50, pause=pause)) for _ in range(20)]
            while checked() <= FREE:
                await asyncio.sleep(0.1)
            rounds = 0
            while not all(task.done() for task in guessing):
                rounds += 1
                for right in (mine, elsewhere, another):
                    asked = loop.time()
                    assert (await right.poll()).status_code == 200
                    assert loop.time() - asked < 1.0, "nobody waits for guesses"
                assert checked() <= FREE + PLACES + loop.time() - began
                await asyncio.sleep(0.3)
            answers = [answer for task in guessing for answer in await task]
            assert len(answers) == 1000
            assert {answer.status_code for answer in answers} == {401, 429}
            assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"10"}
            seconds = loop.time() - began
            assert FREE + seconds - PLACES - 2 <= checked() <= FREE + PLACES + seconds
            assert len(sim.records) - before == 3 * rounds + 1, "and the second account's own login"
            async with Program(rig, fresh=True) as late:
                await asyncio.sleep(PLACES)
                asked = loop.time()
                assert (await late.poll()).status_code == 200
                assert loop.time() - asked <= 1.5, "the guesses that were not looked at cost nothing"
            await asyncio.sleep(FREE + PLACES)
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
            while checks(rig)() <= FREE:
                await asyncio.sleep(0.1)
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
        async with guarded(tmp_path) as (sim, rig):
            await guess(rig, FREE)
            waited: list[tuple[float, int]] = []

            async def one(password: str) -> None:
                async with Program(rig, password=password) as program:
                    asked = loop.time()
                    answer = await program.poll()
                    waited.append((loop.time() - asked, answer.status_code))

            passwords = ["a", "b", PASSWORD, "c", "d", "e", "f", "g"]
            trying = []
            for number, password in enumerate(passwords):
                reports = len(rig.reports)
                trying.append(asyncio.create_task(one(password)))
                while len(rig.reports) == reports:  # until it was asked for its login
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.02)
                assert len(waited) <= number
            assert (await guess(rig, 1, password=PASSWORD))[0].status_code == 429, "right or wrong"
            assert not sim.records
            await asyncio.gather(*trying)
            assert [status for _, status in waited] == [401, 401, 200, 401, 401, 401, 401, 401]
            times = [seconds for seconds, _ in waited]
            assert times == sorted(times)
            assert all(0.3 < later - sooner < 1.5 for sooner, later in zip(times, times[1:], strict=False))

    play(try_them(), speed=SPEED / 5)


def test_a_wrong_password_with_a_made_up_nonce_is_a_guess_too(tmp_path: Path) -> None:
    async def try_them() -> None:
        async with guarded(tmp_path) as (_, rig), httpx.AsyncClient(base_url=rig.http, trust_env=False) as client:
            asked = (await client.get(TARGET)).headers["www-authenticate"]
            nonce = parse_challenges(asked)[0].nonce
            challenge = parse_challenges(asked.replace(nonce, "0" * 64))[0]

            async def one(password: str) -> httpx.Response:
                what = {"username": USER, "method": "GET", "uri": TARGET, "cnonce": "c", "nc": 1}
                value = authorize(challenge, password=password, **what)
                return await client.get(TARGET, headers={"Authorization": value})

            answers = [await one(password) for password in ["wrong"] * FREE + [PASSWORD]]
            stale = [parse_challenges(answer.headers["www-authenticate"])[0].stale for answer in answers]
            assert stale == [False] * FREE + [True], "this is how a guess would show that it is right"
            assert rig.reports[-1].waiting > 0
            assert rig.reports[-2].waiting == 0

    play(try_them(), speed=SPEED)


def test_a_client_that_leaves_gives_up_its_turn(tmp_path: Path) -> None:
    async def try_them() -> None:
        loop = asyncio.get_running_loop()
        async with guarded(tmp_path) as (sim, rig):
            await guess(rig, FREE)
            trying = [asyncio.create_task(guess(rig, 1)) for _ in range(PLACES)]
            while (await guess(rig, 1))[0].status_code != 429:
                await asyncio.sleep(0.01)
            before = checks(rig)()
            for task in trying:
                task.cancel()
            await asyncio.gather(*trying, return_exceptions=True)
            asked = loop.time()
            while sum(report.code == "client_gone" for report in rig.reports) < PLACES - 2:
                await asyncio.sleep(0.01)
            assert loop.time() - asked < 1.0
            assert (await guess(rig, 1, password=PASSWORD))[0].status_code == 200
            assert checks(rig)() - before <= 2
            assert len(sim.records) == 2
            assert rig.proxy.pool.status().active == 0

    play(try_them(), speed=SPEED / 5)


def test_a_proxy_that_stops_does_not_wait_for_them(tmp_path: Path) -> None:
    async def try_them() -> list[asyncio.Task[list[httpx.Response]]]:
        async with guarded(tmp_path) as (_, rig):
            await guess(rig, FREE)
            trying = [asyncio.create_task(guess(rig, 1)) for _ in range(PLACES)]
            while (await guess(rig, 1))[0].status_code != 429:
                await asyncio.sleep(0.01)
            stopping = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stopping < PLACES / 2
        await asyncio.gather(*trying, return_exceptions=True)
        return trying

    began = time.monotonic()
    trying = play(try_them(), speed=SPEED / 5)
    codes = [task.result()[0].status_code for task in trying if not task.exception()]
    assert 503 in codes
    assert time.monotonic() - began < 30
