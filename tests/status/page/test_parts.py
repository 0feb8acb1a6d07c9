"""What the page is made of: words, addresses, the make of a gateway, shapes, records."""

import logging
import string
from datetime import UTC, datetime, timedelta

import pytest

from smgw_proxy_addon.locales.de import status as de
from smgw_proxy_addon.locales.en import status as en
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.status.history import Entry, History
from smgw_proxy_addon.status.page import chart
from smgw_proxy_addon.status.page.guides import Guide, ProxyAddress, list_guides, list_other_guides, needs_user
from smgw_proxy_addon.status.page.recorder import LINES, USERS, LogBuffer, RequestRecorder
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.vendor import Vendor, find_user_path, from_answer, from_subject

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
INSIDE = ProxyAddress("inside", "local-smgw-proxy", 8080, 443)
NETWORK = ProxyAddress("network", None, 8080)
CALL = """'{"method":"smgw-info"}'"""


# Words


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_words_with_the_same_facts() -> None:
    assert en.WORDS.keys() == de.WORDS.keys()
    assert {key for key in en.WORDS if fields(en.WORDS[key]) != fields(de.WORDS[key])} == set()
    assert all(text.strip() == text and text for words in (en.WORDS, de.WORDS) for text in words.values())


@pytest.mark.parametrize(
    ("seconds", "english", "german"),
    [
        (0.0004, "0 ms", "0 ms"),
        (0.82, "820 ms", "820 ms"),
        (0.9999, "1.0 s", "1,0 s"),
        (12.34, "12.3 s", "12,3 s"),
    ],
)
def test_short_times(seconds: float, english: str, german: str) -> None:
    assert (Texts("en").seconds(seconds), Texts("de").seconds(seconds)) == (english, german)


@pytest.mark.parametrize(
    ("seconds", "german"),
    [(-3, "0 s"), (59, "59 s"), (61, "1 min"), (3600, "1 h"), (86400, "1 Tag"), (200_000, "2 Tagen")],
)
def test_long_times(seconds: float, german: str) -> None:
    assert Texts("de").span(seconds) == german


def test_days() -> None:
    assert Texts("en").date(NOW) == "1 Sep 2026"
    assert Texts("de").date(NOW) == "01.09.2026"
    assert Texts("en").moment(None) == "unknown"


# The make


@pytest.mark.parametrize(
    ("target", "status", "vendor"),
    [
        ("/smgw/m2m", 307, Vendor.THEBEN),
        ("/smgw/m2m/demo.sm/json", 200, Vendor.THEBEN),
        ("/smgw/m2m", 401, None),
        ("/smgw/m2mx", 200, None),
        ("/cgi-bin/hanservice.cgi", 200, Vendor.PPC),
        ("/cgi-bin/hanservice.cgi?x=1", 302, Vendor.PPC),
        ("/json/metering/origin/", 200, Vendor.EMH),
        ("/json/metering/origin/", 404, None),
        ("/smgw/hgp/x", 200, Vendor.SAGEMCOM),
        ("/smgw/hgp/x", 403, None),
        ("/", 200, None),
    ],
)
def test_the_make_by_its_answers(target: str, status: int, vendor: Vendor | None) -> None:
    assert from_answer(target, status) is vendor


@pytest.mark.parametrize(
    ("subject", "vendor"),
    [
        ("CN=ETHE0300186023.SMGW,O=SMGW,C=DE", Vendor.THEBEN),
        ("C=DE,O=SMGW,CN=eppc0212345678.smgw", Vendor.PPC),
        ("CN=EEMH0012345678.SMGW", Vendor.EMH),
        ("CN=EDNT0012345678.SMGW,O=SMGW,C=DE", Vendor.SAGEMCOM),
        ("CN=EXYZ0012345678.SMGW", None),
        ("CN=ETHERNET", None),
        ("", None),
    ],
)
def test_the_make_by_the_certificate(subject: str, vendor: Vendor | None) -> None:
    assert from_subject(subject) is vendor


