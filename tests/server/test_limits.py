"""Whose connection is closed when there is no room for another one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.server.limits import NOBODY, Limits, Room, Stage

A, B, C = "192.168.1.1", "192.168.1.2", "192.168.1.3"


@dataclass(eq=False)
class Connection:
    address: str
    stage: Stage = Stage.NEW
    since: float = 0.0


@dataclass
class Visit:
    """A small room, and who came."""

    room: Room[Connection] = field(default_factory=lambda: Room(Limits(total=6, per_address=4)))

    def comes(self, address: str, *stages: tuple[Stage, float]) -> list[Connection]:
        made = [Connection(address, stage, since) for stage, since in stages]
        for each in made:
            self.room.enter(each)
        return made


def test_there_is_room_until_there_is_not() -> None:
    visit = Visit()
    assert visit.room.who_leaves_for(A) is None
    visit.comes(A, *[(Stage.AT_WORK, 0.0)] * 4)
    assert visit.room.who_leaves_for(A) == NOBODY
    assert visit.room.who_leaves_for(B) is None


@pytest.mark.parametrize(
    ("stages", "leaves"),
    [
        # one that never asked goes before one that is kept, however new it is
        ([(Stage.IDLE, 1.0), (Stage.NEW, 9.0), (Stage.AT_WORK, 0.0), (Stage.NEW, 8.0)], 3),
        ([(Stage.IDLE, 5.0), (Stage.IDLE, 4.0), (Stage.SENDING, 0.0), (Stage.AT_WORK, 0.0)], 1),
        ([(Stage.AT_WORK, 0.0), (Stage.SENDING, 7.0), (Stage.SENDING, 6.0), (Stage.AT_WORK, 0.0)], 2),
    ],
)
def test_the_least_busy_leaves(stages: Iterable[tuple[Stage, float]], leaves: int) -> None:
    visit = Visit()
    connections = visit.comes(A, *stages)
    assert visit.room.who_leaves_for(A) is connections[leaves]


def test_who_fills_the_room_gives_a_place() -> None:
    visit = Visit()
    [kept] = visit.comes(A, (Stage.NEW, 0.0))
    greedy = visit.comes(B, *[(Stage.IDLE, float(number)) for number in range(4)])
    visit.comes(C, (Stage.NEW, 0.0))
    assert visit.room.who_leaves_for(A) is greedy[0]
    for each in greedy:
        each.stage = Stage.AT_WORK
    assert visit.room.who_leaves_for("192.168.1.4") is kept


def test_who_left_is_forgotten_once() -> None:
    visit = Visit()
    [one, two] = visit.comes(A, (Stage.NEW, 0.0), (Stage.NEW, 0.0))
    for _ in range(2):
        visit.room.leave(one)
    assert visit.room.counts.open == 1
    assert list(visit.room) == [two]
    visit.room.leave(two)
    assert (visit.room.counts.open, list(visit.room)) == (0, [])


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(Stage), st.floats(0, 9)), max_size=60))
def test_the_limits_hold_and_nobody_at_work_is_closed(comers: list[tuple[str, Stage, float]]) -> None:
    visit = Visit()
    for address, stage, since in comers:
        leaving = visit.room.who_leaves_for(address)
        if isinstance(leaving, str):
            continue
        if leaving is not None:
            assert leaving.stage is not Stage.AT_WORK
            visit.room.leave(leaving)
        visit.comes(address, (stage, since))
        there = list(visit.room)
        assert visit.room.counts.open == len(there) <= 6
        assert all(sum(each.address == one for each in there) <= 4 for one in (A, B, C))
