"""Where clients' connections come in: accepted, counted, and closed when they take what others need.

asyncio's own server knows no limits, and leaves a connection alone until its TLS handshake is done. Here each one is
counted from the first moment, and costs hardly anything before its first byte: neither aiohttp's parser and task nor
asyncio's 256 kB for a TLS handshake. What costs time is done when a connection comes and by one look at all of them
every few seconds: a request on a kept connection pays nothing.
"""

import asyncio
import gc
import logging
import socket
import ssl
import traceback
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from smgw_proxy_addon.errors import ClientStalledError, TooManyConnectionsError
from smgw_proxy_addon.server import file_limits
from smgw_proxy_addon.server.accepted import Visitor, order, turn_away
from smgw_proxy_addon.server.connection import ClientConnection, address, refusal
from smgw_proxy_addon.server.limits import Counts, Limits, Room, Stage

_LOGGER: Final = logging.getLogger(__name__)

_CROWD: Final = 64
"""Connections at once after which memory is given back to the system when half of them are gone."""

LOOK: Final = 2.0
"""Seconds between two looks at all connections."""

TOLD: Final = 60.0
"""Seconds between two lines in the log about the same."""

_BACKLOG: Final = 512

_CLOSE_NOTIFY: Final = 30.0
"""Seconds for the client's close_notify: what it has not read by then of a last answer is lost to it."""

_FAREWELLS: Final = 16
_OUT_OF_FILES: Final = 0.5
_ROOM_MADE: Final = 0.02


