"""How many wrong logins are checked in which time, which logins are delayed, and how much is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.auth.throttle import (
    BURST,
    INTERVAL,
    MOST_BUCKETS,
    MOST_COUNTED_ALONE,
    MOST_DELAYED,
    MOST_DELAYED_IN_ALL,
    MOST_REPORTED,
    Reservation,
    Throttle,
)

HERE, THERE, USER, OTHER = "192.168.1.5", "192.168.1.6", "import", "feed-in"


class Reports:
    """What was reported, in order."""

    def __init__(self) -> None:
        self.news: list[tuple[str, bool]] = []

    def __call__(self, place: str, slowed: bool) -> None:
        self.news.append((place, slowed))


def make_throttle() -> Throttle:
    return Throttle(Reports())


def wait(throttle: Throttle, address: str = HERE, user: str = USER, now: float = 0.0) -> float | None:
    """Tell how long a login would wait; it leaves nothing behind."""
    reservation = throttle.reserve(address, user, now)
    if reservation:
        throttle.settle(reservation, now, wrong=False)
    return reservation.delay if reservation else None


def owe(throttle: Throttle, count: int = BURST, address: str = HERE, user: str = USER, now: float = 0.0) -> None:
    """Have wrong logins checked at once."""
    for _ in range(count):
        reservation = throttle.reserve(address, user, now)
        assert reservation
        assert reservation.delay == 0
        throttle.settle(reservation, now, wrong=True)


def test_a_handful_is_free_and_then_one_a_second() -> None:
    throttle = make_throttle()
    owe(throttle)
    reservations = [throttle.reserve(HERE, USER, 0.0) for _ in range(MOST_DELAYED + 2)]
    assert [reservation and reservation.delay for reservation in reservations] == [
        *(INTERVAL * number for number in range(1, MOST_DELAYED + 1)),
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("address", "user", "now", "waits"),
    [
        (HERE, USER, 0.0, INTERVAL),
        (HERE, USER, 0.5, 0.5),
        (HERE, USER, INTERVAL, 0.0),
        (HERE, OTHER, 0.0, 0.0),
        (THERE, USER, 0.0, 0.0),
        ("2001:db8::5", USER, 0.0, 0.0),
    ],
)
def test_who_waits_for_ten_wrong_logins(address: str, user: str, now: float, waits: float) -> None:
    throttle = make_throttle()
    owe(throttle)
    assert wait(throttle, address, user, now) == waits


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%3", True),
        ("fe80::1", "fd00::1", False),
        ("not:an:address", "not:an:address", True),
        ("192.168.1.5", "192.168.1.6", False),
    ],
)
def test_addresses_of_ipv6_are_counted_by_their_network(first: str, second: str, one: bool) -> None:
    throttle = make_throttle()
    owe(throttle, address=first)
    assert wait(throttle, second) == (INTERVAL if one else 0.0)


def test_an_ipv6_address_with_a_right_login_is_not_slowed_down_by_its_neighbours() -> None:
    throttle = make_throttle()
    throttle.count_alone("fd00::5")
    owe(throttle, address="fd00::bad")
    assert wait(throttle, "fd00::5") == 0.0
    assert wait(throttle, "fd00::6") == INTERVAL
    owe(throttle, address="fd00::5")
    assert wait(throttle, "fd00::5") == INTERVAL, "nor may it guess"


def test_right_logins_cost_nothing_and_pay_nothing() -> None:
    throttle = make_throttle()
    for _ in range(1000):
        assert wait(throttle) == 0.0
    assert throttle.size == 0
    owe(throttle, BURST)
    for _ in range(1000):
        assert wait(throttle) == INTERVAL
    assert wait(throttle, now=BURST * INTERVAL - 0.1) == 0.0


def test_a_program_that_asks_every_two_seconds_with_a_wrong_password_slows_nobody_down() -> None:
    throttle = make_throttle()
    for number in range(1000):
        owe(throttle, 1, now=2.0 * number)
    assert throttle.size == 1


def test_who_leaves_makes_room() -> None:
    throttle = make_throttle()
    owe(throttle)
    reservations = [throttle.reserve(HERE, USER, 0.0) for _ in range(MOST_DELAYED)]
    assert throttle.reserve(HERE, USER, 0.0) is None
    assert reservations[0]
    throttle.settle(reservations[0], 0.5, wrong=False)
    assert throttle.reserve(HERE, USER, 0.5)
    assert throttle.reserve(HERE, USER, 0.5) is None


def test_an_address_may_not_take_all_places_with_many_names() -> None:
    throttle = make_throttle()
    for number in range(20):
        owe(throttle, user=f"user-{number}")
    taken = [throttle.reserve(HERE, f"user-{number % 20}", 0.0) for number in range(100)]
    assert sum(reservation is not None for reservation in taken) == MOST_DELAYED
    owe(throttle, address=THERE)
    assert throttle.reserve(THERE, USER, 0.0)


def test_all_addresses_together_may_not_take_all_connections() -> None:
    throttle = make_throttle()
    for number in range(20):
        owe(throttle, address=f"10.0.0.{number}")
    taken = [throttle.reserve(f"10.0.0.{number % 20}", USER, 0.0) for number in range(1000)]
    assert sum(reservation is not None for reservation in taken) == MOST_DELAYED_IN_ALL
    assert wait(throttle, THERE) == 0.0


def test_the_memory_is_bounded_and_keeps_those_who_owe_most() -> None:
    throttle = make_throttle()
    owe(throttle, address=THERE)
    for number in range(100_000):
        owe(throttle, 1, address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", now=number / 1e6)
        assert throttle.size <= MOST_BUCKETS
    assert wait(throttle, THERE, now=0.1) == pytest.approx(0.9)


def test_what_is_paid_is_forgotten_first() -> None:
    throttle = make_throttle()
    for number in range(MOST_BUCKETS):
        owe(throttle, address=f"10.0.{number >> 8}.{number & 255}")
    owe(throttle, 1, address=HERE, now=BURST * INTERVAL)
    assert throttle.size == 1


def test_addresses_with_right_logins_are_not_remembered_for_ever() -> None:
    throttle = make_throttle()
    for number in range(MOST_COUNTED_ALONE * 10):
        throttle.count_alone("fd00::1")
        throttle.count_alone(f"fd00::{number:x}:5")
        throttle.count_alone(f"10.0.{number >> 8}.{number & 255}")
    assert throttle.size == MOST_COUNTED_ALONE
    owe(throttle, address="fd00::bad")
    assert wait(throttle, "fd00::1") == 0.0, "it is used all the time"
    assert wait(throttle, "fd00::1:5") == INTERVAL


def test_the_begin_and_the_end_are_told_once() -> None:
    reports = Reports()
    throttle = Throttle(reports)
    owe(throttle)
    assert reports.news == []
    for number in range(50):
        reservation = throttle.reserve(HERE, USER, float(number))
        assert reservation
        throttle.settle(reservation, number + reservation.delay, wrong=True)
    assert reports.news == [(HERE, True)]
    wait(throttle, THERE, now=49.0 + BURST)
    assert reports.news == [(HERE, True)]
    wait(throttle, THERE, now=50.0 + BURST)
    assert reports.news == [(HERE, True), (HERE, False)]


def test_no_crowd_fills_the_log() -> None:
    reports = Reports()
    throttle = Throttle(reports)
    for number in range(1000):
        address = f"10.0.{number >> 8}.{number & 255}"
        owe(throttle, address=address)
        wait(throttle, address)
    assert len(reports.news) == MOST_REPORTED
    wait(throttle, now=100.0)
    assert len(reports.news) == 2 * MOST_REPORTED


STEPS = st.tuples(
    st.sampled_from(["come", "come", "come", "go", "check", "check", "later"]), st.booleans(), st.integers(0, 20)
)


@given(st.lists(STEPS, max_size=200))
def test_no_order_of_events_lets_more_be_checked(steps: list[tuple[str, bool, int]]) -> None:
    throttle = make_throttle()
    now, wrong_ones = 0.0, 0
    waiting: list[tuple[float, Reservation]] = []
    for what, wrong, number in steps:
        due = [each for each in waiting if each[0] <= now]
        if what == "later":
            now += number / 4
        elif what == "come" and (reservation := throttle.reserve(HERE, USER, now)):
            waiting.append((now + reservation.delay, reservation))
        elif what == "go" and waiting:
            throttle.settle(waiting.pop(number % len(waiting))[1], now, wrong=False)
        elif what == "check" and due:
            waiting.remove(due[number % len(due)])
            throttle.settle(due[number % len(due)][1], now, wrong=wrong)
            wrong_ones += wrong
        assert wrong_ones <= BURST + MOST_DELAYED + now / INTERVAL
        assert sum(reservation.delay > 0 for _, reservation in waiting) <= MOST_DELAYED
    for _, reservation in waiting:
        throttle.settle(reservation, now, wrong=False)
    later = now + BURST + MOST_DELAYED
    assert wait(throttle, now=later) == 0.0
    assert throttle.size == 0
