"""How a pin is spelled in its file: the Go proxy's fields in its spelling, then ours.

Pure: a file goes in and out as bytes. What is wrong in a file is an error here, never "no pin".
"""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Final

from smgw_proxy_addon.fingerprint import normalise_fingerprint
from smgw_proxy_addon.text import printable
from smgw_proxy_addon.trust.policy import Certificate, Origin, Pin

# What Go's time.Time.String() gives for a certificate's date; a fraction and the zone's name vary.
_GO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? ([+-]\d{4})( .*)?")
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s(.*)-----END CERTIFICATE-----\s*", re.DOTALL)


def encode(pin: Pin) -> bytes:
    """Write the pin as a file: the Go proxy's fields in its spelling, then ours, which Go ignores."""
    certificate = pin.certificate
    document = {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": _go_time(certificate.not_before),
        "not_after": _go_time(certificate.not_after),
        "dns_names": list(certificate.dns_names) or None,
        "pem": certificate.pem,
        "first_seen": pin.first_seen and pin.first_seen.isoformat(),
        "last_seen": pin.last_seen and pin.last_seen.isoformat(),
        "trusted_by": pin.origin and pin.origin.value,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def decode(data: bytes) -> Pin:
    """Read the pin in a file of ours or of the Go proxy. Fields that we do not know are ignored.

    Raises ValueError, in words for people, for anything that is not a whole and consistent pin.
    """
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise ValueError("not a JSON text") from None
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the one error that callers have to know
    fingerprint = normalise_fingerprint(_text(document, "fingerprint") or "")
    pem = _text(document, "pem")
    if pem is not None and hashlib.sha256(_der(pem)).hexdigest() != fingerprint:
        raise ValueError("the certificate in pem is not the one of the fingerprint")
    origins = {origin.value: origin for origin in Origin}
    return Pin(
        Certificate(
            fingerprint=fingerprint,
            subject=printable(_text(document, "subject") or ""),
            issuer=printable(_text(document, "issuer") or ""),
            not_before=_time(document, "not_before"),
            not_after=_time(document, "not_after"),
            dns_names=_names(document),
            pem=pem,
        ),
        first_seen=_time(document, "first_seen"),
        last_seen=_time(document, "last_seen"),
        origin=origins.get(_text(document, "trusted_by") or ""),
    )


def _der(pem: str) -> bytes:
    found = _PEM.fullmatch(pem)
    if not found:
        raise ValueError("pem is not a certificate in PEM")
    try:
        return base64.b64decode("".join(found[1].split()), validate=True)
    except ValueError:
        raise ValueError("pem is not a certificate in PEM") from None


def _text(document: dict[str, object], key: str) -> str | None:
    value = document.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{key} is not a text")


def _names(document: dict[str, object]) -> tuple[str, ...]:
    value = document.get("dns_names")
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(printable(name) for name in value)
    raise ValueError("dns_names is not a list of texts")


def _go_time(time: datetime | None) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds") + " +0000 UTC" if time else ""


def _time(document: dict[str, object], key: str) -> datetime | None:
    text = _text(document, key)
    if not text:
        return None
    go = _GO_TIME.fullmatch(text)
    try:
        time = datetime.fromisoformat(go[1] + go[3] if go else text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{key} is not a time") from None