class Entrance:
    """Takes connections at the listening sockets from ``open`` to ``close``; ``make`` makes the protocol of one."""

    def __init__(self, make: Callable[[], ClientConnection], limits: Limits | None = None) -> None:
        self._make = make
        self._limits = file_limits.affordable(limits or Limits())
        self._room: Room[Visitor] = Room(self._limits)
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells = 0
        self._most = 0  # connections since memory was given back
        self._told = self.counts.trouble
        self._told_at: float | None = None
        self._shortage = file_limits.Shortage()

    @property
    def counts(self) -> Counts:
        """What the limits have done."""
        return self._room.counts

    def open(self, listeners: Sequence[tuple[socket.socket, ssl.SSLContext | None]]) -> None:
        """Listen; with a context, for HTTPS."""
        for listener, context in listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._sockets.append(listener)
            self._start(self._accept(listener, context))
        self._start(self._watch())

    async def close(self) -> None:
        """Take no more connections; those that are there stay, but for unfinished handshakes."""
        for visitor in self._room:
            if visitor.protocol is None and visitor.context:
                self._dismiss(visitor)
        for listener in self._sockets:
            # Before the task that accepts is cancelled: a connection in this very turn would find nobody.
            asyncio.get_running_loop().remove_reader(listener)
        self._shortage.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._sockets:
            listener.close()
        self._sockets.clear()
        for visitor in self._room:
            if visitor.protocol is None:
                # What it asks from now on is answered, and it is closed like all others.
                asyncio.get_running_loop().remove_reader(visitor.connection)
                self._serve(visitor)

    def look(self) -> None:
        """Close what says nothing, or sends one head, for too long; say in the log what the limits have done."""
        now = asyncio.get_running_loop().time()
        for visitor in self._room:
            protocol = visitor.protocol
            if protocol is None:
                self._end_silence(visitor, now)
                continue
            self._end_neglect(visitor, protocol, now)
            if not protocol.unfinished or visitor.heads != protocol.heads:
                visitor.slow_since, visitor.heads = None, protocol.heads
            if protocol.unfinished and visitor.slow_since is None:
                visitor.slow_since = now
            elif visitor.slow_since is not None and now - visitor.slow_since >= self._limits.head:
                self.counts.slow += 1
                protocol.turn_away(refusal(ClientStalledError(seconds=f"{self._limits.head:g}")))
        self._tell(now)
        if self._most >= _CROWD and self.counts.open <= self._most // 2:
            self._most = self.counts.open
            self._start(asyncio.to_thread(give_memory_back))

    def _end_silence(self, visitor: Visitor, now: float) -> None:
        """Close a connection that has not sent its first byte in time."""
        patience = self._limits.handshake if visitor.context else self._limits.silence
        if now - visitor.came >= patience:
            self.counts.slow += visitor.context is not None
            self._dismiss(visitor)

    def _end_neglect(self, visitor: Visitor, protocol: ClientConnection, now: float) -> None:
        """Close a connection whose client has taken nothing of its last answers for as long as it may be silent."""
        if not protocol.is_over or protocol.unsent != visitor.unsent:
            visitor.unsent, visitor.unsent_since = protocol.unsent, now
        elif now - visitor.unsent_since >= self._limits.silence:
            self._dismiss(visitor)

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

    def _tell(self, now: float) -> None:
        if self.counts.trouble == self._told or (self._told_at is not None and now - self._told_at < TOLD):
            return
        grown = [each - before for each, before in zip(self.counts.trouble, self._told, strict=True)]
        self._told, self._told_at = self.counts.trouble, now
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
            self._admit(connection, address(peer), context)
            # Where connections come in a flood, accepting never waits: everything else has its turn, too.
            await asyncio.sleep(0)

    def _admit(self, connection: socket.socket, peer: str, context: ssl.SSLContext | None) -> None:
        leaving = self._room.who_leaves_for(peer)
        if isinstance(leaving, str):
            self.counts.refused += 1
            self._refuse(connection, context)
            return
        if leaving is not None:
            self._displace(leaving)
        loop = asyncio.get_running_loop()
        visitor = Visitor(peer, connection, context, loop.time())
        self._room.enter(visitor)
        self._most = max(self._most, self.counts.open)
        loop.add_reader(connection, self._begin, visitor)

    def _begin(self, visitor: Visitor) -> None:
        """Serve a connection whose first byte is there, unless it has ended without one."""
        asyncio.get_running_loop().remove_reader(visitor.connection)
        try:
            came = visitor.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            came = b""
        if not came:
            self._dismiss(visitor)
            return
        self._serve(visitor)

    def _serve(self, visitor: Visitor) -> None:
        visitor.protocol = protocol = self._make()
        protocol.gone.add_done_callback(lambda _: self._left(visitor, protocol))
        greeting = self._start(self._greet(visitor, protocol))
        greeting.add_done_callback(lambda greeting: self._greeted(visitor, protocol, greeting))

    def _left(self, visitor: Visitor, protocol: ClientConnection) -> None:
        self._room.leave(visitor)
        self.counts.oversized += protocol.oversized

    def _displace(self, visitor: Visitor) -> None:
        self.counts.displaced += 1
        self._dismiss(visitor)

    def _dismiss(self, visitor: Visitor) -> None:
        self._room.leave(visitor)
        visitor.dismiss()

    def _make_room(self) -> bool:
        visitor = min((each for each in self._room if each.stage is not Stage.AT_WORK), key=order, default=None)
        if visitor:
            self._displace(visitor)
        return visitor is not None

    async def _greet(self, visitor: Visitor, protocol: ClientConnection) -> None:
        """Give the connection to its protocol, after the handshake."""

        def receive() -> ClientConnection:
            visitor.received = True
            return protocol

        timeouts: dict[str, float] = {}
        if visitor.context:
            timeouts = {"ssl_handshake_timeout": self._limits.handshake, "ssl_shutdown_timeout": _CLOSE_NOTIFY}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                receive, visitor.connection, ssl=visitor.context, **timeouts
            )
        except OSError as error:  # TLS did not come about, or the client left
            self.counts.slow += isinstance(error, ConnectionAbortedError)  # asyncio's for a handshake without end
            # asyncio keeps the error in a frame of its own traceback, and with it a buffer of 256 kB.
            traceback.clear_frames(error.__traceback__)
            _LOGGER.debug("A connection did not come about: %s", type(error).__name__)

    def _greeted(self, visitor: Visitor, protocol: ClientConnection, greeting: asyncio.Task[None]) -> None:
        fault = None if greeting.cancelled() else greeting.exception()
        if fault is not None:
            _LOGGER.error("A fault of the proxy itself; please report it", exc_info=fault)
        if protocol.transport is None:
            # It did not come about, or has ended. asyncio tells only of the end of what it has told the beginning of.
            protocol.connection_lost(None)
        if not visitor.received:
            visitor.connection.close()

    def _refuse(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Say why it is not taken, where that needs no handshake."""
        if context is None and self._farewells < _FAREWELLS:
            self._start(self._say_farewell(connection))
        else:
            connection.close()

    async def _say_farewell(self, connection: socket.socket) -> None:
        self._farewells += 1
        try:
            await turn_away(connection, refusal(TooManyConnectionsError()))
        finally:
            self._farewells -= 1

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def give_memory_back() -> None:
    """Give what a crowd has used back to the system: glibc keeps it, because the program may need it again.

    Must be run in executor. Elsewhere than with glibc it does nothing.
    """
    import ctypes  # noqa: PLC0415 - only ever after a crowd

    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
