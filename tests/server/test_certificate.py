"""The HTTPS listener's certificate: made once, read again when it changes, and plain about what is wrong."""

import asyncio
import logging
import shutil
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from smgw_proxy_addon.key_files import KeyFilesError
from smgw_proxy_addon.server.certificate import ListenerCertificate, ensure_self_signed

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NAMES = ["localhost", "Homeassistant", "127.0.0.1", "192.168.1.2", "fe80::1%eth0", "zähler"]


def pair(folder: Path, name: str, *, pass_phrase: bytes = b"") -> tuple[Path, Path]:
    """Store a certificate and its key as a user has them in /ssl."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name.from_rfc4514_string(f"CN={name}")
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    encryption = BestAvailableEncryption(pass_phrase) if pass_phrase else NoEncryption()
    certfile, keyfile = folder / f"{name}.pem", folder / f"{name}.key"
    certfile.write_bytes(certificate.public_bytes(Encoding.PEM))
    keyfile.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))
    return certfile, keyfile


def der(certfile: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certfile.read_text())


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def handshake(
    context: ssl.SSLContext, client: ssl.SSLContext, server_name: str | None = None
) -> tuple[bytes, str | None]:
    """Return the certificate that a client sees, in DER, and the protocol agreed by ALPN."""
    return asyncio.run(connect(context, client, server_name))


async def connect(
    context: ssl.SSLContext, client: ssl.SSLContext, server_name: str | None
) -> tuple[bytes, str | None]:

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port, ssl=client, server_hostname=server_name or "")
        assert await reader.read() == b"x"
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        shown = connection.getpeercert(binary_form=True)
        assert shown
        writer.close()
        return shown, connection.selected_alpn_protocol()


def test_a_certificate_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "certs"
    certfile, keyfile = ensure_self_signed(folder, NAMES)
    assert (certfile, keyfile) == (folder / "listener.crt", folder / "listener.key")
    before = certfile.read_bytes(), keyfile.read_bytes()
    assert ensure_self_signed(folder, ["other"]) == (certfile, keyfile)
    assert (certfile.read_bytes(), keyfile.read_bytes()) == before
    assert stat.S_IMODE(keyfile.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["listener.crt", "listener.key"]


def test_a_certificate_that_is_there_is_checked_without_what_reads_and_makes_them(tmp_path: Path) -> None:
    ensure_self_signed(tmp_path, NAMES)
    code = (
        "import sys; from pathlib import Path; from smgw_proxy_addon.server import certificate; "
        "certificate.ensure_self_signed(Path(sys.argv[1]), []); print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_the_certificate_says(tmp_path: Path) -> None:
    certfile, _ = ensure_self_signed(tmp_path, NAMES)
    certificate = x509.load_pem_x509_certificate(certfile.read_bytes())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert certificate.not_valid_before_utc <= NOW
    assert certificate.not_valid_after_utc.year == 2049
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "Homeassistant"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ip_address(each) for each in ("127.0.0.1", "192.168.1.2", "fe80::1")
    ]


@pytest.mark.parametrize("damage", ["no key", "no certificate", "other key", "empty", "text", "cut"])
def test_a_broken_pair_of_our_own_is_made_again_with_a_line_in_the_log(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    certfile, keyfile = ensure_self_signed(tmp_path, NAMES)
    match damage:
        case "no key":
            keyfile.unlink()
        case "no certificate":
            certfile.unlink()
        case "other key":
            shutil.copy(pair(tmp_path, "other")[1], keyfile)
        case "empty":
            keyfile.write_bytes(b"")
        case "text":
            certfile.write_text("no certificate")
        case "cut":
            certfile.write_bytes(certfile.read_bytes()[:200])
    before = certfile.read_bytes() if certfile.exists() else b""
    caplog.clear()
    ensure_self_signed(tmp_path, NAMES)
    ListenerCertificate(certfile, keyfile)
    assert certfile.read_bytes() != before
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"The certificate of the HTTPS listener is made again: {tmp_path}/listener.")
    assert "\n" not in warnings[0]


def test_a_folder_that_cannot_be_read_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFilesError, match=r"listener\.crt cannot be read \(Not a directory\); make it"):
        ensure_self_signed(tmp_path / "file", NAMES)


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "listener.key").mkdir()
    with pytest.raises(KeyFilesError) as caught:
        ensure_self_signed(tmp_path, NAMES)
    assert str(caught.value) == (
        f"The certificate of the HTTPS listener cannot be stored in {tmp_path}: Is a directory; "
        "look after this folder"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["listener.key"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("server_name", [None, "localhost"])
def test_a_renewed_certificate_is_shown_by_the_same_context(
    tmp_path: Path, version: ssl.TLSVersion, server_name: str | None
) -> None:
    certfile, keyfile = pair(tmp_path, "first")
    certificate = ListenerCertificate(certfile, keyfile)
    context, client = certificate.context, client_context(version)
    assert not certificate.reload_if_changed()
    assert handshake(context, client, server_name) == (der(certfile), "http/1.1")

    for old, new in zip((certfile, keyfile), pair(tmp_path, "second"), strict=True):
        new.replace(old)
    assert certificate.reload_if_changed()
    assert not certificate.reload_if_changed()
    assert certificate.context is context
    assert handshake(context, client, server_name) == (der(certfile), "http/1.1")


def test_a_half_renewed_certificate_keeps_the_old_one_and_is_told_once(tmp_path: Path) -> None:
    certfile, keyfile = pair(tmp_path, "first")
    old = der(certfile)
    certificate = ListenerCertificate(certfile, keyfile)
    new_certfile, new_keyfile = pair(tmp_path, "second")

    new_certfile.replace(certfile)
    with pytest.raises(KeyFilesError, match="use the two files that belong together"):
        certificate.reload_if_changed()
    assert not certificate.reload_if_changed()
    assert handshake(certificate.context, client_context())[0] == old

    keyfile.unlink()
    with pytest.raises(KeyFilesError, match="does not exist"):
        certificate.reload_if_changed()
    assert not certificate.reload_if_changed()
    assert handshake(certificate.context, client_context())[0] == old

    new_keyfile.replace(keyfile)
    assert certificate.reload_if_changed()
    assert handshake(certificate.context, client_context())[0] == der(certfile)


def test_a_client_that_checks_accepts_our_own_certificate_by_name_and_address(tmp_path: Path) -> None:
    certfile, keyfile = ensure_self_signed(tmp_path, NAMES)
    certificate = ListenerCertificate(certfile, keyfile)
    client = ssl.create_default_context(cafile=certfile)
    for name in ("localhost", "homeassistant", "127.0.0.1"):
        assert handshake(certificate.context, client, name)[0] == der(certfile)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate.context, client, "example.org")


def test_old_versions_of_tls_are_not_offered(tmp_path: Path) -> None:
    certificate = ListenerCertificate(*pair(tmp_path, "first"))
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    certfile, keyfile = pair(tmp_path, "first")
    both = tmp_path / "both.pem"
    both.write_bytes(keyfile.read_bytes() + certfile.read_bytes())
    ListenerCertificate(both, both)


@pytest.mark.parametrize(
    ("certfile", "keyfile", "line"),
    [
        ("missing.pem", "a.key", "{0}/missing.pem does not exist; check its name"),
        ("a.pem", "missing.key", "{0}/missing.key does not exist; check its name"),
        ("a.pem", "folder", "{0}/folder is not a file; give the name of a file in PEM form"),
        (
            *("a.pem/x", "a.key"),
            "{0}/a.pem/x cannot be read (Not a directory); make it readable for the user that the proxy runs as",
        ),
        ("a.pem", "b.key", "{0}/b.key is not the key of {0}/a.pem; use the two files that belong together"),
        ("a.key", "a.key", "{0}/a.key holds no certificate in PEM form; give the file with the certificate"),
        ("a.pem", "a.pem", "{0}/a.pem holds no key in PEM form; give the file with the private key"),
        ("empty", "a.key", "{0}/empty holds no certificate in PEM form; give the file with the certificate"),
        ("a.pem", "c.key", "{0}/c.key is encrypted; store the key without a pass phrase"),
        (
            "cut.pem",
            "a.key",
            "{0}/cut.pem with {0}/a.key cannot be used (one of them is damaged); use another certificate",
        ),
    ],
)
def test_a_bad_file_is_one_plain_line_with_the_remedy(tmp_path: Path, certfile: str, keyfile: str, line: str) -> None:
    for name in ("a", "b"):
        pair(tmp_path, name)
    pair(tmp_path, "c", pass_phrase=b"secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut.pem").write_bytes((tmp_path / "a.pem").read_bytes()[:-40])
    with pytest.raises(KeyFilesError) as caught:
        ListenerCertificate(tmp_path / certfile, tmp_path / keyfile)
    assert str(caught.value) == line.format(tmp_path)
