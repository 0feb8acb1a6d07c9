"""Records from the gateway after a handshake: hostile ones too are encrypted right, so that they are looked at."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

from tlslite.constants import CipherSuite, ContentType
from tlslite.messages import Message
from tlslite.recordlayer import RecordSocket

from fuzz.promises import promise
from fuzz.tls_rig import MOST, RECORD, Proxy, foreseeable, loop, turns
from smgw_proxy_addon.gateway import compatible_tls

CBC, MAC_LAST, IMPATIENT, ANSWERS = 1, 2, 4, 8
"""Bits of all: the suite; encrypt-then-MAC; bytes that come in the same turn of the loop; a proxy that asks again."""
TYPES: Final = (*range(ContentType.change_cipher_spec, ContentType.heartbeat + 1), None, None, None)
RAW, ASK, CLOSE = 5, 6, 7
"""The lowest three bits of a record are its type, or one of these: not encrypted; the proxy asks; it closes."""
FILLED, LONGER, CHANGED, NO_MAC = 8, 16, 32, 64
"""Bits of a record: as long as one may be; longer; changed on the way; nothing but encrypted blocks (CBC)."""
HEAD: Final = 2
_MOST_FILLED: Final = 6
_SUITES: Final = (
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
)
_BLOCK: Final = 16


def fuzz(data: bytes) -> None:
    """Send records: bits, the size of pieces (0: a record at once), then for each its bits, its length and bytes."""
    if len(data) > HEAD:
        with foreseeable(agreeing=False):
            loop().run_until_complete(go_on(data[0], data[1], data[HEAD:]))


async def go_on(bits: int, size: int, data: bytes) -> Proxy:
    """Do so; returns what is left."""
    gateway = _Gateway(bits)
    proxy = Proxy(lambda engine: _begin_open(engine, bits), answers=bool(bits & ANSWERS))
    await turns()
    promise(proxy.above.made, "the connection is made")
    sent, whole = b"", True
    for kind, payload in _records(data, known=0xFF if bits & CBC else ~NO_MAC):
        if kind & 7 == ASK:
            proxy.above.ask()
        elif kind & 7 == CLOSE:
            proxy.tls.close()
            whole = False
        elif not proxy.wire.is_closing():
            broken = bool(payload) if kind & 7 == RAW else kind & (CHANGED | NO_MAC)
            whole = whole and not broken
            if whole and TYPES[kind & 7] == ContentType.application_data:
                sent += payload
            await proxy.take(gateway.encrypt(kind, payload), size, patient=not bits & IMPATIENT)
    await proxy.end()
    promise(sent.startswith(proxy.above.received), "what comes above is what the gateway has sent")
    return proxy


def _records(data: bytes, known: int) -> Iterator[tuple[int, bytes]]:
    at = filled = 0
    for _ in range(MOST):
        if at + 1 >= len(data):
            return
        kind, length = data[at] & known, data[at + 1]
        payload = data[at + 2 : at + 2 + length]
        at += 2 + length
        if kind & FILLED and filled < _MOST_FILLED:
            filled += 1
            payload = payload.ljust(RECORD + bool(kind & LONGER), b"\0")
        yield kind, payload


class _Gateway:
    """Encrypts as the gateway's side does."""

    def __init__(self, bits: int) -> None:
        self._sent = bytearray()
        wire = SimpleNamespace(send=self._send)
        self._records = RecordSocket(wire)
        self._records.version = (3, 3)
        self._layer: Any = compatible_tls._RecordLayer(wire)  # noqa: SLF001 - the engine's: both know the same ciphers
        self._layer.client = False
        _begin(self._layer, bits)

    def encrypt(self, kind: int, payload: bytes) -> bytes:
        """Return a record as it goes over the wire."""
        content_type = TYPES[kind & 7]
        if content_type is None:
            return payload
        self._sent.clear()
        if kind & NO_MAC:
            cipher = self._layer._writeState.encContext  # noqa: SLF001 - no public way encrypts without a MAC
            blocks = cipher.encrypt(bytearray(payload[: len(payload) // _BLOCK * _BLOCK]))
            for _ in self._records.send(Message(content_type, blocks)):
                pass
        else:
            for _ in self._layer.sendRecord(Message(content_type, bytearray(payload))):
                pass
        if kind & CHANGED:
            self._sent[-1] ^= 1
        return bytes(self._sent)

    def _send(self, data: bytes) -> int:
        self._sent += data
        return len(data)


def _begin_open(engine: Any, bits: int) -> None:
    """Put the engine behind a handshake that never was."""
    tls = engine._tls  # noqa: SLF001 - no public way leads behind a handshake
    tls._handshakeStart(client=True)  # noqa: SLF001 - what begins a handshake
    _begin(tls._recordLayer, bits)  # noqa: SLF001 - its keys are known here
    shown = SimpleNamespace(writeBytes=lambda: b"certificate")
    chain = SimpleNamespace(x509List=[shown])
    tls.session = SimpleNamespace(serverCertChain=chain, cipherSuite=_SUITES[bits & CBC], resumable=False)
    tls._handshakeDone(resumed=False)  # noqa: SLF001 - what ends it
    engine._steps = iter(())  # noqa: SLF001 - nothing of it is left to do


def _begin(layer: Any, bits: int) -> None:
    layer.version = (3, 3)
    layer.encryptThenMAC = bool(bits & MAC_LAST)
    layer.calcPendingStates(_SUITES[bits & CBC], bytearray(48), bytearray(32), bytearray(32), None)
    layer.changeWriteState()
    layer.changeReadState()
