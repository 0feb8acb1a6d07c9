"""What one task waits for, so that it goes on in the same turn of the event loop.

A task that awaits a future goes on one turn later: for a request, two turns and two system calls more.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Wakeup:
    """Awaited again and again by one task; ``set`` does nothing while it does not wait.

    A Future-like object, as ``asyncio.isfuture`` describes it: a task gives it its callback, and it may be cancelled.
    """

    _asyncio_future_blocking = False

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback: Callable[..., object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None

    @property
    def awaited(self) -> bool:
        """Whether a task waits."""
        return self._callback is not None

    def set(self, error: BaseException | None = None) -> None:
        """Have the task go on, or raise an error in it. To be called last: the task runs before this returns."""
        callback = self._callback
        if callback is None:
            return
        self._callback, self._error = None, error
        if self._context is None or asyncio.current_task(self._loop) is not None:
            self._loop.call_soon(callback, self, context=self._context)  # no task runs inside of another one
        else:
            self._context.run(callback, self)

    def wake(self, _done: object) -> None:
        """Have the task go on; a callback of a future."""
        self.set()

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - asyncio's signature
        """Have the task raise ``CancelledError``, as asyncio does when it is cancelled."""
        callback = self._callback
        if callback is None:
            return False
        self._callback, self._error = None, asyncio.CancelledError()
        self._loop.call_soon(callback, self, context=self._context)
        return True

    # Called by the task

    def __await__(self) -> Generator["Wakeup", None, None]:
        """Wait for the next ``set``."""
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Take the callback that continues the task."""
        self._callback, self._context = callback, context

    def result(self) -> None:
        """Raise the error, if any; the task raises it where it waits."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame
