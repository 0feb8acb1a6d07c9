"""Raw bytes from the gateway from the first one on, below TLS.

What a hostile gateway can do right and no fuzzer would guess, a signature by a key of its own say, is right for an
insider: the checks agree, and what would be encrypted is read as it comes. The seeds are what OpenSSL's server said,
with the end of the handshake and an answer behind it.
"""

from typing import Any, Final

from tlslite.recordlayer import ConnectionState

from fuzz.promises import promise
from fuzz.tls_rig import Proxy, foreseeable, loop, turns

INSIDER, LOGIN, IMPATIENT, ENDLESS = 1, 4, 8, 16
"""Bits: an insider; a certificate for the gateway; bytes that come while the engine works; the last bytes come again
and again."""
HEAD: Final = 2
SUITES: Final = frozenset({0xC02C, 0xC02B, 0xC024, 0xC023, 0xC030, 0xC02F, 0xC028, 0xC027})
CURVES: Final = frozenset({23, 24, 26, 27, 28})
"""What may be chosen, by number: P-256, P-384 and brainpool."""
_TAIL: Final = 256
_ALL: Final = 100_000
"""Bytes, more than any handshake may have."""


def fuzz(data: bytes) -> None:
    """Shake hands with a gateway: its first byte are bits, the second one the size of pieces (0: at once)."""
    if len(data) > HEAD:
        with foreseeable(agreeing=bool(data[0] & INSIDER)):
            loop().run_until_complete(shake_hands(data[0], data[1], data[HEAD:]))


async def shake_hands(bits: int, size: int, data: bytes) -> Proxy:
    """Do so; returns what is left."""
    if bits & ENDLESS:
        data += data[-_TAIL:] * (_ALL // len(data[-_TAIL:]))
    prepare = _read_plain if bits & INSIDER else _leave
    proxy = Proxy(prepare, login=bool(bits & LOGIN))
    await turns()
    await proxy.take(data, size, patient=not bits & IMPATIENT)
    await proxy.end()
    promise(bits & INSIDER or not proxy.above.made, "nobody comes in without the keys")
    if proxy.above.made:
        version, suite, curve = proxy.chosen
        promise(version == (3, 3) and suite in SUITES and curve in CURVES, f"{proxy.chosen} was offered")
    return proxy


def _read_plain(engine: Any) -> None:
    layer = engine._tls._recordLayer  # noqa: SLF001 - no public way makes it read what is not encrypted
    layer.changeReadState = lambda: setattr(layer, "_readState", ConnectionState())


def _leave(_engine: object) -> None:
    """Change nothing."""
