"""TLS to the gateway: what is offered, by which engine, and what the alerts mean that end a handshake."""

import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smgw_proxy_addon.key_files import load_key_files
from smgw_proxy_addon.trust.policy import Engine

if TYPE_CHECKING:
    from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext

# TR-03116-3 allows the ECDSA suites; RSA is for devices older than it.
_CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA384", "AES128-SHA256")
)

# Parts of OpenSSL's names of alerts (RFC 5246 section 7.2.2). The first one means that the server got no certificate.
_CERTIFICATE_ALERTS: Final = re.compile(
    "ALERT_(HANDSHAKE_FAILURE|NO_CERTIFICATE|(BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_[A-Z]+|UNKNOWN_CA)"
)

_ALERT_RECORD: Final = b"\x15"
_FATAL: Final = 2

_CLIENT_RANDOM_END: Final = 5 + 4 + 2 + 32
_SUPPORTED_GROUPS: Final = b"\x00\x0a"
_BRAINPOOL: Final = frozenset({b"\x00\x1a", b"\x00\x1b", b"\x00\x1c"})  # RFC 7027 section 2


class Refusal(Enum):
    """The fatal alert by which a gateway refuses a ClientHello (RFC 5246 section 7.2)."""

    HANDSHAKE_FAILURE = 40
    ILLEGAL_PARAMETER = 47
    """Nothing but the ClientHello is a reason for it."""
    PROTOCOL_VERSION = 70


@dataclass(frozen=True)
class GatewayTls:
    """How the proxy speaks TLS with the gateway. ``engine`` is the only one that may be used, None for a choice."""

    openssl: ssl.SSLContext
    engine: Engine | None = None
    login: tuple[bytes, bytes] | None = field(default=None, repr=False)
    """A certificate with its key, both PEM, that the gateway is shown if it asks."""

    def other_than(self, used: Engine, known: Engine | None, refusal: Refusal) -> Engine | None:
        """Return the engine to try after the gateway has refused the ClientHello of the one ``used``, or None.

        ``known``: what has worked with this gateway before, None for nothing. A gateway that has taken OpenSSL's
        ClientHello before has another reason for "handshake failure". With the other engine's it may have begun to
        demand ``renegotiation_info`` (RFC 5746 section 4.3), or TLS 1.3.
        """
        if self.engine:
            return None
        if used is Engine.COMPATIBLE:
            return Engine.OPENSSL
        new = refusal is Refusal.HANDSHAKE_FAILURE and known is None
        return Engine.COMPATIBLE if new or refusal is Refusal.ILLEGAL_PARAMETER else None

    def compatible(self) -> "CompatibleContext":
        """Make the context of the compatible engine. Must be run in executor. Raises ValueError for ``login``."""
        from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext  # noqa: PLC0415 - 9 to 17 MB, rarely needed

        return CompatibleContext(self.login)


def client_context(
    certfile: Path | None = None, keyfile: Path | None = None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """Make OpenSSL's context for a gateway: TLS 1.2 to ``newest``, no host name check, perhaps with a certificate.

    No public client can verify a gateway's certificate (its name is a device id): ``GatewayTrust`` compares it with
    the pin. Raises KeyFilesError; must be run in executor with files.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    if certfile and keyfile:
        load_key_files(context, certfile, keyfile)
    return context


def refusal_of(heard: bytes) -> Refusal | None:
    """Return how the ClientHello was refused, None if the handshake ended for another reason.

    ``heard`` begins with the first seven bytes of the gateway. OpenSSL does not tell whether a ServerHello came.
    """
    if heard[:1] != _ALERT_RECORD:
        return None
    return next((each for each in Refusal if heard[5:7] == bytes([_FATAL, each.value])), None)


def wants_certificate(error: ssl.SSLError) -> bool:
    """Tell whether the alert says that the proxy's certificate is missing, or not one that the gateway takes."""
    return _CERTIFICATE_ALERTS.search(error.reason or "") is not None


def offers_brainpool() -> bool:
    """Tell whether the ClientHello offers a brainpool curve. OpenSSL offers one only if its configuration says so."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    # After the random (RFC 5246 section 7.4.1.2): session id, cipher suites, compression methods; then extensions.
    rest = outgoing.read()[_CLIENT_RANDOM_END:]
    for size in (1, 2, 1):
        rest = rest[size + int.from_bytes(rest[:size]) :]
    rest = rest[2:]
    while rest:
        kind, length = rest[:2], int.from_bytes(rest[2:4])
        if kind == _SUPPORTED_GROUPS:
            return any(rest[at : at + 2] in _BRAINPOOL for at in range(6, 4 + length, 2))
        rest = rest[4 + length :]
    return False
