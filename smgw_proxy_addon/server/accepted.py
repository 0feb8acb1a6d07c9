"""A client's connection from its acceptance to its end, before and after it has a protocol.

Decides nothing: who may stay is ``limits``' to say, and ``acceptor`` acts on it.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Awaited, Stage

_REJECTION: Final = 1.0
"""Seconds that a rejected connection has to read the answer."""


@dataclass(eq=False, slots=True)
class AcceptedConnection:
    """A connection from its acceptance to its end; times in the event loop's seconds."""

    address: str
    socket: socket.socket
    context: ssl.SSLContext | None
    """For HTTPS."""
    came: float
    protocol: ClientConnection | None = None
    """None until its first byte."""
    _awaited: tuple[Awaited, int] | None = (Awaited.OPENING, 0)
    _awaited_since: float = field(init=False)

    def __post_init__(self) -> None:
        self._awaited_since = self.came

    @property
    def stage(self) -> Stage:
        """What it does."""
        return self.protocol.stage if self.protocol else Stage.NEW

    @property
    def since(self) -> float:
        """When it began to be idle, or came."""
        return self.protocol.idle_since if self.protocol and self.protocol.reader.heads else self.came

    def awaited(self, now: float) -> tuple[Awaited | None, float]:
        """Return what of its client is waited for, and for how long without progress, as far as looks can tell."""
        awaited = self.protocol.awaited if self.protocol and self.protocol.ready else (Awaited.OPENING, 0)
        if awaited != self._awaited:
            self._awaited, self._awaited_since = awaited, now
        return awaited and awaited[0], now - self._awaited_since

    def close(self) -> None:
        """Close it at once, also in the middle of a handshake."""
        if self.protocol is None:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()
            return
        self.protocol.abort()
        # In the middle of a handshake this ends it, and the task that waits for it.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


async def reject(connection: socket.socket, answer: bytes) -> None:
    """Send an answer on a connection that is not taken, and close it. Raises nothing."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_REJECTION):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            # What stays unread when the socket is closed would take the answer with it.
            while await loop.sock_recv(connection, 65536):
                pass
    except OSError:
        pass
    finally:
        connection.close()
