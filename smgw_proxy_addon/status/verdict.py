"""The one sentence at the top: does it work, and if not, why and what to do. A pure function of the state."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from smgw_proxy_addon.activity import MANY_POLLS
from smgw_proxy_addon.explain import explain_code
from smgw_proxy_addon.status.locale import Texts
from smgw_proxy_addon.status.state import State
from smgw_proxy_addon.trust import Expiry, expiry
from smgw_proxy_addon.words import Language

Level = Literal["good", "idle", "warn", "bad"]

LOGINS: Final = 5
"""Answers 401 in a row that mean a refused login. Each request of most clients begins with one."""

QUIET: Final = timedelta(hours=2)
"""Since the last answer: what was well then says little about now."""

_TRUST_CODES: Final = frozenset({"certificate_changed", "certificate_not_allowed", "pin_unreadable"})
_PASSING_CODES: Final = frozenset({"gateway_connection_lost", "gateway_answer_truncated"})


@dataclass(frozen=True)
class Verdict:
    """``key`` names the words; with ``code`` they are those of the error."""

    level: Level
    key: str
    code: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """A verdict for people; ``remedy`` may be empty."""

    sentence: str
    detail: str
    remedy: str


def judge(state: State) -> Verdict:
    """Say how it is, the worst first."""
    return _untrusted(state) or _failing(state) or _doubtful(state) or _well(state)


def words(verdict: Verdict, language: Language, texts: Texts) -> Words:
    """Put a verdict into words."""
    reason = explain_code(verdict.code, language, verdict.facts) if verdict.code else None
    facts = {**verdict.facts, "reason": reason.title if reason else ""}
    detail, remedy = texts.get(f"verdict.{verdict.key}.detail", **facts), ""
    if reason:
        detail, remedy = detail or reason.cause, reason.remedy
    return Words(
        texts(f"verdict.{verdict.key}", **facts),
        detail,
        texts.get(f"verdict.{verdict.key}.remedy", **facts) or remedy,
    )


def _untrusted(state: State) -> Verdict | None:
    trust = state.trust
    if trust.unreadable:
        return Verdict("bad", "unreadable", "pin_unreadable", dict(trust.unreadable.facts))
    if trust.forbidden:
        facts = {"pinned": trust.policy.fingerprint or "", "presented": trust.shown or ""}
        return Verdict("bad", "fails", "certificate_not_allowed", facts)
    if trust.changed:
        return Verdict("bad", "changed")
    return None


def _failing(state: State) -> Verdict | None:
    last = state.last_outcome
    if last is None:
        return Verdict("idle", "waiting")
    if last.code in _TRUST_CODES:
        return Verdict("idle", "decided")  # the reason is gone: see _untrusted
    if last.code is not None:
        facts = {"target": state.target.name}
        return Verdict("warn" if last.code in _PASSING_CODES else "bad", "fails", last.code, facts)
    if last.failed:
        return Verdict("warn", "gateway_status", facts={"status": str(last.status)})
    if state.unanswered_logins >= LOGINS:
        return Verdict("bad", "login")
    return None


def _doubtful(state: State) -> Verdict | None:
    dates = expiry(state.trust.pin.certificate, state.now) if state.trust.pin else None
    if dates in (Expiry.EXPIRED, Expiry.NOT_YET_VALID):
        return Verdict("warn", dates.value)
    requests, errors = state.day.hour
    if errors:
        code = state.last_failure.code if state.last_failure else None
        return Verdict("warn", "some_failed", code, {"errors": str(errors), "requests": str(requests)})
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
