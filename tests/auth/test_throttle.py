"""The turns of logins: how many wrong ones are checked in which time, who waits for whom, and what is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.auth.throttle import FREE, LARGEST, PACE, PLACES, PLACES_IN_ALL, TOLD, VOUCHED, Guesses, Turn

HERE, THERE, USER, OTHER = "192.168.1.5", "192.168.1.6", "import", "feed-in"


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.news: list[tuple[str, bool]] = []

    def __call__(self, place: str, slowed: bool) -> None:
        self.news.append((place, slowed))


def book() -> Guesses:
    return Guesses(Told())


def wait(guesses: Guesses, address: str = HERE, user: str = USER, now: float = 0.0) -> float | None:
    """Tell how long a login would wait; it leaves nothing behind."""
    turn = guesses.ask(address, user, now)
    if turn:
        guesses.settle(turn, now, wrong=False)
    return turn.wait if turn else None


def owe(guesses: Guesses, count: int = FREE, address: str = HERE, user: str = USER, now: float = 0.0) -> None:
    """Have wrong logins checked at once."""
    for _ in range(count):
        turn = guesses.ask(address, user, now)
        assert turn
        assert turn.wait == 0
        guesses.settle(turn, now, wrong=True)


def test_a_handful_is_free_and_then_one_a_second() -> None:
    guesses = book()
    owe(guesses)
    turns = [guesses.ask(HERE, USER, 0.0) for _ in range(PLACES + 2)]
    assert [turn and turn.wait for turn in turns] == [*(PACE * number for number in range(1, PLACES + 1)), None, None]


@pytest.mark.parametrize(
    ("address", "user", "now", "waits"),
    [
        (HERE, USER, 0.0, PACE),
        (HERE, USER, 0.5, 0.5),
        (HERE, USER, PACE, 0.0),
        (HERE, OTHER, 0.0, 0.0),
        (THERE, USER, 0.0, 0.0),
        ("2001:db8::5", USER, 0.0, 0.0),
    ],
)
def test_who_waits_for_ten_wrong_logins(address: str, user: str, now: float, waits: float) -> None:
    guesses = book()
    owe(guesses)
    assert wait(guesses, address, user, now) == waits


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
    guesses = book()
    owe(guesses, address=first)
    assert wait(guesses, second) == (PACE if one else 0.0)


def test_an_ipv6_address_with_a_right_login_is_not_slowed_down_by_its_neighbours() -> None:
    guesses = book()
    guesses.vouch("fd00::5")
    owe(guesses, address="fd00::bad")
    assert wait(guesses, "fd00::5") == 0.0
    assert wait(guesses, "fd00::6") == PACE
    owe(guesses, address="fd00::5")
    assert wait(guesses, "fd00::5") == PACE, "nor may it guess"


def test_right_logins_cost_nothing_and_pay_nothing() -> None:
    guesses = book()
    for _ in range(1000):
        assert wait(guesses) == 0.0
    assert guesses.remembered == 0
    owe(guesses, FREE)
    for _ in range(1000):
        assert wait(guesses) == PACE
    assert wait(guesses, now=FREE * PACE - 0.1) == 0.0


def test_a_program_that_asks_every_two_seconds_with_a_wrong_password_slows_nobody_down() -> None:
    guesses = book()
    for number in range(1000):
        owe(guesses, 1, now=2.0 * number)
    assert guesses.remembered == 1


def test_who_leaves_makes_room() -> None:
    guesses = book()
    owe(guesses)
    turns = [guesses.ask(HERE, USER, 0.0) for _ in range(PLACES)]
    assert guesses.ask(HERE, USER, 0.0) is None
    assert turns[0]
    guesses.settle(turns[0], 0.5, wrong=False)
    assert guesses.ask(HERE, USER, 0.5)
    assert guesses.ask(HERE, USER, 0.5) is None


def test_an_address_may_not_take_all_places_with_many_names() -> None:
    guesses = book()
    for number in range(20):
        owe(guesses, user=f"user-{number}")
    taken = [guesses.ask(HERE, f"user-{number % 20}", 0.0) for number in range(100)]
    assert sum(turn is not None for turn in taken) == PLACES
    owe(guesses, address=THERE)
    assert guesses.ask(THERE, USER, 0.0)


def test_all_addresses_together_may_not_take_all_connections() -> None:
    guesses = book()
    for number in range(20):
        owe(guesses, address=f"10.0.0.{number}")
    taken = [guesses.ask(f"10.0.0.{number % 20}", USER, 0.0) for number in range(1000)]
    assert sum(turn is not None for turn in taken) == PLACES_IN_ALL
    assert wait(guesses, THERE) == 0.0


def test_the_memory_is_bounded_and_keeps_those_who_owe_most() -> None:
    guesses = book()
    owe(guesses, address=THERE)
    for number in range(100_000):
        owe(guesses, 1, address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", now=number / 1e6)
        assert guesses.remembered <= LARGEST
    assert wait(guesses, THERE, now=0.1) == pytest.approx(0.9)


def test_what_is_paid_is_forgotten_first() -> None:
    guesses = book()
    for number in range(LARGEST):
        owe(guesses, address=f"10.0.{number >> 8}.{number & 255}")
    owe(guesses, 1, address=HERE, now=FREE * PACE)
    assert guesses.remembered == 1


def test_addresses_with_right_logins_are_not_remembered_for_ever() -> None:
    guesses = book()
    for number in range(VOUCHED * 10):
        guesses.vouch("fd00::1")
        guesses.vouch(f"fd00::{number:x}:5")
        guesses.vouch(f"10.0.{number >> 8}.{number & 255}")
    assert guesses.remembered == VOUCHED
    owe(guesses, address="fd00::bad")
    assert wait(guesses, "fd00::1") == 0.0, "it is used all the time"
    assert wait(guesses, "fd00::1:5") == PACE


def test_the_begin_and_the_end_are_told_once() -> None:
    told = Told()
    guesses = Guesses(told)
    owe(guesses)
    assert told.news == []
    for number in range(50):
        turn = guesses.ask(HERE, USER, float(number))
        assert turn
        guesses.settle(turn, number + turn.wait, wrong=True)
    assert told.news == [(HERE, True)]
    wait(guesses, THERE, now=49.0 + FREE)
    assert told.news == [(HERE, True)]
    wait(guesses, THERE, now=50.0 + FREE)
    assert told.news == [(HERE, True), (HERE, False)]


def test_no_crowd_fills_the_log() -> None:
    told = Told()
    guesses = Guesses(told)
    for number in range(1000):
        address = f"10.0.{number >> 8}.{number & 255}"
        owe(guesses, address=address)
        wait(guesses, address)
    assert len(told.news) == TOLD
    wait(guesses, now=100.0)
    assert len(told.news) == 2 * TOLD


STEPS = st.tuples(
    st.sampled_from(["come", "come", "come", "go", "check", "check", "later"]), st.booleans(), st.integers(0, 20)
)


@given(st.lists(STEPS, max_size=200))
def test_no_order_of_events_lets_more_be_checked(steps: list[tuple[str, bool, int]]) -> None:
    guesses = book()
    now, wrong_ones = 0.0, 0
    waiting: list[tuple[float, Turn]] = []
    for what, wrong, number in steps:
        due = [each for each in waiting if each[0] <= now]
        if what == "later":
            now += number / 4
        elif what == "come" and (turn := guesses.ask(HERE, USER, now)):
            waiting.append((now + turn.wait, turn))
        elif what == "go" and waiting:
            guesses.settle(waiting.pop(number % len(waiting))[1], now, wrong=False)
        elif what == "check" and due:
            waiting.remove(due[number % len(due)])
            guesses.settle(due[number % len(due)][1], now, wrong=wrong)
            wrong_ones += wrong
        assert wrong_ones <= FREE + PLACES + now / PACE
        assert sum(turn.wait > 0 for _, turn in waiting) <= PLACES
    for _, turn in waiting:
        guesses.settle(turn, now, wrong=False)
    later = now + FREE + PLACES
    assert wait(guesses, now=later) == 0.0
    assert guesses.remembered == 0
