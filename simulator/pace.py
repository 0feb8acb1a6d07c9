"""How long the gateway works at a handshake or a request, and whether at one thing at a time as real ones do."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext


class Pace:
    """The gateway's only processor, or as many as are needed."""

    def __init__(self, *, serial: bool) -> None:
        self._turn: AbstractAsyncContextManager[None] = asyncio.Lock() if serial else nullcontext()

    async def work(self, seconds: float) -> None:
        """Work for some seconds; with ``serial`` after everything that was begun before."""
        async with self._turn:
            await asyncio.sleep(seconds)
