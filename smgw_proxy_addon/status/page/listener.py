"""The status page's port. ``/health`` is answered here; all else is handed to aiohttp, loaded at that moment.

A container's health check asks every minute, while often nobody opens the page: aiohttp and Jinja2 take 15 MB.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, cast

from smgw_proxy_addon import __version__
from smgw_proxy_addon.http.headers import by_name
from smgw_proxy_addon.server.messages import RequestReader, answer_head, reason
from smgw_proxy_addon.status.page.security import Guard, build_headers
from smgw_proxy_addon.status.page.state import Reader, State
from smgw_proxy_addon.status.page.verdict import judge

if TYPE_CHECKING:
    from smgw_proxy_addon.status.page.server import StatusServer

_LOGGER: Final = logging.getLogger(__name__)

SILENCE: Final = 75.0
"""Seconds for the first bytes of a connection."""

_HEALTH: Final = b"GET /health "
_HEADERS: Final = [(name.encode(), value.encode()) for name, value in build_headers("", "").items()]


class StatusListener:
    """Listens from ``start`` to ``stop``.

    ``make_server`` makes what answers everything else; it is called again if it raises.
    """

    def __init__(self, guard: Guard, reader: Reader, make_server: Callable[[], Awaitable["StatusServer"]]) -> None:
        self._guard = guard
        self._reader = reader
        self._make_server = make_server
        self._making = asyncio.Lock()
        self._server: StatusServer | None = None
        self._listening: list[asyncio.Server] = []
        self._new: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        for each in sockets:
            self._listening.append(await loop.create_server(lambda: _FirstBytes(self._take, self._new), sock=each))

    async def stop(self) -> None:
        """Listen no more, and close all connections."""
        for each in self._listening:
            each.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self._new:
            transport.abort()
        if self._server:
            await self._server.stop()

    def _take(self, transport: asyncio.Transport, data: bytes) -> None:
        task = asyncio.create_task(self._serve(transport, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, transport: asyncio.Transport, data: bytes) -> None:
        """Answer what came first on a connection, or have the page's server go on with it."""
        try:
            answer = await self._health(transport, data)
            if answer is not None:
                transport.write(answer)
                transport.close()
                return
            async with self._making:
                self._server = self._server or await self._make_server()
        except Exception:
            _LOGGER.exception("A fault of the status page; please report it")
            transport.abort()
            return
        if not transport.is_closing():
            self._new.discard(transport)
            protocol = self._server.accept()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            transport.resume_reading()
            protocol.data_received(data)

    async def _health(self, transport: asyncio.Transport, data: bytes) -> bytes | None:
        """Return the answer to an admitted request for ``/health``, None for what the page's server is to read."""
        if not data.startswith(_HEALTH):
            return None
        reader = RequestReader()
        reader.feed(data)
        requests, settled = list(reader.requests), reader.settled
        reader.close()
        if len(requests) != 1 or not settled:
            return None
        request = requests[0]
        peer, fields = transport.get_extra_info("peername"), by_name(request.headers)
        if not self._guard.admits(peer, "GET", fields, http_11=request.http_11):
            return None
        status, health = report_health(await self._reader.read())
        body = json.dumps(health).encode()
        headers = [
            *_HEADERS,
            (b"Content-Type", b"application/json; charset=utf-8"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Date", formatdate(usegmt=True).encode()),
        ]
        request.keeps_alive = False
        head, _ = answer_head(request, status, reason(status), headers)
        return head + body


class _FirstBytes(asyncio.Protocol):
    """Waits for the first bytes of a connection, and reads no more then. ``waiting`` holds its transport so long."""

    def __init__(self, take: Callable[[asyncio.Transport, bytes], None], waiting: set[asyncio.Transport]) -> None:
        self._take = take
        self._waiting = waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._waiting.add(self._transport)
        self._silence = asyncio.get_running_loop().call_later(SILENCE, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._silence.cancel()
        self._transport.pause_reading()
        self._take(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._silence.cancel()
        self._waiting.discard(self._transport)


def report_health(state: State) -> tuple[int, dict[str, Any]]:
    """Return the status and the content of the answer to ``/health``: 503 while the proxy stops."""
    last = state.last_outcome
    gateway = {
        "verdict": judge(state).level,
        "last_error": last.code if last else None,
        "last_answer": state.last_answer.at.isoformat() if state.last_answer else None,
        "active": state.pool.active,
        "waiting": state.pool.waiting,
    }
    status = "ok" if state.serving else "stopping"
    return 200 if state.serving else 503, {"status": status, "version": __version__, "gateway": gateway}
