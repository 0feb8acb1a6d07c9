"""TLS to gateways that OpenSSL cannot speak to: they refuse a ClientHello with ``renegotiation_info`` (RFC 5746).

Sagemcom's do, and OpenSSL always sends it. Here tlslite-ng speaks TLS 1.2 without it, and ``cryptography`` does what
tlslite-ng is slow at or does in a time that depends on a key: bulk encryption, and signatures for a login by
certificate. Imported only for such a gateway. Where this module reaches below tlslite-ng's public names, a test
fails if another release changes them.
"""

import asyncio
import ssl
from collections.abc import Generator
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import (
    AlertDescription,
    AlertLevel,
    CipherSuite,
    ContentType,
    ExtensionType,
    HashAlgorithm,
    SignatureAlgorithm,
)
from tlslite.errors import TLSAlert, TLSError, TLSIllegalParameterException, TLSRemoteAlert
from tlslite.messages import Alert, CertificateRequest, ChangeCipherSpec, ClientHello
from tlslite.recordlayer import RecordLayer, RecordSocket
from tlslite.utils.python_ecdsakey import Python_ECDSAKey

from smgw_proxy_addon.tls_transport import TlsTransport

_TLS12: Final = (3, 3)
_WANTS_INPUT: Final = 0
"""What a generator of tlslite-ng yields when it waits for bytes."""
_KEY_SIZES: Final = dict.fromkeys(CipherSuite.aes256GcmSuites + CipherSuite.aes256Suites, 32) | dict.fromkeys(
    CipherSuite.aes128GcmSuites + CipherSuite.aes128Suites, 16
)
_HANDSHAKE_LIMIT: Final = 65536
"""Bytes that a gateway may send until its handshake is complete: certificates take some thousand."""
_RSA_EXPONENT_LIMIT: Final = 2**64
"""As OpenSSL has it for long keys. One as long as the key takes seconds, in which Python runs nothing else."""
_PIECE: Final = 4096
_DIGESTS: Final[dict[int, hashes.HashAlgorithm]] = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
"""By size in bytes: tlslite-ng cuts what is too long for a key."""
_ECDSA_NAMES: Final = {"secp256r1": "prime256v1"}
"""Where a curve's name differs from that of ``cryptography``."""

_Steps = Generator[Any, None, None]


class CompatibleContext:
    """Stands in for the ``ssl.SSLContext`` of ``gateway.tls.client_context``: the same suites and curves.

    ``login`` is a certificate with its key, both PEM, that the gateway is shown if it asks. Raises ValueError if
    tlslite-ng cannot read them.
    """

    def __init__(self, login: tuple[bytes, bytes] | None = None) -> None:
        self.transport_class = CompatibleTransport
        self._login: tuple[Any, Any] | None = None
        if login:
            try:
                chain = X509CertChain()
                chain.parsePemList(login[0].decode())
                self._login = chain, _signing_key(login[1])
            except (ValueError, SyntaxError, AssertionError) as error:
                raise ValueError(
                    "the proxy's certificate for the gateway does not suit the compatible TLS"
                ) from error

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: ARG002 - as ssl.SSLContext has it
        server_hostname: str | None = None,
    ) -> "CompatibleObject":
        """Return the client's side of a new connection, as ``ssl.SSLContext.wrap_bio`` does."""
        return CompatibleObject(_Socket(incoming, outgoing), server_hostname, self._login)