@pytest.mark.parametrize(
    ("target", "status", "path"),
    [
        ("/smgw/m2m/ETHE0300186023.sm/json", 200, "/smgw/m2m/ETHE0300186023.sm"),
        ("/smgw/m2m/demo.sm?x", 200, "/smgw/m2m/demo.sm"),
        ("/smgw/m2m/typo.sm/json", 404, None),
        ("/smgw/m2m/", 200, None),
        ("/x/smgw/m2m/demo.sm", 200, None),
    ],
)
def test_the_user_s_own_path(target: str, status: int, path: str | None) -> None:
    assert find_user_path(target, status) == path


# Addresses to copy


def values(given: list[Guide]) -> list[str]:
    return [line.value for guide in given for line in guide.lines]


def test_a_theben_gateway_with_its_users() -> None:
    paths = ("/smgw/m2m/feed-in.sm", "/smgw/m2m/import.sm")
    given = list(list_guides(Vendor.THEBEN, (INSIDE, NETWORK), paths, Texts("en")))
    assert values(given) == [
        "http://local-smgw-proxy:8080/smgw/m2m/feed-in.sm/json",
        "http://local-smgw-proxy:8080/smgw/m2m/import.sm/json",
        "local-smgw-proxy",
        f"curl --digest -u USER --json {CALL} http://ADDRESS-OF-HOME-ASSISTANT:8080/smgw/m2m/feed-in.sm/json",
    ]
    assert not needs_user(given, Texts("en"))


def test_a_ppc_gateway_and_an_emh_gateway() -> None:
    addresses = (ProxyAddress("network", "fd00::2", 80),)
    assert values(list(list_guides(Vendor.PPC, addresses, (), Texts("en")))) == [
        "http://[fd00::2]/cgi-bin/hanservice.cgi",
        "curl --digest -u USER http://[fd00::2]/cgi-bin/hanservice.cgi",
    ]
    assert values(list(list_guides(Vendor.EMH, addresses, (), Texts("en")))) == [
        "http://[fd00::2]",
        "http://[fd00::2]",
        "curl --digest -u USER http://[fd00::2]/json/metering/origin/",
    ]


def test_a_sagemcom_gateway_says_what_a_client_has_to_send() -> None:
    given = list(list_guides(Vendor.SAGEMCOM, (INSIDE, NETWORK), (), Texts("en")))
    *bases, command = values(given)
    assert bases == ["http://local-smgw-proxy:8080", "http://ADDRESS-OF-HOME-ASSISTANT:8080"]
    assert "--compressed -H 'Request-ID: …' -H 'Device-ID: …' -H 'Transport-Version: …'" in command
    assert command.endswith(" http://ADDRESS-OF-HOME-ASSISTANT:8080/smgw/hgp/")
    assert "Request-ID, Device-ID and Transport-Version" in given[0].note
    assert "403" in given[1].note


def test_an_unknown_gateway_gets_all_of_them() -> None:
    given = list(list_guides(None, (INSIDE, NETWORK), (), Texts("de")))
    assert "http://local-smgw-proxy:8080/smgw/m2m/BENUTZERKENNUNG.sm/json" in values(given)
    assert "http://ADRESSE-VON-HOME-ASSISTANT:8080" in values(given)
    assert needs_user(given, Texts("de"))


def test_without_https_on_its_port_the_core_integration_says_why() -> None:
    for address in (ProxyAddress("network", "pi", 8080), ProxyAddress("network", "pi", 8080, 8443)):
        given = list(list_guides(Vendor.THEBEN, (address,), (), Texts("en")))
        assert "--https-port 443" in given[1].note


