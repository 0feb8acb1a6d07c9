"""The file format of a pin: the fields of the Go smgw-proxy as it writes them, then ours.

Pure: a file goes in and out as bytes. A damaged file is an error, never "no pin".
"""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Final

from smgw_proxy_addon.fingerprint import normalise_fingerprint
from smgw_proxy_addon.text import printable
from smgw_proxy_addon.trust.policy import Certificate, Engine, Origin, Pin

# As Go's time.Time.String() writes a date; a fraction and the name of the zone may be there.
_GO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? ([+-]\d{4})( .*)?")
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s(.*)-----END CERTIFICATE-----\s*", re.DOTALL)


def encode(pin: Pin) -> bytes:
    """Return the content of a pin's file. The Go proxy ignores our fields."""
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
        "tls": pin.engine.value,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def decode(data: bytes) -> Pin:
    """Read a pin's file, of ours or of the Go proxy. Ignores unknown fields.

    Raises ValueError, in words for people, for a pin that is not complete and consistent.
    """
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise ValueError("not a JSON text") from None
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the only error that callers handle
    fingerprint = normalise_fingerprint(_text(document, "fingerprint") or "")
    pem = _text(document, "pem")
    if pem is not None and hashlib.sha256(_der(pem)).hexdigest() != fingerprint:
        raise ValueError("the certificate in pem is not the one of the fingerprint")
    origins = {origin.value: origin for origin in Origin}
    engines = {engine.value: engine for engine in Engine}
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
        engine=engines.get(_text(document, "tls") or "", Engine.OPENSSL),
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
