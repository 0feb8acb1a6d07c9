"""The actions of the page's forms: the only part of the page that changes anything.

Pins are changed by the store only. The caller has checked that the form is the page's own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.status.findings import SMGW_LOCAL, WANTS_SMGW_LOCAL
from smgw_proxy_addon.status.page.diagnosis import Diagnosis
from smgw_proxy_addon.status.page.state import KeptRefusal, Reader, is_same
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.text import read_number
from smgw_proxy_addon.trust.store import AcceptProblem, TrustCommandError, TrustStore

_LOGGER: Final = logging.getLogger(__name__)

RESTART_AFTER: Final = 2.0
"""Seconds until the app is restarted: time for the browser to get the page that says so."""

_ACCEPT_NOTICES: Final = {
    AcceptProblem.NOTHING_REFUSED: "nothing",
    AcceptProblem.OTHER_REFUSED: "other",
    AcceptProblem.ALREADY_TRUSTED: "trusted",
}

Form = Mapping[str, str]
"""The fields of a form."""

Action = Callable[[Form], Awaitable[str]]
"""Does what a form asks for; returns where the browser is sent then, relative to the form's path."""


@dataclass(eq=False, repr=False)
class Actions:
    """Carries out forms. ``now`` returns the time in UTC.

    Without ``logins`` none can be tried again, without ``supervisor`` no option set.
    """

    reader: Reader
    store: TrustStore
    now: Callable[[], datetime]
    diagnosis: Diagnosis
    logins: GatewayLogins | None = None
    supervisor: Supervisor | None = None
    restart_failed: bool = field(default=False, init=False)
    """Whether an option was set and the app was not restarted then."""
    kept: KeptRefusal | None = field(default=None, init=False)
    """The last decision to keep refusing a certificate."""
    _restarting: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.by_path: Mapping[str, Action] = {
            "/trust": self._trust,
            "/keep": self._keep,
            "/forget": self._forget,
            "/retry": self._retry,
            "/diagnose": self._diagnose,
            "/smgw-local": self._use_smgw_local,
            "/use": self._use_offer,
        }
        """By the path that the form is sent to."""

    @property
    def offers_smgw_local(self) -> bool:
        """Whether the gateway was found to want the Host header that this app can set."""
        result = self.diagnosis.result if self.supervisor else None
        return any(each.code == WANTS_SMGW_LOCAL for each in (result.findings if result else None) or ())

    async def run(self, action: Action, form: Form) -> str:
        """Carry out an action; tell if the certificate's file prevents it."""
        try:
            return await action(form)
        except PinNotWrittenError:
            return _notice("not_written")
        except PinUnreadableError:
            return _notice("unreadable")

    async def stop(self) -> None:
        """Cancel a diagnosis that runs, and a restart that has not begun."""
        await self.diagnosis.stop()
        if self._restarting:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)

    async def _trust(self, form: Form) -> str:
        fingerprint = form.get("fingerprint")
        trust = (await self.reader.read()).trust
        # Only what is refused at this moment: a certificate that was shown once in between is none to trust.
        if trust.unreadable:
            raise trust.unreadable
        if not (fingerprint and trust.changed and is_same(trust.changed, fingerprint)):
            if trust.changed or trust.not_stored:
                return _notice("other")
            return _notice("trusted" if fingerprint and trust.pin and is_same(trust.pin, fingerprint) else "nothing")
        try:
            await asyncio.to_thread(self.store.accept, fingerprint, self.now())
        except TrustCommandError as error:
            return _notice(_ACCEPT_NOTICES[error.problem])
        _LOGGER.warning("The certificate %s was trusted on the status page", fingerprint)
        return _notice("trusted")

    async def _keep(self, _: Form) -> str:
        changed = (await self.reader.read()).trust.changed
        if changed is None:
            return _notice("nothing")
        self.kept = KeptRefusal(changed.certificate.fingerprint, self.now())
        return _notice("kept")

    async def _forget(self, form: Form) -> str:
        trust = (await self.reader.read()).trust
        if not trust.pin and not trust.unreadable:
            return _notice("nothing")
        asked = form.get("fingerprint", "")
        if not is_same(trust.pin, asked) if trust.pin else asked:
            return _notice("not_this")
        if not await asyncio.to_thread(self.store.forget):
            return _notice("nothing")
        _LOGGER.warning("The trusted certificate was forgotten on the status page")
        return _notice("forgotten")

    async def _retry(self, form: Form) -> str:
        number = read_number(form.get("account", ""))
        if number is None or not self.logins or not self.logins.retry(number - 1):
            return _notice("not_stopped")
        _LOGGER.warning("The login of account %s may be tried again: somebody said so on the status page", number)
        return _notice("retried")

    async def _use_smgw_local(self, _: Form) -> str:
        if self.supervisor is None or not self.offers_smgw_local:
            return _notice("not_offered")
        done = await self._set_option(self.supervisor, "host_header", SMGW_LOCAL)
        return _notice("restarting" if done else "option_failed")

    async def _use_offer(self, form: Form) -> str:
        """Make a gateway that SMGW Network found the target: only one that it still reports, unchanged."""
        asked = (form.get("target"), form.get("fingerprint"))
        offers = {(each.target.text, each.fingerprint): each for each in (await self.reader.read()).offers}
        if self.supervisor is None or asked not in offers:
            return _notice("offer_gone")
        done = await self._set_option(self.supervisor, "target", offers[asked].target.text)
        return _notice("target_set" if done else "target_failed")

    async def _set_option(self, supervisor: Supervisor, name: str, value: str) -> bool:
        """Set an option and have the app restarted; tell whether it was set."""
        if not await supervisor.change_option(name, value):
            return False
        _LOGGER.warning("The option %s was set to %s on the status page: the app is restarted", name, value)
        self.reader.option_set, self.restart_failed = True, False
        self._restarting = self._restarting or asyncio.create_task(self._restart(supervisor))
        return True

    async def _restart(self, supervisor: Supervisor) -> None:
        await asyncio.sleep(RESTART_AFTER)
        if not await supervisor.restart():
            self.restart_failed = True
            _LOGGER.warning("Home Assistant did not restart the app: restart it yourself for the option to count")
        self._restarting = None

    async def _diagnose(self, _: Form) -> str:
        await self.diagnosis.run()
        return "./diagnosis"


def _notice(name: str) -> str:
    return f"./?notice={name}"
