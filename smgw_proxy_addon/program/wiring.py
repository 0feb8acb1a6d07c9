"""One running proxy: the pool, the handler and the listeners, wired from checked options."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smgw_proxy_addon.auth.login_store import LoginStore
from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.errors import OutOfDescriptorsError
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.gateway.connector import Connector
from smgw_proxy_addon.gateway.pool import Lifetime, Pool
from smgw_proxy_addon.gateway.scheduler import Scheduler
from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.background import Background
from smgw_proxy_addon.proxy.guarded import Guarded
from smgw_proxy_addon.proxy.handler import RequestHandler
from smgw_proxy_addon.proxy.login_guard import LoginGuard
from smgw_proxy_addon.proxy.source import Source, Transparent
from smgw_proxy_addon.server.acceptor import Acceptor
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.certificate import ListenerCertificate, ListenerCertificateError, NoRightToReadError
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.server.listeners import Listener
from smgw_proxy_addon.server.request_body import MB
from smgw_proxy_addon.status.doctor import Doctor
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import Policy
from smgw_proxy_addon.trust.store import TrustStore

if TYPE_CHECKING:
    from smgw_proxy_addon.auth.login_once import LoginOnce

_LOGGER: Final = logging.getLogger(__name__)

ROOM: Final = 32
"""Requests that may wait for the gateway."""

PATIENCE: Final = 60.0
"""Seconds that a request may wait for its place."""

GRACE: Final = 4.0
"""Seconds that running requests get when the proxy stops."""

_RELOAD: Final = 30.0


class Proxy:
    """Serves the listeners from ``start`` to ``stop``.

    ``clock`` gives monotonic seconds, as the event loop's; ``login_pauses`` replaces ``gateway_login.PAUSES``.
    ``files`` changes the file of the login store.
    """

    def __init__(
        self,
        options: Options,
        listeners: list[Listener],
        certificate: ListenerCertificate | None,
        *,
        store: TrustStore,
        report: Callable[[RequestRecord], None],
        restart: Callable[[], None] | None = None,
        supervisor: Supervisor | None = None,
        log_failure: Callable[[], str | None] = lambda: None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
        login_pauses: Sequence[float] | None = None,
        files: Files | None = None,
    ) -> None:
        self.trust, self.pool = gateway_side(options, store, clock)
        self.serving = False
        """Whether it takes requests."""
        self._listeners = listeners
        self._certificate = certificate
        self._login_store = LoginStore(options, files)
        self.login_once = _login_once(options, self.pool, clock, self._login_store, login_pauses)
        self.logins = self.login_once.logins if self.login_once else None
        source = self.login_once or _transparent(options, self.pool, clock)
        self.held_back: Callable[[], Sequence[str]] = source.addresses if isinstance(source, Guarded) else tuple
        """Returns the addresses of clients whose logins are held back."""
        access = Access(frozenset(options.allowed_hosts), allow=options.allow, check_origin=options.check_origin)
        self._background = Background(
            options,
            self.pool,
            self.trust,
            supervisor,
            logins=self.logins,
            held_back=self.held_back,
            access=access,
            log_failure=log_failure,
        )
        self._report = report
        self._handler = _handler(options, source, access, self._reported, limits.hold)
        self.acceptor = Acceptor(self._handler, limits)
        self._reloading: asyncio.Task[None] | None = None
        self._restart = restart

    @property
    def doctor(self) -> Doctor:
        """Examines the way to the gateway."""
        return self._background.doctor

    async def start(self) -> None:
        """Listen."""
        outcomes = await self._login_store.open()  # also without accounts: those of earlier options are forgotten
        if self.logins:
            self.logins.restore(outcomes)
        certificate = self._certificate
        self.acceptor.open(
            [(each.socket, certificate.context if each.secure and certificate else None) for each in self._listeners]
        )
        if self._certificate:
            self._reloading = asyncio.create_task(_reload(self._certificate, self._restart))
        await self._background.start()
        self.serving = True

    async def stop(self, grace: float = GRACE) -> None:
        """Take no new requests, give running ones ``grace`` seconds, close everything properly."""
        self.serving = False
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
        await self.pool.close()

    def _reported(self, record: RequestRecord) -> None:
        if record.code == OutOfDescriptorsError.code:
            self.acceptor.fall_short(record.code)
        self._background.note(record)
        self._report(record)


def gateway_side(
    options: Options, store: TrustStore, clock: Callable[[], float] = time.monotonic
) -> tuple[GatewayTrust, Pool]:
    """Make what leads to the gateway: its pin, and the connections."""
    target = options.target
    trust = GatewayTrust(
        store,
        Policy(options.certificate_fingerprint),
        target=target.name,
        now=lambda: datetime.now(UTC),
    )
    connector = Connector(
        trust,
        host=target.connect_host,
        port=target.port,
        server_name=target.server_name,
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        clock=clock,
    )
    scheduler = Scheduler(options.max_connections, ROOM, PATIENCE)
    return trust, Pool(connector, scheduler, Lifetime(), clock=clock)


def _login_once(
    options: Options,
    pool: Pool,
    clock: Callable[[], float],
    store: LoginStore,
    pauses: Sequence[float] | None,
) -> "LoginOnce | None":
    """Make what asks the gateway with the options' accounts, if there are any."""
    if not options.accounts:
        return None
    from smgw_proxy_addon.auth.login_once import LoginOnce  # noqa: PLC0415 - 0.5 MB, only with accounts

    return LoginOnce(options, pool, clock, store.save, pauses)


def _transparent(options: Options, pool: Pool, clock: Callable[[], float]) -> Transparent | Guarded:
    """Make what hands each request to the gateway as it is."""
    source = Transparent(pool, clock)
    if not options.hold_back_logins:
        return source
    return Guarded(source, LoginGuard(secrets.token_bytes(32)), pool.session, clock)


def _handler(
    options: Options,
    source: Source,
    access: Access,
    report: Callable[[RequestRecord], None],
    longest_hold: float,
) -> RequestHandler:
    target = options.target
    host = options.host_header or target.authority
    return RequestHandler(
        source,
        access,
        GatewayNames.of(target.host, target.port, host),
        host=host.encode(),
        read_timeout=options.read_timeout,
        largest_body=options.max_body_mb * MB,
        report=report,
        longest_hold=longest_hold,
        log_bodies=options.log_bodies,
    )


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
        except ListenerCertificateError as error:
            wants_restart = bool(restart) and isinstance(error, NoRightToReadError)
            if not wants_restart:
                _LOGGER.error("The certificate of the HTTPS listener stays as it was: %s", error)  # noqa: TRY400
            continue
        if changed:
            _LOGGER.info("The certificate of the HTTPS listener was read again")
        elif restart and wants_restart:
            _LOGGER.info("The certificate of the HTTPS listener was renewed: starting again to read it")
            restart()
            return
