import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.schedule import IDLE_LIMIT_UNSEEN, MAX_AGE, MEMORY, Lifetime, Schedule, Ticket, Turn


def test_the_first_goes_the_next_waits_the_last_is_refused() -> None:
    schedule = Schedule(places=1, room=1)
    first, second, third = schedule.ask(), schedule.ask(), schedule.ask()
    assert [first.turn, second.turn, third.turn] == [Turn.GO, Turn.WAIT, Turn.REFUSED]
    assert (schedule.active, schedule.waiting) == (1, 1)

    assert schedule.leave(first) is second
    assert second.turn is Turn.GO
    assert schedule.leave(second) is None
    assert (schedule.active, schedule.waiting) == (0, 0)


def test_who_gives_up_waiting_takes_no_place() -> None:
    schedule = Schedule(places=1, room=3)
    holder, impatient, patient = (schedule.ask() for _ in range(3))
    assert schedule.leave(impatient) is None
    assert schedule.leave(holder) is patient


def test_a_ticket_that_was_refused_or_has_left_changes_nothing() -> None:
    schedule = Schedule(places=1, room=0)
    holder = schedule.ask()
    refused = schedule.ask()
    assert schedule.leave(refused) is None
    assert schedule.active == 1
    schedule.leave(holder)
    assert schedule.leave(holder) is None


@given(st.integers(1, 8), st.integers(0, 5), st.lists(st.integers(-8, 8)))
def test_never_more_than_places_and_in_the_order_of_asking(places: int, room: int, moves: list[int]) -> None:
    schedule = Schedule(places, room)
    active: list[Ticket] = []
    waiting: list[Ticket] = []
    for move in moves:
        if move >= 0 or not active:
            ticket = schedule.ask()
            if ticket.turn is Turn.GO:
                assert not waiting
                active.append(ticket)
            elif ticket.turn is Turn.WAIT:
                waiting.append(ticket)
        else:
            following = schedule.leave(active.pop(move % len(active)))
            assert following is (waiting[0] if waiting else None)
            if following is not None:
                active.append(waiting.pop(0))
        assert schedule.active == len(active) <= places
        assert schedule.waiting == len(waiting) <= room


def test_a_connection_is_kept_for_nine_minutes_before_a_limit_was_seen() -> None:
    assert Lifetime().keep(age=0, now=0) == IDLE_LIMIT_UNSEEN


def test_a_connection_is_kept_for_four_fifths_of_the_limit_that_was_seen() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=100, now=0)
    assert lifetime.keep(age=0, now=10) == pytest.approx(80)


def test_a_gateway_that_closes_after_each_answer_teaches_no_limit() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=0.2, now=0)
    assert lifetime.idle_limit(now=0) == IDLE_LIMIT_UNSEEN


def test_a_connection_is_not_kept_past_47_hours() -> None:
    lifetime = Lifetime()
    assert lifetime.keep(age=MAX_AGE - 10, now=0) == pytest.approx(10)
    assert lifetime.keep(age=MAX_AGE + 1, now=0) == 0


def test_a_limit_is_forgotten_after_a_day_so_that_one_restart_of_the_gateway_is() -> None:
    lifetime = Lifetime()
    lifetime.gateway_closed(idle=3, now=100)
    assert lifetime.idle_limit(now=100 + MEMORY) == pytest.approx(2.4)
    assert lifetime.idle_limit(now=101 + MEMORY) == IDLE_LIMIT_UNSEEN
