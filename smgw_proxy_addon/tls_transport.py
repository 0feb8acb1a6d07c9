"""TLS to the gateway and to clients: encrypts between the transport of a socket and a protocol above it.

asyncio's own TLS takes 25 µs more for a request, because it ends each read with an exception, and keeps a buffer of
256 kB for each connection.
"""

import asyncio
import ssl
from typing import Any, Final, Protocol, cast

from smgw_proxy_addon.read_buffer import BufferedReader

_RECORD: Final = 16384
"""Bytes of the longest record (RFC 5246 section 6.2.1)."""
_ALERT: Final = 7
"""Bytes of a record with an alert."""


class TlsContext(Protocol):
    """``ssl.SSLContext``, or what stands in for it."""

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool, server_hostname: str | None
    ) -> Any:
        """Return one side of a new connection: an ``ssl.SSLObject``, or what stands in for it."""


class TlsTransport(BufferedReader):
    """One side of a TLS connection: a protocol for the socket, a transport for ``protocol``.

    ``raw`` is the socket's own transport. ``handshake`` is done with the handshake, and then ``protocol`` is told of
    the connection. ``ended``: nothing comes in any more; ``protocol`` is told so behind the last bytes. ``error`` is
    what has ended the connection after the handshake, such as an alert.
    """

    raw: asyncio.Transport
    ended = False
    error: ssl.SSLError | None = None
    _open = False

    def __init__(
        self,
        context: TlsContext,
        server_name: str | None,
        protocol: asyncio.Protocol,
        *,
        server_side: bool = False,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name)
        self._protocol = protocol
        self.heard = b""
        """The first bytes of the other side, as many as an alert has."""
        self._closing = False
        self.handshake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # For the protocol above

    def certificate(self) -> bytes:
        """Return the certificate (DER) that the other side showed."""
        return self._tls.getpeercert(binary_form=True) or b""

    @property
    def has_cipher(self) -> bool:
        """Whether this side has sent its half of the handshake, which perhaps went wrong behind that."""
        return bool(self._tls.cipher())

    def write(self, data: bytes) -> None:
        """Send data, without waiting."""
        self._tls.write(data)
        self.raw.write(self._outgoing.read())

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or being closed."""
        return self._closing or self.raw.is_closing()

    def close(self) -> None:
        """Send close_notify, and close the socket when the other side has answered it, however long that takes."""
        if self.is_closing():
            return
        self._closing = True
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._send()
            self.raw.resume_reading()  # the answer comes behind what nobody wanted to read
        except ssl.SSLError:
            self.raw.abort()
        else:
            self._send()
            self.raw.close()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self.raw = cast("asyncio.Transport", transport)
        self._shake_hands()

    def data_received(self, data: bytes | memoryview) -> None:
        """Decrypt what came in."""
        self._incoming.write(data)
        if self._open:
            self._read()
        elif not self.handshake.done():
            self.heard = (self.heard + data)[:_ALERT]
            self._shake_hands()

    def eof_received(self) -> None:
        """Pass the end of the connection on; without close_notify, which some leave out, it is no error."""
        if self._open:
            self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on that the connection is closed."""
        if exc:
            exc.__traceback__ = exc.__context__ = None  # after a write they refer to frames, and these to this
        if self._open:
            self._open = False
            self._protocol.connection_lost(self.error or exc)
        else:
            self._fail(exc or ConnectionResetError())
        del self._protocol  # each of them refers to the other

    def pause_writing(self) -> None:
        """Have the protocol wait before it writes more."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Let it write on."""
        self._protocol.resume_writing()

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except ssl.SSLError as error:
            error.__context__ = None  # its traceback and this one refer to frames, and these to this
            self._fail(error.with_traceback(None))
            self._send()  # an alert that says what is wrong
            self.raw.abort()
        else:
            self._send()
            self._open = True
            self._protocol.connection_made(cast("asyncio.BaseTransport", self))
            self.handshake.set_result(None)
            self._read()

    def _fail(self, error: Exception) -> None:
        if not self.handshake.done():
            self.handshake.set_exception(error)
            self.handshake.exception()  # nobody may wait for it any more

    def _read(self) -> None:
        pieces = []
        try:
            while not self.ended and (self._incoming.pending or self._tls.pending()):
                piece = self._tls.read(_RECORD)
                pieces.append(piece)
                self.ended = not piece  # close_notify
        except ssl.SSLWantReadError:
            pass  # a part of a record
        except ssl.SSLError as error:
            self.error, self.ended = error.with_traceback(None), True
        if self._outgoing.pending:
            self._send()
        if self._closing:
            if self.ended:
                self.raw.close()
            return
        if data := b"".join(pieces):
            self._protocol.data_received(data)
        if self.error:
            self.raw.abort()
        elif self.ended:
            self._protocol.eof_received()
            self.close()

    def _send(self) -> None:
        self.raw.write(self._outgoing.read())
