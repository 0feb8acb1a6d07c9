"""Which request gets a place, waits or is rejected: examples, and what holds for any sequence of events."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.gateway.ppc_session import CgiAnswer, CgiRequest, Meaning, PpcSession
from smgw_proxy_addon.gateway.scheduler import (
    PAGE,
    REMEMBERED_ADDRESSES,
    QueuedRequest,
    QueueState,
    Scheduler,
)

RUNNING, QUEUED, OVERFLOW, REJECTED, TIMED_OUT, SESSION_BUSY = QueueState

LOGIN = CgiRequest()
OPENED = CgiAnswer(Meaning.OPENED, b"a")
SERVED = CgiAnswer(Meaning.SERVED)
ENDED = CgiAnswer(Meaning.ENDED)


def of(session: bytes) -> CgiRequest:
    """A request of the holder of a session."""
    return CgiRequest((session,))


def ask(scheduler: Scheduler, *addresses: str, now: float = 0) -> list[QueuedRequest]:
    return [scheduler.acquire(address, None, now) for address in addresses]


def states(requests: Iterable[QueuedRequest]) -> list[QueueState]:
    return [request.state for request in requests]


def order(scheduler: Scheduler, first: QueuedRequest, now: float = 0) -> str:
    """Release one place after the other; return the addresses in the order in which they got one."""
    went = ""
    following = [first]
    while following:
        (request,) = following
        went += request.address
        following = scheduler.release(request, now)
    return went


# Places and queues


def test_the_first_runs_others_are_queued_overflow_and_are_rejected() -> None:
    scheduler = Scheduler(places=1, queue_size=2, queue_timeout=60, overflow_size=1)
    first, second, third, fourth, fifth = ask(scheduler, *"abcde")
    assert states([first, second, third, fourth, fifth]) == [RUNNING, QUEUED, QUEUED, OVERFLOW, REJECTED]
    assert (scheduler.running, scheduler.waiting) == (1, 3)

    assert scheduler.release(first, 0) == [second]
    assert (second.state, fourth.state) == (RUNNING, QUEUED)
    assert scheduler.release(second, 0) == [third]
    assert scheduler.release(third, 0) == [fourth]
    assert scheduler.release(fourth, 0) == []
    assert (scheduler.running, scheduler.waiting) == (0, 0)


def test_one_address_fills_half_of_the_queue_and_then_overflows() -> None:
    scheduler = Scheduler(places=1, queue_size=4, queue_timeout=60)
    assert states(ask(scheduler, *"aaaa")) == [RUNNING, QUEUED, QUEUED, OVERFLOW]
    assert states(ask(scheduler, *"bbbcc")) == [QUEUED, QUEUED, OVERFLOW, OVERFLOW, OVERFLOW]


def test_who_gives_up_waiting_takes_no_place_and_makes_space() -> None:
    scheduler = Scheduler(places=1, queue_size=2, queue_timeout=60)
    holder, impatient, patient, overflowing = ask(scheduler, *"abcd")
    assert scheduler.release(impatient, 0) == []
    assert overflowing.state is QUEUED
    assert scheduler.release(holder, 0) == [patient]


def test_a_ticket_that_was_refused_or_has_left_changes_nothing() -> None:
    scheduler = Scheduler(places=1, queue_size=0, queue_timeout=60, overflow_size=0)
    holder, refused = ask(scheduler, "a", "b")
    assert scheduler.release(refused, 0) == []
    assert scheduler.running == 1
    scheduler.release(holder, 0)
    assert scheduler.release(holder, 0) == []


# The order


def test_addresses_take_turns_and_each_is_served_in_its_own_order() -> None:
    scheduler = Scheduler(places=1, queue_size=32, queue_timeout=60)
    first, *_ = ask(scheduler, *"aaaaabbc")
    assert order(scheduler, first) == "aabcabaa"


def test_who_asks_one_by_one_gets_every_second_turn_beside_a_greedy_one() -> None:
    scheduler = Scheduler(places=1, queue_size=32, queue_timeout=60)
    (running,) = ask(scheduler, "modest")
    ask(scheduler, *["greedy"] * 12)
    went = []
    for _ in range(12):
        (following,) = scheduler.release(running, 0)
        went.append(following.address)
        if running.address == "modest":
            ask(scheduler, "modest")
        running = following
    assert went == ["greedy", "modest"] * 6


def test_addresses_that_ask_no_more_are_forgotten() -> None:
    scheduler = Scheduler(places=1, queue_size=2, queue_timeout=60)
    for number in range(100):
        (request,) = ask(scheduler, str(number))
        scheduler.release(request, 0)
    assert len(scheduler._queue._by_address) == REMEMBERED_ADDRESSES  # noqa: SLF001 - not visible from outside


@pytest.mark.parametrize("waiting", [0, 32])
def test_addresses_that_never_have_a_turn_are_forgotten_in_both_queues(waiting: int) -> None:
    scheduler = Scheduler(places=1, queue_size=32, queue_timeout=60)
    ask(scheduler, "at the gateway", *(f"waiting {number}" for number in range(waiting)))
    for number in range(500):
        (request,) = ask(scheduler, f"leaving {number}")
        scheduler.release(request, 0)
    for queue in (scheduler._queue, scheduler._overflow):  # noqa: SLF001 - not visible from outside
        assert len(queue._by_address) <= REMEMBERED_ADDRESSES + waiting  # noqa: SLF001 - see above


def test_addresses_that_wait_are_never_forgotten() -> None:
    scheduler = Scheduler(places=1, queue_size=200, queue_timeout=60)
    first, *_ = ask(scheduler, *map(chr, range(100, 200)))
    assert len(order(scheduler, first)) == 100


# Time


@pytest.mark.parametrize(
    ("address", "limit", "state"), [("b", 60, TIMED_OUT), ("c", 2, REJECTED)], ids=["queue", "overflow"]
)
def test_no_request_waits_for_longer_than_the_timeout(address: str, limit: float, state: QueueState) -> None:
    scheduler = Scheduler(places=1, queue_size=1, queue_timeout=60)
    ask(scheduler, "a")
    requests = {request.address: request for request in ask(scheduler, *"bc"[: "bc".index(address) + 1], now=10)}
    assert scheduler.next_change() == 10 + limit
    assert scheduler.advance(10 + limit - 0.001) == []
    assert scheduler.advance(10 + limit) == [requests[address]]
    assert requests[address].state is state


def test_the_timeout_counts_from_the_arrival_also_for_who_comes_from_the_overflow_queue() -> None:
    scheduler = Scheduler(places=1, queue_size=1, queue_timeout=60)
    _, queued, overflowing = ask(scheduler, *"abc")
    scheduler.release(queued, 1)
    assert overflowing.state is QUEUED
    assert scheduler.next_change() == 60


def test_a_timeout_makes_space_for_one_of_the_overflow_queue() -> None:
    scheduler = Scheduler(places=1, queue_size=1, queue_timeout=60)
    ask(scheduler, "a")
    (queued,) = ask(scheduler, "b")
    (overflowing,) = ask(scheduler, "c", now=59)
    assert scheduler.advance(60) == [queued]
    assert overflowing.state is QUEUED


# The session


def logged_in(places: int = 1, queue_size: int = 32) -> Scheduler:
    """A scheduler whose session is held by the cookie ``a`` since 0 s."""
    scheduler = Scheduler(places, queue_size, queue_timeout=60)
    request = scheduler.acquire("a", LOGIN, 0)
    scheduler.record_answer(request, OPENED, 0)
    scheduler.release(request, 0)
    return scheduler


def test_who_is_not_logged_in_waits_for_the_logout_and_nobody_waits_behind_it() -> None:
    scheduler = logged_in()
    stranger = scheduler.acquire("a", LOGIN, 1)
    assert stranger.state is QUEUED
    for cgi in (of(b"a"), None):
        request = scheduler.acquire("a", cgi, 1)
        assert request.state is RUNNING
        assert scheduler.release(request, 2) == []
    logout = scheduler.acquire("a", of(b"a"), 3)
    scheduler.record_answer(logout, ENDED, 3)
    assert stranger.state is QUEUED
    assert scheduler.release(logout, 4) == [stranger]


def test_who_waits_for_a_session_takes_no_turn_from_those_behind_it() -> None:
    scheduler = logged_in()
    running = scheduler.acquire("a", of(b"a"), 1)
    stranger = scheduler.acquire("a", LOGIN, 1)
    behind, other = ask(scheduler, "a", "b", now=1)
    assert scheduler.release(running, 1) == [behind]
    assert scheduler.release(behind, 1) == [other]
    assert scheduler.release(other, 1) == []
    assert stranger.state is QUEUED


def test_a_queue_full_of_requests_that_wait_for_a_session_keeps_nobody_else_out() -> None:
    scheduler = logged_in(queue_size=2)
    waiting = [scheduler.acquire("a", LOGIN, 1) for _ in range(2)]
    running = scheduler.acquire("a", of(b"a"), 1)
    overflowing = scheduler.acquire("a", of(b"a"), 1)
    assert states([*waiting, running, overflowing]) == [QUEUED, OVERFLOW, RUNNING, OVERFLOW]
    assert scheduler.release(running, 1) == [overflowing]


def test_one_login_at_a_time_also_with_more_places() -> None:
    scheduler = Scheduler(places=3, queue_size=8, queue_timeout=60)
    login, other = (scheduler.acquire(address, LOGIN, 0) for address in "ab")
    assert states([login, other, *ask(scheduler, "c")]) == [RUNNING, QUEUED, RUNNING]
    scheduler.record_answer(login, OPENED, 1)
    mine = scheduler.acquire("a", of(b"a"), 1)
    assert mine.state is RUNNING  # although the login's body is still on its way
    assert scheduler.release(login, 1) == []
    scheduler.record_answer(mine, ENDED, 2)
    assert scheduler.release(mine, 2) == [other]


def test_a_login_that_fails_lets_the_next_one_go() -> None:
    scheduler = Scheduler(places=2, queue_size=8, queue_timeout=60)
    login, other = (scheduler.acquire(address, LOGIN, 0) for address in "ab")
    assert scheduler.release(login, 1) == [other]


def test_who_waits_for_a_session_for_eight_seconds_is_told_so() -> None:
    scheduler = logged_in(places=2)
    holder = scheduler.acquire("a", of(b"a"), 1)  # a long export
    stranger = scheduler.acquire("b", LOGIN, 2)
    assert scheduler.next_change() == 10
    assert scheduler.advance(9.9) == []
    assert scheduler.advance(10) == [stranger]
    assert stranger.state is SESSION_BUSY
    assert scheduler.next_change() is None
    assert scheduler.release(holder, 11) == []


def test_eight_seconds_count_only_while_a_session_is_in_the_way() -> None:
    scheduler = Scheduler(places=1, queue_size=8, queue_timeout=60)
    (other,) = ask(scheduler, "x")
    waiting = scheduler.acquire("b", LOGIN, 0)
    assert scheduler.next_change() == 60
    assert scheduler.advance(30) == []
    assert scheduler.release(other, 31) == [waiting]


@pytest.mark.parametrize(("asked", "goes"), [(25, 30), (29.5, 30), (31, 31), (500, 500)])
def test_a_silent_holder_loses_the_session_after_30_seconds(asked: float, goes: float) -> None:
    scheduler = logged_in()
    stranger = scheduler.acquire("b", LOGIN, asked)
    if goes > asked:
        assert scheduler.next_change() == goes
        assert scheduler.advance(goes - 0.1) == []
        assert scheduler.advance(goes) == [stranger]
    assert stranger.state is RUNNING


def test_who_comes_after_another_does_not_take_its_turn_when_the_session_is_over() -> None:
    scheduler = logged_in()
    first, second = (scheduler.acquire(address, LOGIN, now) for address, now in (("b", 29), ("c", 31)))
    assert states([second]) == [QUEUED]
    assert scheduler.advance(31) == [first]


def test_a_holder_that_waits_for_its_turn_is_not_silent() -> None:
    scheduler = logged_in()
    scheduler.session_timeout = 40
    (running,) = ask(scheduler, "x", now=1)
    stranger = scheduler.acquire("a", LOGIN, 2)
    mine = scheduler.acquire("a", of(b"a"), 3)
    assert scheduler.next_change() == 42
    assert scheduler.release(running, 34) == [mine]
    assert scheduler.release(mine, 35) == []
    assert scheduler.advance(42) == [stranger]
    assert stranger.state is SESSION_BUSY


def test_a_holder_that_never_logs_out_has_five_minutes_if_others_wait() -> None:
    scheduler = logged_in()
    for now in range(0, 600, 20):
        mine = scheduler.acquire("a", of(b"a"), now)
        assert mine.state is RUNNING
        scheduler.release(mine, now)
    # Nobody waited up to now, so the first who does is started at once.
    assert scheduler.acquire("b", LOGIN, 600).state is RUNNING
    assert scheduler.acquire("a", of(b"a"), 600).state is QUEUED


def test_five_minutes_are_over_only_between_two_requests_of_the_holder() -> None:
    scheduler = logged_in(places=2)
    mine = scheduler.acquire("a", of(b"a"), 299)
    stranger = scheduler.acquire("b", LOGIN, 299)
    assert scheduler.advance(301) == []
    assert scheduler.release(mine, 302) == [stranger]


def test_a_holder_whose_requests_overlap_starts_no_more_after_five_minutes_if_others_wait() -> None:
    scheduler = logged_in(places=2)
    first = scheduler.acquire("a", of(b"a"), 299)
    stranger = scheduler.acquire("b", LOGIN, 299)
    second = scheduler.acquire("a", of(b"a"), 300)
    assert states([second]) == [QUEUED]
    assert scheduler.release(first, 301) == [stranger]
    scheduler.record_answer(stranger, CgiAnswer(Meaning.OPENED, b"b"), 302)
    assert scheduler.release(stranger, 302) == []
    assert scheduler.advance(308) == [second]
    assert second.state is SESSION_BUSY


def test_a_holder_goes_on_when_those_who_waited_have_left() -> None:
    scheduler = logged_in(places=2)
    running = scheduler.acquire("a", of(b"a"), 298)
    stranger = scheduler.acquire("b", LOGIN, 298)
    mine = scheduler.acquire("a", of(b"a"), 301)
    assert scheduler.advance(306) == [stranger, mine]
    assert states([running, stranger, mine]) == [RUNNING, SESSION_BUSY, RUNNING]


def test_a_holder_that_the_proxy_logs_out_makes_nobody_else_go_before() -> None:
    scheduler = logged_in(places=2)
    scheduler.session.proxy_logs_out = True
    running = scheduler.acquire("a", of(b"a"), 299)
    stranger = scheduler.acquire("b", LOGIN, 299)
    logout = scheduler.acquire("", CgiRequest((b"a",), ends=True), 300)
    mine = scheduler.acquire("a", of(b"a"), 301)
    assert states([running, stranger, logout, mine]) == [RUNNING, *(QUEUED,) * 3]
    assert scheduler.release(running, 302) == [logout]
    scheduler.record_answer(logout, ENDED, 303)
    assert scheduler.release(logout, 303) == [stranger]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_session_of_the_page_yields_at_once_to_others_even_if_the_page_wants_to_go_on(waiting: bool) -> None:
    scheduler = Scheduler(places=1, queue_size=32, queue_timeout=60)
    scheduler.session.proxy_logs_out = True
    opening = scheduler.acquire(PAGE, CgiRequest(browser=True, page=True), 0)
    scheduler.record_answer(opening, OPENED, 1)
    following = [scheduler.acquire(PAGE, CgiRequest((b"a",), page=True), 1)] * waiting
    stranger = scheduler.acquire("b", LOGIN, 1)
    assert scheduler.release(opening, 2) == []
    assert scheduler.session.must_yield
    logout = scheduler.acquire("", CgiRequest((b"a",), ends=True), 2)
    assert states([stranger, logout, *following]) == [QUEUED, RUNNING, *[QUEUED] * waiting]
    scheduler.record_answer(logout, ENDED, 3)
    assert scheduler.release(logout, 3) == [stranger]


def test_the_page_is_the_last_in_the_order() -> None:
    scheduler = Scheduler(places=1, queue_size=32, queue_timeout=60)
    (first, *_) = ask(scheduler, PAGE, PAGE, "a", "b", PAGE, "a")
    assert order(scheduler, first) == f"{PAGE}aba{PAGE}{PAGE}"


@pytest.mark.parametrize(("browser", "silence"), [(False, 2), (True, 20)])
def test_a_holder_that_the_proxy_logs_out_yields_when_it_is_silent(browser: bool, silence: float) -> None:
    scheduler = logged_in()
    scheduler.session.proxy_logs_out = True
    scheduler.session_timeout = 60
    page = CgiRequest((b"a",), browser=browser)
    scheduler.release(scheduler.acquire("a", page, 10), 11)
    stranger = scheduler.acquire("b", LOGIN, 11)
    assert scheduler.next_change() == 11 + silence
    assert scheduler.advance(11 + silence) == []
    assert scheduler.session.must_yield
    mine = scheduler.acquire("a", of(b"a"), 11 + silence)
    logout = scheduler.acquire("", CgiRequest((b"a",), ends=True), 11 + silence)
    assert states([stranger, mine, logout]) == [QUEUED, QUEUED, RUNNING]
    scheduler.record_answer(logout, ENDED, 40)
    assert scheduler.release(logout, 40) == [stranger]


def test_a_holder_whose_request_waits_is_not_silent() -> None:
    scheduler = logged_in()
    scheduler.session.proxy_logs_out = True
    other = scheduler.acquire("c", None, 1)
    mine = scheduler.acquire("a", of(b"a"), 1)
    stranger = scheduler.acquire("b", LOGIN, 1)
    assert scheduler.advance(5) == []
    assert not scheduler.session.must_yield
    assert scheduler.release(other, 6) == [mine]
    assert stranger.state is QUEUED


def test_a_silent_holder_keeps_its_session_while_nobody_waits_or_nobody_logs_out() -> None:
    scheduler = logged_in()
    scheduler.session.proxy_logs_out = True
    assert scheduler.acquire("a", of(b"a"), 25).state is RUNNING
    scheduler = logged_in()
    scheduler.acquire("b", LOGIN, 3)
    assert scheduler.acquire("a", of(b"a"), 3).state is RUNNING


@pytest.mark.parametrize("sent", [True, False])
def test_a_logout_that_fails_keeps_nobody_waiting(sent: bool) -> None:
    scheduler = logged_in()
    scheduler.session.proxy_logs_out = True
    scheduler.session_timeout = 60
    scheduler.release(scheduler.acquire("a", of(b"a"), 299), 299)
    stranger = scheduler.acquire("b", LOGIN, 299)
    assert scheduler.next_change() == 300
    assert scheduler.advance(300) == []
    assert scheduler.session.must_yield
    assert scheduler.next_change() == 329  # idle, because nothing of the holder may start
    if sent:
        logout = scheduler.acquire("", CgiRequest((b"a",), ends=True), 300)
        assert logout.state is RUNNING
        assert scheduler.release(logout, 302) == [stranger]
    else:
        assert scheduler.advance(329) == [stranger]


# What holds for any sequence of events

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
    """A scheduler, and what must hold for it after each move."""

    def __init__(self, places: int, queue_size: int, overflow_size: int, *, logs_out: bool = False) -> None:
        session = PpcSession(max_duration=15, proxy_logs_out=logs_out)
        self.scheduler = Scheduler(places, queue_size, queue_timeout=60, overflow_size=overflow_size, session=session)
        self.now = 0.0
        self.active: list[QueuedRequest] = []
        self.waiting: list[QueuedRequest] = []
        self.passed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How often each other address had a turn while a request of this one was in the queue and free to start."""

    def move(self, kind: str, address: str, session: bytes | None, number: int) -> None:
        if kind == "ask":
            self.ask(address, None if session is None else CgiRequest((session,) if session else ()))
        elif kind == "time":
            self.obey(self.scheduler.advance(self.let_pass(number)))
        elif kind == "give up":
            if self.waiting:
                self.obey(self.scheduler.release(self.waiting.pop(number % len(self.waiting)), self.now))
        elif self.active:
            request = self.active.pop(number % len(self.active))
            meaning = {"opened": CgiAnswer(Meaning.OPENED, session or b"c"), "served": SERVED, "ended": ENDED}
            if kind in meaning:
                self.scheduler.record_answer(request, meaning[kind], self.now)
            self.obey(self.scheduler.release(request, self.now))
        self.check()

    def ask(self, address: str, cgi: CgiRequest | None) -> None:
        was_alone = not any(request.cgi for request in self.active)
        request = self.scheduler.acquire(address, cgi, self.now)
        if request.state is RUNNING:
            assert not any(self.may_start(each) for each in self.waiting)
            self.started(request, was_alone=was_alone)
        elif request.state is not REJECTED:
            self.waiting.append(request)

    def let_pass(self, seconds: float) -> float:
        """Let time pass up to the next change at most: that one may be overdue.

        A request that one of now blocks may have waited for long enough already.
        """
        change = self.scheduler.next_change()
        later = self.now + seconds
        self.now = later if change is None else max(self.now, min(later, change))
        return self.now

    def obey(self, requests: list[QueuedRequest]) -> None:
        for request in requests:
            self.waiting.remove(request)
            if request.state is RUNNING:
                self.started(request, was_alone=not any(each.cgi for each in self.active))

    def started(self, request: QueuedRequest, *, was_alone: bool) -> None:
        cgi = request.cgi
        if cgi is not None and not self.scheduler.session.is_held_by(cgi):
            assert was_alone  # no other may open a session, or use one, at the same time
        self.active.append(request)
        mine = request.address
        for address in {each.address for each in self.waiting if self.is_passed_over(each)} - {mine}:
            self.passed[address][mine] += 1
            assert self.passed[address][mine] == 1
        self.passed[mine].clear()

    def is_passed_over(self, request: QueuedRequest) -> bool:
        return request.state is QUEUED and self.may_start(request)

    def may_start(self, request: QueuedRequest) -> bool:
        return request.cgi is None or self.scheduler.session.may_start(request.cgi)

    def check(self) -> None:
        scheduler = self.scheduler
        assert scheduler.running == len(self.active) <= scheduler.places
        assert scheduler.waiting == len(self.waiting)
        queued = Counter(request.address for request in self.waiting if request.state is QUEUED)
        assert queued.total() <= scheduler.queue_size
        assert all(count <= max(1, scheduler.queue_size // 2) for count in queued.values())
        assert sum(request.state is OVERFLOW for request in self.waiting) <= scheduler.overflow_size
        change = scheduler.next_change()
        assert (change is None) == (not self.waiting)
        if change is None or change > self.now:  # else ``advance`` is due
            assert len(self.active) == scheduler.places or not any(map(self.may_start, self.waiting))
        for address in list(self.passed):
            if not any(self.is_passed_over(each) for each in self.waiting if each.address == address):
                self.passed[address].clear()


@given(st.integers(1, 3), st.integers(0, 6), st.integers(0, 3), st.booleans(), MOVES)
def test_never_too_many_never_a_free_place_for_nobody_never_two_logins_and_each_in_turn(
    places: int, queue_size: int, overflow_size: int, logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(places, queue_size, overflow_size, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
        while (change := watched.scheduler.next_change()) is not None and change <= watched.now:
            watched.obey(watched.scheduler.advance(watched.now))


@given(st.integers(1, 2), st.booleans(), MOVES)
def test_nothing_changes_before_its_announced_time(
    places: int, logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(places, 4, 2, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
        change = watched.scheduler.next_change()
        if change is not None and change > watched.now:
            assert watched.scheduler.advance((watched.now + change) / 2) == []
        elif change is not None:
            watched.obey(watched.scheduler.advance(watched.now))


@given(st.booleans(), MOVES)
def test_in_the_end_everybody_has_had_an_answer(
    logs_out: bool, moves: list[tuple[str, str, bytes | None, int]]
) -> None:
    watched = Watched(1, 4, 2, logs_out=logs_out)
    for each in moves:
        watched.move(*each)
    for _ in range(3 * len(moves)):
        while watched.active:
            watched.obey(watched.scheduler.release(watched.active.pop(), watched.now))
        if (change := watched.scheduler.next_change()) is not None:
            watched.now = max(watched.now, change)
            watched.obey(watched.scheduler.advance(watched.now))
    assert not watched.waiting
    assert watched.now <= sum(number for *_, number in moves) + 60
