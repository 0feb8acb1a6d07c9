"""Makes connections to the gateway and names what goes wrong."""

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from smgw_proxy_addon.errors import (
    ConnectTimeoutError,
    GatewayError,
    GatewayWantsCertificateError,
    HandshakeError,
    NameUnknownError,
    OutOfDescriptorsError,
    ProxyError,
    RefusedError,
    UnreachableError,
)
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.tls import GatewayTls, Refusal, refusal_of, wants_certificate
from smgw_proxy_addon.tls_transport import TlsTransport
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import Engine

if TYPE_CHECKING:
    from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext

_LOGGER: Final = logging.getLogger(__name__)

OnStep = Callable[[Literal["tcp", "tls"], float], None]
"""Called after each step of a new connection with the seconds that it took."""


@dataclass(eq=False, repr=False)
class Connector:
    """Makes connections to one gateway, with the engine for TLS that it takes. Timeouts are in seconds."""

    trust: GatewayTrust
    _: KW_ONLY
    host: str
    port: int
    server_name: str | None
    connect_timeout: float
    read_timeout: float
    clock: Callable[[], float]
    tls: GatewayTls
    _compatible: "CompatibleContext | None" = field(default=None, init=False)
    _engine: Engine | None = field(default=None, init=False)
    """Which has worked since the start."""

    async def connect(self, on_step: OnStep | None = None) -> Connection:
        """Connect, check the certificate and store it if it is new: after this, requests may be sent.

        Raises ``GatewayError``, ``OutOfDescriptorsError`` and ``FirstContactError`` (see ``GatewayTrust``).
        """
        connection, self._engine = await self._choose(on_step or (lambda _step, _seconds: None))
        try:
            connection.certificate = await self.trust.settle(connection.transport.certificate(), self._engine)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _choose(self, on_step: OnStep) -> tuple[Connection, Engine]:
        """Connect with the engine that has worked before; with the other one if the gateway refuses that."""
        pin = self.trust.pin
        known = self._engine or (pin.engine if pin else None)
        engine = self.tls.engine or known or Engine.OPENSSL
        try:
            return await self._shake_hands(engine, on_step), engine
        except _RefusedHello as error:
            other = self.tls.other_than(engine, known, error.refusal)
            if other is None:
                raise
            refusal = error
        try:
            connection = await self._shake_hands(other, on_step)
        except HandshakeError:
            raise refusal from None
        _LOGGER.warning(
            'The gateway %s refuses the TLS engine "%s" (%s) and takes "%s", which is used from now on',
            self.host,
            engine.value,
            refusal.detail,
            other.value,
        )
        return connection, other

    async def _context(self, engine: Engine) -> "ssl.SSLContext | CompatibleContext":
        if engine is Engine.OPENSSL:
            return self.tls.openssl
        if self._compatible is None:
            try:
                self._compatible = await asyncio.to_thread(self.tls.compatible)
            except ValueError as error:
                raise HandshakeError(str(error), target=self.host) from None
        return self._compatible

    async def _shake_hands(self, engine: Engine, on_step: OnStep) -> Connection:
        try:
            context = await self._context(engine)
            async with asyncio.timeout(self.connect_timeout):
                return await self._open(context, on_step)
        except TimeoutError:
            raise ConnectTimeoutError(target=self.host, seconds=f"{self.connect_timeout:g}") from None
        except (OSError, UnicodeError, GatewayError) as error:
            # A frame in the error's traceback holds the error itself. This cycle would keep the connection and its
            # buffer of 256 kB until the garbage collector runs, which counts objects and not bytes.
            traceback.clear_frames(error.__traceback__)
            raise _translated(error, self.host) from None

    async def _open(self, context: "ssl.SSLContext | CompatibleContext", on_step: OnStep) -> Connection:
        loop = asyncio.get_running_loop()
        # As bytes: for a text, Python loads its codec for international names, 0.3 MB in 2 ms.
        addresses = await loop.getaddrinfo(self.host.encode(), self.port, type=socket.SOCK_STREAM)
        # One address after the other, no race (RFC 8305): the gateway must never see two connections at once.
        for position, (family, *_, address) in enumerate(addresses, start=1):
            connecting = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY
            connecting.setblocking(False)
            begun = self.clock()
            try:
                await loop.sock_connect(connecting, address)
                break
            except BaseException as error:
                connecting.close()
                if position == len(addresses) or not isinstance(error, OSError):
                    raise
        connected = self.clock()
        on_step("tcp", connected - begun)
        connection = Connection(read_timeout=self.read_timeout, clock=self.clock)
        kind = TlsTransport if isinstance(context, ssl.SSLContext) else context.transport_class
        tls = kind(context, self.server_name, connection)
        await loop.create_connection(lambda: tls, sock=connecting)
        try:
            await tls.handshake
        except ssl.SSLError as error:
            tls.raw.abort()
            raise _failed_handshake(error, tls, self.host) from None
        except BaseException:
            tls.raw.abort()
            raise
        on_step("tls", self.clock() - connected)
        return connection


class _RefusedHello(HandshakeError):  # noqa: N818 - the reason to try another engine
    refusal: Refusal


def _translated(error: OSError | UnicodeError | GatewayError, target: str) -> ProxyError:
    """Return the proxy's error for one of the operating system."""
    if isinstance(error, GatewayError):
        return error
    if OutOfDescriptorsError.is_behind(error):
        return OutOfDescriptorsError(str(error))
    if isinstance(error, socket.gaierror | UnicodeError):
        return NameUnknownError(str(error), target=target)
    if isinstance(error, ConnectionRefusedError):
        return RefusedError(target=target)
    if isinstance(error, ConnectionError):
        return HandshakeError("the connection was closed during the handshake", target=target)
    return UnreachableError(error.strerror or str(error), target=target)


def _failed_handshake(error: ssl.SSLError, tls: TlsTransport, target: str) -> GatewayError:
    reason = error.reason or type(error).__name__
    if refusal := refusal_of(tls.heard):
        refused = _RefusedHello(reason, target=target)
        refused.refusal = refusal
        return refused
    # With a cipher the proxy has sent its own half of the handshake, with its certificate.
    wants = tls.has_cipher and wants_certificate(error)
    return (GatewayWantsCertificateError if wants else HandshakeError)(reason, target=target)
