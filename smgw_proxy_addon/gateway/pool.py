"""The connections to one gateway: few places, handed out in fair order; idle ones are kept for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.connector import Connector, OnStep
from smgw_proxy_addon.gateway.queue import Turns
from smgw_proxy_addon.gateway.scheduler import Claim, Schedule, Ticket
from smgw_proxy_addon.http.messages import Answer

IDLE_LIMIT_UNSEEN: Final = 540.0
"""Seconds that a silent connection is kept before a limit was seen: Theben closes after 600 s."""

MAX_AGE: Final = 47 * 3600.0
"""Seconds after which a connection is replaced: Theben ends a TLS session after 48 h."""

SAFE_SHARE: Final = 0.8
"""The share of a limit that was seen which is used."""

MEMORY: Final = 24 * 3600.0
"""Seconds after which a limit is forgotten: a gateway that restarted looks like one that closes early."""

NOT_AN_IDLE_LIMIT: Final = 1.0
"""A gateway that closes within this many seconds did not wait for anything: it closes after each answer."""

_PIN_AGE: Final = 1.0
"""Seconds after which a thread looks for the pin's file again; in between, and at once, the event loop does."""


OWN: Final = Claim()
"""The claim of the proxy's own examinations: they never log in."""


@dataclass
class Lifetime:
    """How long a connection may be kept, from what this gateway was seen to do. ``now`` is in seconds."""

    _limit_seen: float | None = None
    _seen_at: float = 0.0

    def idle_limit(self, now: float) -> float:
        """Give the seconds of silence after which a connection is retired."""
        if self._limit_seen is None or now - self._seen_at > MEMORY:
            return IDLE_LIMIT_UNSEEN
        return self._limit_seen * SAFE_SHARE

    def gateway_closed(self, idle: float, now: float) -> None:
        """Learn that the gateway closed a connection after ``idle`` seconds of silence."""
        if idle >= NOT_AN_IDLE_LIMIT:
            self._limit_seen, self._seen_at = idle, now

    def keep(self, age: float, now: float) -> float:
        """Give the seconds that a connection of this ``age`` (seconds) may be silent from now, 0 if it must go."""
        return max(0.0, min(self.idle_limit(now), MAX_AGE - age))


@dataclass
class Lease:
    """A place at the gateway with a connection, and the seconds it took to get them.

    ``answered`` is to be told the head of the answer as soon as it is there: it decides over PPC's session. Untold,
    it leaves the session as it was.
    """

    connection: Connection
    reused: bool
    waited: float
    connecting: float
    answered: Callable[[Answer], None]


@dataclass(frozen=True)
class PoolStatus:
    """How busy the gateway is: requests at it, its places, requests that wait for one.

    ``kept_for`` are the seconds since the idle connection was made, None if there is none.
    """

    active: int
    places: int
    waiting: int
    kept_for: float | None