class CompatibleTransport(TlsTransport):
    """A connection whose handshake runs beside the event loop: on a small computer it takes a part of a second.

    After it, at most ``_PIECE`` bytes are decrypted in one turn of the loop: small records take up to a millisecond
    each, and asyncio would read 256 kB of them at once.
    """

    _tls: "CompatibleObject"
    _received = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """Give the event loop a buffer to read into."""
        return super().get_buffer(sizehint)[:_PIECE]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, but not before asyncio reads: that of Python 3.11 begins to even if it was paused."""
        asyncio.get_running_loop().call_soon(super().connection_made, transport)

    def data_received(self, data: bytes | memoryview) -> None:
        """Decrypt what came in, or go on with the handshake."""
        if not self._open:
            self._received += len(data)
            if self._received > _HANDSHAKE_LIMIT:
                self._fail(_error("EXCESSIVE_MESSAGE_SIZE"))
                self.raw.abort()
                return
        super().data_received(data)

    def _shake_hands(self) -> None:
        # Neither bytes nor the end of the connection may overtake what is being worked at: perhaps the last alert.
        self.raw.pause_reading()
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self._tls.advance).add_done_callback(self._advanced)

    def _advanced(self, _advance: asyncio.Future[None]) -> None:
        if self.handshake.done():
            return  # nobody waits for it any more
        self.raw.resume_reading()
        super()._shake_hands()


class CompatibleObject:
    """Stands in for an ``ssl.SSLObject``, and raises the same errors: ``SSLWantReadError``, else ``SSLError``.

    ``advance`` takes the time of a handshake; ``do_handshake`` only says what came of it.
    """

    def __init__(self, socket: "_Socket", server_name: str | None, login: tuple[Any, Any] | None) -> None:
        chain, key = login or (None, None)
        self._tls = _Connection(socket, server_name)
        self._steps: _Steps = self._tls.handshakeClientCert(chain, key, settings=_settings(), async_=True)
        self._step_done = False
        self._problem: ssl.SSLError | None = None

    def advance(self) -> None:
        """Go on with the handshake as far as what came in allows. May run in a thread."""
        try:
            if self._step() is not None:
                self._problem = _error("ALERT_CLOSE_NOTIFY")  # it ends no handshake in order
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._problem = error.with_traceback(None)

    def do_handshake(self) -> None:
        """Raise what the last ``advance`` ended with, nothing after a whole handshake."""
        if self._problem:
            raise self._problem
        if not self._step_done:
            raise ssl.SSLWantReadError

    def read(self, limit: int) -> bytes:
        """Return at most ``limit`` decrypted bytes, none after close_notify."""
        if self._step_done:
            self._steps = self._tls.readAsync(limit)
        return self._step() or b""

    def write(self, data: bytes) -> None:
        """Encrypt data."""
        try:
            for _ in self._tls.writeAsync(data):
                pass  # never: the memory below takes everything at once
        except (TLSError, OSError) as error:
            raise _error(type(error).__name__) from None

    def unwrap(self) -> None:
        """Send close_notify; raises ``SSLWantReadError`` until ``read`` has seen the gateway's."""
        self._steps = self._tls.closeAsync()
        self._step()

    def pending(self) -> int:
        """Return how many bytes were taken in and not read yet."""
        return self._tls.unread_bytes()

    def cipher(self) -> bool:
        """Tell whether the proxy has sent its half of the handshake: only then an ``SSLObject`` has a cipher."""
        return self._tls.encrypts

    def getpeercert(self, *, binary_form: bool) -> bytes:  # noqa: ARG002 - as ssl.SSLObject has it
        """Return the gateway's certificate (DER)."""
        return bytes(self._tls.session.serverCertChain.x509List[0].writeBytes())

    def _step(self) -> bytes | None:
        """Run the steps until they end, yield what was read, or want input."""
        self._step_done = False
        try:
            for result in self._steps:
                if isinstance(result, bytes):
                    self._step_done = True
                    return result
                if result == _WANTS_INPUT:
                    break
            else:
                self._step_done = True
                return None
            reason = self._tls.problem()
        except TLSRemoteAlert as alert:
            if alert.description == AlertDescription.close_notify:
                self._step_done = True
                return b""
            reason = f"ALERT_{AlertDescription.toStr(alert.description).upper()}"
        except TLSAlert as alert:
            reason = AlertDescription.toStr(alert.description).upper()
        except Exception as error:  # noqa: BLE001 - tlslite-ng raises many kinds for what a hostile gateway sends
            reason = getattr(error, "reason", None) or type(error).__name__
        if reason is None:
            raise ssl.SSLWantReadError
        raise _error(reason)


