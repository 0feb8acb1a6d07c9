"""Large bodies pass in pieces: what neither side takes yet waits at its sender, not in the proxy."""

import asyncio
import json
import re
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.process import Program, module, proxy_program

MEGABYTE: Final = 1_000_000
WARM_UP: Final = 20 * MEGABYTE
SIZE: Final = 200 * MEGABYTE
GROWTH: Final = 8 * MEGABYTE
PIECE: Final = 64 * 1024
PAUSE: Final = 1.0
"""Seconds in which one side does not read: at loopback's speed enough to fill any buffer without a bound."""


class Memory:
    """The resident memory of a process in bytes, and the most that was seen since it was made."""

    def __init__(self, program: Program) -> None:
        self._process = psutil.Process(program.process.pid)
        self.before = self.most = self._now()

    @property
    def growth(self) -> int:
        return self.most - self.before

    def look(self) -> None:
        self.most = max(self.most, self._now())

    def _now(self) -> int:
        return int(self._process.memory_info().rss)


async def connect(program: Program) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(program.http.rpartition(":")[2]), limit=PIECE)


async def download(program: Program, size: int, memory: Memory) -> None:
    """Read an answer, and stop reading for a while in its middle."""
    reader, writer = await connect(program)
    writer.write(b"GET /sim/bytes/%d HTTP/1.1\r\nHost: proxy\r\n\r\n" % size)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head
    received = 0
    paused = False
    while received < size:
        piece = await reader.read(PIECE)
        assert piece
        received += len(piece)
        if received * 2 >= size and not paused:
            paused = True
            await asyncio.sleep(PAUSE)
        memory.look()
    writer.close()
    await writer.wait_closed()


async def upload(program: Program, size: int, memory: Memory) -> None:
    """Send a body, and look on while the proxy takes it."""
    reader, writer = await connect(program)
    writer.transport.set_write_buffer_limits(PIECE)
    writer.write(b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n" % size)
    piece = bytes(PIECE)
    for start in range(0, size, PIECE):
        writer.write(piece[: size - start])
        await writer.drain()
        memory.look()
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    answer = await reader.readuntil(b"}")
    memory.look()
    assert json.loads(answer)["size"] == size
    writer.close()
    await writer.wait_closed()


async def test_200_megabytes_each_way_leave_the_memory_flat(tmp_path: Path) -> None:
    async with module(
        "simulator", tmp_path, "--handshake-delay", "0", "--request-delay", "0", "--control-port", "0"
    ) as gateway:
        await gateway.wait_for(" ready")
        found = re.search(r"at https://(\S+) .*control=(\S+)", gateway.output)
        assert found
        target, control = found.groups()
        async with (
            proxy_program(tmp_path, target, "--max-body-mb", "1024") as program,
            httpx.AsyncClient(base_url=control, trust_env=False) as faults,
        ):
            await download(program, WARM_UP, Memory(program))
            await upload(program, WARM_UP, Memory(program))
            down = Memory(program)
            await download(program, SIZE, down)
            # The gateway takes the head and lets the body wait.
            held = await faults.post("/faults", json={"set": "hold-body", "times": 1, "seconds": PAUSE})
            assert held.status_code == 200
            up = Memory(program)
            await upload(program, SIZE, up)
            print(  # noqa: T201 - the figures that a person wants to see, with pytest -s
                f"Resident memory after the warm-up: {down.before / MEGABYTE:.1f} MB; "
                f"growth down: {down.growth / MEGABYTE:.1f} MB, up: {up.growth / MEGABYTE:.1f} MB"
            )
            assert down.growth < GROWTH
            assert up.most - down.before < GROWTH
