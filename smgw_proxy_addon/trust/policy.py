"""Decides which certificate of a gateway is trusted, and what its dates give reason to say.

Nobody else compares fingerprints or dates. Pure: certificates go in as bytes, ``now`` is an argument. Never raises
because of a certificate's content: gateways show strange ones, and a pin needs only the bytes.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from smgw_proxy_addon.text import printable

if TYPE_CHECKING:
    from cryptography import x509

_SOON: Final = timedelta(days=30)
_SEEN_INTERVAL: Final = timedelta(hours=1)
_FIRST_YEAR: Final = 2026
"""A clock that shows an earlier year has not been set."""

_COMMON_NAME: Final = re.compile(r"(?:^|(?<!\\)[,+])CN=([\w.-]+)(?=[,+]|$)", re.ASCII)

T = TypeVar("T")


class Certificate(NamedTuple):
    """A gateway's certificate. All but the fingerprint is information for people and may be empty."""

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
    """None only in a pin that the Go smgw-proxy wrote."""

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names of the device: the common names that may be a host's, and the DNS names."""
        return (*_COMMON_NAME.findall(self.subject), *self.dns_names)


class Origin(Enum):
    """How a pin came to be trusted."""

    FIRST_USE = "first_use"
    ACCEPTED = "accepted"


class Engine(Enum):
    """What speaks TLS with a gateway."""

    OPENSSL = "openssl"
    COMPATIBLE = "compatible"
    """``gateway.compatible_tls``, for gateways that refuse OpenSSL's."""


class Pin(NamedTuple):
    """A trusted certificate. Times are UTC in whole seconds; None if the clock was unset or the Go proxy wrote it."""

    certificate: Certificate
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    origin: Origin | None = None
    engine: Engine = Engine.OPENSSL
    """With which the certificate was shown last."""


class Expiry(Enum):
    """A warning about the dates of a certificate. The certificate stays trusted."""

    EXPIRED = "expired"
    EXPIRES_SOON = "expires_soon"
    """In the next 30 days."""
    NOT_YET_VALID = "not_yet_valid"

    def __str__(self) -> str:
        """Return it in words, for a log or a terminal."""
        return self.value.replace("_", " ")


def matches(pin: Pin | None, fingerprint: str, configured: str | None = None) -> bool:
    """Tell whether a certificate is the ``configured`` one; where none is configured, whether it is the pinned one.

    All fingerprints are as ``normalise_fingerprint`` returns them.
    """
    return fingerprint == (pin.certificate.fingerprint if pin and configured is None else configured)


def seen_again(pin: Pin, presented: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> Pin:
    """Return ``pin`` after ``engine`` saw its own certificate at ``now``; an equal one if nothing is worth writing.

    Adds what a pin of the Go proxy lacks. Changes ``last_seen`` at most once an hour, to spare SD cards.
    """
    certificate = presented if pin.certificate.pem is None else pin.certificate
    when = utc_if_set(now)
    if when is None:
        return pin._replace(certificate=certificate, engine=engine)
    fresh = pin.last_seen is not None and timedelta(0) <= when - pin.last_seen < _SEEN_INTERVAL
    last_seen = pin.last_seen if fresh else when
    first_seen = pin.first_seen or when
    return pin._replace(certificate=certificate, first_seen=first_seen, last_seen=last_seen, engine=engine)


def utc_if_set(now: datetime) -> datetime | None:
    """Return ``now`` in UTC and whole seconds, None while the clock is unset.

    A Raspberry Pi has no battery-backed clock: after a start it shows a time in the past until it has network time.
    """
    now = now.astimezone(UTC)
    return now.replace(microsecond=0) if now.year >= _FIRST_YEAR else None


def expiry(certificate: Certificate, now: datetime) -> Expiry | None:
    """Return what to warn about; None if the dates are fine or unknown, or while the clock is unset.

    Both dates are inside the validity (RFC 5280 section 4.1.2.5).
    """
    when = utc_if_set(now)
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
    """Read the certificate in ``der``; unreadable fields stay empty.

    Returns the certificate of ``known`` without parsing if that is the same.
    """
    plain = Certificate(fingerprint=hashlib.sha256(der).hexdigest(), pem=_pem(der))
    if known and (known.certificate.fingerprint, known.certificate.pem) == (plain.fingerprint, plain.pem):
        return known.certificate
    from cryptography import x509  # noqa: PLC0415 - 8 MB that a proxy with a pin can do without
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - see above

    parsed = _field(lambda: x509.load_der_x509_certificate(der), None)
    if parsed is None:
        return plain
    # As Go writes the attributes that RFC 4514 leaves as dotted numbers.
    spelt = {NameOID.SERIAL_NUMBER: "SERIALNUMBER", NameOID.POSTAL_CODE: "POSTALCODE"}
    return plain._replace(
        subject=_field(lambda: printable(parsed.subject.rfc4514_string(spelt)), ""),
        issuer=_field(lambda: printable(parsed.issuer.rfc4514_string(spelt)), ""),
        not_before=_field(lambda: parsed.not_valid_before_utc, None),
        not_after=_field(lambda: parsed.not_valid_after_utc, None),
        dns_names=_field(lambda: _dns_names(parsed), ()),
    )


def _field(read: Callable[[], T], default: T) -> T:
    try:
        return read()
    except Exception:  # noqa: BLE001 - cryptography raises many kinds of errors for malformed fields
        return default


def _dns_names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509  # noqa: PLC0415 - as in ``describe``

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(printable(name) for name in names.get_values_for_type(x509.DNSName))


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
