"""Who goes, who waits and who is refused: examples, and what holds for any course of events."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.gateway.ppc_session import CgiRequest, Meaning, Outcome, SessionLease
from smgw_proxy_addon.gateway.scheduler import (
    REMEMBERED,
    Claim,
    Schedule,
    Ticket,
    Turn,
)

LOGIN = CgiRequest()
OPENED = Outcome(Meaning.OPENED, b"a")
SERVED = Outcome(Meaning.SERVED)
ENDED = Outcome(Meaning.ENDED)


def of(session: bytes) -> CgiRequest:
    """A request of the holder of a session."""
    return CgiRequest((session,))


def ask(schedule: Schedule, *addresses: str, now: float = 0) -> list[Ticket]:
    return [schedule.ask(Claim(address), now) for address in addresses]


def turns(tickets: Iterable[Ticket]) -> list[Turn]:
    return [ticket.turn for ticket in tickets]


def order(schedule: Schedule, first: Ticket, now: float = 0) -> str:
    """Let one after the other leave; return the addresses in the order in which they went."""
    went = ""
    following = [first]
    while following:
        (ticket,) = following
        went += ticket.claim.address
        following = schedule.leave(ticket, now)
    return went


# Places, the room, the door


def test_the_first_goes_others_wait_stand_at_the_door_and_are_refused() -> None:
    schedule = Schedule(places=1, room=2, patience=60, door=1)
    first, second, third, fourth, fifth = ask(schedule, *"abcde")
    assert turns([first, second, third, fourth, fifth]) == [*(Turn.GO, Turn.WAIT, Turn.WAIT, Turn.DOOR, Turn.REFUSED)]
    assert (schedule.active, schedule.waiting) == (1, 3)

    assert schedule.leave(first, 0) == [second]
    assert (second.turn, fourth.turn) == (Turn.GO, Turn.WAIT)
    assert schedule.leave(second, 0) == [third]
    assert schedule.leave(third, 0) == [fourth]
    assert schedule.leave(fourth, 0) == []
    assert (schedule.active, schedule.waiting) == (0, 0)


def test_one_address_fills_half_of_the_room_and_then_stands_at_the_door() -> None:
    schedule = Schedule(places=1, room=4, patience=60)
    assert turns(ask(schedule, *"aaaa")) == [Turn.GO, Turn.WAIT, Turn.WAIT, Turn.DOOR]
    assert turns(ask(schedule, *"bbbcc")) == [Turn.WAIT, Turn.WAIT, Turn.DOOR, Turn.DOOR, Turn.DOOR]


def test_who_gives_up_waiting_takes_no_place_and_makes_space() -> None:
    schedule = Schedule(places=1, room=2, patience=60)
    holder, impatient, patient, outside = ask(schedule, *"abcd")
    assert schedule.leave(impatient, 0) == []
    assert outside.turn is Turn.WAIT
    assert schedule.leave(holder, 0) == [patient]


def test_a_ticket_that_was_refused_or_has_left_changes_nothing() -> None:
    schedule = Schedule(places=1, room=0, patience=60, door=0)
    holder, refused = ask(schedule, "a", "b")
    assert schedule.leave(refused, 0) == []
    assert schedule.active == 1
    schedule.leave(holder, 0)
    assert schedule.leave(holder, 0) == []


# The order


def test_addresses_take_turns_and_each_is_served_in_its_own_order() -> None:
    schedule = Schedule(places=1, room=32, patience=60)
    first, *_ = ask(schedule, *"aaaaabbc")
    assert order(schedule, first) == "aabcabaa"


def test_who_asks_one_by_one_gets_every_second_turn_beside_a_greedy_one() -> None:
    schedule = Schedule(places=1, room=32, patience=60)
    (running,) = ask(schedule, "modest")
    ask(schedule, *["greedy"] * 12)
    went = []
    for _ in range(12):
        (following,) = schedule.leave(running, 0)
        went.append(following.claim.address)
        if running.claim.address == "modest":
            ask(schedule, "modest")
        running = following
    assert went == ["greedy", "modest"] * 6


def test_addresses_that_ask_no_more_are_forgotten() -> None:
    schedule = Schedule(places=1, room=2, patience=60)
    for number in range(100):
        (ticket,) = ask(schedule, str(number))
        schedule.leave(ticket, 0)
    assert len(schedule._inside._ring) == REMEMBERED  # noqa: SLF001 - nobody outside can tell


@pytest.mark.parametrize("waiting", [0, 32])
def test_addresses_that_never_have_a_turn_are_forgotten_in_the_room_and_at_the_door(waiting: int) -> None:
    schedule = Schedule(places=1, room=32, patience=60)
    ask(schedule, "at the gateway", *(f"waiting {number}" for number in range(waiting)))
    for number in range(500):
        (ticket,) = ask(schedule, f"leaving {number}")
        schedule.leave(ticket, 0)
    for line in (schedule._inside, schedule._outside):  # noqa: SLF001 - nobody outside can tell
        assert len(line._ring) <= REMEMBERED + waiting  # noqa: SLF001 - see above


def test_addresses_that_wait_are_never_forgotten() -> None:
    schedule = Schedule(places=1, room=200, patience=60)
    first, *_ = ask(schedule, *map(chr, range(100, 200)))
    assert len(order(schedule, first)) == 100


# Time


@pytest.mark.parametrize(
    ("address", "limit", "turn"), [("b", 60, Turn.LATE), ("c", 2, Turn.REFUSED)], ids=["room", "door"]
)
def test_nobody_waits_for_longer_than_the_patience(address: str, limit: float, turn: Turn) -> None:
    schedule = Schedule(places=1, room=1, patience=60)
    ask(schedule, "a")
    tickets = {ticket.claim.address: ticket for ticket in ask(schedule, *"bc"[: "bc".index(address) + 1], now=10)}
    assert schedule.next_change() == 10 + limit
    assert schedule.advance(10 + limit - 0.001) == []
    assert schedule.advance(10 + limit) == [tickets[address]]
    assert tickets[address].turn is turn


def test_the_patience_counts_from_asking_also_for_who_came_in_by_the_door() -> None:
    schedule = Schedule(places=1, room=1, patience=60)
    _, inside, outside = ask(schedule, *"abc")
    schedule.leave(inside, 1)
    assert outside.turn is Turn.WAIT
    assert schedule.next_change() == 60


def test_who_is_late_makes_space_for_one_at_the_door() -> None:
    schedule = Schedule(places=1, room=1, patience=60)
    ask(schedule, "a")
    (inside,) = ask(schedule, "b")
    (outside,) = ask(schedule, "c", now=59)
    assert schedule.advance(60) == [inside]
    assert outside.turn is Turn.WAIT


# The session


def logged_in(places: int = 1, room: int = 32) -> Schedule:
    """A schedule whose session is held by the cookie ``a`` since 0 s."""
    schedule = Schedule(places, room, patience=60)
    ticket = schedule.ask(Claim("a", LOGIN), 0)
    schedule.note(ticket, OPENED, 0)
    schedule.leave(ticket, 0)
    return schedule


def test_who_is_not_logged_in_waits_for_the_logout_and_nobody_waits_behind_it() -> None:
    schedule = logged_in()
    stranger = schedule.ask(Claim("a", LOGIN), 1)
    assert stranger.turn is Turn.WAIT
    for claim in (Claim("a", of(b"a")), Claim("a")):
        ticket = schedule.ask(claim, 1)
        assert ticket.turn is Turn.GO
        assert schedule.leave(ticket, 2) == []
    logout = schedule.ask(Claim("a", of(b"a")), 3)
    schedule.note(logout, ENDED, 3)
    assert stranger.turn is Turn.WAIT
    assert schedule.leave(logout, 4) == [stranger]


def test_who_waits_for_a_session_takes_no_turn_from_those_behind_it() -> None:
    schedule = logged_in()
    running = schedule.ask(Claim("a", of(b"a")), 1)
    stranger = schedule.ask(Claim("a", LOGIN), 1)
    behind, other = ask(schedule, "a", "b", now=1)
    assert schedule.leave(running, 1) == [behind]
    assert schedule.leave(behind, 1) == [other]
    assert schedule.leave(other, 1) == []
    assert stranger.turn is Turn.WAIT


def test_a_room_full_of_those_who_wait_for_a_session_keeps_nobody_else_out() -> None:
    schedule = logged_in(room=2)
    waiting = [schedule.ask(Claim("a", LOGIN), 1) for _ in range(2)]
    running = schedule.ask(Claim("a", of(b"a")), 1)
    outside = schedule.ask(Claim("a", of(b"a")), 1)
    assert turns([*waiting, running, outside]) == [Turn.WAIT, Turn.DOOR, Turn.GO, Turn.DOOR]
    assert schedule.leave(running, 1) == [outside]


def test_one_login_at_a_time_also_with_more_places() -> None:
    schedule = Schedule(places=3, room=8, patience=60)
    login, other = (schedule.ask(Claim(address, LOGIN), 0) for address in "ab")
    assert turns([login, other, *ask(schedule, "c")]) == [Turn.GO, Turn.WAIT, Turn.GO]
    schedule.note(login, OPENED, 1)
    mine = schedule.ask(Claim("a", of(b"a")), 1)
    assert mine.turn is Turn.GO  # though the login's body is still under way
    assert schedule.leave(login, 1) == []
    schedule.note(mine, ENDED, 2)
    assert schedule.leave(mine, 2) == [other]


def test_a_login_that_fails_lets_the_next_one_go() -> None:
    schedule = Schedule(places=2, room=8, patience=60)
    login, other = (schedule.ask(Claim(address, LOGIN), 0) for address in "ab")
    assert schedule.leave(login, 1) == [other]


def test_who_waits_for_a_session_for_eight_seconds_is_told_so() -> None:
    schedule = logged_in(places=2)
    holder = schedule.ask(Claim("a", of(b"a")), 1)  # a long export
    stranger = schedule.ask(Claim("b", LOGIN), 2)
    assert schedule.next_change() == 10
    assert schedule.advance(9.9) == []
    assert schedule.advance(10) == [stranger]
    assert stranger.turn is Turn.BUSY
    assert schedule.next_change() is None
    assert schedule.leave(holder, 11) == []


def test_eight_seconds_count_only_while_a_session_is_in_the_way() -> None:
    schedule = Schedule(places=1, room=8, patience=60)
    (other,) = ask(schedule, "x")
    waiting = schedule.ask(Claim("b", LOGIN), 0)
    assert schedule.next_change() == 60
    assert schedule.advance(30) == []
    assert schedule.leave(other, 31) == [waiting]


@pytest.mark.parametrize(("asked", "goes"), [(25, 30), (29.5, 30), (31, 31), (500, 500)])
def test_a_silent_holder_loses_the_session_after_30_seconds(asked: float, goes: float) -> None:
    schedule = logged_in()
    stranger = schedule.ask(Claim("b", LOGIN), asked)
    if goes > asked:
        assert schedule.next_change() == goes
        assert schedule.advance(goes - 0.1) == []
        assert schedule.advance(goes) == [stranger]
    assert stranger.turn is Turn.GO


def test_who_comes_after_another_does_not_take_its_turn_when_the_session_is_over() -> None:
    schedule = logged_in()
    first, second = (schedule.ask(Claim(address, LOGIN), now) for address, now in (("b", 29), ("c", 31)))
    assert turns([second]) == [Turn.WAIT]
    assert schedule.advance(31) == [first]


def test_a_holder_that_waits_for_its_turn_is_not_silent() -> None:
    schedule = logged_in()
    schedule.session_patience = 40
    (running,) = ask(schedule, "x", now=1)
    stranger = schedule.ask(Claim("a", LOGIN), 2)
    mine = schedule.ask(Claim("a", of(b"a")), 3)
    assert schedule.next_change() == 42
    assert schedule.leave(running, 34) == [mine]
    assert schedule.leave(mine, 35) == []
    assert schedule.advance(42) == [stranger]
    assert stranger.turn is Turn.BUSY


def test_a_holder_that_never_logs_out_has_five_minutes_if_others_wait() -> None:
    schedule = logged_in()
    for now in range(0, 600, 20):
        mine = schedule.ask(Claim("a", of(b"a")), now)
        assert mine.turn is Turn.GO
        schedule.leave(mine, now)
    # Nobody waited up to now; somebody who does is let in at once.
    assert schedule.ask(Claim("b", LOGIN), 600).turn is Turn.GO
    assert schedule.ask(Claim("a", of(b"a")), 600).turn is Turn.WAIT


def test_five_minutes_are_over_only_between_two_requests_of_the_holder() -> None:
    schedule = logged_in(places=2)
    mine = schedule.ask(Claim("a", of(b"a")), 299)
    stranger = schedule.ask(Claim("b", LOGIN), 299)
    assert schedule.advance(301) == []
    assert schedule.leave(mine, 302) == [stranger]


def test_a_holder_whose_requests_overlap_starts_no_more_after_five_minutes_if_others_wait() -> None:
    schedule = logged_in(places=2)
    first = schedule.ask(Claim("a", of(b"a")), 299)
    stranger = schedule.ask(Claim("b", LOGIN), 299)
    second = schedule.ask(Claim("a", of(b"a")), 300)
    assert turns([second]) == [Turn.WAIT]
    assert schedule.leave(first, 301) == [stranger]
    schedule.note(stranger, Outcome(Meaning.OPENED, b"b"), 302)
    assert schedule.leave(stranger, 302) == []
    assert schedule.advance(308) == [second]
    assert second.turn is Turn.BUSY


def test_a_holder_goes_on_when_those_who_waited_have_left() -> None:
    schedule = logged_in(places=2)
    running = schedule.ask(Claim("a", of(b"a")), 298)
    stranger = schedule.ask(Claim("b", LOGIN), 298)
    mine = schedule.ask(Claim("a", of(b"a")), 301)
    assert schedule.advance(306) == [stranger, mine]
    assert turns([running, stranger, mine]) == [Turn.GO, Turn.BUSY, Turn.GO]


def test_a_holder_that_the_proxy_logs_out_makes_nobody_else_go_before() -> None:
    schedule = logged_in(places=2)
    schedule.session.logs_out = True
    running = schedule.ask(Claim("a", of(b"a")), 299)
    stranger = schedule.ask(Claim("b", LOGIN), 299)
    logout = schedule.ask(Claim("", CgiRequest((b"a",), ends=True)), 300)
    mine = schedule.ask(Claim("a", of(b"a")), 301)
    assert turns([running, stranger, logout, mine]) == [Turn.GO, *(Turn.WAIT,) * 3]
    assert schedule.leave(running, 302) == [logout]
    schedule.note(logout, ENDED, 303)
    assert schedule.leave(logout, 303) == [stranger]


@pytest.mark.parametrize("sent", [True, False])
def test_a_logout_that_fails_keeps_nobody_waiting(sent: bool) -> None:
    schedule = logged_in()
    schedule.session.logs_out = True
    schedule.session_patience = 60
    schedule.leave(schedule.ask(Claim("a", of(b"a")), 299), 299)
    stranger = schedule.ask(Claim("b", LOGIN), 299)
    assert schedule.next_change() == 300
    assert schedule.advance(300) == []
    assert schedule.session.over
    assert schedule.next_change() == 329  # silent, as nothing of the holder may start
    if sent:
        logout = schedule.ask(Claim("", CgiRequest((b"a",), ends=True)), 300)
        assert logout.turn is Turn.GO
        assert schedule.leave(logout, 302) == [stranger]
    else:
        assert schedule.advance(329) == [stranger]


# What holds for any course of events

SESSIONS = (b"a", b"b", b"")
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "leave", "leave", "opened", "served", "ended", "give up", "time"]),
        st.sampled_from("abcd"),
        st.sampled_from([None, *SESSIONS]),
        st.integers(0, 40),
    ),
    max_size=80,
)


class Watched:
    """A schedule, and what must hold for it after each move."""

    def __init__(self, places: int, room: int, door: int, *, logs_out: bool = False) -> None:
        session = SessionLease(tenure=15, logs_out=logs_out)
        self.schedule = Schedule(places, room, patience=60, door=door, session=session)
        self.now = 0.0
        self.active: list[Ticket] = []
        self.waiting: list[Ticket] = []
        self.passed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How often each other address had a turn while this one waited inside and might have gone."""

    def move(self, kind: str, address: str, session: bytes | None, number: int) -> None:
        if kind == "ask":
            self.ask(Claim(address, None if session is None else CgiRequest((session,) if session else ())))
        elif kind == "time":
            self.told(self.schedule.advance(self.let_pass(number)))
        elif kind == "give up":
            if self.waiting:
                self.told(self.schedule.leave(self.waiting.pop(number % len(self.waiting)), self.now))
        elif self.active:
            ticket = self.active.pop(number % len(self.active))
            meaning = {"opened": Outcome(Meaning.OPENED, session or b"c"), "served": SERVED, "ended": ENDED}
            if kind in meaning:
                self.schedule.note(ticket, meaning[kind], self.now)
            self.told(self.schedule.leave(ticket, self.now))
        self.check()

    def ask(self, claim: Claim) -> None:
        was_alone = not any(ticket.claim.cgi for ticket in self.active)
        ticket = self.schedule.ask(claim, self.now)
        if ticket.turn is Turn.GO:
            assert not any(self.may_go(each) for each in self.waiting)
            self.goes(ticket, was_alone=was_alone)
        elif ticket.turn is not Turn.REFUSED:
            self.waiting.append(ticket)

    def let_pass(self, seconds: float) -> float:
        """Let time pass up to the next change at most: that one may be overdue.

        Whoever is barred by a request that goes now may have waited for long enough already.
        """
        change = self.schedule.next_change()
        later = self.now + seconds
        self.now = later if change is None else max(self.now, min(later, change))
        return self.now

    def told(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            self.waiting.remove(ticket)
            if ticket.turn is Turn.GO:
                self.goes(ticket, was_alone=not any(each.claim.cgi for each in self.active))

    def goes(self, ticket: Ticket, *, was_alone: bool) -> None:
        cgi = ticket.claim.cgi
        if cgi is not None and not self.schedule.session.holds(cgi):
            assert was_alone  # never beside another that could open a session, or use one
        self.active.append(ticket)
        mine = ticket.claim.address
        for address in {each.claim.address for each in self.waiting if self.inside(each)} - {mine}:
            self.passed[address][mine] += 1
            assert self.passed[address][mine] == 1
        self.passed[mine].clear()

    def inside(self, ticket: Ticket) -> bool:
        return ticket.turn is Turn.WAIT and self.may_go(ticket)

    def may_go(self, ticket: Ticket) -> bool:
        return ticket.claim.cgi is None or self.schedule.session.may_go(ticket.claim.cgi)

    def check(self) -> None:
        schedule = self.schedule
        assert schedule.active == len(self.active) <= schedule.places
        assert schedule.waiting == len(self.waiting)
        inside = Counter(ticket.claim.address for ticket in self.waiting if ticket.turn is Turn.WAIT)
        assert inside.total() <= schedule.room
        assert all(count <= max(1, schedule.room // 2) for count in inside.values())
        assert sum(ticket.turn is Turn.DOOR for ticket in self.waiting) <= schedule.door
        change = schedule.next_change()
        assert (change is None) == (not self.waiting)
        if change is None or change > self.now:  # else it is announced for now
            assert len(self.active) == schedule.places or not any(map(self.may_go, self.waiting))
        for address in list(self.passed):
            if not any(self.inside(each) for each in self.waiting if each.claim.address == address):
                self.passed[address].clear()


@given(st.integers(1, 3), st.integers(0, 6), st.integers(0, 3), st.booleans(), MOVES)
def test_never_too_many_never_a_free_place_for_nobody_never_two_logins_and_each_in_turn(
    places: int, room: int, door: int, logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(places, room, door, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
        while (change := watched.schedule.next_change()) is not None and change <= watched.now:
            watched.told(watched.schedule.advance(watched.now))


@given(st.integers(1, 2), st.booleans(), MOVES)
def test_nothing_changes_before_its_announced_time(
    places: int, logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(places, 4, 2, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
        change = watched.schedule.next_change()
        if change is not None and change > watched.now:
            assert watched.schedule.advance((watched.now + change) / 2) == []
        elif change is not None:
            watched.told(watched.schedule.advance(watched.now))


@given(st.booleans(), MOVES)
def test_in_the_end_everybody_has_had_an_answer(
    logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(1, 4, 2, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
    for _ in range(3 * len(moves)):
        while watched.active:
            watched.told(watched.schedule.leave(watched.active.pop(), watched.now))
        if (change := watched.schedule.next_change()) is not None:
            watched.now = max(watched.now, change)
            watched.told(watched.schedule.advance(watched.now))
    assert not watched.waiting
    assert watched.now <= sum(number for *_, number in moves) + 60
