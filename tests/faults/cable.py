"""What lies between the proxy and the gateway: a TCP relay that can be cut, pulled, or tampered with."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, Final, Self

from simulator.connection import GARBAGE

_PIECE: Final = 65536
_RESET: Final = struct.pack("ii", 1, 0)


class End(Enum):
    """What happens to a connection."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()
    GARBAGE = auto()


@dataclass(frozen=True)
class Cut:
    """Each new connection ends in this way, after so many bytes that the gateway has sent."""

    end: End
    after: int = 0


class Cable:
    """Joins ``host:port`` (of its own) to the gateway at ``target``, from ``start`` to ``stop``."""

    def __init__(self, target: tuple[str, int], host: str = "127.0.0.1") -> None:
        self.target = target
        self.host = host
        self.port = 0
        self.cut: Cut | None = None
        """What happens to new connections; None: they are joined."""
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten = asyncio.Event()

    async def start(self) -> None:
        """Listen: at the first time on a free port, which stays the same from then on."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close_port(self) -> None:
        """Refuse new connections and reset the others, as a host does whose service has ended."""
        if self._server:
            self._server.close()
            self._server = None
        await self.reset()

    async def reset(self) -> None:
        """Reset all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wait_ended(self) -> None:
        """Wait until both sides of all connections have ended."""
        async with asyncio.timeout(5):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Close everything."""
        await self.close_port()

    def pull(self) -> None:
        """Let nothing pass. TCP sends again what was lost, so that it arrives once the cable is back."""
        self._plugged.clear()

    def plug(self) -> None:
        """Let everything pass again."""
        self._plugged.set()

    def forget(self) -> None:
        """Let the gateway forget its connections: each is reset at the next byte that comes over it."""
        self._forgotten.set()
        self._forgotten = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._treat(reader, writer)
            if task.cancelling():
                _set_reset(writer)
        finally:
            writer.transport.abort()

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = self.cut
        await self._plugged.wait()
        if cut and not cut.after:
            await self._end(cut.end, reader, writer)
            return
        to_gateway = await asyncio.open_connection(*self.target)
        forgotten = asyncio.ensure_future(self._forgotten.wait())
        try:
            up = asyncio.ensure_future(self._pump(reader, to_gateway[1], forgotten))
            down = asyncio.ensure_future(self._pump(to_gateway[0], writer, forgotten, cut.after if cut else None))
            try:
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended = [pump for pump in (up, down) if pump.done()]
                up.cancel()
                down.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
            if cut and down in ended:
                await self._end(cut.end, reader, writer)
            elif forgotten.done() or (down in ended and down.exception()):
                _set_reset(writer)
            elif down in ended:
                writer.close()
                await writer.wait_closed()
            elif not up.exception():
                to_gateway[1].close()
                await to_gateway[1].wait_closed()
        finally:
            forgotten.cancel()
            to_gateway[1].transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        forgotten: "asyncio.Future[Any]",
        limit: int | None = None,
    ) -> None:
        """Pass on until the end, or until ``limit`` bytes or the gateway's memory are over."""
        while limit is None or limit > 0:
            piece = await reader.read(_PIECE if limit is None else limit)
            await self._plugged.wait()
            if forgotten.done() or not piece:
                return
            writer.write(piece)
            await writer.drain()
            limit = None if limit is None else limit - len(piece)

    async def _end(self, end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if end is End.SILENCE:
            while await reader.read(_PIECE):
                pass
        elif end is End.RESET:
            _set_reset(writer)
        elif end is End.GARBAGE:
            writer.write(GARBAGE)
        if end is not End.RESET:
            writer.close()
            await writer.wait_closed()


def _set_reset(writer: asyncio.StreamWriter) -> None:
    """Make the end of a connection a TCP reset."""
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
