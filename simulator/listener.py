"""The TCP and TLS side: accepts sockets, shows the certificate, and the faults before any request.

Sockets are accepted raw, because a gateway may wait, stay silent or refuse before the first TLS record, and
because ``asyncio.start_server`` would begin the handshake by itself. A gateway that looks at the ClientHello before
it answers only peeks at it, so that OpenSSL finds all of it in the socket.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Final

from simulator.client_hello import ClientHello, NotClientHelloError, parse_client_hello
from simulator.connection import Connection
from simulator.faults import FaultKind, Faults
from simulator.journal import Journal
from simulator.messages import HEAD_LIMIT
from simulator.pace import Pace

HANDSHAKE_FAILURE: Final = 40
ILLEGAL_PARAMETER: Final = 47
UNKNOWN_CA: Final = 48
PROTOCOL_VERSION: Final = 70
"""TLS alerts (RFC 5246 section 7.2)."""
HELLO_LIMIT: Final = 64 * 1024
"""Bytes of a ClientHello that are looked at; the longest ones of today have 2 kB."""
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
        hello_alert: int | None,
        connect: ConnectionFactory,
    ) -> None:
        """``hello_alert`` refuses a ClientHello that speaks of renegotiation; None: it is taken."""
        self.context = context
        self.connections: set[Connection] = set()
        self._journal = journal
        self._faults = faults
        self._pace = pace
        self._handshake_delay = handshake_delay
        self._hello_alert = hello_alert
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
                    await asyncio.get_running_loop().sock_recv(client, HELLO_LIMIT)
                    self._journal.handshake_failed()
                    await _send_alert(client, HANDSHAKE_FAILURE)
                else:
                    await self._talk(number, client)
        finally:
            client.close()
            self._journal.connection_closed()

    async def _swallow(self, client: socket.socket) -> None:
        while await asyncio.get_running_loop().sock_recv(client, 4096):
            pass

    async def _refuses_hello(self, client: socket.socket) -> bool:
        """Refuse a ClientHello that speaks of renegotiation; a client may take its time to send it."""
        if self._hello_alert is None:
            return False
        hello = await _peek_client_hello(client)
        if hello is None or not hello.speaks_of_renegotiation:
            return False
        # Closing with unread bytes in the socket would send a reset, which can overtake the alert.
        await asyncio.get_running_loop().sock_recv(client, HELLO_LIMIT)
        self._journal.hello_refused()
        await _send_alert(client, self._hello_alert)
        return True

    async def _talk(self, number: int, client: socket.socket) -> None:
        context = None if self._faults.take(FaultKind.NO_TLS) else self.context
        if context and await self._refuses_hello(client):
            return
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
        with _Alerts(given) as alerts:
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
    """Tells a client why its handshake failed: asyncio closes its socket without the alert."""

    def __init__(self, client: socket.socket) -> None:
        self._socket = client.dup()

    async def send(self, error: OSError) -> None:
        """Send the alert that fits the error of a handshake."""
        if isinstance(error, ssl.SSLError):
            alert = PROTOCOL_VERSION if error.reason == "UNSUPPORTED_PROTOCOL" else HANDSHAKE_FAILURE
            refused = isinstance(error, ssl.SSLCertVerificationError)
            await _send_alert(self._socket, UNKNOWN_CA if refused else alert)

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def _send_alert(client: socket.socket, alert: int) -> None:
    """Send a fatal alert in a record of TLS 1.2."""
    await asyncio.get_running_loop().sock_sendall(client, bytes((21, 3, 3, 0, 2, 2, alert)))


async def _peek_client_hello(client: socket.socket) -> ClientHello | None:
    """Wait for a whole ClientHello and leave it in the socket; None if something else came, or the client left."""
    seen = 0
    try:
        while True:
            await _readable(client)
            received = client.recv(HELLO_LIMIT, socket.MSG_PEEK)
            if len(received) in (seen, HELLO_LIMIT):
                return None
            if hello := parse_client_hello(received):
                return hello
            seen = len(received)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)  # readable with more than that
    except NotClientHelloError:
        return None
    finally:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _readable(client: socket.socket) -> None:
    """Wait until there is something to read, or the client has left."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(client, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(client)
