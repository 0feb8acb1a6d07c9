"""The gateway's own key and certificate: made, kept in a folder, put into a TLS context.

The certificate names the device and never its address, as real ones do, so no client can verify it. These keys
protect nothing: they must never leave the simulator.
"""

import hashlib
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

RSA: Final = "RSA"

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "brainpoolP384r1": ec.BrainpoolP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}
"""What BSI TR-03116-3 allows, and P-521."""

OPENSSL_NAMES: Final = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1", RSA: "prime256v1"}
"""OpenSSL's own names where they differ from ours; an RSA key still exchanges keys over P-256."""

KEY_KINDS: Final = (*CURVES, RSA)


@dataclass(frozen=True, kw_only=True)
class CertificateOptions:
    """What a certificate is made from; ``curve`` is a name in ``KEY_KINDS``, times are aware and in UTC."""

    curve: str = "P-256"
    common_name: str = "ETHE0300186023.SMGW"
    not_before: datetime = datetime(2025, 3, 1, tzinfo=UTC)
    not_after: datetime | None = None
    """None: seven years after ``not_before``, the usual life of a gateway's certificate."""
    further_names: tuple[str, ...] = ()
    """DNS names of the extension ``subjectAltName``, which is missing without any."""


@dataclass(frozen=True, kw_only=True)
class ClientCertificates:
    """Asks for a certificate of the client and accepts those in ``trusted`` and what they signed (PEM)."""

    trusted: str
    demanded: bool = False
    """Ends the handshake of a client that shows none; else it may log in with a password."""


TLS_VERSIONS: Final = {
    "1.2": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    "1.3": (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
    "both": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
}
"""The lowest and the highest one that a gateway speaks."""


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """What a gateway speaks: a name in ``TLS_VERSIONS``, and OpenSSL's names of the cipher suites for TLS 1.2."""

    versions: str = "1.2"
    ciphers: str | None = None
    """None: every suite of ECDHE with AES that fits the key."""


DEFAULT_TLS: Final = TlsOptions()


@dataclass(frozen=True)
class Identity:
    """A key with its certificate, both PEM."""

    key_pem: bytes
    certificate_pem: bytes
    curve: str

    @property
    def certificate(self) -> x509.Certificate:
        """The parsed certificate."""
        return x509.load_pem_x509_certificate(self.certificate_pem)

    @property
    def der(self) -> bytes:
        """The certificate as it goes over the wire."""
        return ssl.PEM_cert_to_DER_cert(self.certificate_pem.decode("ascii"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form: 64 lowercase hex digits."""
        return hashlib.sha256(self.der).hexdigest()

    def server_context(
        self, clients: ClientCertificates | None = None, tls: TlsOptions = DEFAULT_TLS
    ) -> ssl.SSLContext:
        """Build a server's context: ECDHE only, on this identity's curve only.

        Raises ssl.SSLError if what ``clients`` trusts is no certificate, or OpenSSL knows none of the ciphers.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = TLS_VERSIONS[tls.versions]
        fitting = "ECDHE+aRSA+AESGCM" if self.curve == RSA else "ECDHE+aECDSA+AESGCM:ECDHE+aECDSA+AES"
        context.set_ciphers(tls.ciphers or fitting)
        context.set_ecdh_curve(OPENSSL_NAMES.get(self.curve, self.curve))
        with tempfile.TemporaryDirectory() as folder:  # load_cert_chain reads files only
            path = Path(folder) / "identity.pem"
            path.write_bytes(self.key_pem + self.certificate_pem)
            context.load_cert_chain(path)
        if clients:
            context.load_verify_locations(cadata=clients.trusted)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # a client's own certificate will do
            context.verify_mode = ssl.CERT_REQUIRED if clients.demanded else ssl.CERT_OPTIONAL
        return context


def make_identity(options: CertificateOptions) -> Identity:
    """Make a new key and a self-signed certificate; a ValueError names an unknown curve."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if options.curve == RSA:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif options.curve in CURVES:
        key = ec.generate_private_key(CURVES[options.curve])
    else:
        raise ValueError(f"unknown curve {options.curve!r}: one of {', '.join(KEY_KINDS)}")
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, options.common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SMGW"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(options.not_before)
        .not_valid_after(options.not_after or options.not_before + timedelta(days=7 * 365))
    )
    if options.further_names:
        names = [x509.DNSName(each) for each in options.further_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return Identity(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
        options.curve,
    )


def keep_identity(folder: Path, options: CertificateOptions) -> Identity:
    """Read the identity kept in ``folder``, or make one and keep it; one file per kind of key.

    Raises OSError when the folder cannot be used, ValueError when the file is not ours.
    """
    path = folder / f"simulator-{options.common_name}-{options.curve}.pem"
    if path.exists():
        key, marker, certificate = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        identity = Identity(key, marker + certificate, options.curve)
        identity.server_context()  # fails here on a file that was tampered with, not at the first client
        return identity
    identity = make_identity(options)
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(identity.key_pem + identity.certificate_pem)
    return identity
