"""One look at who is at an address: a TLS handshake without a request, and the certificate that it brings.

Gateways are slow and lock their port when they are pressed: never in parallel, never repeated here. Not one byte of
HTTP is sent.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

from smgw_network_addon.certificate import Certificate, read

HTTPS_PORT: Final = 443
CONNECT_TIMEOUT: Final = 3.0
"""Seconds; on one link, two SYN are lost by then."""
HANDSHAKE_TIMEOUT: Final = 12.0
"""Seconds; real gateways take 1 to 1.5, and more while they are busy."""
_CLOSE_TIMEOUT: Final = 2.0
# TR-03116-3 allows the ECDSA suites; the same as the proxy offers.
_CIPHERS: Final = ":".join(
    f"ECDHE-ECDSA-{cipher}" for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA384", "AES128-SHA256")
)


class Seen(Enum):
    """What is at an address."""

    GATEWAY = "gateway"
    OTHER = "other"
    """Something answers that is no gateway."""
    SILENT = "silent"
    """Nothing answers."""


@dataclass(frozen=True, slots=True)
class Look:
    """The outcome of one look; with the certificate of a gateway."""

    seen: Seen
    certificate: Certificate | None = None


def client_context() -> ssl.SSLContext:
    """Make the context: TLS 1.2 exactly, no verification (a gateway's name is never its address)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    return context


async def connect(address: str, seconds: float = CONNECT_TIMEOUT) -> socket.socket:
    """Open a connection to an address (``fe80::1%eth0`` has its interface). Raises OSError."""
    host, _, zone = address.partition("%")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        scope = (0, socket.if_nametoindex(zone)) if zone else ()
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(connection, (host, HTTPS_PORT, *scope))
    except BaseException:
        connection.close()
        raise
    return connection


async def look(address: str, context: ssl.SSLContext) -> Look:
    """Look once. Never raises but for cancellation."""
    try:
        connection = await connect(address)
    except (ConnectionRefusedError, ConnectionResetError):
        return Look(Seen.OTHER)
    except OSError:
        return Look(Seen.SILENT)
    try:
        _, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname="", ssl_handshake_timeout=HANDSHAKE_TIMEOUT
        )
    except (OSError, EOFError):
        connection.close()
        return Look(Seen.OTHER)
    certificate = read(writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b"")
    writer.close()
    with suppress(OSError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await writer.wait_closed()
    return Look(Seen.GATEWAY if certificate and certificate.is_gateways else Seen.OTHER, certificate)
