"""Owns every trust decision: what a certificate is, and whether it may be talked to.

Nobody else compares fingerprints. Pure: certificates go in as bytes, ``now`` is an argument.
It must never raise because of what a certificate says about itself: gateways show strange ones, and a pin
needs only the bytes.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from smgw_proxy_addon.fingerprint import normalise_fingerprint
from smgw_proxy_addon.text import printable

if TYPE_CHECKING:
    from cryptography import x509

_SOON: Final = timedelta(days=30)
_SEEN_AGAIN: Final = timedelta(hours=1)
_FIRST_YEAR: Final = 2026

T = TypeVar("T")


@dataclass(frozen=True)
class Certificate:
    """A gateway's certificate. Everything but the fingerprint is for people and may be empty."""

    fingerprint: str
    """SHA-256 of the DER, 64 lower-case hexadecimal digits."""
    subject: str = ""
    """RFC 4514, the most specific name first, control characters escaped."""
    issuer: str = ""
    not_before: datetime | None = None
    """UTC, as is ``not_after``."""
    not_after: datetime | None = None
    dns_names: tuple[str, ...] = ()
    pem: str | None = None
    """None only in a pin that the Go proxy wrote."""


class Origin(Enum):
    """How a pin came to be trusted."""

    FIRST_USE = "first_use"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Pin:
    """A stored certificate. Times are UTC, whole seconds, None where the clock was unset or Go wrote it."""

    certificate: Certificate
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    origin: Origin | None = None


@dataclass(frozen=True)
class Policy:
    """With a fingerprint only that certificate is accepted; without one the first is learnt.

    Raises ValueError for what is no fingerprint.
    """

    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.fingerprint is not None:
            object.__setattr__(self, "fingerprint", normalise_fingerprint(self.fingerprint))


class Reason(Enum):
    """Why a certificate is refused."""

    CHANGED = "changed"
    """Another one is pinned."""
    NOT_ALLOWED = "not_allowed"
    """Another one is configured."""


@dataclass(frozen=True)
class Learn:
    """Nothing is pinned yet: store this certificate, then talk."""


@dataclass(frozen=True)
class Accept:
    """Talk."""


@dataclass(frozen=True)
class Reject:
    """Send nothing."""

    reason: Reason


class Expiry(Enum):
    """What the dates of a certificate give reason to say. None of it forbids the connection."""

    EXPIRED = "expired"
    EXPIRES_SOON = "expires_soon"
    """In the next 30 days."""
    NOT_YET_VALID = "not_yet_valid"


def decide(pin: Pin | None, presented: Certificate, policy: Policy) -> Learn | Accept | Reject:
    """Whether ``presented`` may be talked to. A configured fingerprint leaves the pin out of it."""
    if policy.fingerprint is not None:
        return Accept() if presented.fingerprint == policy.fingerprint else Reject(Reason.NOT_ALLOWED)
    if pin is None:
        return Learn()
    return Accept() if presented.fingerprint == pin.certificate.fingerprint else Reject(Reason.CHANGED)


def seen_again(pin: Pin, presented: Certificate, now: datetime) -> Pin:
    """``pin`` after its certificate was shown at ``now``; equal to ``pin`` if nothing is worth writing.

    Fills in what a pin of the Go proxy lacks; moves ``last_seen`` at most once an hour, to spare SD cards.
    Must only be called with the pin's own certificate.
    """
    certificate = presented if pin.certificate.pem is None else pin.certificate
    when = moment(now)
    if when is None:
        return replace(pin, certificate=certificate)
    fresh = pin.last_seen is not None and timedelta(0) <= when - pin.last_seen < _SEEN_AGAIN
    last_seen = pin.last_seen if fresh else when
    return replace(pin, certificate=certificate, first_seen=pin.first_seen or when, last_seen=last_seen)


def moment(now: datetime) -> datetime | None:
    """``now`` in UTC and whole seconds, None while the clock is plainly unset.

    A Raspberry Pi has no clock of its own and starts in the past until it has asked the network.
    """
    now = now.astimezone(UTC)
    return now.replace(microsecond=0) if now.year >= _FIRST_YEAR else None


def expiry(certificate: Certificate, now: datetime) -> Expiry | None:
    """Tell what to warn about: nothing while the clock is plainly unset.

    Both dates belong to the validity (RFC 5280 section 4.1.2.5).
    """
    when = moment(now)
    if when is None:
        return None
    if certificate.not_before is not None and when < certificate.not_before:
        return Expiry.NOT_YET_VALID
    if certificate.not_after is None:
        return None
    if when > certificate.not_after:
        return Expiry.EXPIRED
    return Expiry.EXPIRES_SOON if certificate.not_after - when <= _SOON else None


def describe(der: bytes, known: Pin | None = None) -> Certificate:
    """Read the certificate in ``der``. What is unreadable stays empty: a fingerprint is enough to pin it.

    If it is that of ``known``, what is known of it is given back.
    """
    plain = Certificate(fingerprint=hashlib.sha256(der).hexdigest(), pem=_pem(der))
    if known and (known.certificate.fingerprint, known.certificate.pem) == (plain.fingerprint, plain.pem):
        return known.certificate
    from cryptography import x509  # noqa: PLC0415 - 8 MB that a proxy with a pin can do without
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - see above

    parsed = _field(lambda: x509.load_der_x509_certificate(der), None)
    if parsed is None:
        return plain
    # Go's spellings of what RFC 4514 leaves as a dotted number.
    spelt = {NameOID.SERIAL_NUMBER: "SERIALNUMBER", NameOID.POSTAL_CODE: "POSTALCODE"}
    return replace(
        plain,
        subject=_field(lambda: printable(parsed.subject.rfc4514_string(spelt)), ""),
        issuer=_field(lambda: printable(parsed.issuer.rfc4514_string(spelt)), ""),
        not_before=_field(lambda: parsed.not_valid_before_utc, None),
        not_after=_field(lambda: parsed.not_valid_after_utc, None),
        dns_names=_field(lambda: _dns_names(parsed), ()),
    )


def _field(read: Callable[[], T], default: T) -> T:
    try:
        return read()
    except Exception:  # noqa: BLE001 - each field of a strange certificate fails with an error of its own
        return default


def _dns_names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509  # noqa: PLC0415 - as in ``describe``

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(printable(name) for name in names.get_values_for_type(x509.DNSName))


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
