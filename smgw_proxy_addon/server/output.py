"""What goes to a client: its flow control, over TLS or not.

What a client does not take yet waits at the gateway, but for a bounded amount here.
"""

import asyncio
import fcntl
import select
import socket
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from smgw_proxy_addon.errors import ClientGoneError, ClientStalledError
from smgw_proxy_addon.server.slow_clients import SlowClientTimeout
from smgw_proxy_addon.tls_transport import TlsTransport

AHEAD: Final = 262_144
"""Bytes that a connection takes before its client is waited for: the gateway is free as soon as it has answered."""

AHEAD_IN_ALL: Final = 8_000_000
"""Bytes that wait in all connections beyond which each takes no more than asyncio would let it."""

STALL: Final = 30.0
"""Seconds in which a client has to read something."""

_USUAL: Final = 65_536
_LOOK: Final = 0.01
_CONFIRM: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)


class Output:
    """The sending half of a connection; ``unsent_in_all`` counts the bytes that all clients have not taken."""

    def __init__(self, accepted: socket.socket, unsent_in_all: Callable[[], int]) -> None:
        self._socket = accepted
        self._unsent_in_all = unsent_in_all
        self.raw: asyncio.Transport | None = None
        """Of the socket; None before its TLS handshake is done, and once it is closed."""
        self._transport: asyncio.Transport | TlsTransport | None = None  # the same, or TLS above it
        self.writable = asyncio.Event()
        """Set unless the client has to take something before more is sent."""
        self.writable.set()

    @property
    def open(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken yet, but for those in the kernel."""
        return self.raw.get_write_buffer_size() if self.raw is not None else 0

    def attach(self, raw: asyncio.Transport, transport: asyncio.Transport | TlsTransport) -> None:
        """Send over ``transport``, which may be TLS above the ``raw`` transport of the socket."""
        self.raw, self._transport = raw, transport
        raw.set_write_buffer_limits(AHEAD)

    def detach(self) -> None:
        """Learn that the connection is gone."""
        self.raw = self._transport = None
        self.writable.set()

    def write(self, data: bytes) -> None:
        """Send data, without waiting. Raises ``ClientGoneError``."""
        if self._transport is None or self._transport.is_closing():
            raise ClientGoneError
        self._transport.write(data)

    async def drain(self, slow_timeout: SlowClientTimeout) -> None:
        """Wait until the client has taken enough of what it is sent.

        Raises ``ClientStalledError`` if it does not read at all, or keeps others from the gateway for too long.
        """
        if self.raw is not None and self.unsent > _USUAL:
            self.raw.set_write_buffer_limits(AHEAD if self._unsent_in_all() <= AHEAD_IN_ALL else _USUAL)
        if self.writable.is_set():
            return
        loop = asyncio.get_running_loop()
        before, began = self._untaken(), loop.time()
        changed = began
        while not self.writable.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(STALL, slow_timeout.step)):
                    await self.writable.wait()
            now, untaken = loop.time(), self._untaken()
            slow_timeout.waited(now - began, moved=before - untaken)
            began = now
            if untaken != before:
                before, changed = untaken, now
            elif not self.writable.is_set() and now - changed >= STALL:
                raise ClientStalledError

    async def confirm(self) -> None:
        """Wait until a client that has closed its side has taken everything. Raises ``ClientGoneError``.

        One that has closed the other side, too, sends a reset instead: nothing else tells them apart.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CONFIRM
        while self._socket.fileno() >= 0:
            poll = select.poll()
            poll.register(self._socket.fileno(), 0)
            if poll.poll(0):
                raise ClientGoneError
            if not self._untaken() or loop.time() >= deadline:
                return
            await asyncio.sleep(_LOOK)

    def end(self) -> None:
        """Send no more, where the other direction can stay open: without TLS."""
        if self.raw is not None and self.raw is self._transport:
            with suppress(OSError):  # the client has left
                self.raw.write_eof()

    def close(self) -> None:
        """Close the connection cleanly, when all is sent."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection off, so that the client cannot take what it has for the whole answer."""
        if self._socket.fileno() >= 0:
            # Without this, a socket with nothing left to read would be closed like one whose answer is complete.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self.raw is not None:
            self.raw.abort()

    def _untaken(self) -> int:
        """Count the bytes that wait for the client, here and in the kernel: none if it has left."""
        if self._socket.fileno() < 0:
            return 0
        queued = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return self.unsent + int.from_bytes(queued, sys.byteorder)
