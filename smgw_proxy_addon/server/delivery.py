"""Answers on their way to clients: as they are, as fast as they are read, and no longer than they may take.

Nothing is changed in them, and none is kept: what a client does not take yet waits at the gateway.
"""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from smgw_proxy_addon.errors import ClientStalledError
from smgw_proxy_addon.http.headers import Headers
from smgw_proxy_addon.http.messages import Answer
from smgw_proxy_addon.server.connection import ClientConnection, socket_of
from smgw_proxy_addon.server.slow_clients import Hold

if TYPE_CHECKING:
    from aiohttp.http_writer import StreamWriter

STALL: Final = 30.0
"""Seconds in which a client has to read something."""

AT_ONCE: Final = 32768
"""Bytes that are sent without a look at how the client reads: less than its connection takes without waiting."""


class PassedOn(web.StreamResponse):
    """The gateway's answer: its own head byte for byte, with the framing of this hop at its end.

    aiohttp decides on the framing and whether the connection is kept; it is told the length alone.
    """

    def __init__(self, answer: Answer, headers: Headers, version: tuple[int, int]) -> None:
        lengths = [value.decode() for name, value in headers if name.lower() == b"content-length"]
        super().__init__(status=answer.status, headers=[("Content-Length", length) for length in lengths])
        self.has_length = bool(lengths)
        self._body_follows = False
        self._head = [b"HTTP/%d.%d %d %b" % (*version, answer.status, answer.reason)]
        self._head += [b"%b: %b" % header for header in headers]

    async def _write_headers(self) -> None:
        # aiohttp has no public way to send a head as it is: it adds Content-Type, Date and Server, and writes UTF-8.
        framing = [
            f"{name}: {self.headers[name]}".encode()
            for name in ("Connection", "Transfer-Encoding")
            if name in self.headers
        ]
        writer = cast("StreamWriter", self._payload_writer)
        writer._headers_buf = b"\r\n".join([*self._head, *framing, b"", b""])  # noqa: SLF001 - the only way
        if not self._body_follows:
            writer.send_headers()

    async def send_whole(self, request: web.BaseRequest, body: bytes) -> None:
        """Send head and body at once: at most ``AT_ONCE`` bytes."""
        self._body_follows = True
        await self.prepare(request)
        await self.write_eof(body)


def lags(request: web.BaseRequest) -> bool:
    """Tell whether the client has not taken all that it was sent: the kernel's buffer is full."""
    return request.transport is not None and request.transport.get_write_buffer_size() > 0


async def write(request: web.BaseRequest, piece: bytes, hold: Hold) -> None:
    """Write to the client, however slowly it reads.

    Raises ``ClientStalledError`` if it does not read at all, or keeps others from the gateway for too long.
    """
    writer = cast("StreamWriter", request.writer)
    await writer.write(piece, drain=False)
    if lags(request):
        cast("ClientConnection", request.protocol).bound_ahead()
        await _wait_for(request, writer.drain, hold)


async def finish(request: web.BaseRequest, response: web.StreamResponse, hold: Hold) -> None:
    """End an answer; raises as ``write`` does."""
    if lags(request):
        await _wait_for(request, response.write_eof, hold)
    else:
        await response.write_eof()


async def _wait_for(request: web.BaseRequest, send: Callable[[], Coroutine[Any, Any, None]], hold: Hold) -> None:
    """Wait until the client has taken enough of what it is sent."""
    loop = asyncio.get_running_loop()
    before, changed = _unread(request), loop.time()
    sending = asyncio.ensure_future(send())
    try:
        while True:
            began = loop.time()
            done, _ = await asyncio.wait({sending}, timeout=min(STALL, hold.step))
            if done:
                await sending
            now, unread = loop.time(), _unread(request)
            hold.waited(now - began, moved=before - unread)
            if done:
                return
            if unread != before:
                before, changed = unread, now
            elif now - changed >= STALL:
                raise ClientStalledError
    finally:
        sending.cancel()


def _unread(request: web.BaseRequest) -> int:
    """Count the bytes that wait for the client, here and in the kernel: none if it has left."""
    raw = socket_of(request)
    if request.transport is None or raw is None:
        return 0
    queued = fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(4))
    return cast("ClientConnection", request.protocol).unsent + int.from_bytes(queued, sys.byteorder)
