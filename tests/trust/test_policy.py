import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.fingerprint import grouped, normalise_fingerprint
from smgw_proxy_addon.trust.pin_file import decode, encode
from smgw_proxy_addon.trust.policy import (
    Certificate,
    Expiry,
    Origin,
    Pin,
    describe,
    expiry,
    matches,
    seen_again,
    utc_if_set,
)
from tests.pins import GO_PIN, NOW, UNSET, fingerprints, pins

A, B = "a" * 64, "b" * 64


@cache
def made(common_name: str = "ETHE0300000000.SM", *, dns_names: tuple[str, ...] = ()) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SMGW"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "3"),
        ]
    )
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2025, 3, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2032, 3, 1, 23, 59, 59, tzinfo=UTC))
    if dns_names:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in dns_names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def pin(fingerprint: str) -> Pin:
    return Pin(Certificate(fingerprint))


@pytest.mark.parametrize(
    ("stored", "presented", "configured", "accepted"),
    [
        (None, A, None, False),
        (A, A, None, True),
        (A, B, None, False),
        (None, A, A, True),
        (None, B, A, False),
        (A, A, B, False),
        (B, A, A, True),
    ],
)
def test_the_table_of_decisions(
    stored: str | None, presented: str, configured: str | None, *, accepted: bool
) -> None:
    assert matches(pin(stored) if stored else None, presented, configured) is accepted


@given(st.none() | pins, fingerprints, st.none() | fingerprints)
def test_only_the_trusted_bytes_are_accepted(stored: Pin | None, presented: str, configured: str | None) -> None:
    trusted = configured or (stored and stored.certificate.fingerprint)
    assert matches(stored, presented, configured) == (trusted == presented)


@pytest.mark.parametrize(
    "text",
    [
        A,
        A.upper(),
        ":".join(["aa"] * 32),
        " ".join(["AA"] * 32) + "\n",
        "sha256:" + A,
        "SHA-256: " + grouped(A),
        "sha256 Fingerprint=" + ":".join(["AA"] * 32),
    ],
)
def test_fingerprints_as_people_paste_them(text: str) -> None:
    assert normalise_fingerprint(text) == A


@pytest.mark.parametrize("text", ["", A[:-1], A + "a", "g" * 64, "٣" * 64, "x sha256:" + A, "sha256:"])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match=r"64 hexadecimal digits$"):
        normalise_fingerprint(text)


def test_a_sha1_fingerprint_is_named() -> None:
    with pytest.raises(ValueError, match="SHA-1"):
        normalise_fingerprint("aa:" * 19 + "aa")


@given(fingerprints)
def test_grouping_is_undone_by_normalising(fingerprint: str) -> None:
    assert normalise_fingerprint(grouped(fingerprint)) == fingerprint


def test_describe() -> None:
    der = made(dns_names=("smgw.local", "a.example"))
    certificate = describe(der)
    assert certificate == Certificate(
        fingerprint=sha256(der).hexdigest(),
        subject="SERIALNUMBER=3,CN=ETHE0300000000.SM,O=SMGW,C=DE",
        issuer="SERIALNUMBER=3,CN=ETHE0300000000.SM,O=SMGW,C=DE",
        not_before=datetime(2025, 3, 1, tzinfo=UTC),
        not_after=datetime(2032, 3, 1, 23, 59, 59, tzinfo=UTC),
        dns_names=("smgw.local", "a.example"),
        pem=x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode(),
    )
    assert describe(made()).dns_names == ()


def test_a_certificate_cannot_write_control_characters() -> None:
    certificate = describe(made("a\n\x1b[2Jb\u202ec"))
    assert certificate.subject.startswith("SERIALNUMBER=3,CN=a\\n\\x1b[2Jb\\u202ec,")


@given(st.binary(max_size=300))
def test_anything_can_be_pinned(der: bytes) -> None:
    certificate = describe(der)
    assert certificate.fingerprint == sha256(der).hexdigest()
    assert decode(encode(Pin(certificate))).certificate == certificate


