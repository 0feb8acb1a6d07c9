"""The network diagnosis as the page shows it: asked for by a button, one at a time, the last result kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.explain import explain_finding, name_step
from smgw_proxy_addon.status.findings import Finding, Step

_LOGGER: Final = logging.getLogger(__name__)


Diagnose = Callable[[], Awaitable[Sequence[Finding]]]
"""Runs the diagnosis."""


@dataclass(frozen=True)
class Check:
    """One step in the words of one language.

    ``ok`` is None for a warning, which has a remedy, and for what was not tried.
    """

    name: str
    ok: bool | None
    seconds: float | None
    sentence: str
    remedy: str


@dataclass(frozen=True)
class Result:
    """A finished diagnosis; ``findings`` is None if it broke off."""

    when: datetime
    findings: Sequence[Finding] | None

    @property
    def good(self) -> bool:
        """Whether nothing was wrong, up to the gateway's answer."""
        found = self.findings or ()
        return any(each.step is Step.HTTP and each.ok for each in found) and all(
            each.ok is not False for each in found
        )


def told(findings: Sequence[Finding], language: Language) -> Iterator[Check]:
    """Put findings into words."""
    for each in findings:
        words = explain_finding(each.code, language, each.facts)
        yield Check(name_step(each.step, language), each.ok, each.seconds, words.sentence, words.remedy)


class Diagnosis:
    """Runs the diagnosis for the page. ``now`` gives the time in UTC."""

    def __init__(self, diagnose: Diagnose, now: Callable[[], datetime]) -> None:
        self._diagnose = diagnose
        self._now = now
        self._running: asyncio.Task[None] | None = None
        self.result: Result | None = None

    async def run(self) -> None:
        """Run it, or wait for the one that runs already; a visitor who leaves does not stop it."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await asyncio.shield(self._running)

    async def stop(self) -> None:
        """End one that runs."""
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
