"""Waiting for a turn at the gateway: the schedule's decisions, brought to those who wait for them.

Owns the one timer that tells the schedule that time has passed. Decides nothing, and knows no connection.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from smgw_proxy_addon.errors import (
    BusyError,
    ClientGoneError,
    QueueTimeoutError,
    SessionBusyError,
    ShuttingDownError,
)
from smgw_proxy_addon.gateway.scheduler import Claim, Schedule, Ticket, Turn


class Turns:
    """Hands out the places of a schedule."""

    def __init__(self, schedule: Schedule, clock: Callable[[], float]) -> None:
        self._schedule = schedule
        self._clock = clock
        self._waiting: dict[Ticket, asyncio.Future[bool]] = {}
        """The result says whether the schedule has decided; if not, all are sent away."""
        self._alarm: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.on_session_over: Callable[[], None] | None = None
        """Is called, also repeatedly, while the holder of the session has to give way to those who wait."""

    async def take(self, claim: Claim, gone: asyncio.Future[None]) -> Ticket:
        """Wait for a place, which is to be given back with ``leave``.

        ``gone`` is done when the client has left: it loses its place in the queue (``ClientGoneError``).
        Raises ``BusyError``, ``QueueTimeoutError``, ``SessionBusyError`` or ``ShuttingDownError``.
        """
        if gone.done():
            raise ClientGoneError
        ticket = self._schedule.ask(claim, self._clock())
        if ticket.turn is not Turn.GO:
            try:
                await self._wait(ticket, gone)
            except BaseException:
                self.leave(ticket)
                raise
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a place back."""
        self._tell(self._schedule.leave(ticket, self._clock()))

    def send_away(self) -> None:
        """Let nobody wait any longer (``ShuttingDownError``)."""
        for turn in self._waiting.values():
            if not turn.done():
                turn.set_result(False)

    def close(self) -> None:
        """Stop the timer."""
        if self._alarm:
            self._alarm.cancel()

    async def _wait(self, ticket: Ticket, gone: asyncio.Future[None]) -> None:
        if ticket.turn is Turn.REFUSED:
            raise BusyError
        turn = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        leave = partial(_wake, turn)
        gone.add_done_callback(leave)
        self._look_ahead()
        try:
            decided = await turn
        finally:
            gone.remove_done_callback(leave)
            del self._waiting[ticket]
        if not decided:
            raise ShuttingDownError
        if gone.done():
            raise ClientGoneError
        match ticket.turn:
            case Turn.REFUSED:
                raise BusyError
            case Turn.LATE:
                raise QueueTimeoutError(seconds=f"{self._schedule.patience:g}")
            case Turn.BUSY:
                raise SessionBusyError(seconds=f"{self._schedule.session_patience:g}")

    def _tell(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            _wake(self._waiting[ticket])
        if self._waiting:
            self._look_ahead()

    def _look_ahead(self) -> None:
        self._set_alarm()
        if self.on_session_over and self._schedule.session.over:
            self.on_session_over()

    def _set_alarm(self) -> None:
        """See to it that time passes for those who wait. The alarm may be early: it is not moved back."""
        change = self._schedule.next_change()
        if change is None or (self._alarm is not None and self._due <= change):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._due = change
        self._alarm = asyncio.get_running_loop().call_later(change - self._clock(), self._let_time_pass)

    def _let_time_pass(self) -> None:
        self._alarm = None
        self._tell(self._schedule.advance(self._clock()))


def _wake(turn: asyncio.Future[bool], _gone: asyncio.Future[None] | None = None) -> None:
    if not turn.done():
        turn.set_result(True)
