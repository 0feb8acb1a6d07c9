"""Which notifications Home Assistant should show: one for each cause, for as long as it lasts, in two languages.

Pure: the state of the proxy and the time are arguments; ``notifier`` delivers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.locales import Language, Notice, format_date, pick_language
from smgw_proxy_addon.locales.de import notifications as german
from smgw_proxy_addon.locales.en import notifications as english
from smgw_proxy_addon.status.history import GATEWAY_CODES
from smgw_proxy_addon.trust.policy import Certificate, Expiry, expiry, utc_if_set

TEXTS: Final[Mapping[Language, Mapping[str, Notice]]] = {"en": english.WORDS, "de": german.WORDS}
_LINK: Final[Mapping[Language, str]] = {"en": english.LINK, "de": german.LINK}

# A path or a name must not be taken for Markdown.
_MARKUP: Final = str.maketrans({letter: f"\\{letter}" for letter in "[]()<>*_`#|\\"})

REACHED: Final = frozenset(
    {"certificate_changed", "certificate_not_allowed", "gateway_closed_without_answer"}
    | {"gateway_login_refused", "login_expired"}
)
"""Codes of errors that only a device within reach can cause; they have causes of their own."""

UNREACHABLE: Final = GATEWAY_CODES - REACHED - {"gateway_login_paused", "gateway_login_stopped"}
"""Codes of errors with which the gateway cannot be used; with the last two the proxy did not ask it."""


class Cause(StrEnum):
    """What a notification is about."""

    CERTIFICATE_CHANGED = "certificate_changed"
    CERTIFICATE_EXPIRES = "certificate_expires"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    LOG_FOLDER = "log_folder"
    LOGIN_STOPPED = "login_stopped"
    LOGIN_HELD_BACK = "login_held_back"


Causes = Mapping[Cause, Mapping[str, str] | None]
"""The facts of each cause, None for one that does not exist; a missing cause is not known yet.

The fact ``words`` names another text than that of the cause.
"""


@dataclass
class Reachability:
    """Since when the gateway has been failing, by the requests of clients: the proxy sends none of its own.

    ``failing_since`` and ``failed_last`` are the first and last failure after the last answer; ``known`` is false
    before the first answer or failure.
    """

    known: bool = False
    failing_since: datetime | None = None
    failed_last: datetime | None = None

    def note(self, code: str | None, *, answered: bool, now: datetime) -> None:
        """Learn from a request: its error's code, and whether the gateway was asked and answered."""
        if code in UNREACHABLE:
            self.known = True
            self.failing_since = self.failing_since or now
            self.failed_last = now
        elif answered or code in REACHED:
            self.known = True
            self.failing_since = self.failed_last = None


class Situation(NamedTuple):
    """The state of the proxy; fingerprints are 64 hexadecimal digits.

    ``certificate`` is the trusted one that was shown last, None before the first contact; ``refused`` the
    fingerprint that is refused now; ``log_failure`` the sentence that says why no log files are written; ``stopped``
    the numbers of the accounts that the gateway refused too often; ``held_back`` the addresses of programs whose
    logins are held back, because their password is wrong.
    """

    reachability: Reachability
    target: str
    certificate: Certificate | None = None
    refused: str | None = None
    log_failure: str | None = None
    stopped: Sequence[int] = ()
    held_back: Sequence[str] = ()


def find_causes(situation: Situation, now: datetime, notify_after: timedelta) -> Causes:
    """Return the causes that exist. An outage lasts from the first to the last failed request since an answer."""
    found: dict[Cause, Mapping[str, str] | None] = {}
    target = {"target": situation.target}
    if situation.refused:
        found[Cause.CERTIFICATE_CHANGED] = {**target, "fingerprint": grouped(situation.refused)}
    elif situation.certificate:
        found[Cause.CERTIFICATE_CHANGED] = None
    if situation.certificate and utc_if_set(now):
        found[Cause.CERTIFICATE_EXPIRES] = _expiry_facts(situation.certificate, now, target)
    failing = situation.reachability
    if failing.known:
        found[Cause.GATEWAY_UNREACHABLE] = None
        if failing.failing_since and failing.failed_last:
            since = {**target, "since": f"{failing.failing_since:%Y-%m-%d %H:%M}"}
            long = failing.failed_last - failing.failing_since >= notify_after
            found[Cause.GATEWAY_UNREACHABLE] = since if long else None
    found[Cause.LOG_FOLDER] = {"failure": situation.log_failure} if situation.log_failure else None
    stopped = ", ".join(map(str, situation.stopped))
    found[Cause.LOGIN_STOPPED] = {**target, "accounts": stopped} if stopped else None
    held_back = ", ".join(situation.held_back)
    found[Cause.LOGIN_HELD_BACK] = {**target, "addresses": held_back} if held_back else None
    return found


def _expiry_facts(certificate: Certificate, now: datetime, target: Mapping[str, str]) -> Mapping[str, str] | None:
    dates = expiry(certificate, now)
    if dates not in (Expiry.EXPIRED, Expiry.EXPIRES_SOON):
        return None
    facts = {**target, "date": f"{certificate.not_after:%Y-%m-%d}"}
    return {**facts, "words": "certificate_expired"} if dates is Expiry.EXPIRED else facts


def explain_cause(cause: Cause, facts: Mapping[str, str], language: str, page: str | None) -> Notice:
    """Put a cause into words, with a link to ``page`` if that is known; an unknown language means English."""
    chosen = pick_language(language.partition("-")[0].lower())
    words = TEXTS[chosen][facts.get("words", cause)]
    shown = {name: format_date(value, chosen).translate(_MARKUP) for name, value in facts.items()}
    message = words.message.format_map(shown)
    return Notice(words.title, f"{message}\n\n[{_LINK[chosen]}]({page})" if page else message)
