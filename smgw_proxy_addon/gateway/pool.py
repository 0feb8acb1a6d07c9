"""The connections to one gateway: few places, handed out in fair order; idle connections are kept for a while."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.connector import Connector, OnStep
from smgw_proxy_addon.gateway.learnt_limit import LearntLimit
from smgw_proxy_addon.gateway.ppc_session import CgiRequest, read_answer
from smgw_proxy_addon.gateway.queue import PlaceQueue
from smgw_proxy_addon.gateway.scheduler import QueuedRequest, Scheduler
from smgw_proxy_addon.http.messages import Answer
from smgw_proxy_addon.logs import RequestRecord

_LOGGER: Final = logging.getLogger(__name__)

DEFAULT_IDLE_LIMIT: Final = 540.0
"""Seconds that an idle connection is kept before a limit was observed: Theben closes after 600 s."""

MAX_AGE: Final = 47 * 3600.0
"""Seconds after which a connection is replaced: Theben ends a TLS session after 48 h."""

LOWEST_IDLE_LIMIT: Final = 1.0
"""Seconds. A gateway that closes sooner has no idle limit: it closes after each answer."""

FIRST_WATCH: Final = 0.25
"""Seconds for which the first connection is watched, so that no request is lost to find the gateway out."""

_PIN_CHECK_INTERVAL: Final = 0.05
"""Seconds for which a look at the pin's file holds for kept connections: it takes a thread."""


@dataclass
class Lifetime:
    """How long a connection may be kept, from what this gateway was seen to do. Times are in seconds.

    Some gateways close after each answer, some milliseconds later and without saying so: a request that is sent
    meanwhile is lost. They are found out by two closes, as one may be a restart (after a self-test, say). At the
    start, after the first close, and after a request that was lost so, connections are watched: nothing is sent on
    one for ``watched`` seconds after its answer, until the gateway leaves one open for so long.
    """

    watched: float = FIRST_WATCH
    _closed_once: bool = False
    _idle_limit: LearntLimit = field(default_factory=lambda: LearntLimit(DEFAULT_IDLE_LIMIT))

    def idle_limit(self, now: float) -> float:
        """Return how long a connection may be idle."""
        return self._idle_limit.value(now)

    def closes_each(self, now: float) -> bool:
        """Tell whether the gateway closes after each answer: then no connection is kept."""
        return self.idle_limit(now) <= 0

    def gateway_closed(self, idle: float, now: float) -> None:
        """Learn that the gateway closed a connection that was idle for ``idle`` seconds."""
        if idle >= LOWEST_IDLE_LIMIT:
            self._idle_limit.observe(idle, now)
        elif self._closed_once:
            self._idle_limit.observe(0.0, now)
        else:
            self._closed_once = True
            self._watch(idle)

    def request_lost(self, idle: float) -> None:
        """Learn that the gateway closed a connection with a request on it, so long after the last answer.

        This proves nothing, because gateways also refuse a login that way.
        """
        if idle < LOWEST_IDLE_LIMIT:
            self._watch(idle)

    def left_open(self, idle: float) -> None:
        """Learn that the gateway left a connection open for so long after its answer."""
        if idle >= self.watched:
            self.watched, self._closed_once = 0.0, False

    def _watch(self, closed_after: float) -> None:
        self.watched = min(LOWEST_IDLE_LIMIT, max(FIRST_WATCH, 2 * closed_after))

    def keep(self, age: float, now: float) -> float:
        """Return how long a connection of this ``age`` may be idle from now; 0 if it must be closed."""
        return max(0.0, min(self.idle_limit(now), MAX_AGE - age))


@dataclass(slots=True)
class Lease:
    """A place at the gateway with a connection, which was kept from before or not (``reused``).

    To be given back with ``Pool.release``.
    """

    connection: Connection
    reused: bool
    request: QueuedRequest


@dataclass(frozen=True)
class PoolStatus:
    """How busy the gateway is: requests that it works on, its places, requests that wait for one.

    ``kept_for`` is how many seconds ago the oldest idle connection was made, None if there is none. ``closes_each``:
    the gateway closes after each answer.
    """

    active: int
    places: int
    waiting: int
    kept_for: float | None
    closes_each: bool = False


