"""A task that waits for a ``Wakeup`` goes on in the same turn of the event loop, as asyncio allows it."""

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from smgw_proxy_addon.wakeup import Wakeup


class Waiting:
    """A task that waits for a ``Wakeup`` again and again, and counts."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.woken = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.wakeup
            self.woken += 1


async def from_the_loop(waiting: Waiting) -> int:
    """Set it from a callback of the event loop; returns how often the task had gone on when ``set`` returned."""
    seen: list[int] = []

    def callback() -> None:
        waiting.wakeup.set()
        seen.append(waiting.woken)

    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0)
    return seen[0]


async def test_the_task_goes_on_before_set_returns() -> None:
    waiting = Waiting()
    await asyncio.sleep(0)
    assert [await from_the_loop(waiting) for _ in range(3)] == [1, 2, 3]
    waiting.task.cancel()


async def test_no_task_runs_inside_of_another_one() -> None:
    waiting = Waiting()
    await asyncio.sleep(0)
    waiting.wakeup.set()
    waiting.wakeup.set()  # nobody waits any more: lost
    assert waiting.woken == 0
    await asyncio.sleep(0)
    assert waiting.woken == 1
    waiting.task.cancel()


async def test_an_error_is_raised_once_in_the_task() -> None:
    wakeup = Wakeup()
    asyncio.get_running_loop().call_soon(wakeup.set, ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        await wakeup
    asyncio.get_running_loop().call_soon(wakeup.set)
    await wakeup
    assert not wakeup.awaited


async def test_a_cancelled_task_waits_no_more() -> None:
    waiting = Waiting()
    await asyncio.sleep(0)
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    wakeup = Wakeup()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wakeup
    assert waiting.woken == 0
    assert not wakeup.awaited


async def test_cancelled_between_set_and_its_turn() -> None:
    waiting = Waiting()
    await asyncio.sleep(0)
    waiting.wakeup.set()
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    assert waiting.woken == 0


@pytest.mark.parametrize("error", [ValueError, None], ids=["an error", "cancelled"])
async def test_nothing_is_kept_until_the_garbage_collector_runs(error: type[ValueError] | None) -> None:
    class Local:
        """What the task has in its frame."""

    async def wait(wakeup: Wakeup, _local: Local) -> None:
        await wakeup

    wakeup, local = Wakeup(), Local()
    reference = weakref.ref(local)
    task = asyncio.create_task(wait(wakeup, local))
    del local
    await asyncio.sleep(0)
    gc.disable()
    try:
        wakeup.set(error()) if error else task.cancel()
        with suppress(ValueError, asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)
        assert reference() is None
    finally:
        gc.enable()
