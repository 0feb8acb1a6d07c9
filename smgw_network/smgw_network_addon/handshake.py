"""One look at who is at an address: a TLS handshake without a request, and the certificate that it brings.

Gateways are slow and lock their port when they are pressed: never in parallel, and never repeated here but for a
gateway that refuses OpenSSL's ClientHello, which gets one by hand. Not one byte of HTTP is sent. The certificate is
read without trusting any of it; it is the proxy that pins one.
"""

import asyncio
import hashlib
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from smgw_network_addon.addresses import Address, LinkLocal
from smgw_network_addon.client_hello import CANCELLED, RECORD_HEAD, client_hello, content_length, first_certificate

HTTPS_PORT: Final = 443
CONNECT_TIMEOUT: Final = 3.0
"""Seconds; on one link, two SYN are lost by then."""
HANDSHAKE_TIMEOUT: Final = 12.0
"""Seconds; real gateways take 1 to 1.5, and more while they are busy."""
_CLOSE_TIMEOUT: Final = 2.0
_PAUSE: Final = 1.0
"""Seconds from a refused ClientHello to the other one."""
_MOST_BYTES: Final = 65536
"""Of the answer to the other one; certificates take some thousand."""
# TR-03116-3 allows the ECDSA suites; the same as the proxy offers.
_CIPHERS: Final = ":".join(
    f"ECDHE-ECDSA-{cipher}" for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA384", "AES128-SHA256")
)

_OID, _CONSTRUCTED, _LONG = 0x06, 0x20, 0x80
_TIMES: Final = (0x17, 0x18)
_TEXTS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_COMMON_NAME, _ORGANIZATION = "550403", "55040a"
_CURVES: Final = ("2a8648ce3d030107", "2b81040022", "2b2403030208010107", "2b240303020801010b", "2b240303020801010d")
"""P-256, P-384 and the brainpool curves of 256, 384 and 512 bits: what BSI TR-03116-3 allows."""
_MAKERS: Final = {"THE": "Theben", "PPC": "PPC", "EMH": "EMH", "DNT": "Sagemcom Dr. Neuhaus"}
"""The manufacturer's letters (DIN 43863-5), which follow the E for electricity."""
_LONGEST_TEXT: Final = 64  # RFC 5280 appendix A.1, ub-common-name

_Leaf = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Certificate:
    """Names as the certificate has them (empty if it has none); ``fingerprint`` is SHA-256 of the DER form in hex."""

    name: str
    organization: str
    issuer: str
    curve_allowed: bool
    fingerprint: str

    @property
    def is_gateways(self) -> bool:
        """Whether it is the certificate of a Smart Meter Gateway (BSI TR-03109-4)."""
        named = self.name.upper().endswith(".SMGW") or self.organization.upper() == "SMGW"
        return self.curve_allowed and (named or "SM-PKI" in f"{self.organization} {self.issuer}".upper())

    @property
    def maker(self) -> str:
        """The maker's name, from the device's number; empty when it is not known."""
        return _MAKERS.get(self.name[1:4].upper(), "")


class Look(NamedTuple):
    """The outcome of one look: whether anything answered, and the certificate that it showed."""

    answered: bool
    certificate: Certificate | None = None

    @property
    def is_gateway(self) -> bool:
        """Whether a gateway's certificate was shown."""
        return self.certificate is not None and self.certificate.is_gateways


class _HelloRefusedError(ssl.SSLError):
    """The ClientHello was answered by the alert illegal_parameter."""


class _Client(ssl.SSLObject):
    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            # There is a cipher once the gateway has sent its half of the handshake.
            if not self.cipher() and str(error.reason).endswith("ALERT_ILLEGAL_PARAMETER"):
                raise _HelloRefusedError from None
            raise


def client_context() -> ssl.SSLContext:
    """Make the context: TLS 1.2 exactly, no verification (a gateway's name is never its address)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = _Client
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    return context


async def look(address: Address | LinkLocal, context: ssl.SSLContext) -> Look:
    """Look once, or by a ClientHello of our own if OpenSSL's is refused. Never raises but for cancellation."""
    try:
        return await _look(address, context)
    except _HelloRefusedError:
        await asyncio.sleep(_PAUSE)
        return await _look(address, None)


async def _look(address: Address | LinkLocal, context: ssl.SSLContext | None) -> Look:
    """Look once; without a context by a ClientHello of our own."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(str(address), HTTPS_PORT)
    except (ConnectionRefusedError, ConnectionResetError):
        return Look(answered=True)
    except OSError:
        return Look(answered=False)
    try:
        der = await (_shake_hands(writer, context) if context else _begin_handshake(reader, writer))
    except _HelloRefusedError:
        raise
    except (OSError, EOFError, ValueError):
        return Look(answered=True)
    finally:
        writer.close()
        with suppress(OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await writer.wait_closed()
    return Look(answered=True, certificate=read_certificate(der))


async def _shake_hands(writer: asyncio.StreamWriter, context: ssl.SSLContext) -> bytes:
    """Return the certificate that OpenSSL gets."""
    await writer.start_tls(context, ssl_handshake_timeout=HANDSHAKE_TIMEOUT)
    return writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""


async def _begin_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the certificate that answers a ClientHello of our own. Raises OSError, EOFError, ValueError."""
    messages, left = b"", _MOST_BYTES
    async with asyncio.timeout(HANDSHAKE_TIMEOUT):
        writer.write(client_hello(os.urandom(32)))
        while (der := first_certificate(messages)) is None:
            length = content_length(await reader.readexactly(RECORD_HEAD))
            left -= RECORD_HEAD + length
            if left < 0:
                raise ValueError("too long")
            messages += await reader.readexactly(length)
    writer.write(CANCELLED)
    return der


def read_certificate(der: bytes) -> Certificate | None:
    """Read a certificate; None for what is none. Pure.

    RFC 5280 section 4.1 has the order: issuer, two times, subject, key; text stands behind its object identifier.
    The package ``cryptography`` reads more, and would add 10 MB of memory.
    """
    try:
        leaves = list(_leaves(der))
        first, second = (at for at, (tag, _) in enumerate(leaves) if tag in _TIMES)
    except (ValueError, IndexError):
        return None
    issuer, subject = _names(leaves[:first]), _names(leaves[second:])
    return Certificate(
        name=subject.get(_COMMON_NAME, ""),
        organization=subject.get(_ORGANIZATION, ""),
        issuer=f"{issuer.get(_COMMON_NAME, '')} {issuer.get(_ORGANIZATION, '')}".strip(),
        curve_allowed=any(tag == _OID and value.hex() in _CURVES for tag, value in leaves[second:]),
        fingerprint=hashlib.sha256(der).hexdigest(),
    )


def _leaves(der: bytes) -> Iterator[_Leaf]:
    """Yield tag and content of each element that has no parts. Raises ValueError, IndexError where it ends early."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length >= _LONG:
            start, at = at, at + length - _LONG
            length = int.from_bytes(der[start:at])
        if tag & _CONSTRUCTED:
            continue  # its parts come next
        if at + length > len(der):
            raise ValueError("too short")
        yield tag, der[at : at + length]
        at += length


def _names(leaves: Sequence[_Leaf]) -> dict[str, str]:
    """Return each text by its object identifier, printable and not longer than it may be."""
    found = {}
    for (before, kind), (tag, value) in pairwise(leaves):
        if before == _OID and tag in _TEXTS:
            text = value.decode(_TEXTS[tag], "replace")
            found[kind.hex()] = "".join(each if each.isprintable() else "?" for each in text)[:_LONGEST_TEXT]
    return found
