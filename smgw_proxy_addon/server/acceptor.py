"""Accepts the clients' connections, counts them, and closes those that take what others need.

asyncio's own server knows no limits, and leaves a connection alone until its TLS handshake is done. Here each one is
counted from the first moment, and costs 4 kB before its first byte: no task and no state of a TLS handshake. What
costs time is done when a connection comes and by one look at all of them every few seconds: a request on a kept
connection pays nothing.
"""

import asyncio
import gc
import logging
import socket
import ssl
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from smgw_proxy_addon.errors import ClientStalledError, TooManyConnectionsError
from smgw_proxy_addon.server import file_limits
from smgw_proxy_addon.server.connection import ClientConnection, Handler, address
from smgw_proxy_addon.server.limits import Awaited, Counts, Limits, choose_displaced, first_to_close
from smgw_proxy_addon.tls_transport import TlsTransport

_LOGGER: Final = logging.getLogger(__name__)

_CROWD: Final = 64
"""Connections at once after which memory is given back to the system when half of them are gone."""

LOOK: Final = 2.0
"""Seconds between two looks at all connections."""

LOG_INTERVAL: Final = 60.0
"""Seconds between two lines in the log about the same."""

_BACKLOG: Final = 512
_TLS_HANDSHAKE: Final = b"\x16"

_CLOSING: Final = 0.2
"""Seconds that the last answers have to be sent when the proxy stops."""

_MOST_REJECTIONS: Final = 16
"""Connections beyond the limits that are told so at once."""

_OUT_OF_FILES: Final = 0.5
_ROOM_MADE: Final = 0.02


