"""Waiting for what nothing tells of: plain values, files, other processes."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 30.0
"""Seconds that a busy machine may need."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition, which is looked at in the event loop, is fulfilled."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], bool]) -> None:
    """Do the same where there is no event loop. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)  # nothing tells of it
