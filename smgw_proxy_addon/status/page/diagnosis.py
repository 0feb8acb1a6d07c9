"""The network diagnosis of the page: started by a button, one at a time, the last result kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smgw_proxy_addon.status.findings import Finding, Step

_LOGGER: Final = logging.getLogger(__name__)


Diagnose = Callable[[], Awaitable[Sequence[Finding]]]
"""Runs the diagnosis."""


@dataclass(frozen=True)
class Result:
    """A finished diagnosis; ``findings`` is None if it failed."""

    when: datetime
    findings: Sequence[Finding] | None

    @property
    def good(self) -> bool:
        """Whether nothing was wrong, up to the gateway's answer."""
        found = self.findings or ()
        return any(each.step is Step.HTTP and each.ok for each in found) and all(
            each.ok is not False for each in found
        )


class Diagnosis:
    """Runs the diagnosis for the page. ``now`` gives the time in UTC."""

    def __init__(self, diagnose: Diagnose, now: Callable[[], datetime]) -> None:
        self._diagnose = diagnose
        self._now = now
        self._running: asyncio.Task[None] | None = None
        self.result: Result | None = None

    async def run(self) -> None:
        """Run it, or wait for the one that runs already; a browser that leaves does not stop it."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await asyncio.shield(self._running)

    async def stop(self) -> None:
        """Cancel one that runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        try:
            findings: Sequence[Finding] | None = await self._diagnose()
        except Exception:
            _LOGGER.exception("The diagnosis broke off; please report it")
            findings = None
        finally:
            self._running = None
        self.result = Result(self._now(), findings)
