"""An account's turn: one login at a time while its password may be wrong, because gateways lock up after a few.

Decides nothing: who needs the turn is ``login_once``'s to say. Who waits for it may have a place at the gateway
already, so that the schedule does not know of it: the one who has the turn is told, by its ``hold``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from smgw_proxy_addon.server.slow_clients import Hold

Turn = Callable[[], AbstractAsyncContextManager[None]]
"""Waits for the turn of an account; it is over at the end of the context."""


class Trial:
    """Gives the turn of one account."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, hold: Hold) -> AsyncIterator[None]:
        """Wait for the turn; meanwhile ``hold``, that of the request, counts those who wait for it, too."""
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        others_wait = hold.others_wait
        hold.others_wait = lambda: self._waiting > 0 or bool(others_wait and others_wait())
        try:
            yield
        finally:
            hold.others_wait = others_wait
            self._lock.release()