class _Socket:
    """What tlslite-ng takes for a socket: two pieces of memory."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self.sendall = outgoing.write
        self.send = outgoing.write

    def recv(self, limit: int) -> bytes:
        if not self._incoming.pending:
            raise BlockingIOError(11, "nothing there yet")
        return self._incoming.read(limit)


class _RecordSocket(RecordSocket):
    def _recvHeader(self) -> _Steps:  # noqa: N802
        try:
            for result in super()._recvHeader():
                if result not in (0, 1) and result.ssl2:
                    break
                yield result
        except TLSIllegalParameterException:
            pass
        raise _error("WRONG_VERSION_NUMBER")  # what OpenSSL says to plain text


class _RecordLayer(RecordLayer):
    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._recordSocket = _RecordSocket(sock)

    @staticmethod
    def _getCipherSettings(cipherSuite: int) -> tuple[int, int, Any]:  # noqa: N802, N803
        if cipherSuite in CipherSuite.aeadSuites:
            return _KEY_SIZES[cipherSuite], 4, _Gcm
        return _KEY_SIZES[cipherSuite], 16, _Cbc


class _Connection(TLSConnection):
    """A client without ``renegotiation_info`` that never renegotiates."""

    encrypts = False

    def __init__(self, sock: _Socket, server_name: str | None) -> None:
        super().__init__(sock)
        self._server_name = server_name
        self._recordLayer = _RecordLayer(self.sock)
        self.closeSocket = False  # close_notify is waited for

    def unread_bytes(self) -> int:
        """Return how many bytes were taken from the socket and not decrypted, or decrypted and not read."""
        taken: bytearray = self.sock._read_buffer  # noqa: SLF001 - it has no public name
        return len(taken) + len(self._readBuffer)

    def problem(self) -> str | None:
        """Return what is wrong while input is waited for: half a message that may come in a handshake only."""
        return None if self.closed or self._defragmenter.is_empty() else "UNEXPECTED_MESSAGE"

    def _getNextRecord(self) -> _Steps:  # noqa: N802
        for result in super()._getNextRecord():
            if not (self.closed and _warns_of_name(result)):
                yield result

    def _sendMsg(self, msg: Any, *arguments: Any, **named: Any) -> _Steps:  # noqa: N802
        if isinstance(msg, ClientHello):
            msg.cipher_suites.remove(CipherSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV)
            # Without that, certificates are X.509 as well; OpenSSL never sends it.
            msg.extensions = [each for each in msg.extensions if each.extType != ExtensionType.cert_type]
            if self._server_name:
                msg.server_name = self._server_name.encode()  # tlslite-ng itself takes none with an underscore
        elif isinstance(msg, ChangeCipherSpec):
            self.encrypts = True
        elif isinstance(msg, Alert) and msg.description == AlertDescription.no_renegotiation:
            raise _error("NO_RENEGOTIATION")
        yield from super()._sendMsg(msg, *arguments, **named)

    def _getMsg(self, *arguments: Any) -> _Steps:  # noqa: N802
        for message in super()._getMsg(*arguments):
            if isinstance(message, CertificateRequest):
                # tlslite-ng refuses a gateway that takes no RSA signature. It never makes this one.
                message.supported_signature_algs.append((HashAlgorithm.sha1, SignatureAlgorithm.rsa))
            yield message

    def _clientGetKeyFromChain(self, *arguments: Any) -> _Steps:  # noqa: N802
        for result in super()._clientGetKeyFromChain(*arguments):
            if result not in (0, 1) and getattr(result[0], "e", 0) >= _RSA_EXPONENT_LIMIT:
                raise _error("BAD_CERTIFICATE")
            yield result


class _Gcm:
    """AES-GCM as tlslite-ng wants it."""

    isBlockCipher, isAEAD = False, True  # noqa: N815
    nonceLength, tagLength = 12, 16  # noqa: N815
    implementation = "cryptography"

    def __init__(self, key: bytearray, _implementations: object) -> None:
        self.name = f"aes{len(key) * 8}gcm"
        self._cipher = AESGCM(bytes(key))

    def seal(self, nonce: bytearray, plain: bytearray, data: bytearray) -> bytearray:
        return bytearray(self._cipher.encrypt(bytes(nonce), bytes(plain), bytes(data)))

    def open(self, nonce: bytearray, sealed: bytearray, data: bytearray) -> bytearray | None:
        try:
            return bytearray(self._cipher.decrypt(bytes(nonce), bytes(sealed), bytes(data)))
        except InvalidTag:
            return None


class _Cbc:
    """AES-CBC as tlslite-ng wants it: the chain goes on from record to record."""

    isBlockCipher, isAEAD = True, False  # noqa: N815
    block_size = 16
    implementation = "cryptography"

    def __init__(self, key: bytearray, vector: bytearray, _implementations: object) -> None:
        self.name = f"aes{len(key) * 8}"
        cipher = Cipher(algorithms.AES(bytes(key)), modes.CBC(bytes(vector)))
        self._encryptor: CipherContext = cipher.encryptor()
        self._decryptor: CipherContext = cipher.decryptor()

    def encrypt(self, plain: bytearray) -> bytearray:
        return bytearray(self._encryptor.update(bytes(plain)))

    def decrypt(self, data: bytearray) -> bytearray:
        return bytearray(self._decryptor.update(bytes(data)))


class _EcKey(Python_ECDSAKey):
    """A key whose signatures take the same time for every key; tlslite-ng's own do not, and it reads no brainpool."""

    def __init__(self, signer: ec.EllipticCurvePrivateKey) -> None:
        point = signer.public_key().public_numbers()
        super().__init__(point.x, point.y, _ECDSA_NAMES.get(signer.curve.name, signer.curve.name))
        self.private_key = self.public_key  # it is asked for its curve
        self._signer = signer

    def _sign(self, data: bytearray, hAlg: str) -> bytearray:  # noqa: ARG002, N803
        return bytearray(self._signer.sign(bytes(data), ec.ECDSA(utils.Prehashed(_DIGESTS[len(data)]))))


