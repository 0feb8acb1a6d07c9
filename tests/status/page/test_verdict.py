"""The sentence at the top of the page, for every state of the proxy, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smgw_proxy_addon.auth.gateway_login import LoginStatus
from smgw_proxy_addon.config.target import read_target
from smgw_proxy_addon.errors import PinUnreadableError
from smgw_proxy_addon.gateway.pool import PoolStatus
from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.explain import ERRORS
from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.history import Entry, History
from smgw_proxy_addon.status.page.diagnosis import Result
from smgw_proxy_addon.status.page.state import AccountState, State, TrustState
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.verdict import LOGINS, SEVERAL, explain_verdict, judge
from smgw_proxy_addon.trust.policy import Certificate, Pin

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
OLD, NEW = "aa" * 32, "bb" * 32
PIN = Pin(Certificate(OLD, "CN=ETHE0300186023.SMGW"), NOW, NOW)


def entry(status: int = 200, code: str | None = None, ago: float = 1.0, client: str = "10.0.0.1") -> Entry:
    at = NOW - timedelta(minutes=ago)
    return Entry(at, client, "GET", "/", status, 0.0, 0.0, 0.5, reused=True, code=code)


def state(*entries: Entry, **changes: Any) -> State:
    history = History()
    for each in sorted(entries, key=lambda each: each.at):
        history.add(each)
    plain = State(
        now=NOW,
        started=NOW - timedelta(days=1),
        target=read_target("10.11.120.2"),
        trust=TrustState(None, PIN, shown=OLD),
        pool=PoolStatus(0, 1, 0, None),
        day=history.day(NOW),
        clients=history.clients(NOW),
        entries=history.entries(),
        last_answer=history.last_answer,
        last_failure=history.last_failure,
        last_outcome=history.last_outcome,
        unanswered_logins=history.unanswered_logins,
        vendor=None,
        vendor_answered=False,
        user_paths=(),
    )
    return replace(plain, **changes)


def dated(start: timedelta, end: timedelta) -> TrustState:
    return TrustState(None, Pin(Certificate(OLD, not_before=NOW + start, not_after=NOW + end)))


def row(status: int, code: str | None = None, count: int = SEVERAL) -> list[Entry]:
    return [entry(status, code, ago=each) for each in range(1, count + 1)]


YEAR = timedelta(days=365)
REPAIRED = Result(NOW - timedelta(seconds=10), [Finding(Step.HTTP, True, "http_ok")])
BEGINNINGS = [entry(401, ago=each + 0.5) for each in range(1, 7)]
CHANGED = TrustState(None, PIN, Pin(Certificate(NEW)), NEW)
UNREADABLE = TrustState(None, unreadable=PinUnreadableError("", file="/data/certs/x.json", problem="damaged"))
NOT_STORED = TrustState(None, PIN, shown=NEW)
FORBIDDEN = TrustState(OLD, shown=NEW)
ALLOWED = TrustState(OLD, shown=OLD)
POLLS = [entry(ago=5 * each + 1, client=f"10.0.0.{number}") for each in range(20) for number in (1, 2)]

CASES: list[tuple[str, State, str, str, str | None]] = [
    ("nothing yet", state(), "idle", "waiting", None),
    ("works", state(entry()), "good", "works", None),
    ("works with the configured certificate", state(entry(), trust=ALLOWED), "good", "works", None),
    ("works after a login", state(entry(401), entry()), "good", "works", None),
    ("works, the client left", state(entry(), entry(0, "client_gone")), "good", "works", None),
    ("works, an error long ago", state(entry(), entry(502, "gateway_refused", 90)), "good", "works", None),
    ("nobody asks", state(entry(ago=200)), "idle", "quiet", None),
    ("changed", state(entry(502, "certificate_changed"), trust=CHANGED), "bad", "changed", "certificate_changed"),
    ("changed before the start", state(trust=CHANGED), "bad", "changed", "certificate_changed"),
    ("accepted since", state(entry(502, "certificate_changed")), "idle", "decided", None),
    ("accepted, and it works", state(entry(502, "certificate_changed", 90), entry()), "good", "works", None),
    (
        "changed, but not stored",
        state(entry(502, "certificate_changed"), trust=NOT_STORED),
        "bad",
        "not_stored",
        None,
    ),
    ("unreadable", state(entry(), trust=UNREADABLE), "bad", "fails", "pin_unreadable"),
    ("not allowed", state(entry(), trust=FORBIDDEN), "bad", "fails", "certificate_not_allowed"),
    ("not written", state(entry(502, "pin_not_written")), "bad", "fails", "pin_not_written"),
    ("unreachable", state(entry(502, "gateway_unreachable")), "bad", "fails", "gateway_unreachable"),
    ("silent", state(entry(504, "gateway_timeout")), "bad", "fails", "gateway_timeout"),
    ("password", state(entry(0, "gateway_closed_without_answer")), "bad", "fails", "gateway_closed_without_answer"),
    (
        "a broken connection",
        state(entry(502, "gateway_connection_lost")),
        "warn",
        "fails_sometimes",
        "gateway_connection_lost",
    ),
    ("repaired", state(entry(502, "gateway_unreachable"), diagnosis=REPAIRED), "idle", "reached", None),
    ("its own error is over", state(entry(500), diagnosis=REPAIRED), "idle", "reached", None),
    (
        "broken since",
        state(entry(502, "gateway_unreachable"), diagnosis=replace(REPAIRED, when=NOW - timedelta(hours=1))),
        "bad",
        "fails",
        "gateway_unreachable",
    ),
    (
        "a password is not repaired by a diagnosis",
        state(entry(0, "gateway_closed_without_answer"), diagnosis=REPAIRED),
        "bad",
        "fails",
        "gateway_closed_without_answer",
    ),
    ("refused", state(*row(403), entry(ago=30)), "bad", "forbidden", None),
    ("refused after a login", state(*row(403), *BEGINNINGS[:3]), "bad", "forbidden", None),
    ("refused now and then", state(*row(403, count=2), entry(ago=30)), "good", "works", None),
    ("another address", state(*row(404), entry(ago=30)), "warn", "not_found", None),
    ("another method", state(entry(405), entry(400), entry(404)), "warn", "not_found", None),
    ("a wrong name only", state(entry(421, "misdirected_request")), "bad", "not_reaching", "misdirected_request"),
    ("a full queue only", state(entry(503, "queue_full")), "bad", "not_reaching", "queue_full"),
    ("nothing but one who left", state(entry(0, "client_gone")), "warn", "not_reaching", "client_gone"),
    (
        "a foreign page by now",
        state(*row(403, "foreign_origin"), entry(ago=9)),
        "bad",
        "not_reaching",
        "foreign_origin",
    ),
    ("they all give up", state(*row(0, "client_gone")), "warn", "impatient", None),
    ("they give up by now", state(*row(0, "client_gone"), entry(ago=30)), "warn", "impatient", None),
    ("they give up after the login", state(*row(0, "client_gone", 6), *BEGINNINGS), "warn", "impatient", None),
    ("gave up, then a wrong login", state(*row(401, count=6), entry(0, "client_gone", 9)), "bad", "login", None),
    ("its own error", state(entry(500)), "warn", "gateway_status", None),
    (
        "a wrong password",
        state(entry(0, "gateway_closed_without_answer"), held_back=("192.168.1.20",)),
        "warn",
        "login_held_back",
        "login_held_back",
    ),
    ("login", state(*[entry(401, ago=each) for each in range(LOGINS)]), "bad", "login", None),
    ("one refused before", state(entry(), entry(503, "queue_full", 30)), "warn", "some_failed", "queue_full"),
    (
        "a wrong name",
        state(entry(ago=2), entry(421, "misdirected_request")),
        "warn",
        "some_failed",
        "misdirected_request",
    ),
    ("an error of its own before", state(entry(), entry(500, ago=30)), "warn", "some_failed", None),
    ("many polls", state(*POLLS), "warn", "many_polls", None),
    ("expired", state(entry(), trust=dated(-YEAR, -YEAR / 2)), "warn", "expired", None),
    ("expires soon", state(entry(), trust=dated(-YEAR, YEAR / 40)), "warn", "expires_soon", None),
    ("no log files", state(entry(), log_failure="No space left on device"), "warn", "no_logs", None),
    ("not yet valid", state(entry(), trust=dated(YEAR, YEAR * 2)), "warn", "not_yet_valid", None),
    ("many polls, expires soon", state(*POLLS, trust=dated(-YEAR, YEAR / 40)), "warn", "many_polls", None),
    ("valid for long", state(entry(), trust=dated(-YEAR, YEAR)), "good", "works", None),
]


@pytest.mark.parametrize(
    ("now", "level", "key", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_verdict(now: State, level: str, key: str, code: str | None) -> None:
    verdict = judge(now)
    assert (verdict.level, verdict.key, verdict.code) == (level, key, code)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("now", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_every_verdict_has_words_and_the_bad_ones_a_remedy(now: State, language: Language) -> None:
    verdict = judge(now)
    told = explain_verdict(verdict, language, Texts(language))
    assert told.sentence.endswith(".")
    assert "{" not in told.sentence + told.detail + told.remedy
    if verdict.level == "bad" or verdict.code:
        assert told.remedy
    if verdict.code and verdict.key in ("fails", "fails_sometimes", "not_reaching"):
        assert ERRORS[language][verdict.code].title in told.sentence
    assert Texts("de")("verdict.works") not in told.sentence or language == "de"


def test_the_time_of_a_failure_is_told() -> None:
    now = state(entry(502, "gateway_unreachable"))
    told = explain_verdict(judge(now), "de", Texts("de"))
    assert told.when == f"Zuletzt geschehen: {Texts('de').moment(NOW - timedelta(minutes=1))}"
    assert explain_verdict(judge(state(entry())), "de", Texts("de")).when == ""


def test_numbers_stand_in_the_sentence() -> None:
    now = state(entry(), entry(503, "queue_full", 30))
    assert (
        explain_verdict(judge(now), "en", Texts("en")).sentence
        == "It works, but 1 of 2 requests failed in the last hour."
    )
    assert "1 von 2 Anfragen" in explain_verdict(judge(now), "de", Texts("de")).sentence


def account(number: int, status: LoginStatus) -> AccountState:
    return AccountState(number, "u", status)


@pytest.mark.parametrize(
    ("codes", "statuses", "level", "key"),
    [
        (["gateway_login_stopped"], [LoginStatus.STOPPED], "bad", "login_stopped"),
        ([None], [LoginStatus.ACCEPTED, LoginStatus.STOPPED], "bad", "login_stopped"),
        ([None], [LoginStatus.STOPPED, LoginStatus.STOPPED], "bad", "login_stopped"),
        (["gateway_login_stopped"], [LoginStatus.UNKNOWN], "idle", "login_retried"),
        (["gateway_login_refused"], [LoginStatus.REFUSED], "bad", "fails"),
        (["gateway_login_paused"], [LoginStatus.DOUBTED], "bad", "fails"),
        (["login_expired"], [LoginStatus.ACCEPTED], "warn", "fails_sometimes"),
        ([None], [LoginStatus.ACCEPTED], "good", "works"),
        (["login_required", None], [LoginStatus.ACCEPTED], "good", "works"),
        (["login_required"] * SEVERAL + [None], [LoginStatus.ACCEPTED], "good", "works"),
        (["login_required"] * (LOGINS - 1), [LoginStatus.UNKNOWN], "idle", "waiting"),
        (["login_required"] * LOGINS, [LoginStatus.UNKNOWN], "bad", "not_reaching"),
        (["login_required"] * LOGINS + [None], [LoginStatus.ACCEPTED], "bad", "not_reaching"),
    ],
)
def test_the_proxy_s_own_logins(codes: list[str | None], statuses: list[LoginStatus], level: str, key: str) -> None:
    status = {None: 200, "login_required": 401}
    entries = [entry(status.get(code, 502), code, ago=ago) for ago, code in enumerate(codes, start=1)]
    accounts = tuple(account(number, status) for number, status in enumerate(statuses, start=1))
    verdict = judge(state(*entries, accounts=accounts))
    assert (verdict.level, verdict.key) == (level, key)
    numbers = ", ".join(str(each.number) for each in accounts if each.status is LoginStatus.STOPPED)
    assert (f"account {numbers}" in explain_verdict(verdict, "en", Texts("en")).sentence) is (key == "login_stopped")
    assert (f"Zugang {numbers}" in explain_verdict(verdict, "de", Texts("de")).sentence) is (key == "login_stopped")
