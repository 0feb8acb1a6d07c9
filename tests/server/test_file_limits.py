"""A process without file descriptors: who is served, what the others are told, and the way back."""

import asyncio
import re
import resource
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import psutil

from smgw_proxy_addon.server.file_limits import RESERVED
from tests.faults.scene import IN_BOTH_MODES, SECRETS, Mode, auth_of, flags_of, gateway_for
from tests.process import Program, proxy_program
from tests.server.test_acceptor import peers
from tests.waiting import until

CLIENTS: Final = 32
"""Connections that clients may have in a process with few descriptors."""

CROWD: Final = 100
SEVERAL: Final = 8

BEGINS, ENDS = "Nothing more can be opened for now", "can be opened again"

WATCHED: Final = 1.0
"""Seconds for which the processor time is watched."""


Answered = tuple[int, str | None]
SERVED: Final[Answered] = (200, None)
TOLD: Final[Answered] = (503, "out_of_descriptors")


def client_of(mode: Mode) -> httpx.AsyncClient:
    """Make a client that keeps its connection, and the nonce that it was given."""
    return httpx.AsyncClient(trust_env=False, timeout=20, auth=auth_of(mode))


async def ask(program: Program, client: httpx.AsyncClient) -> Answered:
    """Ask once; returns the status and the code of the proxy's error."""
    answer = await client.get(f"{program.http}/sim/status/200")
    if answer.status_code == 200:
        return 200, None
    told = answer.json()
    assert "open files" in told["remedy"]
    assert "limit" in told["remedy"]
    return answer.status_code, told["error"]


async def ask_anew(program: Program, mode: Mode) -> Answered:
    """Ask once on a new connection."""
    async with client_of(mode) as client:
        return await ask(program, client)


def port_of(program: Program) -> int:
    return int(program.http.rpartition(":")[2])


def limit(program: Program, spare: int) -> None:
    """Let the process open so many more files, and none beyond the ones it has."""
    pid = program.process.pid
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    free = [number for number in range(len(taken) + spare + 1) if number not in taken]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[spare], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


async def until_connections(program: Program, number: int) -> None:
    """Wait until the process has so many."""
    process = psutil.Process(program.process.pid)

    def there() -> int:
        return sum(each.status != psutil.CONN_LISTEN for each in process.net_connections("tcp"))

    await until(lambda: there() == number)


@IN_BOTH_MODES
async def test_clients_do_not_take_what_the_way_to_the_gateway_needs(tmp_path: Path, mode: Mode) -> None:
    flags = ("--status-port", "0", *flags_of(mode, tmp_path))
    async with (
        gateway_for(mode) as sim,
        proxy_program(tmp_path, sim.authority, *flags, descriptors=RESERVED + CLIENTS) as program,
        AsyncExitStack() as crowd,
    ):
        for _ in range(CROWD):
            await crowd.enter_async_context(peers(port_of(program)))
        for _ in range(3):
            assert await ask_anew(program, mode) == SERVED
            sim.close_connections()  # the next one needs a new connection
        assert psutil.Process(program.process.pid).num_fds() < RESERVED
        assert BEGINS not in program.output


@IN_BOTH_MODES
async def test_without_descriptors_and_back(tmp_path: Path, mode: Mode) -> None:
    flags = ("--log-dir", str(tmp_path / "logs"), "--status-port", "0", *flags_of(mode, tmp_path))
    async with (
        gateway_for(mode) as sim,
        proxy_program(tmp_path, sim.authority, *flags) as program,
        AsyncExitStack() as crowd,
    ):
        found = re.search(r"Status page at http://\S*:(\d+)", program.output)
        assert found
        page = int(found[1])
        async with client_of(mode) as client:
            assert await ask(program, client) == SERVED
            pin = next((tmp_path / "certs").glob("*.json"))
            pinned = pin.read_bytes()
            sim.close_connections()
            await until_connections(program, 1)
            limit(program, 0)
            for _ in range(2):
                assert await ask(program, client) == TOLD
        await until_connections(program, 0)

        limit(program, 0)  # nobody can be taken, and nobody is there who could make room
        knocking = [await crowd.enter_async_context(peers(port_of(program))) for _ in range(SEVERAL)]
        await crowd.enter_async_context(peers(page))
        spent = psutil.Process(program.process.pid).cpu_times()
        await asyncio.sleep(WATCHED)
        now = psutil.Process(program.process.pid).cpu_times()
        assert now.user + now.system - spent.user - spent.system < WATCHED / 4

        limit(program, SEVERAL // 2)  # idle ones make room, and take all that there is
        await asyncio.gather(*(each.rest() for each in knocking[: SEVERAL // 2]))
        seen = [await ask_anew(program, mode) for _ in range(3)]
        assert set(seen) <= {TOLD, SERVED}

        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, most)
        began = time.monotonic()
        assert await ask_anew(program, mode) == SERVED
        assert time.monotonic() - began < 2
        await program.wait_until(lambda: program.output.count(ENDS) == program.output.count(BEGINS))
        assert (await program.stop())[0] == 0
    check_what_is_left(program, tmp_path / "logs")
    assert pinned == pin.read_bytes()
    served = [record for record in sim.records if record.authorized or mode is Mode.TRANSPARENT]
    assert len(served) == 2 + seen.count(SERVED)


def check_what_is_left(program: Program, logs: Path) -> None:
    """Check that there is one line at the start and one at the end, and that the files hold them, too.

    A busy machine may take so long between the parts of the test that the shortage is over in between.
    """
    written = "".join(path.read_text() for path in logs.iterdir())
    for text in (program.output, written):
        assert text.count(BEGINS) == text.count(ENDS) == text.count("ulimit -n")
        assert 1 <= text.count(BEGINS) <= 2
        assert "Traceback" not in text
        assert not [secret for secret in SECRETS if secret in text]
    assert written.endswith("\n")
