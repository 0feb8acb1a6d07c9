"""A client's connection from the moment of its acceptance, before and after it has a protocol.

Decides nothing: who may stay is ``client_limits``' to say, and ``entrance`` acts on it.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Stage

_FAREWELL: Final = 1.0
"""Seconds that a connection that is not taken has to read why."""


@dataclass(eq=False, slots=True)
class Visitor:
    """A connection from the moment of its acceptance; times in the event loop's seconds."""

    address: str
    connection: socket.socket
    context: ssl.SSLContext | None
    """For HTTPS."""
    came: float
    protocol: ClientConnection | None = None
    """None until its first byte."""
    slow_since: float | None = None
    """When it was first seen in the middle of the head that it has not finished yet."""
    heads: int = 0
    unsent: int = 0
    """What its last answers had left when that changed last, at ``unsent_since``."""
    unsent_since: float = 0.0
    received: bool = False

    @property
    def stage(self) -> Stage:
        """What it does."""
        return self.protocol.stage if self.protocol else Stage.NEW

    @property
    def since(self) -> float:
        """When it began to be idle, or came."""
        idle_since = self.protocol.idle_since if self.protocol else None
        return self.came if idle_since is None else idle_since

    def dismiss(self) -> None:
        """Close it at once, also in the middle of a handshake."""
        if self.protocol is None:
            asyncio.get_running_loop().remove_reader(self.connection)
            self.connection.close()
            return
        if self.protocol.transport is not None:
            with suppress(AttributeError):  # Python before 3.11.3, for a TLS transport that was closed twice
                self.protocol.transport.abort()
        # Not cancelled: whoever waits for the handshake has to see its error, to clear up after it. And TLS that is
        # being closed may not know of its transport any more.
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def order(visitor: Visitor) -> tuple[Stage, float]:
    """Sort first who leaves first when room is needed."""
    return visitor.stage, visitor.since


async def turn_away(connection: socket.socket, answer: bytes) -> None:
    """Send an answer on a connection that is not taken, and close it. Raises nothing."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_FAREWELL):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            # What stays unread when the socket is closed would take the answer with it.
            while await loop.sock_recv(connection, 65536):
                pass
    except OSError:
        pass
    finally:
        connection.close()
