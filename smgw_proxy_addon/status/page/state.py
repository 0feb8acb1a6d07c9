"""The state that the page shows: one immutable copy per request."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.auth.gateway_login import LoginStatus
from smgw_proxy_addon.config.schema import DEFAULT_TARGET
from smgw_proxy_addon.config.target import Target
from smgw_proxy_addon.errors import PinUnreadableError
from smgw_proxy_addon.gateway.pool import Pool, PoolStatus
from smgw_proxy_addon.server.limits import Counts
from smgw_proxy_addon.status.history import ClientSummary, Day, Entry
from smgw_proxy_addon.status.page.diagnosis import Diagnosis, Result
from smgw_proxy_addon.status.page.recorder import RequestRecorder
from smgw_proxy_addon.status.page.vendor import Vendor, from_subject
from smgw_proxy_addon.status.suggestions import Suggestion, Suggestions
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import Pin, matches
from smgw_proxy_addon.trust.store import TrustStore


@dataclass(frozen=True)
class TrustState:
    """What is trusted, and what the gateway shows."""

    configured: str | None
    """The fingerprint that the options name."""
    pin: Pin | None = None
    changed: Pin | None = None
    """The certificate that the gateway shows now and that is refused, if it is kept to be accepted."""
    shown: str | None = None
    """Fingerprint of the certificate that the gateway showed last, since the start of the proxy."""
    unreadable: PinUnreadableError | None = None

    @property
    def forbidden(self) -> bool:
        """Whether the gateway shows another certificate than the one that the options name."""
        return bool(self.configured and self.shown and not matches(None, self.shown, self.configured))

    @property
    def not_stored(self) -> bool:
        """Whether the gateway shows a certificate that is refused, and that is not kept to be accepted."""
        return bool(
            self.pin and self.shown and not self.changed and not matches(self.pin, self.shown, self.configured)
        )


@dataclass(frozen=True)
class KeptRefusal:
    """The user's decision to keep refusing a certificate."""

    fingerprint: str
    when: datetime


@dataclass(frozen=True)
class AccountState:
    """An account that the proxy logs in with: its position from 1, the first letter of its user name."""

    number: int
    initial: str
    status: LoginStatus


@dataclass(frozen=True)
class State:
    """The state of the proxy at one moment."""

    now: datetime
    started: datetime
    target: Target
    trust: TrustState
    pool: PoolStatus
    day: Day
    clients: list[ClientSummary]
    entries: list[Entry]
    """The newest first."""
    last_answer: Entry | None
    last_failure: Entry | None
    last_outcome: Entry | None
    unanswered_logins: int
    vendor: Vendor | None
    vendor_answered: bool
    """Whether the make is known from answers; else from the certificate's name."""
    user_paths: tuple[str, ...]
    log_failure: str | None = None
    """Why no log files are written."""
    connections: Counts = field(default_factory=Counts)
    """Those of clients."""
    diagnosis: Result | None = None
    """The last one."""
    accounts: tuple[AccountState, ...] = ()
    """Those that the proxy logs in with itself."""
    held_back: tuple[str, ...] = ()
    """The addresses of clients whose logins are held back."""
    serving: bool = True
    """Whether the proxy takes requests."""
    suggestions: Suggestions | None = None
    """What SMGW Network found; None where no option can be set from the page."""

    @property
    def reached(self) -> datetime | None:
        """When the last diagnosis ended, if it found nothing wrong on the whole way to the gateway."""
        return self.diagnosis.when if self.diagnosis and self.diagnosis.good else None

    @property
    def offers(self) -> tuple[Suggestion, ...]:
        """The gateways that SMGW Network found, but for the target."""
        found = self.suggestions.gateways if self.suggestions else ()
        return tuple(each for each in found if each.target != self.target)

    @property
    def target_found(self) -> bool:
        """Whether SMGW Network found the target."""
        return self.suggestions is not None and len(self.offers) < len(self.suggestions.gateways)

    @property
    def is_new(self) -> bool:
        """Whether nobody has set up the proxy yet: the default target, and no certificate known."""
        trust = self.trust
        known = trust.pin or trust.unreadable or trust.configured
        return self.target == Target(DEFAULT_TARGET) and not known


