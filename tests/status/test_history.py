"""The history of requests counts right and is bounded."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.status.history import BUCKETS, CLIENTS, LAST_REQUESTS, MANY_POLLS, Bucket, Entry, History

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def entry(at: datetime = NOW, **changes: object) -> Entry:
    values: dict[str, object] = {
        "at": at,
        "client": "192.168.1.5",
        "method": "GET",
        "target": "/",
        "status": 200,
        "waiting": 0.0,
        "connecting": 0.0,
        "answering": 0.5,
        "reused": True,
    }
    return Entry(**(values | changes))  # type: ignore[arg-type] # each test changes what it is about


@pytest.mark.parametrize(
    ("status", "code", "failed", "answered"),
    [
        (200, None, False, True),
        (401, None, False, True),
        (404, None, False, True),
        (500, None, True, True),
        (502, "gateway_refused", True, False),
        (0, "gateway_closed_without_answer", True, False),
        (200, "gateway_answer_truncated", True, False),
        (200, "client_gone", False, False),
        (0, "client_gone", False, False),
        (421, "misdirected_request", True, False),
    ],
)
def test_what_a_failure_is(status: int, code: str | None, failed: bool, answered: bool) -> None:
    each = entry(status=status, code=code)
    assert (each.failed, each.answered) == (failed, answered)


def test_a_kept_answer_is_none_of_the_gateway() -> None:
    history = History()
    history.add(entry(answering=0.5))
    history.add(entry(status=502, code="gateway_refused"))
    history.add(entry(at=NOW + timedelta(minutes=1), reused=None, answering=0.0))
    assert history.last_answer == entry(answering=0.5)
    assert history.last_outcome == entry(status=502, code="gateway_refused")
    day = history.day(NOW)
    assert (day.total.requests, day.total.answer_mean) == (3, 0.5)


def test_the_newest_comes_first_and_only_so_many_are_kept() -> None:
    history = History()
    for number in range(LAST_REQUESTS + 5):
        history.add(entry(target=f"/{number}"))
    entries = history.entries()
    assert len(entries) == LAST_REQUESTS
    assert entries[0].target == f"/{LAST_REQUESTS + 4}"
    assert history.count == LAST_REQUESTS + 5


def test_the_day_counts_by_ten_minutes() -> None:
    history = History()
    history.add(entry(NOW - timedelta(hours=25)))
    history.add(entry(NOW - timedelta(hours=2), answering=1.0))
    history.add(entry(NOW - timedelta(hours=2), answering=3.0))
    history.add(entry(NOW, status=502, code="gateway_refused"))
    day = history.day(NOW)
    assert len(day.buckets) == BUCKETS
    assert (day.total.requests, day.total.errors) == (3, 1)
    assert (day.total.answer_mean, day.total.answer_max) == (2.0, 3.0)
    assert (day.hour.requests, day.hour.errors) == (1, 1)
    assert day.buckets[-1].errors == 1
    assert day.buckets[-1].answer_mean is None
    assert day.buckets[-13].requests == 2
    assert day.buckets[-13].start == NOW - timedelta(hours=2)


def test_an_empty_day_has_no_mean() -> None:
    day = History().day(NOW)
    assert (day.total, day.polls_an_hour) == (Bucket(day.buckets[0].begin), 0)
    assert day.total.answer_mean is None


def test_a_clock_that_jumps_leaves_nothing_of_the_future() -> None:
    history = History()
    history.add(entry(NOW + timedelta(days=3)))
    history.add(entry(NOW))
    assert history.day(NOW).total.requests == 1


def test_clients_are_counted_for_a_day_the_busiest_first() -> None:
    history = History()
    history.add(entry(NOW - timedelta(hours=26), client="10.0.0.1"))
    history.add(entry(NOW - timedelta(hours=26), client="10.0.0.9"))
    for hour in range(3):
        history.add(entry(NOW - timedelta(hours=2 - hour), client="10.0.0.2", status=504, code="gateway_timeout"))
    history.add(entry(NOW, client="10.0.0.1"))
    told = [(each.address, each.requests, each.errors, each.last) for each in history.clients(NOW)]
    assert told == [("10.0.0.2", 3, 3, NOW), ("10.0.0.1", 1, 0, NOW)]


def test_only_the_last_clients_are_kept() -> None:
    history = History()
    for number in range(CLIENTS):
        history.add(entry(client=f"fd00::{number}"))
    history.add(entry(client="fd00::0"))
    history.add(entry(client="fd00::ffff"))
    addresses = {each.address for each in history.clients(NOW)}
    assert len(addresses) == CLIENTS
    assert {"fd00::0", "fd00::ffff"} < addresses
    assert "fd00::1" not in addresses


@pytest.mark.parametrize(
    ("minutes", "many"),
    [((15,), False), ((15, 15), False), ((10,), False), ((10, 10), True), ((5,), True), ((1,), True)],
)
def test_polls_at_a_rate_that_locked_gateways(minutes: tuple[int, ...], many: bool) -> None:
    history = History()
    requests = []
    for number, each in enumerate(minutes):
        for start in range(0, 180, each):
            # one poll is several requests within some seconds
            at = NOW - timedelta(minutes=start, seconds=30)
            requests += [entry(at + timedelta(seconds=5 * n), client=f"10.0.0.{number}") for n in range(4)]
    for request in sorted(requests, key=lambda request: request.at):
        history.add(request)
    assert (history.day(NOW).polls_an_hour > MANY_POLLS) is many


def test_what_never_reached_the_gateway_is_no_poll() -> None:
    history = History()
    for minute in range(0, 120, 2):
        history.add(entry(NOW - timedelta(minutes=120 - minute), reused=None, status=503, code="queue_full"))
    assert history.day(NOW).polls_an_hour == 0


def test_the_last_of_each_kind() -> None:
    history = History()
    history.add(answered := entry(target="/answered"))
    history.add(lost := entry(status=502, code="gateway_refused"))
    history.add(refused := entry(status=421, code="misdirected_request"))
    history.add(entry(status=0, code="client_gone"))
    assert history.last_answer is answered
    assert history.last_outcome is lost
    assert history.last_failure is refused


def test_refused_logins_are_counted_in_a_row() -> None:
    history = History()
    for status in (401, 200, 401, 401):
        history.add(entry(status=status))
    history.add(entry(status=503, code="queue_full"))
    assert history.unanswered_logins == 2


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 300), st.sampled_from([200, 401, 502])), max_size=400)
)
def test_nothing_grows_past_its_limit(events: list[tuple[int, int, int]]) -> None:
    history = History()
    for seconds, client, status in events:
        history.add(entry(NOW + timedelta(seconds=seconds), client=str(client), status=status))
    now = NOW + timedelta(seconds=200_000)
    assert len(history.entries()) <= LAST_REQUESTS
    assert len(history.clients(now)) <= CLIENTS
    day = history.day(now)
    assert sum(each.requests for each in history.clients(now)) <= len(events)
    assert day.total.errors <= day.total.requests <= len(events)


def test_a_busy_month_takes_no_more_than_a_busy_day() -> None:
    history = History()
    for number in range(30 * 24 * 6):
        at = NOW + timedelta(minutes=10 * number)
        history.add(entry(at, client=f"10.0.{number % 256}.1", target="/" + "x" * 199))
    clients = history._clients.values()  # noqa: SLF001 - the bound is on what is held, not on what is shown
    assert len(clients) == CLIENTS
    assert max(len(client.hours._buckets) for client in clients) <= 24  # noqa: SLF001 - see above
    assert len(history._day._buckets) <= BUCKETS  # noqa: SLF001 - see above
