"""Many connections that do nothing, and many that hardly send: a normal client does not notice them.

The figures (resident memory, descriptors) are those of the program as a process; ``pytest -s`` shows them.
"""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from simulator.gateway import Simulator
from tests.process import Program, proxy_program

IDLE: Final = 1000
SLOW: Final = 200
POLLS: Final = 60
LONGEST: Final = 2.0
"""Seconds that a normal client's request may take meanwhile; alone it takes a few milliseconds."""
TOLERANCE: Final = 0.05
"""Of the memory before the first crowd, by which that after each one may be larger."""
FIRST_BYTES: Final = b"\x16\x03\x01"
"""Of a TLS handshake."""
SETTLING: Final = 5.0
"""Seconds that the program gets to return to where it was."""
DESCRIPTORS: Final = 4000
"""What this process and the program need."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Figures:
    """What the program uses: resident memory in bytes, and open descriptors."""

    memory: int
    descriptors: int

    @classmethod
    def of(cls, program: Program) -> "Figures":
        process = psutil.Process(program.process.pid)
        return cls(process.memory_info().rss, process.num_fds())

    def __str__(self) -> str:
        return f"{self.memory / 1e6:.1f} MB, {self.descriptors} descriptors"


@pytest.fixture(autouse=True)
def _descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def poll(program: Program, times: int) -> float:
    """Ask as a normal client does, half of the time over a new connection; returns the longest time (seconds)."""
    longest = 0.0
    async with httpx.AsyncClient(trust_env=False, timeout=30) as kept:
        for number in range(times):
            began = time.monotonic()
            if number % 2:
                answer = await kept.get(f"{program.http}/sim/bytes/1000")
            else:
                async with httpx.AsyncClient(trust_env=False, timeout=30) as new:
                    answer = await new.get(f"{program.http}/sim/bytes/1000")
            longest = max(longest, time.monotonic() - began)
            assert (answer.status_code, len(answer.content)) == (200, 1000)
    return longest


async def connect(base: str, address: str) -> Connection:
    port = int(base.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


@asynccontextmanager
async def crowd(program: Program) -> AsyncIterator[list[Connection]]:
    """Open the connections, from many addresses and from the normal client's own; gives those that send slowly."""
    there: list[Connection] = []
    try:
        addresses = [f"127.0.1.{1 + number % 250}" for number in range(IDLE)]
        addresses += ["127.0.0.1" if number % 2 else f"127.0.2.{1 + number % 250}" for number in range(SLOW)]
        for number, address in enumerate(addresses):
            secure = number < IDLE and number % 4 == 0
            there.append(await connect(program.https if secure else program.http, address))
            if secure and number % 8:
                there[-1][1].write(FIRST_BYTES)  # the others never begin the TLS handshake that is waited for
        slow = there[IDLE:]
        for _, writer in slow:
            writer.write(b"GET /sim/status/200 HTTP/1.1\r\nHost: proxy\r\nX-Slow: ")
        yield slow
    finally:
        for _, writer in there:
            writer.transport.abort()


async def burst(program: Program) -> tuple[float, Figures]:
    """Let the crowd come, ask meanwhile, let it go; returns the longest request (seconds) and the figures in it."""
    longest = 0.0
    async with crowd(program) as slow:
        for _ in range(POLLS // 10):
            for _, writer in slow:
                writer.write(b"x")  # which the proxy may have closed: it need not wait for them for ever
            longest = max(longest, await poll(program, 10))
        during = Figures.of(program)
    return longest, during


async def settled(program: Program, cold: Figures) -> Figures:
    """Wait until the program has closed what its clients have left, and given back what they used."""
    deadline = time.monotonic() + SETTLING
    while True:
        figures = Figures.of(program)
        done = figures.descriptors <= cold.descriptors and figures.memory <= cold.memory * (1 + TOLERANCE)
        if done or time.monotonic() > deadline:
            return figures
        await poll(program, 1)
        await asyncio.sleep(0.1)


async def test_a_crowd_that_does_nothing_starves_nobody_and_leaves_nothing(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_program(tmp_path, sim.authority, "--https-port", "0") as program,
    ):
        await poll(program, 20)
        async with httpx.AsyncClient(trust_env=False, verify=False) as secure:
            assert (await secure.get(f"{program.https}/sim/bytes/1000")).status_code == 200
        cold = Figures.of(program)
        for _ in range(3):
            longest, during = await burst(program)
            after = await settled(program, cold)
            print(f"Before: {cold}; in the crowd: {during}, longest request {longest * 1000:.0f} ms; after: {after}")  # noqa: T201 - see the docstring
            assert longest < LONGEST
            assert after.descriptors <= cold.descriptors
            assert after.memory <= cold.memory * (1 + TOLERANCE)
