"""Accepts the clients' connections, counts them, and closes those that take what others need.

asyncio's own server knows no limits, and leaves a connection alone until its TLS handshake is done. Here each one is
counted from the first moment, and costs hardly anything before its first byte: no parser, no task and no state of a
TLS handshake. What costs time is done when a connection comes and by one look at all of them
every few seconds: a request on a kept connection pays nothing.
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
from smgw_proxy_addon.server.accepted import AcceptedConnection, reject
from smgw_proxy_addon.server.connection import ClientConnection, Handler, address
from smgw_proxy_addon.server.limits import Awaited, Connections, Counts, Limits, first_to_close
from smgw_proxy_addon.server.messages import rejection
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
_OUT_OF_FILES: Final = 0.5
_ROOM_MADE: Final = 0.02


class Acceptor:
    """Accepts connections at the listening sockets from ``open`` to ``stop``, and has their requests answered."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self._handler = handler
        self._limits = file_limits.affordable(limits or Limits())
        self._connections: Connections[AcceptedConnection] = Connections(self._limits)
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: dict[AcceptedConnection, asyncio.Task[None]] = {}
        self._rejections = asyncio.Semaphore(_MOST_REJECTIONS)
        self._most = 0  # connections since memory was given back
        self._logged = self.counts.trouble
        self._logged_at: float | None = None
        self._shortage = file_limits.Shortage()

    @property
    def counts(self) -> Counts:
        """What the limits have done."""
        return self._connections.counts

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
        self._shortage.close()
        await _cancel(self._tasks)
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        for accepted in self._connections:
            if accepted.context and not (accepted.protocol and accepted.protocol.ready):
                self._close(accepted)
            elif accepted.protocol is None:
                # What it asks from now on is answered, and it is closed like all others.
                asyncio.get_running_loop().remove_reader(accepted.socket)
                self._serve(accepted, ClientConnection(self._handler, self.unsent))

    async def close(self) -> None:
        """End all connections, after ``stop``."""
        for accepted in self._connections:
            if accepted.protocol:
                accepted.protocol.output.close()
        if self._serving:
            await asyncio.wait(self._serving.values(), timeout=_CLOSING)
        await _cancel(self._serving.values())

    def unsent(self) -> int:
        """Count the bytes that all clients together have not taken yet."""
        return sum(each.protocol.output.unsent for each in self._connections if each.protocol)

    def look(self) -> None:
        """Close what keeps the proxy waiting for too long; say in the log what the limits have done."""
        now = asyncio.get_running_loop().time()
        for accepted in self._connections:
            self._end_wait(accepted, now)
        self._log_counts(now)
        if self._most >= _CROWD and self.counts.open <= self._most // 2:
            self._most = self.counts.open
            self._start(asyncio.to_thread(give_memory_back))

    def _end_wait(self, accepted: AcceptedConnection, now: float) -> None:
        limits, protocol = self._limits, accepted.protocol
        match accepted.awaited(now):
            case Awaited.OPENING, seconds if seconds >= (limits.handshake if accepted.context else limits.silence):
                self.counts.slow += accepted.context is not None
                self._close(accepted)
            case Awaited.HEAD, seconds if protocol and seconds >= limits.head:
                self.counts.slow += 1
                protocol.reject(ClientStalledError(seconds=f"{limits.head:g}"))
            case Awaited.REQUEST, seconds if protocol and seconds >= limits.silence:
                protocol.output.close()
            case Awaited.READING, seconds if seconds >= limits.silence:
                self._close(accepted)

    def fall_short(self, reason: str) -> None:
        """Say at the start of a shortage of descriptors what it is, and see to it that its end is said, too.

        ``reason`` is what the operating system says when something cannot be opened, here or anywhere else.
        """
        if self._sockets:
            self._shortage.felt(reason)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.look()

    def _log_counts(self, now: float) -> None:
        if self.counts.trouble == self._logged or (
            self._logged_at is not None and now - self._logged_at < LOG_INTERVAL
        ):
            return
        grown = [each - before for each, before in zip(self.counts.trouble, self._logged, strict=True)]
        self._logged, self._logged_at = self.counts.trouble, now
        _LOGGER.warning(
            "Connections of clients: %d open; closed for newer ones %d, refused %d, too slow %d, head too large %d",
            *(self.counts.open, *grown),
        )

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # it left while it waited
            except OSError as error:
                self.fall_short(error.strerror or type(error).__name__)
                # What others hold without need is what it takes; closing that takes the loop some turns.
                await asyncio.sleep(_ROOM_MADE if self._make_room() else _OUT_OF_FILES)
                continue
            connection.setblocking(False)
            self._add(connection, address(peer), context)
            # Where connections come in a flood, accepting never waits: everything else has its turn, too.
            await asyncio.sleep(0)

    def _add(self, connection: socket.socket, peer: str, context: ssl.SSLContext | None) -> None:
        displaced = self._connections.displaced_by(peer)
        if isinstance(displaced, str):
            self.counts.refused += 1
            self._reject(connection, context)
            return
        if displaced is not None:
            self._displace(displaced)
        loop = asyncio.get_running_loop()
        accepted = AcceptedConnection(peer, connection, context, loop.time())
        self._connections.add(accepted)
        self._most = max(self._most, self.counts.open)
        loop.add_reader(connection, self._begin, accepted)

    def _begin(self, accepted: AcceptedConnection) -> None:
        """Serve a connection whose first byte is there, unless it has ended without one."""
        asyncio.get_running_loop().remove_reader(accepted.socket)
        try:
            # Head and body may be two segments; asyncio sets this only for sockets made with IPPROTO_TCP.
            accepted.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = accepted.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            first = b""
        if not first:
            self._close(accepted)
            return
        # Plain HTTP at the port for HTTPS is answered: with the right address.
        secure = accepted.context is not None and first == _TLS_HANDSHAKE
        misplaced = accepted.context is not None and not secure
        protocol = ClientConnection(self._handler, self.unsent, secure=secure, misplaced=misplaced)
        self._serve(accepted, protocol)

    def _displace(self, accepted: AcceptedConnection) -> None:
        self.counts.displaced += 1
        self._close(accepted)

    def _close(self, accepted: AcceptedConnection) -> None:
        self._connections.remove(accepted)
        accepted.close()

    def _make_room(self) -> bool:
        accepted = first_to_close(self._connections)
        if accepted:
            self._displace(accepted)
        return accepted is not None

    def _serve(self, accepted: AcceptedConnection, protocol: ClientConnection) -> None:
        accepted.protocol = protocol
        # Its task may have more to do: what the gateway still answers.
        protocol.lost.add_done_callback(lambda _: self._forget(accepted, protocol))
        task = self._serving[accepted] = asyncio.create_task(self._run(accepted, protocol))
        task.add_done_callback(lambda _: self._serving.pop(accepted))

    async def _run(self, accepted: AcceptedConnection, protocol: ClientConnection) -> None:
        """Serve a connection up to its end: the one task that it has."""
        try:
            if await self._open(accepted, protocol):
                await protocol.serve()
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
        finally:
            protocol.abort()
            protocol.connection_lost(None)
            accepted.socket.close()

    def _forget(self, accepted: AcceptedConnection, protocol: ClientConnection) -> None:
        self._connections.remove(accepted)
        self.counts.oversized += protocol.reader.oversized

    async def _open(self, accepted: AcceptedConnection, protocol: ClientConnection) -> bool:
        """Give the connection to its protocol, and shake hands for TLS; tell whether that came about."""
        loop = asyncio.get_running_loop()
        if not (protocol.secure and accepted.context):
            await loop.connect_accepted_socket(lambda: protocol, accepted.socket)
            return True
        tls = TlsTransport(accepted.context, None, protocol, server_side=True)
        raw, _ = await loop.connect_accepted_socket(lambda: tls, accepted.socket)
        try:
            await asyncio.wait({tls.handshake})  # awaited itself, its error would refer to this frame, and this to it
            if error := tls.handshake.exception():
                _LOGGER.debug("A connection did not come about: %s", type(error).__name__)
            return not error
        finally:
            if not protocol.ready:
                raw.abort()

    def _reject(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Say why it is not taken, where that needs no handshake."""
        if context is None and not self._rejections.locked():
            self._start(self._send_rejection(connection))
        else:
            connection.close()

    async def _send_rejection(self, connection: socket.socket) -> None:
        async with self._rejections:
            await reject(connection, rejection(TooManyConnectionsError()))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


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
