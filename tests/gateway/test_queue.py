"""Those who wait for their turn: told in time, woken by one timer, gone without a trace."""

import asyncio
import time
from typing import Any

import pytest

from smgw_proxy_addon.errors import (
    BusyError,
    ClientGoneError,
    ProxyError,
    QueueTimeoutError,
    SessionBusyError,
    ShuttingDownError,
)
from smgw_proxy_addon.gateway.ppc_session import CgiRequest, Meaning, Outcome, SessionLease
from smgw_proxy_addon.gateway.queue import Turns
from smgw_proxy_addon.gateway.scheduler import Claim, Schedule, Ticket

LOGIN = Claim("b", CgiRequest())


class Rig:
    """Turns with short patiences, and the timers that they set."""

    def __init__(self, **limits: Any) -> None:
        self.schedule = Schedule(**{"places": 1, "room": 8, "patience": 5.0} | limits)
        self.turns = Turns(self.schedule, time.monotonic)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ask(self, claim: Claim = LOGIN, gone: asyncio.Future[None] | None = None) -> asyncio.Task[Ticket]:
        return asyncio.create_task(self.turns.take(claim, gone or self.gone))

    async def log_in(self) -> None:
        """Have somebody hold the session who does nothing more."""
        ticket = await self.ask(Claim("a", CgiRequest()))
        self.schedule.note(ticket, Outcome(Meaning.OPENED, b"a"), time.monotonic())
        self.turns.leave(ticket)


def count_timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list of the times for which the event loop is given a timer from now on."""
    loop = asyncio.get_running_loop()
    original: Any = loop.call_at
    times: list[float] = []

    def call_at(when: float, *args: Any, **named: Any) -> asyncio.TimerHandle:
        times.append(when)
        timer: asyncio.TimerHandle = original(when, *args, **named)
        return timer

    monkeypatch.setattr(loop, "call_at", call_at)
    return times


async def woken() -> None:
    """Let tasks that may go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_goes_at_once_costs_no_timer_and_those_who_wait_one_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    timers = count_timers(monkeypatch)
    for _ in range(3):
        rig.turns.leave(await rig.turns.take(Claim("a"), rig.gone))
    assert timers == []
    running = await rig.turns.take(Claim("a"), rig.gone)
    waiting = [rig.ask(Claim("a")) for _ in range(4)]
    await woken()
    assert len(timers) == 1
    for each in waiting:
        rig.turns.leave(running)
        running = await each
    rig.turns.leave(running)
    assert len(timers) == 1
    rig.turns.close()


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"room": 8, "patience": 0.05}, QueueTimeoutError),
        ({"room": 0, "door_patience": 0.05}, BusyError),
        ({"room": 0, "door": 0}, BusyError),
        ({"room": 8, "session_patience": 0.05}, SessionBusyError),
    ],
    ids=["room", "door", "full", "session"],
)
async def test_who_waits_for_too_long_is_told_why(limits: dict[str, float], error: type[ProxyError]) -> None:
    rig = Rig(**limits)
    await rig.log_in()
    running = await rig.ask(Claim("x"))
    begun = time.monotonic()
    with pytest.raises(error) as raised:
        await asyncio.wait_for(rig.ask(), 4)
    assert type(raised.value) is error
    assert time.monotonic() - begun >= (0 if limits.get("door") == 0 else 0.05)
    assert rig.schedule.waiting == 0
    rig.turns.leave(running)


async def test_the_timer_is_set_for_the_earliest_of_those_who_wait() -> None:
    rig = Rig(patience=30, room=2, door_patience=0.05)
    await rig.ask(Claim("x"))
    inside, outside = rig.ask(Claim("y")), rig.ask(Claim("y"))
    with pytest.raises(BusyError):
        await asyncio.wait_for(outside, 4)
    assert not inside.done()
    inside.cancel()
    rig.turns.close()


async def test_a_session_that_is_left_behind_ends_by_itself() -> None:
    rig = Rig(session=SessionLease(silence=0.1))
    await rig.log_in()
    ticket = await asyncio.wait_for(rig.ask(), 4)
    rig.turns.leave(ticket)


async def test_a_holder_that_is_asked_for_a_login_and_never_comes_back_is_not_waited_for() -> None:
    rig = Rig(session=SessionLease(doubt=0.1))
    await rig.log_in()
    stranger = rig.ask()
    await woken()
    ticket = await rig.ask(Claim("a", CgiRequest((b"a",))))
    rig.schedule.note(ticket, Outcome(Meaning.CHALLENGED), time.monotonic())
    rig.turns.leave(ticket)
    rig.turns.leave(await asyncio.wait_for(stranger, 4))


async def test_a_client_that_leaves_while_it_waits_gives_up_its_place_at_once() -> None:
    rig = Rig()
    await rig.log_in()
    gone = asyncio.get_running_loop().create_future()
    waiting = rig.ask(gone=gone)
    await woken()
    assert rig.schedule.waiting == 1
    gone.set_result(None)
    with pytest.raises(ClientGoneError):
        await asyncio.wait_for(waiting, 2)
    assert rig.schedule.waiting == 0
    with pytest.raises(ClientGoneError):
        await rig.ask(gone=gone)
    rig.turns.close()


async def test_a_client_that_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    rig = Rig()
    running = await rig.ask(Claim("x"))
    gone = asyncio.get_running_loop().create_future()
    first, second = rig.ask(Claim("y"), gone), rig.ask(Claim("z"))
    await woken()
    rig.turns.leave(running)
    gone.set_result(None)
    with pytest.raises(ClientGoneError):
        await first
    rig.turns.leave(await asyncio.wait_for(second, 4))
    assert (rig.schedule.active, rig.schedule.waiting) == (0, 0)
    rig.turns.close()


async def test_a_cancelled_wait_passes_its_turn_on() -> None:
    rig = Rig()
    running = await rig.ask(Claim("x"))
    first, second = rig.ask(Claim("y")), rig.ask(Claim("z"))
    await woken()
    rig.turns.leave(running)
    first.cancel()
    rig.turns.leave(await asyncio.wait_for(second, 4))
    assert first.cancelled()
    assert (rig.schedule.active, rig.schedule.waiting) == (0, 0)
    rig.turns.close()


async def test_all_who_wait_are_sent_away() -> None:
    rig = Rig(room=2)
    await rig.log_in()
    running = await rig.ask(Claim("x"))
    waiting = [rig.ask(), rig.ask(Claim("y")), rig.ask(Claim("y"))]
    await woken()
    rig.turns.send_away()
    for each in waiting:
        with pytest.raises(ShuttingDownError):
            await each
    assert (rig.schedule.active, rig.schedule.waiting) == (1, 0)
    rig.turns.leave(running)
    rig.turns.close()
