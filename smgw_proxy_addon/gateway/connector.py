"""Makes connections to the gateway and names what goes wrong."""

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from smgw_proxy_addon.errors import (
    CertificateChangedError,
    ConnectTimeoutError,
    GatewayWantsCertificateError,
    HandshakeError,
    NameUnknownError,
    OutOfDescriptorsError,
    ProxyError,
    RefusedError,
    UnreachableError,
)
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.tls import (
    CertificateWantedError,
    GatewayTls,
    Refusal,
    RefusedHelloError,
    UntrustedError,
    judge_certificates,
    refused_hello,
)
from smgw_proxy_addon.tls_transport import TlsTransport
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import Engine

if TYPE_CHECKING:
    from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext

_LOGGER: Final = logging.getLogger(__name__)

OnStep = Callable[[Literal["tcp", "tls"], float], None]
"""Called after each step of a new connection with the seconds that it took."""


class Connector:
    """Makes connections to one gateway, with the engine for TLS that it takes."""

    def __init__(
        self,
        trust: GatewayTrust,
        *,
        host: str,
        port: int,
        server_name: str | None,
        connect_timeout: float,
        read_timeout: float,
        clock: Callable[[], float],
        tls: GatewayTls,
    ) -> None:
        self.trust = trust
        self._host = host
        self._port = port
        self._server_name = server_name
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._clock = clock
        self._tls = tls
        self._contexts: dict[Engine, ssl.SSLContext | CompatibleContext] = {Engine.OPENSSL: self._tls.openssl}
        judge_certificates(self._tls.openssl, trust.judge)
        self._engine: Engine | None = None
        """Which has worked since the start."""

    async def connect(self, on_step: OnStep | None = None) -> Connection:
        """Connect, check the certificate and store it if it is new: after this, requests may be sent.

        Raises ``GatewayError``, ``OutOfDescriptorsError`` and ``FirstContactError`` (see ``GatewayTrust``).
        """
        with self.trust.handshake():
            connection, engine = await self._choose(on_step or _ignore)
            self._engine = engine
            der = connection.transport.certificate()
            try:
                connection.certificate = await self.trust.settle(der, engine)
            except BaseException as error:
                connection.abort()
                if isinstance(error, CertificateChangedError):
                    await self.trust.report(error, der, engine)
                raise
        return connection

    async def _choose(self, on_step: OnStep) -> tuple[Connection, Engine]:
        """Connect with the engine that has worked before; with the other one if the gateway refuses that."""
        pin = self.trust.pin
        known = self._engine or (pin.engine if pin else None)
        engine = self._tls.engine or known or Engine.OPENSSL
        try:
            return await self._shake_hands(engine, on_step), engine
        except _RefusedHello as error:
            other = self._tls.other_than(engine, known, error.refusal)
            if other is None:
                raise
            refusal = error
        try:
            connection = await self._shake_hands(other, on_step)
        except HandshakeError:
            raise refusal from None
        _LOGGER.warning(
            'The gateway %s refuses the TLS engine "%s" (%s) and takes "%s", which is used from now on',
            self._host,
            engine.value,
            refusal.detail,
            other.value,
        )
        return connection, other

    async def _context(self, engine: Engine) -> "ssl.SSLContext | CompatibleContext":
        if engine not in self._contexts:
            try:
                context = await asyncio.to_thread(self._tls.compatible)
            except ValueError as error:
                raise HandshakeError(str(error), target=self._host) from None
            judge_certificates(context, self.trust.judge)
            self._contexts[engine] = context
        return self._contexts[engine]

    async def _shake_hands(self, engine: Engine, on_step: OnStep) -> Connection:
        try:
            context = await self._context(engine)
            async with asyncio.timeout(self._connect_timeout):
                return await self._open(context, on_step)
        except TimeoutError:
            raise ConnectTimeoutError(target=self._host, seconds=f"{self._connect_timeout:g}") from None
        except UntrustedError as error:
            traceback.clear_frames(error.__traceback__)
            problem, der = error.problem, error.der
            self._engine = engine  # it came to the certificate: the next request makes one connection, not two
        except (OSError, UnicodeError) as error:
            # A frame in the error's traceback holds the error itself. This cycle would keep the connection and its
            # buffer of 256 kB until the garbage collector runs, which counts objects and not bytes.
            traceback.clear_frames(error.__traceback__)
            raise _translated(error, self._host) from None
        await self.trust.report(problem, der, engine)
        raise problem

    async def _open(self, context: "ssl.SSLContext | CompatibleContext", on_step: OnStep) -> Connection:
        loop = asyncio.get_running_loop()
        # As bytes: for a text, Python loads its codec for international names, 0.3 MB in 2 ms.
        addresses = await loop.getaddrinfo(self._host.encode(), self._port, type=socket.SOCK_STREAM)
        # One address after the other, no race (RFC 8305): the gateway must never see two connections at once.
        for position, (family, *_, address) in enumerate(addresses, start=1):
            connecting = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY
            connecting.setblocking(False)
            begun = self._clock()
            try:
                await loop.sock_connect(connecting, address)
                break
            except BaseException as error:
                connecting.close()
                if position == len(addresses) or not isinstance(error, OSError):
                    raise
        connected = self._clock()
        on_step("tcp", connected - begun)
        connection = Connection(read_timeout=self._read_timeout, clock=self._clock)
        kind = TlsTransport if isinstance(context, ssl.SSLContext) else context.transport_class
        tls = kind(context, self._server_name, connection)
        await loop.create_connection(lambda: tls, sock=connecting)
        try:
            await tls.handshake
        except ssl.SSLError as error:
            tls.raw.abort()
            raise refused_hello(error, tls.heard) or error from None
        except BaseException:
            tls.raw.abort()
            raise
        on_step("tls", self._clock() - connected)
        return connection


class _RefusedHello(HandshakeError):  # noqa: N818 - the reason to try another engine
    def __init__(self, detail: str, refusal: Refusal, *, target: str) -> None:
        super().__init__(detail, target=target)
        self.refusal = refusal


def _translated(error: OSError | UnicodeError, target: str) -> ProxyError:
    """Return the proxy's error for one of the operating system or of TLS."""
    if OutOfDescriptorsError.is_behind(error):
        return OutOfDescriptorsError(str(error))
    if isinstance(error, socket.gaierror | UnicodeError):
        return NameUnknownError(str(error), target=target)
    if isinstance(error, ssl.SSLError):
        return _translated_tls(error, target)
    if isinstance(error, ConnectionRefusedError):
        return RefusedError(target=target)
    if isinstance(error, ConnectionError):
        return HandshakeError("the connection was closed during the handshake", target=target)
    return UnreachableError(error.strerror or str(error), target=target)


def _translated_tls(error: ssl.SSLError, target: str) -> ProxyError:
    reason = error.reason or type(error).__name__
    if isinstance(error, RefusedHelloError):
        return _RefusedHello(reason, error.refusal, target=target)
    kind = GatewayWantsCertificateError if isinstance(error, CertificateWantedError) else HandshakeError
    return kind(reason, target=target)


def _ignore(_step: str, _seconds: float) -> None:
    """Stand in for ``OnStep``."""
