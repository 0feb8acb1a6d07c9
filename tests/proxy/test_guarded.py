"""Wrong passwords of transparent clients, over real sockets: the gateway never locks, nobody else is held back."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.errors import ABORT
from tests.gateway.test_ppc_clients import PpcClient
from tests.rig import Rig, proxy_for

PATHS = {"theben": "/smgw/m2m", "emh": "/json/metering/origin/", "ppc": "/cgi-bin/hanservice.cgi"}
VENDOR = pytest.mark.parametrize("vendor", PATHS)
LOCKS_AFTER = 5


class Clock:
    """Seconds that go on by hand, for the proxy and the gateway."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def wrong(
    folder: Path,
    vendor: str,
    *,
    password: str = "wrong",
    lock_after: int = LOCKS_AFTER,
    gateway: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Simulator, Rig, httpx.AsyncClient]]:
    async with (
        Simulator(vendor=vendor, lock_after=lock_after, **(gateway or {})) as sim,
        proxy_for(sim, folder, **options) as rig,
        httpx.AsyncClient(
            base_url=rig.http, auth=httpx.DigestAuth(sim.user, password), trust_env=False, timeout=30
        ) as client,
    ):
        yield sim, rig, client


async def ask(client: httpx.AsyncClient, path: str) -> int:
    """Return the status, ``ABORT`` for a connection that was closed instead."""
    try:
        return (await client.get(path)).status_code
    except httpx.RemoteProtocolError:
        return ABORT


def tried(sim: Simulator) -> int:
    """Return how many logins reached the gateway."""
    return sum(record.login != "none" for record in sim.records)


