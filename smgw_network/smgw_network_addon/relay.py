"""A relay of bytes on the Supervisor's bridge, for gateways that apps cannot reach by an address.

Connections come from apps only and go to one gateway. No look inside: TLS, and the proxy's pin, stay end to end.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from smgw_network_addon.addresses import BRIDGE, BRIDGE_HOST
from smgw_network_addon.handshake import connect

_LOGGER: Final = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 8
FIRST_PORT: Final = 18443
PORTS: Final = range(FIRST_PORT, FIRST_PORT + 32)
CONNECT_TIMEOUT: Final = 10.0
_PIECE: Final = 16384
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Relay:
    """Passes connections to ``target()`` (``fe80::1%eth0`` or an IPv4 address) on, from ``start`` to ``stop``."""

    def __init__(self, target: Callable[[], str], port: int) -> None:
        self._target = target
        self.port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def listening(self) -> bool:
        """Whether apps can connect."""
        return self._server is not None

    async def start(self) -> bool:
        """Listen, if there is a Supervisor's bridge here; tell whether there is."""
        if self._server is None:
            with suppress(OSError):
                self._server = await asyncio.start_server(
                    self._serve, str(BRIDGE_HOST), self.port, limit=_PIECE, backlog=MOST_CONNECTIONS
                )
        return self.listening

    async def stop(self) -> None:
        """Listen no more and cut what there is."""
        if self._server:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            peer = ipaddress.ip_address(writer.get_extra_info("peername")[0])
            if peer in BRIDGE and len(self._tasks) <= MOST_CONNECTIONS:
                await self._join(reader, writer)
        except OSError as error:
            _LOGGER.debug("Relay to %s: %s", self._target(), error)
        finally:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = await connect(self._target(), CONNECT_TIMEOUT)
        for each in (connection, writer.get_extra_info("socket")):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                each.setsockopt(socket.IPPROTO_TCP, option, value)
        far_reader, far_writer = await asyncio.open_connection(sock=connection, limit=_PIECE)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
            for each in (far_writer, writer):
                each.close()
                await each.wait_closed()
        except* OSError as errors:
            raise OSError(str(errors.exceptions[0])) from None
        finally:
            far_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the end, and the end, too."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
