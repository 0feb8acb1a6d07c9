"""A gateway's side of TLS in memory, by tlslite-ng's own server: it can be made to do what OpenSSL never does."""

from typing import Any, Final

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import ContentType
from tlslite.messages import Message

from simulator.certificates import Identity

HELLO_REQUEST: Final = bytes(4)
"""The whole message (RFC 5246 section 7.4.1.1)."""
_TLS12: Final = (3, 3)


class _Socket:
    def __init__(self) -> None:
        self.incoming, self.outgoing = bytearray(), bytearray()

    def send(self, data: bytes) -> int:
        self.outgoing += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.outgoing += data

    def recv(self, limit: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError(11, "nothing there yet")
        data = bytes(self.incoming[:limit])
        del self.incoming[:limit]
        return data

    def close(self) -> None:
        pass


class Server:
    """Shows the certificate of ``identity`` and signs with the key of ``signer``.

    ``received`` is what the client has sent above TLS, ``ended`` why the handshake or the connection has ended.
    """

    def __init__(
        self,
        identity: Identity,
        signer: Identity | None = None,
        *,
        asks: bool = False,
        settings: HandshakeSettings | None = None,
    ) -> None:
        self.received = b""
        self.ended: Exception | None = None
        self.complete = False
        self._socket = _Socket()
        self._tls = TLSConnection(self._socket)
        self._tls.closeSocket = False
        chain = X509CertChain()
        chain.parsePemList(identity.certificate_pem.decode())
        key = parsePEMKey((signer or identity).key_pem.decode(), private=True, implementations=["python"])
        settings = settings or HandshakeSettings()
        settings.maxVersion = _TLS12
        self._steps: Any = self._tls.handshakeServerAsync(
            certChain=chain, privateKey=key, settings=settings, reqCert=asks
        )

    @property
    def client_certificate(self) -> bytes | None:
        """What the client has shown (DER)."""
        chain = self._tls.session.clientCertChain
        return bytes(chain.x509List[0].writeBytes()) if chain else None

    def feed(self, data: bytes) -> bytes:
        """Take what the client has sent, and return what is sent to it."""
        self._socket.incoming += data
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - tests look at it
            self.ended = error
        return self.take()

    def take(self) -> bytes:
        """Return what is sent to the client."""
        data = bytes(self._socket.outgoing)
        self._socket.outgoing.clear()
        return data

    def say(self, kind: int, data: bytes) -> bytes:
        """Encrypt a record with content of any kind, and return it."""
        for _ in self._tls._sendMsg(Message(kind, bytearray(data))):  # noqa: SLF001 - what no public name does
            pass
        return self.take()

    def answer(self, data: bytes) -> bytes:
        """Encrypt data of an application."""
        return self.say(ContentType.application_data, data)

    def _run(self) -> None:
        while True:
            for result in self._steps:
                if isinstance(result, bytes):
                    self.received += result
                if result in (0, 1):
                    return
            if self.complete and self._tls.closed:
                return
            self.complete = True
            self._steps = self._tls.readAsync(65536)
