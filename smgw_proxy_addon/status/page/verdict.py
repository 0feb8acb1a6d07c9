"""The sentence at the top of the page: whether the proxy works, if not why, and what to do. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from smgw_proxy_addon.auth.gateway_login import LoginStatus
from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.explain import explain_code
from smgw_proxy_addon.status.history import GATEWAY_CODES, MANY_POLLS, Entry
from smgw_proxy_addon.status.page import offers
from smgw_proxy_addon.status.page.state import State
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.trust.policy import Expiry, expiry

Level = Literal["good", "idle", "warn", "bad"]

LOGINS: Final = 5
"""Answers 401 in a row that mean a refused login. Each request of most clients begins with one."""

SEVERAL: Final = 3
"""So many of the same in a row are no accident."""

QUIET: Final = timedelta(hours=2)
"""Time since the last answer after which it says nothing about now."""

_DECIDED: Final = {
    "certificate_changed": "decided",
    "certificate_not_allowed": "decided",
    "pin_unreadable": "decided",
    "gateway_login_stopped": "login_retried",
}
_PASSING_CODES: Final = frozenset({"gateway_connection_lost", "gateway_answer_truncated", "login_expired"})
# The diagnosis sends no login, so it cannot show that a login works now.
_LOGIN_CODES: Final = frozenset(
    {"gateway_closed_without_answer", "gateway_login_refused", "gateway_login_paused", "gateway_login_stopped"}
)
_LEFT: Final = "client_gone"
_ASKED: Final = "login_required"
_LOGIN_NEEDED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = frozenset({400, 404, 405})


@dataclass(frozen=True)
class Verdict:
    """``key`` names the words; with ``code`` they are those of the error."""

    level: Level
    key: str
    code: str | None = None
    facts: dict[str, str] = field(default_factory=dict)
    at: datetime | None = None
    """When it happened; None for a lasting state."""


@dataclass(frozen=True)
class Words:
    """A verdict for people; ``remedy`` may be empty."""

    sentence: str
    detail: str
    remedy: str
    when: str = ""
    """The time of a failure."""


def judge(state: State) -> Verdict:
    """Return the worst verdict that holds."""
    return (
        _untrusted(state)
        or _refused_login(state)
        or _found(state)
        or _failing(state)
        or _not_reaching(state)
        or _refusing(state)
        or _doubtful(state)
        or _well(state)
    )


def explain_verdict(verdict: Verdict, language: Language, texts: Texts) -> Words:
    """Put a verdict into words."""
    error = explain_code(verdict.code, language, verdict.facts) if verdict.code else None
    when = texts.moment(verdict.at) if verdict.at else ""
    facts = {**verdict.facts, "reason": error.title if error else "", "when": when}
    detail, remedy = texts.get(f"verdict.{verdict.key}.detail", **facts), ""
    if error:
        detail, remedy = detail or error.cause, error.remedy
    return Words(
        texts(f"verdict.{verdict.key}", **facts),
        detail,
        texts.get(f"verdict.{verdict.key}.remedy", **facts) or remedy,
        texts("verdict.at", when=when) if when and verdict.level in ("warn", "bad") else "",
    )


def _untrusted(state: State) -> Verdict | None:
    trust = state.trust
    if trust.unreadable:
        return Verdict("bad", "fails", "pin_unreadable", dict(trust.unreadable.facts))
    if trust.forbidden:
        facts = {"pinned": trust.configured or "", "presented": trust.shown or ""}
        return Verdict("bad", "fails", "certificate_not_allowed", facts)
    if trust.changed:
        return Verdict("bad", "changed", "certificate_changed")
    if trust.not_stored:
        return Verdict("bad", "not_stored")
    return None


def _refused_login(state: State) -> Verdict | None:
    stopped = ", ".join(str(each.number) for each in state.accounts if each.status is LoginStatus.STOPPED)
    if stopped:
        return Verdict("bad", "login_stopped", "gateway_login_stopped", {"accounts": stopped})
    if state.held_back:
        return Verdict("warn", "login_held_back", "login_held_back", {"addresses": ", ".join(state.held_back)})
    return None


def _found(state: State) -> Verdict | None:
    """Lead a new proxy to the gateway that SMGW Network found."""
    if not offers.lead(state):
        return None
    key, facts = offers.describe(state.offers)
    return Verdict("idle", key, facts=facts)


def _failing(state: State) -> Verdict | None:
    last = state.last_outcome
    if last is None or not last.failed:
        return None
    if last.code in _DECIDED:
        return Verdict("idle", _DECIDED[last.code])  # the cause is gone: see _untrusted and _refused_login
    if last.code not in _LOGIN_CODES and state.reached and state.reached > last.at:
        return Verdict("idle", "reached", at=state.reached)
    if last.code is None:
        return Verdict("warn", "gateway_status", facts={"status": str(last.status)}, at=last.at)
    facts = {"target": state.target.name}
    if last.code in _PASSING_CODES:
        return Verdict("warn", "fails_sometimes", last.code, facts, last.at)
    return Verdict("bad", "fails", last.code, facts, last.at)


def _not_reaching(state: State) -> Verdict | None:
    """Judge requests that end before the gateway has answered."""
    # Each try may begin with a login challenge.
    left = [each for each in state.entries[: 2 * SEVERAL] if not _is_login_challenge(each)][:SEVERAL]
    if len(left) == SEVERAL and all(each.code == _LEFT for each in left):
        return Verdict("warn", "impatient", at=left[0].at)
    if len(state.entries) >= LOGINS and all(each.code == _ASKED for each in state.entries[:LOGINS]):
        return Verdict("bad", "not_reaching", _ASKED, at=state.entries[0].at)
    entries = [each for each in state.entries if each.code != _ASKED]
    stopped = entries if state.last_outcome is None else entries[:SEVERAL]
    last = next((each for each in stopped if each.code), None)
    if last is None or last.code is None:
        return None if state.last_outcome else Verdict("idle", "waiting")
    if state.last_outcome and not (len(stopped) == SEVERAL and all(map(_is_stopped, stopped))):
        return None
    return Verdict("warn" if last.code == _LEFT else "bad", "not_reaching", last.code, at=last.at)


def _refusing(state: State) -> Verdict | None:
    """Judge what the gateway answers."""
    if state.unanswered_logins >= LOGINS:
        return Verdict("bad", "login")
    answers = [each for each in state.entries if each.answered and not _is_login_challenge(each)][:SEVERAL]
    if len(answers) < SEVERAL:
        return None
    if all(each.status == _FORBIDDEN for each in answers):
        return Verdict("bad", "forbidden", at=answers[0].at)
    if all(each.status in _NOT_FOUND for each in answers):
        return Verdict("warn", "not_found", facts={"status": str(answers[0].status)}, at=answers[0].at)
    return None


def _is_login_challenge(entry: Entry) -> bool:
    return entry.status == _LOGIN_NEEDED


def _is_stopped(entry: Entry) -> bool:
    return entry.code is not None and entry.code not in GATEWAY_CODES


def _doubtful(state: State) -> Verdict | None:
    dates = expiry(state.trust.pin.certificate, state.now) if state.trust.pin else None
    if dates in (Expiry.EXPIRED, Expiry.NOT_YET_VALID):
        return Verdict("warn", dates.value)
    hour = state.day.hour
    if hour.errors:
        code = state.last_failure.code if state.last_failure else None
        return Verdict("warn", "some_failed", code, {"errors": str(hour.errors), "requests": str(hour.requests)})
    if state.day.polls_an_hour > MANY_POLLS:
        return Verdict("warn", "many_polls", facts={"polls": str(state.day.polls_an_hour)})
    if dates is Expiry.EXPIRES_SOON:
        return Verdict("warn", dates.value)
    if state.log_failure:
        return Verdict("warn", "no_logs", facts={"problem": state.log_failure})
    return None


def _well(state: State) -> Verdict:
    if state.last_answer is not None and state.now - state.last_answer.at > QUIET:
        return Verdict("idle", "quiet")
    return Verdict("good", "works")
