"""Lets tasks wait for a place at the gateway, as the scheduler decides.

Owns the one timer that calls the scheduler back. Decides nothing itself, and knows no connection.
"""

import asyncio
from collections.abc import Callable

from smgw_proxy_addon.errors import (
    BusyError,
    ClientGoneError,
    QueueTimeoutError,
    SessionBusyError,
    ShuttingDownError,
)
from smgw_proxy_addon.gateway.ppc_session import CgiRequest
from smgw_proxy_addon.gateway.scheduler import QueuedRequest, QueueState, Scheduler
from smgw_proxy_addon.wakeup import Wakeup


class PlaceQueue:
    """Hands out the places of a scheduler."""

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._waiters: dict[QueuedRequest, Wakeup] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self.on_session_yield: Callable[[], None] | None = None
        """Called, also repeatedly, while the holder of the session must yield to those who wait."""

    async def acquire(
        self, gone: asyncio.Future[None], *, address: str = "", cgi: CgiRequest | None = None
    ) -> QueuedRequest:
        """Wait for a place, to be given back with ``release``. Does not suspend if there is a free one.

        ``gone`` is done when the client has left: the wait ends with ``ClientGoneError``.
        Raises ``BusyError``, ``QueueTimeoutError``, ``SessionBusyError`` or ``ShuttingDownError``.
        """
        if gone.done():
            raise ClientGoneError
        request = self._scheduler.acquire(address, cgi, self._clock())
        if request.state is not QueueState.RUNNING:
            try:
                await self._wait(request, gone)
            except BaseException:
                self.release(request)
                raise
        return request

    def release(self, request: QueuedRequest) -> None:
        """Give a place back."""
        started = self._scheduler.release(request, self._clock())
        if self._waiters:
            self._wake_all(started)

    def cancel_all(self) -> None:
        """End all waits with ``ShuttingDownError``."""
        for waiter in list(self._waiters.values()):
            waiter.set(ShuttingDownError())

    def close(self) -> None:
        """Stop the timer."""
        if self._timer:
            self._timer.cancel()

    async def _wait(self, request: QueuedRequest, gone: asyncio.Future[None]) -> None:
        if request.state is QueueState.REJECTED:
            raise BusyError
        waiter = self._waiters[request] = Wakeup()
        gone.add_done_callback(waiter.wake)
        self._after_change()
        try:
            await waiter
        finally:
            gone.remove_done_callback(waiter.wake)
            del self._waiters[request]
        if gone.done():
            raise ClientGoneError
        match request.state:
            case QueueState.REJECTED:
                raise BusyError
            case QueueState.TIMED_OUT:
                raise QueueTimeoutError(seconds=f"{self._scheduler.queue_timeout:g}")
            case QueueState.SESSION_BUSY:
                raise SessionBusyError(seconds=f"{self._scheduler.session_timeout:g}")

    def _wake_all(self, requests: list[QueuedRequest]) -> None:
        for request in requests:
            self._waiters[request].set()
        self._after_change()

    def _after_change(self) -> None:
        self._set_timer()
        if self.on_session_yield and self._scheduler.session.must_yield:
            self.on_session_yield()

    def _set_timer(self) -> None:
        """Have the timer fire at the next change. It may fire too early: a later change does not move it."""
        change = self._scheduler.next_change()
        if change is None or (self._timer is not None and self._timer_due <= change):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = change
        self._timer = asyncio.get_running_loop().call_later(change - self._clock(), self._advance)

    def _advance(self) -> None:
        self._timer = None
        self._wake_all(self._scheduler.advance(self._clock()))
