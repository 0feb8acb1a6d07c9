"""A relay of bytes on the Supervisor's bridge, for gateways that apps cannot reach by an address.

Connections come from apps only and go to one gateway. No look inside: TLS, and the proxy's pin, stay end to end.
"""

import asyncio
import ipaddress
import logging
import zlib
from contextlib import suppress
from typing import Final

from smgw_network_addon.addresses import BRIDGE, BRIDGE_HOST
from smgw_network_addon.handshake import HTTPS_PORT

_LOGGER: Final = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 8
CONNECT_TIMEOUT: Final = 10.0
_PORTS: Final = range(18443, 19443)
_PIECE: Final = 16384


def port_for(host: str) -> int:
    """Return the port for a gateway, which stays the same: the proxy has it in its options."""
    return _PORTS[zlib.crc32(host.encode()) % len(_PORTS)]


class Relay:
    """Passes connections to ``target`` (``fe80::1%eth0`` or an IPv4 address) on, from ``start`` to ``stop``."""

    def __init__(self, target: str, port: int) -> None:
        self._target = target
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> bool:
        """Listen, if there is a Supervisor's bridge here; tell whether there is."""
        if self._server is None:
            with suppress(OSError):
                self._server = await asyncio.start_server(
                    self._serve, str(BRIDGE_HOST), self._port, limit=_PIECE, backlog=MOST_CONNECTIONS
                )
        return self._server is not None

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
            _LOGGER.debug("Relay to %s: %s", self._target, error)
        finally:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on in both directions until the gateway ends; an app that is gone cannot keep a place."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            far_reader, far_writer = await asyncio.open_connection(self._target, HTTPS_PORT, limit=_PIECE)
        to_gateway = asyncio.create_task(_pass_on(reader, far_writer))
        try:
            await _pass_on(far_reader, writer)
            writer.close()
            await writer.wait_closed()
        finally:
            to_gateway.cancel()
            await asyncio.gather(to_gateway, return_exceptions=True)
            far_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the end, and the end, too."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
