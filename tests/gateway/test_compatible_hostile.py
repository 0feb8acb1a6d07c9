"""What the fuzzer and its readers have found in the TLS engine that is written in Python."""

import random
import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext

KEY_BITS = 2048


def refusal(said: bytes) -> str:
    """Return the reason why a handshake ends in which the gateway says this."""
    incoming = ssl.MemoryBIO()
    tls = CompatibleContext().wrap_bio(incoming, ssl.MemoryBIO())
    tls.advance()
    incoming.write(said)
    tls.advance()
    with pytest.raises(ssl.SSLError) as raised:
        tls.do_handshake()
    return raised.value.reason


def message(kind: int, body: bytes) -> bytes:
    said = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(said).to_bytes(2, "big") + said


def rsa_certificate(exponent: int) -> bytes:
    modulus = random.Random(1).getrandbits(KEY_BITS) | 1 << KEY_BITS - 1 | 1
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, rsa.RSAPublicNumbers(exponent, modulus).public_key(), 1)
    builder = builder.not_valid_before(datetime(2025, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2032, 1, 1, tzinfo=UTC)
    )
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def rsa_flight(exponent: int) -> bytes:
    der = rsa_certificate(exponent)
    chain = len(der).to_bytes(3, "big") + der
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    signed = b"\x03\x00\x17" + bytes([len(point)]) + point + b"\x04\x01" + (KEY_BITS // 8).to_bytes(2, "big")
    return (
        message(2, b"\x03\x03" + bytes(32) + b"\x00\xc0\x2f\x00")
        + message(11, len(chain).to_bytes(3, "big") + chain)
        + message(12, signed + bytes(KEY_BITS // 8))
        + message(14, b"")
    )


@pytest.mark.parametrize("level", [1, 2], ids=["warning", "fatal"])
def test_close_notify_ends_no_handshake_in_order(level: int) -> None:
    assert refusal(bytes([21, 3, 3, 0, 2, level, 0])) == "ALERT_CLOSE_NOTIFY"


def test_an_rsa_key_that_takes_seconds_is_not_used() -> None:
    assert refusal(rsa_flight(2**64 - 1)) == "DECRYPT_ERROR"  # its signature is looked at
    assert refusal(rsa_flight(2**64 + 1)) == "BAD_CERTIFICATE"