@dataclass(eq=False, repr=False)
class Pool:
    """Gives each request a place at the gateway and a connection."""

    connector: Connector
    scheduler: Scheduler
    lifetime: Lifetime
    _: KW_ONLY
    clock: Callable[[], float]
    _idle: dict[Connection, float] = field(default_factory=dict, init=False)
    """Each with the time until which it is kept."""
    _closing: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _sweep_timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _sweep_due: float = field(default=0.0, init=False)
    _pin_known_until: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        """Make the queue."""
        self._queue = PlaceQueue(self.scheduler, self.clock)
        self.session = self.scheduler.session
        """PPC's session and who holds it; to be read only."""

    @asynccontextmanager
    async def lease(self, gone: asyncio.Future[None], on_step: OnStep | None = None) -> AsyncIterator[Lease]:
        """Acquire a lease for a request of the proxy itself, and release it at the end of the context."""
        lease = await self.acquire(gone, RequestRecord(), on_step)
        try:
            yield lease
        finally:
            await self.release(lease)

    async def acquire(
        self,
        gone: asyncio.Future[None],
        record: RequestRecord,
        on_step: OnStep | None = None,
        *,
        address: str = "",
        cgi: CgiRequest | None = None,
    ) -> Lease:
        """Wait for a place, then for a connection. Does not suspend if there is a free place and a kept connection.

        ``gone`` is done when the client at ``address`` has left; a request of the proxy itself has no address. How
        long each took is added to ``record``. Raises ``ClientGoneError``; ``BusyError`` when too many wait or the
        wait was too long, ``SessionBusyError`` when it was for another client's session; ``GatewayError`` or
        ``OutOfDescriptorsError`` when no connection can be made; ``ShuttingDownError``.
        """
        asked = self.clock()
        try:
            request = await self._queue.acquire(gone, address=address, cgi=cgi)
        finally:
            record.waiting += self.clock() - asked
        try:
            connection, reused = await self._connection(record, on_step)
        except BaseException:
            self._queue.release(request)
            raise
        return Lease(connection, reused, request)

    async def release(self, lease: Lease) -> None:
        """Keep or close the connection of a lease, then give its place back."""
        try:
            await self._put_back(lease.connection)
        finally:
            self._queue.release(lease.request)

    async def reconnect(self, lease: Lease, record: RequestRecord) -> None:
        """Replace a connection that has ended by a new one. Raises what ``acquire`` does."""
        await self._put_back(lease.connection)
        for each in list(self._idle):
            self._retire(each)
        lease.connection, lease.reused = await self._connection(record)

    def record_answer(self, lease: Lease, answer: Answer, page: bytes) -> None:
        """Note the head of the answer as soon as it is there, and the begin of its page if ``PpcSession.needs_page``.

        They say what became of PPC's session.
        """
        if (cgi := lease.request.cgi) is not None:
            meaning = read_answer(cgi, answer.status, answer.headers, page)
            self.scheduler.record_answer(lease.request, meaning, self.clock())

    def log_out_holders(self, log_out: Callable[[], None]) -> None:
        """Have ``log_out`` called, also repeatedly, while the holder of PPC's session must yield to others."""
        self.session.proxy_logs_out = True
        self._queue.on_session_yield = log_out

    def status(self) -> PoolStatus:
        """Tell how busy the gateway is."""
        oldest = min((connection.opened for connection in self._idle), default=None)
        kept_for = None if oldest is None else self.clock() - oldest
        closes_each = self.lifetime.closes_each(self.clock())
        scheduler = self.scheduler
        return PoolStatus(scheduler.running, scheduler.places, scheduler.waiting, kept_for, closes_each)

    async def may_reuse(self, connection: Connection) -> bool:
        """Tell whether another request may be sent on a connection that has just answered.

        Waits first while the gateway may be one that closes after each answer.
        """
        if self.lifetime.closes_each(self.clock()):
            return False
        if self.lifetime.watched:
            await self._wait_watched(connection)
        # Unread is perhaps the end of the connection: a login that is lost with it would count as refused.
        return connection.reusable and not connection.has_unread_input()

    def others_wait(self) -> bool:
        """Tell whether any request waits for a place."""
        return self.scheduler.waiting > 0

    def cancel_waiting(self) -> None:
        """End the wait of all requests with ``ShuttingDownError``."""
        self._queue.cancel_all()

    async def close(self) -> None:
        """Close every idle connection cleanly."""
        self._queue.close()
        if self._sweep_timer:
            self._sweep_timer.cancel()
        for connection in list(self._idle):
            self._retire(connection)
        await self._wait_closed()

    async def _connection(self, record: RequestRecord, on_step: OnStep | None = None) -> tuple[Connection, bool]:
        """Return a connection whose certificate is trusted now, and whether it was kept from before."""
        trust = self.connector.trust
        now = self.clock()
        try:
            known = bool(self._idle) and now < self._pin_known_until
            if not known:
                await trust.refresh()
                self._pin_known_until = now + _PIN_CHECK_INTERVAL
            while self._idle:
                connection = next(reversed(self._idle))
                if connection.has_unread_input():
                    # A close, or bytes that nobody asked for: let the event loop read them.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                if self.lifetime.watched:
                    await self._wait_watched(connection)
                if connection not in self._idle:
                    continue
                if connection.reusable and trust.accepts(connection.certificate):
                    self._remove_idle(connection)
                    return connection, True
                self._retire(connection)
            # The gateway must not see the next connection before the last one is closed.
            await self._wait_closed()
            if known:
                await trust.refresh()
            self._pin_known_until = -math.inf  # the handshake may change it
            return await self.connector.connect(on_step), False
        finally:
            record.connecting += self.clock() - now

    async def _put_back(self, connection: Connection) -> None:
        if not self._keep(connection):
            await connection.close()

    def _keep(self, connection: Connection) -> bool:
        """Keep a connection, or abort it if its answer is not complete; tells whether it needs no other end."""
        if connection.closed_after is not None:
            self._gateway_closed(connection.closed_after, lost=not connection.answer_complete)
        if not connection.reusable:
            # The gateway may still work on the request, or be in the middle of its answer.
            connection.abort()
            return True
        now = self.clock()
        keep = self.lifetime.keep(now - connection.opened, now)
        if keep <= 0:
            return False
        self._idle[connection] = now + keep
        connection.on_idle_end = lambda closed: self._idle_ended(connection, now, closed=closed)
        if self._sweep_timer is None or self._sweep_due > now + keep:
            self._sweep()
        return True

    def _idle_ended(self, connection: Connection, since: float, *, closed: bool) -> None:
        """Remove an idle connection that has ended; if the gateway closed it in order, learn its limit."""
        if closed:
            self._gateway_closed(self.clock() - since)
        self._retire(connection)

    def _gateway_closed(self, idle: float, *, lost: bool = False) -> None:
        """Learn that the gateway closed a connection in order, ``idle`` seconds after its last answer.

        ``lost``: with a request on it.
        """
        now = self.clock()
        known = self.lifetime.closes_each(now)
        if lost:
            self.lifetime.request_lost(idle)
        else:
            self.lifetime.gateway_closed(idle, now)
        if self.lifetime.closes_each(now) and not known:
            _LOGGER.warning(
                "The gateway closes its connection after each answer without saying so: for a day, each request gets "
                "a connection of its own, which takes longer"
            )

    async def _wait_watched(self, connection: Connection) -> None:
        """Give the gateway time to close after its answer."""
        if connection.answered is not None:
            await connection.wait_ended(self.lifetime.watched - (self.clock() - connection.answered))
            if connection.reusable:
                self.lifetime.left_open(self.clock() - connection.answered)

    def _sweep(self) -> None:
        """Close what was idle for long enough. One timer serves all: requests come far more often than it fires."""
        now = self.clock()
        for connection in [connection for connection, until in self._idle.items() if until <= now]:
            self._retire(connection)
        if self._sweep_timer:
            self._sweep_timer.cancel()
        self._sweep_timer = None
        if self._idle:
            self._sweep_due = min(self._idle.values())
            self._sweep_timer = asyncio.get_running_loop().call_later(self._sweep_due - now, self._sweep)

    def _remove_idle(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.on_idle_end = None

    def _retire(self, connection: Connection) -> None:
        """Close an idle connection in a task."""
        self._remove_idle(connection)
        closing = asyncio.create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _wait_closed(self) -> None:
        """Wait until the connections that are being closed are gone."""
        if self._closing:
            await asyncio.gather(*self._closing)
