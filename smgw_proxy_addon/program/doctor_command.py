"""``smgw-proxy doctor``: asks the running proxy if there is one, else examines by itself, and prints the result.

Opens no second connection beside that of a running proxy, and stores or changes no pin.
"""

import asyncio
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, TextIO

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.gateway.tls import GatewayTls
from smgw_proxy_addon.locales import Language, Report, pick_language
from smgw_proxy_addon.locales.de import findings as german
from smgw_proxy_addon.locales.en import findings as english
from smgw_proxy_addon.program.background import gateway_doctor
from smgw_proxy_addon.program.diagnosis_endpoint import request_diagnosis
from smgw_proxy_addon.program.instance_lock import InstanceError, InstanceLock
from smgw_proxy_addon.program.wiring import PATIENCE, gateway_side, gateway_tls
from smgw_proxy_addon.status.doctor import StepReport
from smgw_proxy_addon.trust.policy import Certificate, Engine, Pin
from smgw_proxy_addon.trust.store import TrustStore

_WIDTH: Final = 100
_INDENT: Final = " " * 10
_EXAMINATION_SECONDS: Final = PATIENCE + 120.0
_WORDS: Final[Mapping[Language, Report]] = {"en": english.REPORT, "de": german.REPORT}


class ReadOnlyStore(TrustStore):
    """Read-only store; keeps in memory what would be stored."""

    _learnt: Pin | None = None

    def load(self) -> Pin | None:
        """Return the stored pin, or else the learnt one. Must be run in executor."""
        return super().load() or self._learnt

    def learn(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> Pin:
        """Return the stored pin, or the one that the certificate would get. Must be run in executor."""
        del now, engine
        self._learnt = self.load() or Pin(certificate)
        return self._learnt

    def seen(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> None:
        """Do nothing."""

    def refuse(self, certificate: Certificate, now: datetime, engine: Engine = Engine.OPENSSL) -> None:
        """Do nothing."""


def run_doctor(options: Options, language: str, out: TextIO) -> int:
    """Examine the way to the gateway, write to ``out`` and return the exit code: 0, or 1 if it does not work.

    ``language`` is ``en`` or ``de``. Must be run outside an event loop. Raises OptionError.
    """
    # The report says what the log of a proxy would say.
    logging.getLogger().addHandler(logging.NullHandler())
    tls = gateway_tls(options)
    try:
        endpoint = InstanceLock(options.cert_dir, options.target.name).read()
        reports = asyncio.run(_examine(options, tls, language) if endpoint is None else _ask(endpoint, language))
    except InstanceError as error:
        out.write(f"smgw-proxy: {error}.\n")
        return 1
    out.writelines(f"{line}\n" for line in _lines(options.target.name, reports, language))
    return int(any(report.ok is False for report in reports))


async def _ask(endpoint: str, language: str) -> list[StepReport]:
    try:
        return [StepReport(**each) for each in await request_diagnosis(endpoint, language, _EXAMINATION_SECONDS)]
    except TypeError:
        raise InstanceError("The proxy that runs for this gateway is of another version") from None


async def _examine(options: Options, tls: GatewayTls, language: str) -> list[StepReport]:
    target = options.target
    store = ReadOnlyStore(options.cert_dir, target.name, target.aliases)
    trust, pool = gateway_side(options, store, tls=tls)
    try:
        return await gateway_doctor(options, pool, trust, None, stores=False).diagnose(language)
    finally:
        await pool.close()


def _lines(target: str, reports: Sequence[StepReport], language: str) -> Iterator[str]:
    words = _WORDS[pick_language(language)]
    yield f"Gateway {target}"
    for report in reports:
        state = {True: words.ok, False: words.failed, None: words.warning if report.remedy else words.skipped}[
            report.ok
        ]
        took = "" if report.seconds is None else f" ({report.seconds:.2f} s)"
        yield ""
        yield f"{state:<9} {report.name}{took}"
        yield from _paragraphs(report.sentence)
        if report.remedy:
            yield from _paragraphs(words.what_to_do + report.remedy)
    yield ""
    yield words.bad if any(report.ok is False for report in reports) else words.good


def _paragraphs(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield from textwrap.wrap(
            line,
            _WIDTH,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