class Acceptor:
    """Accepts connections at the listening sockets from ``open`` to ``stop``, and has their requests answered."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self._handler = handler
        self._limits = file_limits.affordable(limits or Limits())
        self.counts: Final = Counts()
        self._connections: dict[ClientConnection, None] = {}
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: dict[ClientConnection, asyncio.Task[None]] = {}
        self._most = 0  # connections since memory was given back
        self._logged = self.counts.trouble
        self._silent_until = 0.0
        self.shortage = file_limits.Shortage()

    def open(self, listeners: Sequence[tuple[socket.socket, ssl.SSLContext | None]]) -> None:
        """Listen; with a context, for HTTPS. May be called again with further ones."""
        if not self._sockets:
            self._start(self._watch())
        for listener, context in listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._sockets.append(listener)
            self._start(self._accept(listener, context))

    async def stop(self) -> None:
        """Accept no more connections; those that are there stay, but for unfinished handshakes."""
        for listener in self._sockets:
            # Before the task that accepts is cancelled: a connection in this very turn would find nobody.
            asyncio.get_running_loop().remove_reader(listener)
        await _cancel(self._tasks)
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        for connection in tuple(self._connections):
            if connection.context and not connection.ready:
                self._close(connection)
            elif connection not in self._serving:
                # What it asks from now on is answered, and it is closed like all others.
                asyncio.get_running_loop().remove_reader(connection.socket)
                self._serve(connection)

    async def close(self) -> None:
        """End all connections, after ``stop``."""
        for connection in self._serving:
            connection.output.close()
        if self._serving:
            await asyncio.wait(self._serving.values(), timeout=_CLOSING)
        await _cancel(self._serving.values())

    def unsent(self) -> int:
        """Count the bytes that all clients together have not taken yet."""
        return sum(each.output.unsent for each in self._connections)

    def look(self) -> None:
        """Close what keeps the proxy waiting for too long; say in the log what the limits have done."""
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._connections):
            self._end_wait(connection, now)
        self._log_counts(now)
        self.shortage.look(now)
        if self._most >= _CROWD and self.counts.open <= self._most // 2:
            self._most = self.counts.open
            self._start(asyncio.to_thread(give_memory_back))

    def _end_wait(self, connection: ClientConnection, now: float) -> None:
        limits = self._limits
        match connection.awaited(now):
            case Awaited.OPENING, seconds if seconds >= (limits.handshake if connection.context else limits.silence):
                self.counts.slow += connection.context is not None
                self._close(connection)
            case Awaited.HEAD, seconds if seconds >= limits.head:
                self.counts.slow += 1
                connection.reject(ClientStalledError(seconds=f"{limits.head:g}"))
            case Awaited.REQUEST, seconds if seconds >= limits.silence:
                connection.output.close()
            case Awaited.READING, seconds if seconds >= limits.silence:
                self._close(connection)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def _log_counts(self, now: float) -> None:
        if self.counts.trouble == self._logged or now < self._silent_until:
            return
        grown = [each - before for each, before in zip(self.counts.trouble, self._logged, strict=True)]
        self._logged, self._silent_until = self.counts.trouble, now + LOG_INTERVAL
        _LOGGER.warning(
            "Connections of clients: %d open; closed for newer ones %d, refused %d, too slow %d, head too large %d",
            *(self.counts.open, *grown),
        )

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # it left while it waited
            except OSError as error:
                self.shortage.felt(error.strerror or type(error).__name__)
                # What others hold without need is what it takes; closing that takes the loop some turns.
                await asyncio.sleep(_ROOM_MADE if self._make_room() else _OUT_OF_FILES)
                continue
            accepted.setblocking(False)
            self._add(ClientConnection(self._handler, self.unsent, accepted, address(peer), context))
            # Where connections come in a flood, accepting never waits: everything else has its turn, too.
            await asyncio.sleep(0)

    def _add(self, connection: ClientConnection) -> None:
        try:
            displaced = choose_displaced(connection.peer, self._connections, self._limits)
        except TooManyConnectionsError:
            self._refuse(connection)
            return
        if displaced is not None:
            self._displace(displaced)
        self._connections[connection] = None
        self.counts.open = len(self._connections)
        self._most = max(self._most, self.counts.open)
        asyncio.get_running_loop().add_reader(connection.socket, self._begin, connection)

    def _begin(self, connection: ClientConnection) -> None:
        """Serve a connection whose first byte is there, unless it has ended without one."""
        try:
            # Head and body may be two segments; asyncio sets this only for sockets made with IPPROTO_TCP.
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = connection.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        if not first:
            self._close(connection)
            return
        asyncio.get_running_loop().remove_reader(connection.socket)
        # Plain HTTP at the port for HTTPS is answered: with the right address.
        connection.secure = connection.context is not None and first == _TLS_HANDSHAKE
        self._serve(connection)

    def _refuse(self, connection: ClientConnection) -> None:
        """Say why it is not taken, where that needs no handshake."""
        self.counts.refused += 1
        told = sum(each not in self._connections for each in self._serving)
        if connection.context is None and told < _MOST_REJECTIONS:
            connection.reject(TooManyConnectionsError())
            self._serve(connection)
        else:
            self._close(connection)

    def _displace(self, connection: ClientConnection) -> None:
        self.counts.displaced += 1
        self._close(connection)

    def _close(self, connection: ClientConnection) -> None:
        """Close it at once, also in the middle of a handshake."""
        self._forget(connection)
        if connection in self._serving:
            connection.abort()
            # In the middle of a handshake this ends it, and the task that waits for it.
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            asyncio.get_running_loop().remove_reader(connection.socket)
            connection.socket.close()
            connection.connection_lost(None)

    def _make_room(self) -> bool:
        connection = first_to_close(self._connections)
        if connection:
            self._displace(connection)
        return connection is not None

    def _serve(self, connection: ClientConnection) -> None:
        # Its task may have more to do: what the gateway still answers.
        connection.lost.add_done_callback(lambda _: self._forget(connection))
        task = self._serving[connection] = asyncio.create_task(self._run(connection))
        task.add_done_callback(lambda _: self._serving.pop(connection))

    async def _run(self, connection: ClientConnection) -> None:
        """Serve a connection up to its end: the one task that it has."""
        try:
            if await self._open(connection):
                await connection.serve()
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
        finally:
            connection.abort()
            connection.connection_lost(None)
            connection.socket.close()

    def _forget(self, connection: ClientConnection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self.counts.open = len(self._connections)
            self.counts.oversized += connection.reader.oversized

    async def _open(self, connection: ClientConnection) -> bool:
        """Give the connection its socket, and shake hands for TLS; tell whether that came about."""
        loop = asyncio.get_running_loop()
        if not (connection.secure and connection.context):
            await loop.connect_accepted_socket(lambda: connection, connection.socket)
            return True
        tls = TlsTransport(connection.context, None, connection, server_side=True)
        raw, _ = await loop.connect_accepted_socket(lambda: tls, connection.socket)
        try:
            await asyncio.wait({tls.handshake})  # awaited itself, its error would refer to this frame, and this to it
            if error := tls.handshake.exception():
                _LOGGER.debug("A connection did not come about: %s", type(error).__name__)
            return not error
        finally:
            if not connection.ready:
                raw.abort()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def give_memory_back() -> None:
    """Give what a crowd has used back to the system: glibc keeps it, because the program may need it again.

    Must be run in executor. Elsewhere than with glibc it does nothing.
    """
    import ctypes  # noqa: PLC0415 - 0.4 MB and 5 ms, only after a crowd

    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