@pytest.mark.parametrize("vendor", list(Vendor))
def test_the_other_makes_are_those_that_are_missing(vendor: Vendor) -> None:
    texts = Texts("en")
    shown = {guide.title for guide in list_guides(vendor, (INSIDE, NETWORK), (), texts)}
    others = {guide.title for guide in list_other_guides(vendor, (INSIDE, NETWORK), texts)}
    everything = {guide.title for guide in list_guides(None, (INSIDE, NETWORK), (), texts)}
    assert not shown & others
    assert shown | others == everything


# The chart


def test_the_chart_leaves_out_where_nothing_was() -> None:
    history = History()
    for ago, seconds, code in ((3, 0.4, None), (3, 0.8, None), (2, 0.0, "gateway_refused")):
        at = NOW - timedelta(hours=ago)
        history.add(Entry(at, "c", "GET", "/", 502 if code else 200, 0, 0, seconds, reused=True, code=code))
    drawn = chart.draw(history.day(NOW))
    assert drawn.scale == 1.0
    assert len(drawn.bars) == 2
    answered, failed = drawn.bars
    assert answered.x < failed.x < chart.WIDTH
    assert answered.longest is not None
    assert answered.mean is not None
    assert chart.TOP <= answered.longest < answered.mean <= chart.FLOOR
    assert (failed.mean, failed.bucket.errors) == (None, 1)


def test_what_is_longer_than_any_scale_ends_at_the_top() -> None:
    history = History()
    history.add(Entry(NOW, "c", "GET", "/", 200, 0, 0, 5000.0, reused=True))
    assert chart.draw(history.day(NOW)).bars[0].longest == chart.TOP


# Memory


def record(target: str, status: int = 200, **changes: object) -> RequestRecord:
    values = {"client": "10.0.0.1", "method": "GET", "target": target, "status": status, "bytes_sent": 1}
    times = {"waiting": 0.0, "connecting": 0.0, "answering": 0.1, "reused": True}
    return RequestRecord(**(values | times | changes))  # type: ignore[arg-type] # each test changes what it is about


def test_what_is_remembered_is_redacted_and_short() -> None:
    recorder = RequestRecorder(lambda: NOW)
    recorder.record(record("/login?password=geheim&x=1"))
    recorder.record(record("/" + "x" * 8000, method="G\x1b[31mET" + "T" * 100))
    long, login = recorder.history.entries()
    assert "geheim" not in login.target
    assert len(long.target) == 200
    assert len(long.method) == 20
    assert "\x1b" not in long.method


def test_only_so_many_users_are_remembered_the_last_first() -> None:
    recorder = RequestRecorder(lambda: NOW)
    for number in range(USERS + 3):
        recorder.record(record(f"/smgw/m2m/user{number}.sm/json"))
    recorder.record(record("/smgw/m2m/user4.sm/json"))
    recorder.record(record("/smgw/m2m/typo.sm/json", 404))
    assert recorder.vendor is Vendor.THEBEN
    assert recorder.user_paths == tuple(f"/smgw/m2m/user{number}.sm" for number in (4, 6, 5, 3))


def test_the_gateway_s_errors_are_told_from_the_others() -> None:
    recorder = RequestRecorder(lambda: NOW)
    recorder.record(record("/", 421, code="misdirected_request"))
    assert recorder.history.last_outcome is None
    recorder.record(record("/", 0, code="gateway_closed_without_answer"))
    assert recorder.history.last_outcome is not None


def test_log_lines_are_kept_up_to_a_bound_and_never_fail() -> None:
    buffer = LogBuffer()
    for number in range(LINES + 10):
        buffer.handle(logging.LogRecord("smgw_proxy_addon", logging.INFO, "", 0, "line %d", (number,), None))
    buffer.handle(logging.LogRecord("other", logging.INFO, "", 0, "%d", ("no number",), None))
    lines = buffer.lines()
    assert len(lines) == LINES
    assert lines[-2].endswith(f"line {LINES + 9}")
    assert lines[-1].endswith("other: (message of :0 failed: TypeError)")
