"""The actions of the page's forms: the only part of the page that changes anything.

Pins are changed by the store only. The caller has checked that the form is the page's own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.status.page.diagnosis import Diagnosis
from smgw_proxy_addon.status.page.pages import KeptRefusal
from smgw_proxy_addon.status.page.state import Reader, is_same
from smgw_proxy_addon.trust.store import AcceptProblem, TrustCommandError, TrustStore

_LOGGER: Final = logging.getLogger(__name__)

_LONGEST_NUMBER: Final = 4
_ACCEPT_NOTICES: Final = {
    AcceptProblem.NOTHING_REFUSED: "nothing",
    AcceptProblem.OTHER_REFUSED: "other",
    AcceptProblem.ALREADY_TRUSTED: "trusted",
}

Form = Mapping[str, str]
"""The fields of a form."""

Action = Callable[[Form], Awaitable[str]]
"""Does what a form asks for; returns where the browser is sent then, relative to the form's path."""


class Actions:
    """Carries out forms. ``now`` returns the time in UTC.

    Without ``diagnosis`` none can be run, without ``logins`` none tried again.
    """

    def __init__(
        self,
        reader: Reader,
        store: TrustStore,
        now: Callable[[], datetime],
        *,
        diagnosis: Diagnosis | None = None,
        logins: GatewayLogins | None = None,
    ) -> None:
        self._reader = reader
        self._store = store
        self._now = now
        self._diagnosis = diagnosis
        self._logins = logins
        self.kept: KeptRefusal | None = None
        """The last decision to keep refusing a certificate."""
        by_path: dict[str, Action] = {"/trust": self._trust, "/keep": self._keep, "/forget": self._forget}
        if logins:
            by_path["/retry"] = self._retry
        if diagnosis:
            by_path["/diagnose"] = self._diagnose
        self.by_path: Final[Mapping[str, Action]] = by_path
        """By the path that the form is sent to."""

    async def _trust(self, form: Form) -> str:
        fingerprint = form.get("fingerprint")
        trust = (await self._reader.read()).trust
        # Only what is refused at this moment: a certificate that was shown once in between is none to trust.
        if trust.unreadable:
            return _notice("unreadable")
        if not (fingerprint and trust.changed and is_same(trust.changed, fingerprint)):
            if trust.changed or trust.not_stored:
                return _notice("other")
            return _notice("trusted" if fingerprint and trust.pin and is_same(trust.pin, fingerprint) else "nothing")
        try:
            await asyncio.to_thread(self._store.accept, fingerprint, self._now())
        except (TrustCommandError, PinNotWrittenError, PinUnreadableError, ValueError) as error:
            return _notice(_accept_problem(error))
        _LOGGER.warning("The certificate %s was trusted on the status page", fingerprint)
        return _notice("trusted")

    async def _keep(self, _: Form) -> str:
        changed = (await self._reader.read()).trust.changed
        if changed is None:
            return _notice("nothing")
        self.kept = KeptRefusal(changed.certificate.fingerprint, self._now())
        return _notice("kept")

    async def _forget(self, form: Form) -> str:
        trust = (await self._reader.read()).trust
        if not trust.pin and not trust.unreadable:
            return _notice("nothing")
        asked = form.get("fingerprint", "")
        if not is_same(trust.pin, asked) if trust.pin else asked:
            return _notice("not_this")
        try:
            forgotten = await asyncio.to_thread(self._store.forget)
        except PinNotWrittenError:
            return _notice("not_written")
        if not forgotten:
            return _notice("nothing")
        _LOGGER.warning("The trusted certificate was forgotten on the status page")
        return _notice("forgotten")

    async def _retry(self, form: Form) -> str:
        number = form.get("account", "")
        known = number.isascii() and number.isdigit() and len(number) < _LONGEST_NUMBER
        if not (known and self._logins and self._logins.retry(int(number) - 1)):
            return _notice("not_stopped")
        _LOGGER.warning("The login of account %s may be tried again: somebody said so on the status page", number)
        return _notice("retried")

    async def _diagnose(self, _: Form) -> str:
        if self._diagnosis:
            await self._diagnosis.run()
        return "./#diagnosis"


def _notice(name: str) -> str:
    return f"./?notice={name}"


def _accept_problem(error: Exception) -> str:
    match error:
        case TrustCommandError():
            return _ACCEPT_NOTICES[error.problem]
        case PinNotWrittenError():
            return "not_written"
        case PinUnreadableError():
            return "unreadable"
    return "nothing"
