"""Waiting for a place: woken in time, with one timer, and nothing is left of a wait that ended."""

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
from smgw_proxy_addon.gateway.ppc_session import CgiAnswer, CgiRequest, Meaning, PpcSession
from smgw_proxy_addon.gateway.queue import PlaceQueue
from smgw_proxy_addon.gateway.scheduler import QueuedRequest, Scheduler

LOGIN = CgiRequest()


class Rig:
    """A queue with short timeouts."""

    def __init__(self, **limits: Any) -> None:
        self.scheduler = Scheduler(**{"places": 1, "queue_size": 8, "queue_timeout": 5.0} | limits)
        self.queue = PlaceQueue(self.scheduler, time.monotonic)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ask(
        self, address: str = "b", cgi: CgiRequest | None = None, gone: asyncio.Future[None] | None = None
    ) -> asyncio.Task[QueuedRequest]:
        return asyncio.create_task(self.queue.acquire(gone or self.gone, address=address, cgi=cgi))

    def ask_login(self, gone: asyncio.Future[None] | None = None) -> asyncio.Task[QueuedRequest]:
        return self.ask("b", LOGIN, gone)

    async def log_in(self) -> None:
        """Open a session whose holder then sends nothing."""
        request = await self.ask("a", LOGIN)
        self.scheduler.record_answer(request, CgiAnswer(Meaning.OPENED, b"a"), time.monotonic())
        self.queue.release(request)


def count_timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that gets the time of each timer of the event loop from now on."""
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
    """Let the tasks run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_place_at_once_costs_no_timer_and_all_waits_one_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    timers = count_timers(monkeypatch)
    for _ in range(3):
        rig.queue.release(await rig.ask("a"))
    assert timers == []
    running = await rig.ask("a")
    waiting = [rig.ask("a") for _ in range(4)]
    await woken()
    assert len(timers) == 1
    for each in waiting:
        rig.queue.release(running)
        running = await each
    rig.queue.release(running)
    assert len(timers) == 1
    rig.queue.close()


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"queue_size": 8, "queue_timeout": 0.05}, QueueTimeoutError),
        ({"queue_size": 0, "overflow_timeout": 0.05}, BusyError),
        ({"queue_size": 0, "overflow_size": 0}, BusyError),
        ({"queue_size": 8, "session_timeout": 0.05}, SessionBusyError),
    ],
    ids=["queue", "overflow", "full", "session"],
)
async def test_a_wait_that_is_too_long_ends_with_its_reason(
    limits: dict[str, float], error: type[ProxyError]
) -> None:
    rig = Rig(**limits)
    await rig.log_in()
    running = await rig.ask("x")
    begun = time.monotonic()
    with pytest.raises(error) as raised:
        await asyncio.wait_for(rig.ask_login(), 4)
    assert type(raised.value) is error
    assert time.monotonic() - begun >= (0 if limits.get("overflow_size") == 0 else 0.05)
    assert rig.scheduler.waiting == 0
    rig.queue.release(running)


async def test_the_timer_is_set_for_the_earliest_of_those_who_wait() -> None:
    rig = Rig(queue_timeout=30, queue_size=2, overflow_timeout=0.05)
    await rig.ask("x")
    queued, overflowing = rig.ask("y"), rig.ask("y")
    with pytest.raises(BusyError):
        await asyncio.wait_for(overflowing, 4)
    assert not queued.done()
    queued.cancel()
    rig.queue.close()


async def test_a_session_that_is_left_behind_ends_by_itself() -> None:
    rig = Rig(session=PpcSession(idle_timeout=0.1))
    await rig.log_in()
    request = await asyncio.wait_for(rig.ask_login(), 4)
    rig.queue.release(request)


async def test_a_holder_that_is_asked_for_a_login_and_never_comes_back_is_not_waited_for() -> None:
    rig = Rig(session=PpcSession(login_timeout=0.1))
    await rig.log_in()
    stranger = rig.ask_login()
    await woken()
    request = await rig.ask("a", CgiRequest((b"a",)))
    rig.scheduler.record_answer(request, CgiAnswer(Meaning.CHALLENGED), time.monotonic())
    rig.queue.release(request)
    rig.queue.release(await asyncio.wait_for(stranger, 4))


async def test_a_client_that_leaves_while_it_waits_gives_up_its_place_at_once() -> None:
    rig = Rig()
    await rig.log_in()
    gone = asyncio.get_running_loop().create_future()
    waiting = rig.ask_login(gone)
    await woken()
    assert rig.scheduler.waiting == 1
    gone.set_result(None)
    with pytest.raises(ClientGoneError):
        await asyncio.wait_for(waiting, 2)
    assert rig.scheduler.waiting == 0
    with pytest.raises(ClientGoneError):
        await rig.ask_login(gone)
    rig.queue.close()


async def test_a_client_that_leaves_in_the_moment_of_its_turn_passes_it_on() -> None:
    rig = Rig()
    running = await rig.ask("x")
    gone = asyncio.get_running_loop().create_future()
    first, second = rig.ask("y", gone=gone), rig.ask("z")
    await woken()
    rig.queue.release(running)
    gone.set_result(None)
    with pytest.raises(ClientGoneError):
        await first
    rig.queue.release(await asyncio.wait_for(second, 4))
    assert (rig.scheduler.running, rig.scheduler.waiting) == (0, 0)
    rig.queue.close()


async def test_a_cancelled_wait_passes_its_turn_on() -> None:
    rig = Rig()
    running = await rig.ask("x")
    first, second = rig.ask("y"), rig.ask("z")
    await woken()
    rig.queue.release(running)
    first.cancel()
    rig.queue.release(await asyncio.wait_for(second, 4))
    assert first.cancelled()
    assert (rig.scheduler.running, rig.scheduler.waiting) == (0, 0)
    rig.queue.close()


async def test_all_waits_are_cancelled() -> None:
    rig = Rig(queue_size=2)
    await rig.log_in()
    running = await rig.ask("x")
    waiting = [rig.ask_login(), rig.ask("y"), rig.ask("y")]
    await woken()
    rig.queue.cancel_all()
    for each in waiting:
        with pytest.raises(ShuttingDownError):
            await each
    assert (rig.scheduler.running, rig.scheduler.waiting) == (1, 0)
    rig.queue.release(running)
    rig.queue.close()
