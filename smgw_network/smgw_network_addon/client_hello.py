"""A ClientHello by hand, and the certificate in what answers it (RFC 5246). Pure.

Gateways of Sagemcom refuse a ClientHello that speaks of renegotiation (RFC 5746), and OpenSSL's always does. TLS 1.2
sends certificates unencrypted, so one is seen without the rest of the handshake. Whoever shows it has not proved to
own its key: that is left to the proxy's handshake.
"""

from typing import Final

RECORD_HEAD: Final = 5
"""Bytes before the content of a record."""
CANCELLED: Final = bytes.fromhex("1503030002 015a 1503030002 0100")
"""The alerts user_canceled and close_notify, which end a handshake in which nothing was wrong (section 7.2.2)."""

_VERSION: Final = b"\x03\x03"
_SUITES: Final = bytes.fromhex("c02c c02b c024 c023")  # those of ``handshake``
_EXTENSIONS: Final = bytes.fromhex(
    "000a 000c 000a 0017 0018 001a 001b 001c"  # supported_groups: P-256, P-384, brainpool (RFC 7027)
    "000b 0002 01 00"  # ec_point_formats: uncompressed
    "000d 0008 0006 0603 0503 0403"  # signature_algorithms: ECDSA with SHA-512, SHA-384, SHA-256
)
_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE = b"\x16", b"\x01", b"\x02", b"\x0b"
_MESSAGE_HEAD: Final = 4
_LONGEST_RECORD: Final = 2**14


def client_hello(random: bytes) -> bytes:
    """Return the record to send; ``random`` are 32 bytes."""
    session, compressions = b"\0", b"\1\0"
    body = _VERSION + random + session + _vector(2, _SUITES) + compressions + _vector(2, _EXTENSIONS)
    return _HANDSHAKE + b"\x03\x01" + _vector(2, _CLIENT_HELLO + _vector(3, body))


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def content_length(head: bytes) -> int:
    """Return how many bytes follow the head of a record; raises ValueError if they are not of a handshake."""
    length = int.from_bytes(head[3:])
    if head[:2] != _HANDSHAKE + b"\x03" or not 0 < length <= _LONGEST_RECORD:
        raise ValueError("no record of a handshake")
    return length


def first_certificate(messages: bytes) -> bytes | None:
    """Return the server's certificate (DER) from its first messages, None while they are not complete.

    Raises ValueError for anything but a ServerHello of TLS 1.2 and a Certificate.
    """
    start = end = 0
    for kind in (_SERVER_HELLO, _CERTIFICATE):
        head, start = end, end + _MESSAGE_HEAD
        end = start + int.from_bytes(messages[head + 1 : start])
        if messages[head : head + 1] not in (kind, b""):
            raise ValueError("another message")
        if len(messages) < end:
            return None
    body = messages[start:end]
    chain, length = int.from_bytes(body[:3]), int.from_bytes(body[3:6])
    if messages[_MESSAGE_HEAD:][:2] != _VERSION or chain != len(body) - 3 or not 0 < length <= chain - 3:
        raise ValueError("another version, or no certificate")
    return body[6:][:length]
