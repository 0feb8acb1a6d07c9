"""The proxy as a person runs it: a process, known by its output and its exit code alone."""

import asyncio
import os
import re
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PATIENCE: Final = 30.0
"""Seconds that a busy machine may need to start a program."""


@dataclass
class Program:
    """A running process and what it has written so far, both streams together."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def output(self) -> str:
        """All lines so far."""
        return "".join(self.lines)

    @property
    def http(self) -> str:
        """The URL of the plain listener, without a path."""
        return self._url("http")

    @property
    def https(self) -> str:
        """The URL of the HTTPS listener, without a path."""
        return self._url("https")

    def follow(self) -> None:
        """Begin to read what it writes."""
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            self._readers.append(asyncio.create_task(self._read(stream)))

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until its output fulfils a condition."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self._more:
                await self._more.wait_for(lambda: condition() or self._ended())
        assert condition(), self.output

    async def wait_for(self, text: str) -> None:
        """Wait until it has written a text."""
        await self.wait_until(lambda: text in self.output)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def end(self) -> int:
        """Wait until it has ended and all its output is here; returns its exit code."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._readers)
            return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal and wait for the end; returns exit code and seconds."""
        began = time.monotonic()
        self.send(number)
        return await self.end(), time.monotonic() - began

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._more:
                self.lines.append(line.decode())
                self._more.notify_all()
        async with self._more:
            self._more.notify_all()

    def _ended(self) -> bool:
        return self.process.returncode is not None

    def _url(self, scheme: str) -> str:
        found = re.search(rf"Listening at {scheme}://\S*:(\d+)$", self.output, re.MULTILINE)
        assert found, self.output
        return f"{scheme}://127.0.0.1:{found[1]}"


@asynccontextmanager
async def module(name: str, folder: Path, *arguments: str, descriptors: int | None = None) -> AsyncIterator[Program]:
    """Run one of the project's modules with ``folder`` as its own; it does not outlive the block.

    ``descriptors`` are how many files and sockets it may have open at once.
    """

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors or 0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", name, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=confine if descriptors else None,
    )
    program = Program(process)
    program.follow()
    try:
        yield program
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await program.end()


@asynccontextmanager
async def proxy_program(
    folder: Path, target: str, *arguments: str, descriptors: int | None = None
) -> AsyncIterator[Program]:
    """Run the proxy on a free port of 127.0.0.1 until the block ends; certificates and logs lie in ``folder``."""
    common = ("--target", target, "--port", "0", "--bind", "127.0.0.1")
    async with module("smgw_proxy_addon", folder, *common, *arguments, descriptors=descriptors) as program:
        await program.wait_for(" Ready\n")
        yield program


async def run_to_end(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the proxy's program to its end; returns its exit code and all that it wrote."""
    async with module("smgw_proxy_addon", folder, *arguments) as program:
        code = await program.end()
        return code, program.output