@VENDOR
async def test_six_logins_in_a_row_do_not_lock_the_gateway(
    tmp_path: Path, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with wrong(tmp_path, vendor) as (sim, rig, client):
        statuses = [await ask(client, PATHS[vendor]) for _ in range(6)]
        # httpx logs in twice with its second request: with the nonce that it has, and with the new one.
        assert statuses == ([ABORT] * 3 if vendor == "theben" else [401] * 2) + [429] * statuses.count(429)
        assert (tried(sim), sim.login.locks) == (3, 0)
        answer = await client.get(PATHS[vendor])
        assert answer.json()["error"] == "login_held_back"
        assert 50 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["Retry-After"] in answer.json()["cause"]
        assert rig.proxy.held_back() == ("127.0.0.1",)
    told = [record for record in caplog.records if "held back for 60 s" in record.message]
    assert len(told) == 1
    assert "127.0.0.1" in told[0].message
    assert sim.user not in "".join(record.message for record in caplog.records if record.levelno >= logging.WARNING)


@VENDOR
async def test_a_thousand_wrong_logins_reach_the_gateway_five_times_at_most(tmp_path: Path, vendor: str) -> None:
    async with wrong(tmp_path, vendor, max_connections=4) as (sim, _, client):
        login = (
            f'Digest username="{sim.user}", realm="x", nonce="n", uri="{PATHS[vendor]}", response="{"0" * 32}", '
            'qop=auth, nc=00000001, cnonce="c"'
        )

        async def many(number: int) -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as other:
                for _ in range(50):
                    with contextlib.suppress(httpx.RemoteProtocolError):
                        url = f"{client.base_url}{PATHS[vendor]}"
                        await other.get(url, headers={"Authorization": login.replace('"n"', f'"{number}"')})

        await asyncio.gather(*(many(number) for number in range(20)))
        assert tried(sim) <= LOCKS_AFTER
        assert sim.login.locks == 0


@VENDOR
async def test_further_logins_go_on_after_the_hold_and_a_right_one_ends_it(tmp_path: Path, vendor: str) -> None:
    clock = Clock()
    async with wrong(tmp_path, vendor, clock=clock, lock_after=9) as (sim, rig, client):
        for _ in range(4):
            await ask(client, PATHS[vendor])
        assert tried(sim) == 3
        clock.now += 59
        assert await ask(client, PATHS[vendor]) == 429
        clock.now += 1
        statuses = [await ask(client, PATHS[vendor]) for _ in range(3)]
        assert tried(sim) == 5, "one with the old nonce, and one with another"
        assert statuses[-1] == 429
        assert int((await client.get(PATHS[vendor])).headers["Retry-After"]) == 120
        clock.now += 120
        client.auth = httpx.DigestAuth(sim.user, sim.password)
        assert await ask(client, PATHS[vendor]) < 400
        assert rig.proxy.held_back() == ()
        assert sim.login.locks == 0


@VENDOR
async def test_others_are_let_through_meanwhile(tmp_path: Path, vendor: str) -> None:
    gateway = {"further_users": {"other": "right"}}
    async with wrong(tmp_path, vendor, gateway=gateway) as (_, __, client):
        for _ in range(4):
            await ask(client, PATHS[vendor])
        assert (await client.get(PATHS[vendor], auth=httpx.DigestAuth("other", "right"))).status_code < 400
        assert (await client.get(PATHS[vendor], auth=None)).status_code == 401, "a request without a login is none"


async def test_a_name_that_was_accepted_is_not_held_back(tmp_path: Path) -> None:
    async with wrong(tmp_path, "emh", password="gateway") as (sim, _, client):
        assert await ask(client, PATHS["emh"]) == 200
        client.auth = httpx.DigestAuth(sim.user, "wrong")
        assert [await ask(client, PATHS["emh"]) for _ in range(4)] == [401] * 4


async def test_a_nonce_that_has_expired_is_no_refusal(tmp_path: Path) -> None:
    async with wrong(tmp_path, "emh", password="gateway") as (sim, rig, client):
        for _ in range(6):
            sim.login.lifetime = timedelta(minutes=5)
            assert await ask(client, PATHS["emh"]) == 200
            sim.login.lifetime = timedelta(0)  # the next login is answered with stale=true
            assert await ask(client, PATHS["emh"]) == 401
        assert rig.proxy.held_back() == ()


async def test_the_end_of_a_session_of_ppc_is_no_refusal(tmp_path: Path) -> None:
    async with Simulator(vendor="ppc") as sim, proxy_for(sim, tmp_path) as rig:
        client = PpcClient(rig.http, sim)
        for _ in range(4):
            assert await client.poll() == [200] * 4
        await client.session.aclose()
        assert rig.proxy.held_back() == ()


async def test_the_option_switches_it_off(tmp_path: Path) -> None:
    async with wrong(tmp_path, "emh", hold_back_logins=False) as (sim, rig, client):
        assert [await ask(client, PATHS["emh"]) for _ in range(6)] == [401] * 6
        assert tried(sim) == 11
        assert sim.login.locks == 1
        assert rig.proxy.held_back() == ()


@VENDOR
async def test_curl_does_not_lock_the_gateway(tmp_path: Path, vendor: str, require: Any) -> None:
    require("curl")
    async with wrong(tmp_path, vendor) as (sim, _, client):
        command = ["curl", "-q", "-s", "--noproxy", "*", "--max-time", "20", "--digest", "-u", f"{sim.user}:wrong"]
        codes = []
        for _ in range(6):
            url = f"{client.base_url}{PATHS[vendor]}"
            process = await asyncio.create_subprocess_exec(
                *command, "-o", "/dev/null", "-w", "%{http_code}", url, stdout=asyncio.subprocess.PIPE
            )
            codes.append((await process.communicate())[0])
        assert codes[-1] == b"429"
        assert tried(sim) <= 4
        assert sim.login.locks == 0


async def test_basic_before_digest_stays_possible(tmp_path: Path) -> None:
    async with wrong(tmp_path, "emh", password="gateway") as (sim, _, client):
        for _ in range(5):
            basic = await client.get(PATHS["emh"], auth=httpx.BasicAuth(sim.user, sim.password))
            assert basic.status_code == 401
            assert await ask(client, PATHS["emh"]) == 200
