"""Makes self-signed certificates for the HTTPS listener. Never touches a file."""

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Without the time of day: a Raspberry Pi starts in 1970 before it has it. Nobody is served by an end: who trusts this
# certificate would have to trust the next one by hand. 2049 is the last year of UTCTime (RFC 5280).
_NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NOT_AFTER: Final = datetime(2049, 12, 31, tzinfo=UTC)


def make(names: Sequence[str]) -> tuple[bytes, bytes]:
    """Make a certificate for ``names`` (host names and addresses, IPv6 with or without zone) and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smgw-proxy")])
    alternatives = dict.fromkeys(map(_alternative_name, ["localhost", *names]))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectAlternativeName([name for name in alternatives if name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _alternative_name(name: str) -> x509.GeneralName | None:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name.partition("%")[0]))
    with suppress(ValueError):  # a host name beyond ASCII
        return x509.DNSName(name)
    return None
