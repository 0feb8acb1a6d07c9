"""One running proxy: the pool, the handler and the listeners, wired from checked options."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smgw_proxy_addon.auth.login_store import LoginStore
from smgw_proxy_addon.config.options import OptionError, Options
from smgw_proxy_addon.errors import OutOfDescriptorsError, TooManyConnectionsError
from smgw_proxy_addon.gateway.connector import Connector
from smgw_proxy_addon.gateway.pool import Lifetime, Pool
from smgw_proxy_addon.gateway.scheduler import Scheduler
from smgw_proxy_addon.gateway.tls import GatewayTls, client_context
from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.key_files import KeyFilesError, NoRightToReadError, read_key_file
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.background import Background
from smgw_proxy_addon.program.environment import Environment, Tuning
from smgw_proxy_addon.proxy.guarded import Guarded
from smgw_proxy_addon.proxy.handler import RequestHandler
from smgw_proxy_addon.proxy.login_guard import LoginGuard
from smgw_proxy_addon.proxy.source import Ask, Transparent
from smgw_proxy_addon.server.acceptor import Acceptor
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.certificate import ListenerCertificate
from smgw_proxy_addon.server.listeners import Listener, own_certificate
from smgw_proxy_addon.server.request_body import MB
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import Certificate, Engine
from smgw_proxy_addon.trust.store import TrustStore

if TYPE_CHECKING:
    from smgw_proxy_addon.auth.login_once import LoginOnce
    from smgw_proxy_addon.status.doctor import Doctor

_LOGGER: Final = logging.getLogger(__name__)

ROOM: Final = 32
"""Requests that may wait for the gateway."""

PATIENCE: Final = 60.0
"""Seconds that a request may wait for its place."""

GRACE: Final = 4.0
"""Seconds that running requests get when the proxy stops."""

_RELOAD: Final = 30.0


class Proxy:
    """Serves the listeners from ``start`` to ``stop``."""

    serving = False
    """Whether it takes requests."""

    def __init__(
        self,
        options: Options,
        listeners: list[Listener],
        certificate: ListenerCertificate | None,
        store: TrustStore,
        environment: Environment,
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
    ) -> None:
        self.trust, self.pool = gateway_side(
            options, store, tuning.clock, tls=environment.gateway_tls, is_own=self._shows
        )
        self.options: Final = options
        self.store: Final = store
        self.environment: Final = environment
        self._listeners = listeners
        self._certificate = certificate
        self._login_store = LoginStore(options, tuning.files)
        self.login_once = _login_once(options, self.pool, self._login_store, tuning)
        self.logins = self.login_once.logins if self.login_once else None
        source = self.login_once or _transparent(options, self.pool, tuning.clock)
        self.held_back: Callable[[], Sequence[str]] = source.addresses if isinstance(source, Guarded) else tuple
        """Returns the addresses of clients whose logins are held back."""
        access = Access(frozenset(options.allowed_hosts), allow=options.allow, check_origin=options.check_origin)
        self._background = Background(
            options,
            self.pool,
            self.trust,
            environment,
            access=access,
            logins=self.logins,
            held_back=self.held_back,
        )
        self.host: Final = options.host_header or options.target.authority
        """The ``Host`` header of requests to the gateway."""
        self.names: Final = _names(options, self.host, self.trust)
        self._handler = self._make_handler(source.ask, access, tuning.limits.slow_client)
        self.acceptor = Acceptor(self._handler.handle, tuning.limits)
        self._reloading: asyncio.Task[None] | None = None

    @property
    def doctor(self) -> "Doctor":
        """Examines the way to the gateway."""
        return self._background.doctor

    async def start(self) -> None:
        """Listen."""
        outcomes = await self._login_store.open()  # also without accounts: those of earlier options are forgotten
        if self.logins:
            self.logins.restore(outcomes)
        self.acceptor.open([(each.socket, None) for each in self._listeners if not each.secure])
        secure = [each for each in self._listeners if each.secure]
        if self._certificate:
            self._open_https(secure, self._certificate)
        else:
            for each in secure:
                each.refuse()
        if secure:
            self._reloading = asyncio.create_task(self._keep_https(secure))
        await self._background.start()
        self.serving = True

    async def stop(self, grace: float = GRACE) -> None:
        """Take no new requests, give running ones ``grace`` seconds, close everything properly."""
        self.serving = False
        self._handler.refuse_requests()
        if self._reloading:
            self._reloading.cancel()
        await self.acceptor.stop()
        self.pool.cancel_waiting()
        await self._handler.stop(grace)
        if self.login_once:
            await self.login_once.close()
        await self._login_store.close()
        await self._background.stop()
        await self.acceptor.close()
        for each in self._listeners:
            each.socket.close()
        await self.pool.close()

    def _make_handler(self, ask: Ask, access: Access, slow_client_seconds: float) -> RequestHandler:
        return RequestHandler(
            ask,
            access,
            self.names,
            host=self.host.encode(),
            read_timeout=self.options.read_timeout,
            largest_body=self.options.max_body_mb * MB,
            report=self.report,
            slow_client_seconds=slow_client_seconds,
            log_bodies=self.options.log_bodies,
        )

    def _open_https(self, listeners: list[Listener], certificate: ListenerCertificate) -> None:
        self.acceptor.open([(each.socket, certificate.context) for each in listeners])

    async def _keep_https(self, listeners: list[Listener]) -> None:
        """Listen for HTTPS as soon as its certificate can be stored, then read a renewed one."""
        while self._certificate is None:
            await asyncio.sleep(_RELOAD)
            with suppress(KeyFilesError):  # the log said so at the start
                self._certificate = await asyncio.to_thread(own_certificate, self.options)
            if self._certificate:
                self._open_https(listeners, self._certificate)
                for each in listeners:
                    _LOGGER.info("Listening at %s", each.url)
        await _reload(self._certificate, self.environment.restart)

    def _shows(self, der: bytes) -> bool:
        return self._certificate is not None and self._certificate.shows(der)

    def report(self, record: RequestRecord) -> None:
        """Note a finished request; the acceptor counts the connections that are refused."""
        if record.code == TooManyConnectionsError.code:
            return
        if record.code == OutOfDescriptorsError.code:
            self.acceptor.shortage.felt(record.code)
        self._background.note(record)
        self.environment.report(record)


def gateway_tls(options: Options) -> GatewayTls:
    """Make what speaks TLS with the gateway, with the certificate that it is shown, if any. Must be run in executor.

    Raises OptionError: another start would not help.
    """
    files = options.client_certfile, options.client_keyfile
    newest = ssl.TLSVersion.TLSv1_3 if options.tls_max == "1.3" else ssl.TLSVersion.TLSv1_2
    engine = None if options.tls == "auto" else Engine(options.tls)
    try:
        login = (read_key_file(files[0]), read_key_file(files[1])) if files[0] and files[1] else None
        return GatewayTls(client_context(*files, newest=newest), engine, login)
    except KeyFilesError as error:
        allowed = "a certificate with its unencrypted key, both in PEM form"
        raise OptionError("client_certfile", str(error), allowed) from None


def gateway_side(
    options: Options,
    store: TrustStore,
    clock: Callable[[], float] = time.monotonic,
    *,
    tls: GatewayTls | None = None,
    is_own: Callable[[bytes], bool] = lambda _der: False,
) -> tuple[GatewayTrust, Pool]:
    """Make what leads to the gateway: its pin, and the connections.

    ``tls`` is that of ``gateway_tls``, which reads files, ``is_own`` as in ``GatewayTrust``.
    """
    target = options.target
    trust = GatewayTrust(
        store,
        configured=options.certificate_fingerprint,
        target=target.name,
        now=lambda: datetime.now(UTC),
        is_own=is_own,
    )
    connector = Connector(
        trust,
        host=target.endpoint.connect_host,
        port=target.endpoint.port,
        server_name=target.server_name,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        clock=clock,
        tls=tls or gateway_tls(options),
    )
    scheduler = Scheduler(options.max_connections, ROOM, PATIENCE)
    return trust, Pool(connector, scheduler, Lifetime(), clock=clock)


def _login_once(options: Options, pool: Pool, store: LoginStore, tuning: Tuning) -> "LoginOnce | None":
    """Make what asks the gateway with the options' accounts, if there are any."""
    if not options.accounts:
        return None
    from smgw_proxy_addon.auth.login_once import LoginOnce  # noqa: PLC0415 - 0.5 MB, only with accounts

    return LoginOnce(options, pool, tuning.clock, store.save, tuning.login_pauses)


