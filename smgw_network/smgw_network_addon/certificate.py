"""What a certificate says about who showed it: read from its DER form, without trusting any of it. Pure.

A reader of its own for the few fields that matter: the package ``cryptography`` would add 10 MB of memory. Nothing
is verified here; it is the proxy that pins a certificate.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SEQUENCE, _SET, _OID, _VERSION = 0x30, 0x31, 0x06, 0xA0
_TEXTS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_COMMON_NAME: Final = bytes.fromhex("550403")
_ORGANIZATION: Final = bytes.fromhex("55040a")
_CURVES: Final = frozenset(
    map(
        bytes.fromhex,
        ("2a8648ce3d030107", "2b81040022", "2b2403030208010107", "2b240303020801010b", "2b240303020801010d"),
    )
)
"""P-256, P-384 and the brainpool curves of 256, 384 and 512 bits: what BSI TR-03116-3 allows."""
_MAKERS: Final = {"THE": "Theben", "PPC": "PPC", "EMH": "EMH", "DNT": "Sagemcom Dr. Neuhaus", "SAG": "Sagemcom"}
"""The manufacturer's letters (DIN 43863-5), which follow the E for electricity."""
_LONGEST_TEXT: Final = 64  # RFC 5280 appendix A.1, ub-common-name
_SHORT_LENGTH: Final = 0x80


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


def read(der: bytes) -> Certificate | None:
    """Read a certificate; None for what is none."""
    try:
        (_, whole), *_ = _elements(der)
        (_, signed), *_ = _elements(whole)
        fields = [each for each in _elements(signed) if each[0] != _VERSION]
        # RFC 5280 section 4.1: serial number, signature, issuer, validity, subject, key
        issuer, subject, key = dict(_names(fields[2][1])), dict(_names(fields[4][1])), fields[5][1]
        algorithm = next(_elements(key))[1]
        allowed = any(tag == _OID and value in _CURVES for tag, value in _elements(algorithm))
    except (ValueError, IndexError, StopIteration, UnicodeDecodeError):
        return None
    return Certificate(
        name=subject.get(_COMMON_NAME, ""),
        organization=subject.get(_ORGANIZATION, ""),
        issuer=" ".join(issuer.get(kind, "") for kind in (_COMMON_NAME, _ORGANIZATION)).strip(),
        curve_allowed=allowed,
        fingerprint=hashlib.sha256(der).hexdigest(),
    )


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element. Raises ValueError where the encoding ends early."""
    while data:
        if len(data) < 2:  # noqa: PLR2004 - tag and length
            raise ValueError("no length")
        tag, length, start = data[0], data[1], 2
        if length >= _SHORT_LENGTH:
            start += length - _SHORT_LENGTH
            length = int.from_bytes(data[2:start])
        if len(data) < start + length:
            raise ValueError("too short")
        yield tag, data[start : start + length]
        data = data[start + length :]


def _names(name: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield kind and text of each part of a name, printable and not longer than it may be."""
    for outer, part in _elements(name):
        if outer != _SET:
            raise ValueError("no name")
        for inner, pair in _elements(part):
            if inner != _SEQUENCE:
                raise ValueError("no part of a name")
            (_, kind), (tag, value) = _elements(pair)
            text = value.decode(_TEXTS.get(tag, "ascii"), "replace")
            yield kind, "".join(each if each.isprintable() else "?" for each in text)[:_LONGEST_TEXT]
