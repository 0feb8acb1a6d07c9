"""Whose connection is closed when there is no room for another one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.server.limits import NONE, Connections, Limits, Stage

A, B, C = "192.168.1.1", "192.168.1.2", "192.168.1.3"


@dataclass(eq=False)
class Connection:
    address: str
    stage: Stage = Stage.NEW
    since: float = 0.0


@dataclass
class Table:
    """A small table of connections."""

    connections: Connections[Connection] = field(default_factory=lambda: Connections(Limits(total=6, per_address=4)))

    def comes(self, address: str, *stages: tuple[Stage, float]) -> list[Connection]:
        made = [Connection(address, stage, since) for stage, since in stages]
        for each in made:
            self.connections.add(each)
        return made


def test_there_is_room_until_there_is_not() -> None:
    table = Table()
    assert table.connections.displaced_by(A) is None
    table.comes(A, *[(Stage.AT_WORK, 0.0)] * 4)
    assert table.connections.displaced_by(A) == NONE
    assert table.connections.displaced_by(B) is None


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
    table = Table()
    connections = table.comes(A, *stages)
    assert table.connections.displaced_by(A) is connections[leaves]


def test_who_fills_the_room_gives_a_place() -> None:
    table = Table()
    [kept] = table.comes(A, (Stage.NEW, 0.0))
    greedy = table.comes(B, *[(Stage.IDLE, float(number)) for number in range(4)])
    table.comes(C, (Stage.NEW, 0.0))
    assert table.connections.displaced_by(A) is greedy[0]
    for each in greedy:
        each.stage = Stage.AT_WORK
    assert table.connections.displaced_by("192.168.1.4") is kept


def test_who_left_is_forgotten_once() -> None:
    table = Table()
    [one, two] = table.comes(A, (Stage.NEW, 0.0), (Stage.NEW, 0.0))
    for _ in range(2):
        table.connections.remove(one)
    assert table.connections.counts.open == 1
    assert list(table.connections) == [two]
    table.connections.remove(two)
    assert (table.connections.counts.open, list(table.connections)) == (0, [])


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(Stage), st.floats(0, 9)), max_size=60))
def test_the_limits_hold_and_nobody_at_work_is_closed(comers: list[tuple[str, Stage, float]]) -> None:
    table = Table()
    for address, stage, since in comers:
        leaving = table.connections.displaced_by(address)
        if isinstance(leaving, str):
            continue
        if leaving is not None:
            assert leaving.stage is not Stage.AT_WORK
            table.connections.remove(leaving)
        table.comes(address, (stage, since))
        there = list(table.connections)
        assert table.connections.counts.open == len(there) <= 6
        assert all(sum(each.address == one for each in there) <= 4 for one in (A, B, C))