def _transparent(options: Options, pool: Pool, clock: Callable[[], float]) -> Transparent | Guarded:
    """Make what hands each request to the gateway as it is."""
    source = Transparent(pool, clock)
    if not options.hold_back_logins:
        return source
    return Guarded(source, LoginGuard(secrets.token_bytes(32)), pool.session, clock)


def _names(options: Options, host: str, trust: GatewayTrust) -> Callable[[], GatewayNames]:
    """Make what gives the gateway's names now: of the options, and of its certificate once that was shown."""
    configured = GatewayNames.of(options.target.host, options.target.port, host)

    @lru_cache(maxsize=1)
    def names_with(certificate: Certificate | None) -> GatewayNames:
        return configured.with_certificate(certificate.host_names if certificate else ())

    return lambda: names_with(trust.accepted)


async def _reload(certificate: ListenerCertificate, restart: Callable[[], None] | None) -> None:
    """Read a renewed certificate of our own; a broken one leaves the old one in use.

    ``restart`` ends the program so that it is started again as root, which alone may read the user's key. Only once
    the files rest: half a renewal would be no reason to start.
    """
    wants_restart = False
    while True:
        await asyncio.sleep(_RELOAD)
        try:
            changed = await asyncio.to_thread(certificate.reload_if_changed)
        except KeyFilesError as error:
            wants_restart = bool(restart) and isinstance(error, NoRightToReadError)
            if not wants_restart:
                _LOGGER.error("The certificate of the HTTPS listener stays as it was: %s", error)  # noqa: TRY400 - it says all
            continue
        if changed:
            _LOGGER.info("The certificate of the HTTPS listener was read again")
        elif restart and wants_restart:
            _LOGGER.info("The certificate of the HTTPS listener was renewed: starting again to read it")
            restart()
            return