@given(st.data())
def test_a_damaged_certificate_can_be_pinned(data: st.DataObject) -> None:
    der = bytearray(made(dns_names=("smgw.local",)))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    certificate = describe(bytes(der))
    assert decode(encode(Pin(certificate))).certificate == certificate


def test_a_bad_field_leaves_the_others() -> None:
    der = made(dns_names=("smgw.local",))
    issuer = der.index(b"SMGW")
    der = der[:issuer] + b"\xff\xff\xff\xff" + der[issuer + 4 :]  # no UTF-8 any more
    good = describe(made(dns_names=("smgw.local",)))
    bad = describe(der)
    assert bad == good._replace(fingerprint=sha256(der).hexdigest(), issuer="", pem=bad.pem)


NOT_BEFORE, NOT_AFTER = NOW - timedelta(days=365), NOW + timedelta(days=365)


@pytest.mark.parametrize(
    ("now", "warning"),
    [
        (UNSET, None),
        (NOT_BEFORE - timedelta(seconds=1), None),  # 2025: an unset clock
        (NOW, None),
        (NOT_AFTER - timedelta(days=30, seconds=1), None),
        (NOT_AFTER - timedelta(days=30), Expiry.EXPIRES_SOON),
        (NOT_AFTER, Expiry.EXPIRES_SOON),
        (NOT_AFTER + timedelta(seconds=1), Expiry.EXPIRED),
    ],
)
def test_expiry(now: datetime, warning: Expiry | None) -> None:
    assert expiry(Certificate(A, not_before=NOT_BEFORE, not_after=NOT_AFTER), now) is warning


def test_expiry_of_odd_certificates() -> None:
    assert expiry(Certificate(A, not_before=NOW + timedelta(days=1)), NOW) is Expiry.NOT_YET_VALID
    assert expiry(Certificate(A), NOW) is None


def test_times_are_utc_and_none_while_the_clock_is_unset() -> None:
    berlin = timezone(timedelta(hours=1))
    assert utc_if_set(datetime(2026, 1, 1, 0, 59, 59, 999, tzinfo=berlin)) is None
    assert utc_if_set(datetime(2026, 1, 1, 1, 0, 0, 999, tzinfo=berlin)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_seeing_a_go_pin_again_fills_it_in() -> None:
    certificate = describe(made())
    go = decode((GO_PIN % certificate.fingerprint).encode())
    assert seen_again(go, certificate, NOW) == Pin(certificate, NOW, NOW)
    assert seen_again(go, certificate, UNSET) == Pin(certificate)


@pytest.mark.parametrize(
    ("now", "last_seen"),
    [
        (NOW + timedelta(minutes=59), NOW),
        (NOW + timedelta(minutes=60), NOW + timedelta(minutes=60)),
        (NOW - timedelta(days=1), NOW - timedelta(days=1)),  # the clock was wrong and was set right
        (UNSET, NOW),
    ],
)
def test_last_seen_moves_once_an_hour(now: datetime, last_seen: datetime) -> None:
    certificate = describe(made())
    stored = Pin(certificate, NOW, NOW, Origin.ACCEPTED)
    assert seen_again(stored, certificate, now) == stored._replace(last_seen=last_seen)


def test_trust_is_pure() -> None:
    # In another process: the tests have imported everything in this one.
    program = "import sys, smgw_proxy_addon.trust.policy; print({'ssl', 'asyncio', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("CN=ETHE0300186023.SMGW,O=SMGW,C=DE", ("ETHE0300186023.SMGW",)),
        ("C=DE,O=SMGW,CN=a-1", ("a-1",)),
        ("CN=a+CN=b,O=x", ("a", "b")),
        ("CN=Max Mustermann,O=SMGW", ()),
        ("O=x\\,CN=y,C=DE", ()),
        ("", ()),
    ],
)
def test_host_names_are_those_of_the_device(subject: str, names: tuple[str, ...]) -> None:
    certificate = Certificate("0" * 64, subject, dns_names=("smgw.example",))
    assert certificate.host_names == (*names, "smgw.example")
