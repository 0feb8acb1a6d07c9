"""The simulated gateway as one object: a listener, its certificate, its login, its faults and its records.

async with Simulator(vendor="theben") as sim:
    ...  # sim.url, sim.user, sim.password, sim.records, sim.faults.set("drop", times=1)
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from simulator.certificates import (
    TLS_VERSIONS,
    CertificateOptions,
    ClientCertificates,
    Identity,
    TlsOptions,
    keep_identity,
    make_identity,
)
from simulator.connection import Connection
from simulator.emh import Emh
from simulator.faults import Faults
from simulator.journal import Journal
from simulator.listener import ILLEGAL_PARAMETER, Listener
from simulator.login import Login
from simulator.messages import Received
from simulator.pace import Pace
from simulator.ppc import Ppc
from simulator.router import Router
from simulator.sagemcom import Sagemcom
from simulator.theben import Theben
from simulator.vendor import Device, Vendor


@dataclass(frozen=True)
class Make:
    """What the devices of one make have in common: name, curve of the key, cipher suites (None: all that fit)."""

    device: str
    curve: str
    ciphers: str | None = None
    refuses_renegotiation_info: bool = False


VENDORS: Final = {
    "theben": Make("ETHE0300186023", "P-384"),
    "ppc": Make("EPPC0212345678", "P-256"),
    "emh": Make("EEMH0012345678", "P-256"),
    "sagemcom": Make(
        "EDNT0012345678",
        "brainpoolP256r1",
        "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        refuses_renegotiation_info=True,
    ),
}

WAIT_SECONDS: Final = 5.0
"""How long the helpers wait at most, unless told otherwise."""
_NONCE_LIFE: Final = timedelta(minutes=5)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Simulator:
    """A gateway on a socket of its own, from ``start`` to ``stop`` or as an async context manager.

    Delays are in seconds. The certificate is the vendor's kind, changed by ``certificate`` and ``curve``, and
    kept in ``state_dir`` if that is given. The constructor raises ValueError for a wrong argument, ``start``
    OSError if the address or the folder cannot be used.
    """

    vendor: str = "theben"
    host: str = "127.0.0.1"
    port: int = 0
    user: str = "demo"
    password: str = "gateway"  # noqa: S105  # a simulated gateway guards nothing
    curve: str | None = None
    certificate: CertificateOptions | None = None
    state_dir: Path | None = None
    tls: str = "1.2"
    """Versions: ``1.2``, ``1.3`` or ``both``. OpenSSL before 3.2 speaks TLS 1.3 on P-256, P-384 and P-521 only."""
    ciphers: str | None = None
    """OpenSSL's names of the cipher suites of TLS 1.2; None: the make's."""
    refuses_renegotiation_info: bool | None = None
    """Ends the handshake at a ClientHello with ``renegotiation_info`` or its cipher suite; None: as the make does."""
    hello_alert: int = ILLEGAL_PARAMETER
    """The alert that says so: 47 illegal_parameter, or 40 handshake_failure."""
    handshake_delay: float = 0.0
    request_delay: float = 0.0
    serial: bool = False
    """It works at one handshake or request at a time: the delays of all connections add up."""
    protect_all: bool = False
    """Every target needs the login, also those under ``/sim/``; unknown ones then answer 200."""
    realm: str | None = None
    algorithm: str | None = None
    further_users: Mapping[str, str] = field(default_factory=dict)
    """Passwords of users besides ``user``."""
    broken_sha256: bool = False
    """Asks for a login with SHA-256 and refuses it, as some firmware does; MD5 is taken."""
    closes_after_challenge: bool = False
    """Closes the connection after each 401."""
    next_nonces: bool = False
    """Hands out the next nonce with each answer (``Authentication-Info``)."""
    counts_requests: bool = True
    """Refuses a Digest whose ``nc`` was used with its nonce before; most gateways do not look at it."""
    lock_after: int | None = None
    """Wrong logins in a row that lock the gateway: it then answers 401 to every login, for ``lock_time``."""
    lock_time: timedelta = timedelta(minutes=5)
    client_certificates: ClientCertificates | None = None
    """Asks the client for a certificate; a request with an accepted one needs no other login."""
    needs_length: bool = False
    """Answers 411 to a request body in chunks."""
    clock: Callable[[], datetime] = _utc_now
    absolute_location: bool = False
    """Theben: the ``Location`` of the 307 names scheme and host."""
    location_authority: str | None = None
    """Theben: ``host[:port]`` of the ``Location`` of the 307, such as the certificate's ``ETHE0300186023.SMGW``."""
    wants_x_content_length: bool = False
    """Theben: refuses calls without ``X-Content-Length``."""
    allowed_hosts: tuple[str, ...] = ()
    """EMH: Host headers it takes besides its own address and ``smgw.local``."""
    smgw_local_only: bool = False
    """EMH: it takes the Host header ``smgw.local`` only, and answers a bare 400 to others."""
    session_in_form: bool = False
    """PPC: the session is kept in the form field ``sessionid`` and not in a cookie, as by firmware of 2018."""

    faults: Faults = field(default_factory=Faults, init=False)
    journal: Journal = field(default_factory=Journal, init=False)
    device: Device = field(init=False, repr=False)
    login: Login = field(init=False, repr=False)
    _identity: Identity | None = field(default=None, init=False, repr=False)
    _options: CertificateOptions = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)
    _pace: Pace = field(init=False, repr=False)
    _router: Router = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.vendor not in VENDORS:
            raise ValueError(f"unknown vendor {self.vendor!r}: one of {', '.join(VENDORS)}")
        if self.tls not in TLS_VERSIONS:
            raise ValueError(f"unknown version of TLS {self.tls!r}: one of {', '.join(TLS_VERSIONS)}")
        make = self._make
        options = self.certificate or CertificateOptions(common_name=f"{make.device}.SMGW", curve=make.curve)
        self._options = replace(options, curve=self.curve) if self.curve else options

    async def start(self) -> None:
        """Make or read the certificate, then listen; started again, it keeps port, certificate and records."""
        identity = self._identity
        if identity is None:
            identity = await asyncio.to_thread(self._first_identity)
        context = await self._context(identity)
        self.device = Device(name=self._make.device, user=self.user, clock=self.clock, identity=identity)
        self._pace = Pace(serial=self.serial)
        self._listener = Listener(
            context,
            journal=self.journal,
            faults=self.faults,
            pace=self._pace,
            handshake_delay=self.handshake_delay,
            hello_alert=self.hello_alert if self._refuses_renegotiation_info else None,
            connect=self._connect,
        )
        self.port = self._listener.start(self.host, self.port)
        vendor = self._make_vendor()
        self.login = Login(
            user=self.user,
            password=self.password,
            realm=vendor.realm,
            algorithm=vendor.algorithm,
            opaque=vendor.opaque,
            lifetime=_NONCE_LIFE,
            clock=self.clock,
            further_users=self.further_users,
            broken_sha256=self.broken_sha256,
            counts_requests=self.counts_requests,
            takes_get_signature=vendor.takes_get_signature,
            lock_after=self.lock_after,
            lock_time=self.lock_time,
        )
        self._router = Router(
            vendor=vendor,
            login=self.login,
            protect_all=self.protect_all,
            closes_after_challenge=self.closes_after_challenge,
            next_nonces=self.next_nonces,
            needs_length=self.needs_length,
        )

    async def stop(self) -> None:
        """Close the listener and every connection at once."""
        await self._listener.stop()
        self._identity = self.identity

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # What it is

    @property
    def authority(self) -> str:
        """``host:port`` as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """``https://host:port``, without a slash at the end."""
        return f"https://{self.authority}"

    @property
    def identity(self) -> Identity:
        """The key and certificate that new connections see."""
        return self.device.identity

    @property
    def certificate_der(self) -> bytes:
        """The certificate that new connections see."""
        return self.identity.der

    @property
    def fingerprint(self) -> str:
        """Its SHA-256: 64 lowercase hex digits."""
        return self.identity.fingerprint

    # What happened

    @property
    def records(self) -> list[Received]:
        """Every request whose body has ended, in order; also broken ones."""
        return self.journal.records

    @property
    def connections(self) -> int:
        """TCP connections accepted so far."""
        return self.journal.connections

    @property
    def handshakes(self) -> int:
        """TLS handshakes completed so far."""
        return self.journal.handshakes

    @property
    def restarts(self) -> int:
        """Self-tests that ran."""
        return self.device.restarts

    async def wait_until(self, condition: Callable[[], bool], within: float = WAIT_SECONDS) -> None:
        """Wait until ``condition`` holds, asked after every event; TimeoutError after ``within`` seconds."""
        await self.journal.wait_until(condition, within)

    async def wait_for_records(self, count: int) -> list[Received]:
        """Wait until so many requests were received in all, and return them."""
        await self.wait_until(lambda: len(self.records) >= count)
        return self.records

    async def wait_for_heads(self, count: int) -> None:
        """Wait until so many request heads were received in all; their bodies may still be coming."""
        await self.wait_until(lambda: self.journal.heads >= count)

    async def wait_for_connections(self, count: int) -> None:
        """Wait until so many TCP connections were accepted in all."""
        await self.wait_until(lambda: self.connections >= count)

    async def wait_for_open(self, count: int) -> None:
        """Wait until exactly so many TCP connections are open."""
        await self.wait_until(lambda: self.journal.open_connections == count)

    # What can be done to it

    async def rotate_certificate(self, **changes: Any) -> str:
        """Show a new certificate to new connections, kept ones stay; return its fingerprint.

        ``changes`` are fields of ``CertificateOptions``: curve, common_name, not_before, not_after.
        """
        self._options = replace(self._options, **changes)
        await self.use_identity(await asyncio.to_thread(make_identity, self._options))
        return self.fingerprint

    async def use_identity(self, identity: Identity) -> None:
        """Show this certificate to new connections, such as an earlier one again."""
        self._listener.context = await self._context(identity)
        self.device.identity = identity

    def close_connections(self, *, idle_only: bool = False, reset: bool = False) -> None:
        """Close kept connections now: in order, or with a TCP reset."""
        for connection in tuple(self._listener.connections):
            if connection.idle or not idle_only:
                (connection.reset if reset else connection.close)()

    # Inside

    @property
    def _make(self) -> Make:
        return VENDORS[self.vendor]

    @property
    def _refuses_renegotiation_info(self) -> bool:
        chosen = self.refuses_renegotiation_info
        return self._make.refuses_renegotiation_info if chosen is None else chosen

    async def _context(self, identity: Identity) -> ssl.SSLContext:
        tls = TlsOptions(versions=self.tls, ciphers=self.ciphers or self._make.ciphers)
        return await asyncio.to_thread(identity.server_context, self.client_certificates, tls)

    def _first_identity(self) -> Identity:
        if self.state_dir is None:
            return make_identity(self._options)
        return keep_identity(self.state_dir, self._options)

    def _make_vendor(self) -> Vendor:
        chosen = {"realm": self.realm, "algorithm": self.algorithm}
        common: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        if self.vendor == "theben":
            return Theben(
                device=self.device,
                absolute_location=self.absolute_location,
                location_authority=self.location_authority,
                wants_x_content_length=self.wants_x_content_length,
                **common,
            )
        if self.vendor == "ppc":
            return Ppc(device=self.device, session_in_form=self.session_in_form, **common)
        if self.vendor == "sagemcom":
            return Sagemcom(device=self.device, **common)
        own = () if self.smgw_local_only else (self.host, self.authority, *self.allowed_hosts)
        hosts = frozenset(host.lower().encode() for host in ("smgw.local", *own))
        return Emh(device=self.device, allowed_hosts=hosts, bare_refusal=self.smgw_local_only, **common)

    def _connect(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Connection:
        return Connection(
            number,
            reader,
            writer,
            journal=self.journal,
            faults=self.faults,
            router=self._router,
            pace=self._pace,
            request_delay=self.request_delay,
        )
