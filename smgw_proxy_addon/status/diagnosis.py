"""The network diagnosis as the page shows it: asked for by a button, one at a time, the last result kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

_LOGGER: Final = logging.getLogger(__name__)


class CheckView(Protocol):
    """One step of the diagnosis, in the words of one language."""

    @property
    def name(self) -> str:
        """What was checked."""

    @property
    def ok(self) -> bool | None:
        """Whether it is well, None for a warning, which has a remedy, and for what was not tried."""

    @property
    def seconds(self) -> float | None:
        """How long it took."""

    @property
    def sentence(self) -> str:
        """What was found."""

    @property
    def remedy(self) -> str:
        """What to do, empty if nothing."""


Diagnose = Callable[[str], Awaitable[Sequence[CheckView]]]
"""Runs the diagnosis and answers in a language (``en``, ``de``)."""


@dataclass(frozen=True)
class Result:
    """A finished diagnosis; ``checks`` is None if it broke off."""

    when: datetime
    checks: Sequence[CheckView] | None


class Diagnosis:
    """Runs the diagnosis for the page. ``now`` gives the time in UTC."""

    def __init__(self, diagnose: Diagnose, now: Callable[[], datetime]) -> None:
        self._diagnose = diagnose
        self._now = now
        self._running: asyncio.Task[None] | None = None
        self.result: Result | None = None

    async def run(self, language: str) -> None:
        """Run it, or wait for the one that runs already; a visitor who leaves does not stop it."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(language))
        await asyncio.shield(self._running)

    async def stop(self) -> None:
        """End one that runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self, language: str) -> None:
        try:
            checks: Sequence[CheckView] | None = await self._diagnose(language)
        except Exception:
            _LOGGER.exception("The diagnosis broke off; please report it")
            checks = None
        finally:
            self._running = None
        self.result = Result(self._now(), checks)