def _warns_of_name(result: Any) -> bool:
    """Tell whether this is an alert after which a handshake goes on (RFC 6066 section 3)."""
    return (
        result not in (0, 1)
        and result[0].type == ContentType.alert
        and tuple(result[1].bytes) == (AlertLevel.warning, AlertDescription.unrecognized_name)
    )


def _signing_key(pem: bytes) -> Any:
    signer = serialization.load_pem_private_key(pem, None)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return _EcKey(signer)
    return parsePEMKey(pem.decode(), private=True, implementations=["python"])


def _settings() -> HandshakeSettings:
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = _TLS12
    settings.keyExchangeNames = ["ecdhe_ecdsa", "ecdhe_rsa"]
    settings.cipherNames = ["aes256gcm", "aes128gcm", "aes256", "aes128"]
    settings.macNames = ["aead", "sha384", "sha256"]
    settings.eccCurves = ["secp256r1", "secp384r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"]
    settings.keyShares = ["secp256r1"]
    settings.ec_point_formats = [0]
    settings.ecdsaSigHashes = settings.rsaSigHashes = ["sha512", "sha384", "sha256"]
    settings.dsaSigHashes = settings.more_sig_schemes = settings.dhGroups = []
    settings.certificate_compression_send = settings.certificate_compression_receive = []
    settings.minKeySize = 2048
    settings.use_heartbeat_extension = False
    settings.record_size_limit = None
    return settings


def _error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(reason)
    error.reason = reason
    return error
