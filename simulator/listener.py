"""The TCP and TLS side: accepts sockets, shows the certificate, and the faults before any request.

Sockets are accepted raw, because a gateway may wait, stay silent or refuse before the first TLS record, and
because ``asyncio.start_server`` would begin the handshake by itself.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Final

from simulator.connection import Connection
from simulator.faults import FaultKind, Faults
from simulator.journal import Journal
from simulator.messages import HEAD_LIMIT
from simulator.pace import Pace

HANDSHAKE_FAILURE: Final = bytes.fromhex("15030300020228")
UNKNOWN_CA: Final = bytes.fromhex("15030300020230")
"""Fatal TLS alerts (RFC 5246 section 7.2)."""
_SHUTDOWN_SECONDS: Final = 2
"""How long the client's close_notify is waited for."""

ConnectionFactory = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Connection]


class Listener:
    """Listens from ``start`` to ``stop``; ``context`` may be replaced, new connections then show another one."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        journal: Journal,
        faults: Faults,
        pace: Pace,
        handshake_delay: float,
        connect: ConnectionFactory,
    ) -> None:
        self.context = context
        self.connections: set[Connection] = set()
        self._journal = journal
        self._faults = faults
        self._pace = pace
        self._handshake_delay = handshake_delay
        self._connect = connect
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises OSError if the address cannot be used."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=128)
        self._socket.setblocking(False)
        self._spawn(self._accept(self._socket))
        bound: int = self._socket.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close the listener and every connection at once."""
        if self._socket is not None:
            # Before the task that accepts is cancelled: a connection in this very turn would find nobody.
            asyncio.get_running_loop().remove_reader(self._socket)
        for connection in self.connections:
            connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listening)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._serve(self._journal.connection_opened(), client))

    async def _serve(self, number: int, client: socket.socket) -> None:
        try:
            # The client leaving early, or a handshake that fails, is an ordinary end.
            with contextlib.suppress(OSError):
                if self._faults.take(FaultKind.LOCKED):
                    await self._swallow(client)
                elif self._faults.take(FaultKind.REFUSE_HANDSHAKE):
                    await self._refuse(client)
                else:
                    await self._talk(number, client)
        finally:
            client.close()
            self._journal.connection_closed()

    async def _swallow(self, client: socket.socket) -> None:
        while await asyncio.get_running_loop().sock_recv(client, 4096):
            pass

    async def _refuse(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_recv(client, 4096)
        self._journal.handshake_failed()
        await loop.sock_sendall(client, HANDSHAKE_FAILURE)

    async def _talk(self, number: int, client: socket.socket) -> None:
        context = None if self._faults.take(FaultKind.NO_TLS) else self.context
        await self._pace.work(self._handshake_delay)
        reader, writer = await self._open(client, context)
        connection = self._connect(number, reader, writer)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)
            connection.abort()

    async def _open(
        self, client: socket.socket, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        # The transport's alone from here on: it may go on for a while after a cancellation, and must not find
        # another connection under its descriptor then.
        given = socket.socket(fileno=client.detach())
        with _Alerts(given, context) as alerts:
            try:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol,
                    given,
                    ssl=context,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS if context else None,
                )
            except OSError as error:
                self._journal.handshake_failed()
                await alerts.send(error)
                raise
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    given.shutdown(socket.SHUT_RDWR)
                raise
        if context:
            tls = transport.get_extra_info("ssl_object")
            self._journal.handshake_done(tls.getpeercert(binary_form=True))
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Alerts(contextlib.AbstractContextManager["_Alerts"]):
    """Tells a client why its certificate is refused: asyncio closes its socket without the alert."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext | None) -> None:
        asks = context is not None and context.verify_mode != ssl.CERT_NONE
        self._socket = client.dup() if asks else None

    async def send(self, error: OSError) -> None:
        """Send the alert that fits the error of a handshake."""
        if self._socket is not None and isinstance(error, ssl.SSLError):
            alert = UNKNOWN_CA if isinstance(error, ssl.SSLCertVerificationError) else HANDSHAKE_FAILURE
            await asyncio.get_running_loop().sock_sendall(self._socket, alert)

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