@dataclass(frozen=True)
class RunningProxy:
    """The parts of the running proxy that the page reads.

    ``serving`` tells whether it takes requests, ``log_failure`` why no log files are written, if so; ``held_back``
    gives the addresses of clients whose logins are held back; ``connections`` counts those of clients;
    ``suggestions`` reads what SMGW Network found, and must be run in executor.
    """

    target: Target
    store: TrustStore
    trust: GatewayTrust
    pool: Pool
    serving: Callable[[], bool]
    logins: GatewayLogins | None = None
    held_back: Callable[[], Sequence[str]] = tuple
    log_failure: Callable[[], str | None] = lambda: None
    connections: Callable[[], Counts] = Counts
    suggestions: Callable[[], Suggestions | None] = lambda: None


@dataclass(eq=False, repr=False)
class Reader:
    """Reads the state. ``now`` returns the time in UTC; ``diagnosis`` is the page's."""

    proxy: RunningProxy
    recorder: RequestRecorder
    now: Callable[[], datetime]
    diagnosis: Diagnosis
    option_set: bool = field(default=False, init=False)
    """Whether an option was set that counts from the next start on: until then nothing is suggested."""

    async def read(self) -> State:
        """Read everything once."""
        proxy, recorder, history = self.proxy, self.recorder, self.recorder.history
        trust = await asyncio.to_thread(read_trust, proxy.store, proxy.trust.configured, proxy.trust.shown)
        suggestions = await asyncio.to_thread(proxy.suggestions)
        now = self.now()
        stored = trust.pin or trust.changed
        return State(
            now=now,
            started=recorder.started,
            serving=proxy.serving(),
            target=proxy.target,
            trust=trust,
            pool=proxy.pool.status(),
            day=history.day(now),
            clients=history.clients(now),
            entries=history.entries(),
            last_answer=history.last_answer,
            last_failure=history.last_failure,
            last_outcome=history.last_outcome,
            unanswered_logins=history.unanswered_logins,
            vendor=recorder.vendor or (from_subject(stored.certificate.subject) if stored else None),
            vendor_answered=recorder.vendor is not None,
            user_paths=recorder.user_paths,
            log_failure=proxy.log_failure(),
            accounts=tuple(_accounts(proxy.logins)) if proxy.logins else (),
            held_back=tuple(proxy.held_back()),
            connections=replace(proxy.connections()),
            diagnosis=self.diagnosis.result,
            suggestions=None if self.option_set else suggestions,
        )


def _accounts(logins: GatewayLogins) -> Iterator[AccountState]:
    for number, (initial, status) in enumerate(zip(logins.initials, logins.statuses, strict=True), start=1):
        yield AccountState(number, initial, status)


def read_trust(store: TrustStore, configured: str | None, shown: str | None) -> TrustState:
    """Read what is stored; ``shown`` is the fingerprint that the gateway showed last. Must be run in executor."""
    if configured is not None:
        return TrustState(configured, shown=shown)
    try:
        pin = store.load()
    except PinUnreadableError as error:
        return TrustState(None, shown=shown, unreadable=error)
    refused = store.refused()
    changed = refused if pin and refused and _is_shown(refused, pin, shown) else None
    return TrustState(None, pin, changed, shown)


def is_same(pin: Pin, fingerprint: str) -> bool:
    """Tell whether a stored certificate has this fingerprint."""
    return matches(pin, fingerprint)


def _is_shown(refused: Pin, pin: Pin, shown: str | None) -> bool:
    if matches(pin, refused.certificate.fingerprint):
        return False  # accepted since
    if shown is not None:
        return is_same(refused, shown)
    # No contact yet since the start: what was seen later holds.
    return pin.last_seen is None or refused.last_seen is None or refused.last_seen >= pin.last_seen
