"""TLS to the gateway: what is offered, and where in the handshake the certificate is judged.

No public client can verify a gateway's certificate (its name is a device id), so the pin is the only protection:
it is compared before one byte of a request is sent.
"""

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from smgw_proxy_addon.errors import GatewayError

# TR-03116-3 allows the ECDSA suites; RSA is for devices older than it.
_CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA384", "AES128-SHA256")
)

_CLIENT_RANDOM_END: Final = 5 + 4 + 2 + 32
_SUPPORTED_GROUPS: Final = b"\x00\x0a"
_BRAINPOOL: Final = frozenset({b"\x00\x1a", b"\x00\x1b", b"\x00\x1c"})  # RFC 7027 section 2


class UntrustedError(ssl.SSLCertVerificationError):
    """Ends the handshake: ``problem`` is the error for the client, ``der`` the refused certificate.

    A subclass of ``ssl.SSLError``, because asyncio catches nothing else that ``do_handshake`` raises.
    """

    def __init__(self, problem: GatewayError, der: bytes) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.der = der


def client_context(judge: Callable[[bytes], None]) -> ssl.SSLContext:
    """Make the context for connections to a gateway: TLS 1.2 only, no host name check.

    ``judge`` gets the certificate (DER) at the end of the handshake and raises ``GatewayError`` to refuse it; the
    handshake then ends with ``UntrustedError``.
    """

    class JudgedSSLObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            der = self.getpeercert(binary_form=True) or b""
            try:
                judge(der)
            except GatewayError as problem:
                # Without its traceback, which would keep this connection's buffers in memory.
                raise UntrustedError(problem.with_traceback(None), der) from None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.sslobject_class = JudgedSSLObject
    return context


def offers_brainpool() -> bool:
    """Tell whether the ClientHello offers a brainpool curve. OpenSSL offers one only if its configuration says so."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client_context(lambda _der: None).wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
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