class Pool:
    """The connections to one gateway: few places, handed out in fair order, idle ones kept for a while."""

    def __init__(
        self,
        connector: Connector,
        schedule: Schedule,
        lifetime: Lifetime,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._schedule = schedule
        self._turns = Turns(schedule, clock)
        self._lifetime = lifetime
        self._clock = clock
        self._idle: dict[Connection, float] = {}
        """With the moment up to which each is kept."""
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._trusted: float | None = None

    @asynccontextmanager
    async def lease(
        self, gone: asyncio.Future[None], on_step: OnStep | None = None, *, claim: Claim = OWN
    ) -> AsyncIterator[Lease]:
        """Wait for a place, then for a connection; the place is free again at the end of the context.

        ``gone`` is done when the client has left: it loses its place in the queue (``ClientGoneError``).
        Raises ``BusyError`` when too many wait, or it waits for too long, ``SessionBusyError`` when that was for
        another client's session, and ``GatewayError`` or
        ``OutOfDescriptorsError`` when there is no connection to be had.
        """
        asked = self._clock()
        ticket = await self._turns.take(claim, gone)
        try:
            granted = self._clock()
            connection, reused = await self._connection(on_step)
            try:
                took = self._clock() - granted
                yield Lease(connection, reused, granted - asked, took, partial(self._answered, ticket))
            finally:
                await self._put_back(connection)
        finally:
            self._turns.leave(ticket)

    def log_out(self, on_session_over: Callable[[], None]) -> None:
        """Let somebody see to the logout of a holder of the session that others wait for; it may be told again."""
        self._schedule.session.logs_out = True
        self._turns.on_session_over = on_session_over

    def status(self) -> PoolStatus:
        """Tell how busy the gateway is."""
        oldest = min((connection.opened for connection in self._idle), default=None)
        kept_for = None if oldest is None else self._clock() - oldest
        return PoolStatus(self._schedule.active, self._schedule.places, self._schedule.waiting, kept_for)

    def others_wait(self) -> bool:
        """Tell whether anybody waits for a place."""
        return self._schedule.waiting > 0

    def send_away(self) -> None:
        """Let nobody wait any longer (``ShuttingDownError``)."""
        self._turns.send_away()

    async def close(self) -> None:
        """Close every idle connection cleanly."""
        self._turns.close()
        if self._sweeper:
            self._sweeper.cancel()
        for connection in list(self._idle):
            self._retire(connection)
        await self._closed()

    def _answered(self, ticket: Ticket, answer: Answer) -> None:
        if ticket.claim.cgi is not None:
            outcome = ppc_session.read(ticket.claim.cgi, answer.status, answer.headers)
            self._schedule.note(ticket, outcome, self._clock())

    async def _connection(self, on_step: OnStep | None) -> tuple[Connection, bool]:
        trust = self._connector.trust
        now = self._clock()
        recently = self._trusted is not None and now - self._trusted < _PIN_AGE
        if not (self._idle and recently and trust.unchanged()):
            await trust.refresh()
            self._trusted = now
        while self._idle:
            connection = next(reversed(self._idle))
            if not connection.quiet():
                # A close, or bytes that nobody asked for: let the event loop read them.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if connection not in self._idle:
                continue
            if connection.reusable and trust.accepts(connection.certificate):
                self._take(connection)
                return connection, True
            self._retire(connection)
        # The gateway is not to see the next one before the last is gone.
        await self._closed()
        if self._trusted != now:
            await trust.refresh()
        return await self._connector.connect(on_step), False

    async def _put_back(self, connection: Connection) -> None:
        now = self._clock()
        keep = self._lifetime.keep(now - connection.opened, now)
        if not connection.reusable:
            # It may still be at work on the request, or in the middle of its answer.
            connection.abort()
        elif keep <= 0:
            await connection.close()
        else:
            self._idle[connection] = now + keep
            connection.on_idle_end = lambda closed: self._ended(connection, now, closed=closed)
            if self._sweeper is None or self._sweeper.when() > asyncio.get_running_loop().time() + keep:
                self._sweep()

    def _ended(self, connection: Connection, since: float, *, closed: bool) -> None:
        """Let go of an idle connection that has ended; learn from the gateway if it closed it."""
        now = self._clock()
        if closed:
            self._lifetime.gateway_closed(now - since, now)
        self._retire(connection)

    def _sweep(self) -> None:
        """Close what was idle for long enough. One timer for all: requests come far more often than it fires."""
        now = self._clock()
        for connection in [connection for connection, until in self._idle.items() if until <= now]:
            self._retire(connection)
        if self._sweeper:
            self._sweeper.cancel()
        self._sweeper = None
        if self._idle:
            delay = min(self._idle.values()) - now
            self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _take(self, connection: Connection) -> None:
        del self._idle[connection]
        connection.on_idle_end = None

    def _retire(self, connection: Connection) -> None:
        self._take(connection)
        closing = asyncio.create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _closed(self) -> None:
        """Wait until the connections that are being closed are gone."""
        if self._closing:
            await asyncio.gather(*self._closing)
