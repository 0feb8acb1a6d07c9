"""Whose connection is closed when there is no room for another one."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.errors import TooManyConnectionsError
from smgw_proxy_addon.server.limits import Limits, Stage, choose_displaced

A, B, C = "192.168.1.1", "192.168.1.2", "192.168.1.3"
LIMITS = Limits(total=6, per_address=4)


@dataclass(eq=False)
class Connection:
    peer: str
    stage: Stage = Stage.NEW
    since: float = 0.0


def of(peer: str, *stages: tuple[Stage, float]) -> list[Connection]:
    return [Connection(peer, stage, since) for stage, since in stages]


def test_there_is_room_until_there_is_not() -> None:
    assert choose_displaced(A, [], LIMITS) is None
    busy = of(A, *[(Stage.AT_WORK, 0.0)] * 4)
    with pytest.raises(TooManyConnectionsError):
        choose_displaced(A, busy, LIMITS)
    assert choose_displaced(B, busy, LIMITS) is None
    with pytest.raises(TooManyConnectionsError):
        choose_displaced(C, busy + of(B, *[(Stage.AT_WORK, 0.0)] * 2), LIMITS)


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
    connections = of(A, *stages)
    assert choose_displaced(A, connections, LIMITS) is connections[leaves]


def test_who_fills_the_room_gives_a_place() -> None:
    [kept] = of(A, (Stage.NEW, 0.0))
    greedy = of(B, *[(Stage.IDLE, float(number)) for number in range(4)])
    connections = [kept, *greedy, *of(C, (Stage.NEW, 0.0))]
    assert choose_displaced(A, connections, LIMITS) is greedy[0]
    for each in greedy:
        each.stage = Stage.AT_WORK
    assert choose_displaced("192.168.1.4", connections, LIMITS) is kept


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(Stage), st.floats(0, 9)), max_size=60))
def test_the_limits_hold_and_nobody_at_work_is_closed(comers: list[tuple[str, Stage, float]]) -> None:
    there: list[Connection] = []
    for peer, stage, since in comers:
        try:
            leaving = choose_displaced(peer, there, LIMITS)
        except TooManyConnectionsError:
            continue
        if leaving is not None:
            assert leaving.stage is not Stage.AT_WORK
            there.remove(leaving)
        there += of(peer, (stage, since))
        assert len(there) <= 6
        assert all(sum(each.peer == one for each in there) <= 4 for one in (A, B, C))
