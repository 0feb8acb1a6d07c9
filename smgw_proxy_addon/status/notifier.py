"""Keeps Home Assistant's notifications in step with the state of the proxy. Runs in a task of its own."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smgw_proxy_addon.locales import Notice
from smgw_proxy_addon.status.notifications import Cause, Situation, explain_cause, find_causes
from smgw_proxy_addon.status.supervisor import Supervisor

_LOGGER: Final = logging.getLogger(__name__)

INTERVAL: Final = 30.0
"""Seconds between two updates."""

REPEAT: Final = timedelta(hours=24)
"""How often a notification is sent again: Home Assistant forgets all of them when it restarts."""


@dataclass(eq=False, repr=False)
class Notifier:
    """Sends and dismisses notifications until Home Assistant shows those that there are causes for.

    One is sent when its facts change, and dismissed when its cause is gone, also one that an earlier run left. A call
    that failed is repeated at the next update. Home Assistant keeps notifications in memory only: they are sent again
    after it did not answer, and every ``REPEAT`` in case a restart was not noticed. ``now`` is an aware local time.
    """

    supervisor: Supervisor
    situation: Callable[[], Situation]
    notify_after: timedelta
    now: Callable[[], datetime]

    def __post_init__(self) -> None:
        self._shown: dict[Cause, Mapping[str, str] | None] = {}
        self._sent: dict[Cause, datetime] = {}
        self._unreachable = False
        self._failing = False
        self._language: str | None = None
        self._page: str | None = None

    async def run(self) -> None:
        """Update every ``INTERVAL`` seconds, until cancelled."""
        while True:
            try:
                await self.update()
            except Exception:
                _LOGGER.exception("A fault of the proxy itself; please report it")
            await asyncio.sleep(INTERVAL)

    async def update(self) -> None:
        """Send and dismiss what has changed."""
        await self._forget_lost()
        for cause, facts in find_causes(self.situation(), self.now(), self.notify_after).items():
            if cause in self._shown and self._shown[cause] == facts:
                continue
            words = None if facts is None else await self._notice(cause, facts)
            delivered = await self.supervisor.notify(_identifier(cause), words)
            if delivered:
                self._shown[cause] = facts
                self._sent[cause] = self.now()
            self._log_outcome(delivered=delivered, matters=facts is not None)

    async def withdraw(self) -> None:
        """Dismiss all notifications, as far as Home Assistant answers."""
        for cause in Cause:
            await self.supervisor.notify(_identifier(cause), None)

    def _log_outcome(self, *, delivered: bool, matters: bool) -> None:
        """Log the start and the end of a failure; a dismissal that fails (not ``matters``) is not logged."""
        if self._failing and delivered:
            _LOGGER.warning("Home Assistant takes notifications again")
            self._failing = False
        elif matters and not delivered and not self._failing:
            _LOGGER.warning("Home Assistant takes no notifications for now; they are tried again until it does")
            self._failing = True

    async def _forget_lost(self) -> None:
        """Forget notifications that Home Assistant may not show any more, so that they are sent again."""
        active = [cause for cause, facts in self._shown.items() if facts is not None]
        if not active:
            self._unreachable = False
            return
        if await self.supervisor.fetch_language() is None:
            self._unreachable = True
            self._log_outcome(delivered=False, matters=True)
            return
        for cause in active:
            if self._unreachable or self.now() - self._sent[cause] >= REPEAT:
                del self._shown[cause]
        self._unreachable = False

    async def _notice(self, cause: Cause, facts: Mapping[str, str]) -> Notice:
        self._language = self._language or await self.supervisor.fetch_language()
        self._page = self._page or await self.supervisor.fetch_page_path()
        return explain_cause(cause, facts, self._language or "en", self._page)


def _identifier(cause: Cause) -> str:
    return f"smgw_proxy_{cause}"
