from datetime import UTC, datetime, timedelta

import pytest

from smgw_proxy_addon.status.notifications import TEXTS, Cause, Reachability, Situation, explain_cause, find_causes
from smgw_proxy_addon.trust.policy import Certificate

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AFTER = timedelta(minutes=30)
FAR = NOW + timedelta(days=400)


def ending(not_after: datetime) -> Certificate:
    return Certificate("0" * 64, not_after=not_after)


def situation(failures: list[int] | None = None, **known: object) -> Situation:
    """Return a situation; requests failed ``failures`` minutes before now."""
    reachability = Reachability()
    for minutes in failures or []:
        reachability.note("gateway_connect_timeout", answered=False, now=NOW - timedelta(minutes=minutes))
    return Situation(reachability, "10.11.120.2", **known)  # type: ignore[arg-type]  # the fields' types differ


def active(known: Situation) -> set[Cause]:
    return {cause for cause, facts in find_causes(known, NOW, AFTER).items() if facts is not None}


def test_before_the_first_contact_only_the_log_is_known() -> None:
    known = (Cause.LOG_FOLDER, Cause.LOGIN_STOPPED, Cause.LOGIN_HELD_BACK)
    assert find_causes(situation(), NOW, AFTER) == dict.fromkeys(known)


def test_a_healthy_proxy_has_no_cause_left() -> None:
    known = situation(certificate=ending(FAR))
    known.reachability.note(None, answered=True, now=NOW)
    assert find_causes(known, NOW, AFTER) == dict.fromkeys(Cause)


@pytest.mark.parametrize(
    ("failures", "told"),
    [([0], False), ([31], False), ([29, 0], False), ([30, 0], True), ([45, 30, 15], True), ([60, 59], False)],
)
def test_the_gateway_is_unreachable_once_requests_failed_for_long_enough(failures: list[int], told: bool) -> None:
    assert (Cause.GATEWAY_UNREACHABLE in active(situation(failures))) is told


def test_an_answer_ends_it() -> None:
    known = situation([45, 0])
    assert active(known) == {Cause.GATEWAY_UNREACHABLE}
    known.reachability.note(None, answered=True, now=NOW)
    assert find_causes(known, NOW, AFTER)[Cause.GATEWAY_UNREACHABLE] is None


@pytest.mark.parametrize("code", ["client_gone", "bad_request", "queue_full"])
def test_other_errors_say_nothing_about_the_way_to_the_gateway(code: str) -> None:
    known = situation([45, 0])
    before = find_causes(known, NOW, AFTER)
    known.reachability.note(code, answered=False, now=NOW)
    assert find_causes(known, NOW, AFTER) == before


@pytest.mark.parametrize("code", ["certificate_changed", "certificate_not_allowed", "gateway_closed_without_answer"])
def test_an_error_that_only_a_device_within_reach_causes_ends_it(code: str) -> None:
    known = situation([45, 0])
    known.reachability.note(code, answered=False, now=NOW)
    assert find_causes(known, NOW, AFTER)[Cause.GATEWAY_UNREACHABLE] is None


@pytest.mark.parametrize(
    ("language", "words"), [("en", "expired on 21 Nov 2026"), ("de", "ist am 21.11.2026 abgelaufen")]
)
def test_an_expired_certificate_has_words_of_its_own(language: str, words: str) -> None:
    facts = find_causes(situation(certificate=ending(NOW - timedelta(days=1))), NOW, AFTER)[Cause.CERTIFICATE_EXPIRES]
    assert facts is not None
    assert words in explain_cause(Cause.CERTIFICATE_EXPIRES, facts, language, None).message


def test_the_words_do_not_change_with_each_failure() -> None:
    assert find_causes(situation([60, 30]), NOW, AFTER) == find_causes(situation([60, 30, 15, 0]), NOW, AFTER)


@pytest.mark.parametrize(("days", "told"), [(-1, True), (29, True), (30, True), (31, False)])
def test_a_certificate_that_expires(days: int, told: bool) -> None:
    known = situation(certificate=ending(NOW + timedelta(days=days)))
    assert (Cause.CERTIFICATE_EXPIRES in active(known)) is told


def test_a_clock_that_is_plainly_unset_says_nothing_about_dates() -> None:
    known = situation(certificate=ending(datetime(1970, 1, 2, tzinfo=UTC)))
    assert Cause.CERTIFICATE_EXPIRES not in find_causes(known, datetime(1970, 1, 1, tzinfo=UTC), AFTER)


def test_a_refused_certificate() -> None:
    known = situation(refused="ab" * 32, certificate=ending(FAR))
    facts = find_causes(known, NOW, AFTER)[Cause.CERTIFICATE_CHANGED]
    assert facts is not None
    assert facts["fingerprint"].startswith("abab abab ")


@pytest.mark.parametrize("language", ["en", "de", "de-CH", "fr", ""])
@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_words_and_a_link(cause: Cause, language: str) -> None:
    failure = "No space left (/share/my_logs)."
    known = situation(
        [60, 0],
        refused="ab" * 32,
        certificate=ending(NOW),
        log_failure=failure,
        stopped=(1,),
        held_back=("192.168.1.20",),
    )
    facts = find_causes(known, NOW, AFTER)[cause]
    assert facts is not None
    words = explain_cause(cause, facts, language, "/app/local_smgw_proxy")
    assert words.title == TEXTS["de" if language.startswith("de") else "en"][cause].title
    assert words.message.endswith("](/app/local_smgw_proxy)")
    assert "](" not in explain_cause(cause, facts, language, None).message


def test_a_fact_cannot_become_a_link() -> None:
    words = explain_cause(Cause.LOG_FOLDER, {"failure": "[x](http://evil.example)"}, "en", None)
    assert r"\[x\]\(http://evil.example\)" in words.message


@pytest.mark.parametrize(("language", "words"), [("en", "(account 1, 3)"), ("de", "(Zugang 1, 3)")])
def test_a_stopped_login_is_told_without_a_name(language: str, words: str) -> None:
    facts = find_causes(situation(stopped=(1, 3)), NOW, AFTER)[Cause.LOGIN_STOPPED]
    assert facts is not None
    assert words in explain_cause(Cause.LOGIN_STOPPED, facts, language, None).message


@pytest.mark.parametrize(("language", "words"), [("en", "in the program at"), ("de", "mit der Adresse")])
def test_a_wrong_password_is_told_with_its_address(language: str, words: str) -> None:
    facts = find_causes(situation(held_back=("192.168.1.20", "192.168.1.21")), NOW, AFTER)[Cause.LOGIN_HELD_BACK]
    assert facts is not None
    message = explain_cause(Cause.LOGIN_HELD_BACK, facts, language, None).message
    assert f"{words} 192.168.1.20, 192.168.1.21:" in message


@pytest.mark.parametrize("code", ["gateway_login_refused", "login_expired"])
def test_a_refused_login_is_no_unreachable_gateway(code: str) -> None:
    known = situation([45, 0])
    known.reachability.note(code, answered=False, now=NOW)
    assert find_causes(known, NOW, AFTER)[Cause.GATEWAY_UNREACHABLE] is None
