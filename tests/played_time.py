"""An event loop whose hours pass quickly: timers of everything inside it are scaled down alike, sockets are real.

Only waiting counts. While Python works, or a thread does, the loop's clock stands still, and a wait counts for no
more than was asked for: a machine that is busy makes a played hour take longer, but nobody in it late.
"""

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class _Threads(ThreadPoolExecutor):
    """Knows how many of its jobs are not done."""

    def __init__(self) -> None:
        super().__init__(4)
        self.busy = 0
        self._lock = threading.Lock()

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        self._count(1)
        job = super().submit(fn, *args, **kwargs)
        job.add_done_callback(lambda _: self._count(-1))
        return job

    def _count(self, change: int) -> None:
        with self._lock:
            self.busy += change


class _Selector(selectors.SelectSelector):
    """Waits ``speed`` times shorter than it is asked to, and counts what it waited for.

    With select(2), which takes microseconds: epoll's milliseconds would be most of a short wait.
    """

    def __init__(self, speed: float, threads: _Threads) -> None:
        super().__init__()
        self.now = 0.0
        self._speed = speed
        self._threads = threads

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        busy = self._threads.busy
        began = time.monotonic()
        events = super().select(None if timeout is None else timeout / self._speed)
        waited = (time.monotonic() - began) * self._speed
        if not busy and timeout is not None:
            self.now += max(0.0, min(waited, timeout))
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, speed: float) -> None:
        threads = _Threads()
        self._played = _Selector(speed, threads)
        super().__init__(self._played)
        self.set_default_executor(threads)

    def time(self) -> float:
        """Give the played seconds, from 0."""
        return self._played.now


def play(what: Coroutine[Any, Any, Result], *, speed: float) -> Result:
    """Run a coroutine in a loop in which time passes ``speed`` times as fast; ``loop.time`` tells it."""
    with asyncio.Runner(loop_factory=lambda: _Loop(speed)) as runner:
        return runner.run(what)
