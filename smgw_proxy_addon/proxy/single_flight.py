"""A read in flight: one request to the gateway, whose answer several clients wait for.

It runs in a task of its own, so the client that asked first may leave without harm to those who wait with it; when
all have left it is given up, or ends as any other request does whose client has gone. The first client gets its
answer as it comes in, the others when all of it is there. Never chooses who may join, or what is kept.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Final

from smgw_proxy_addon.errors import ProxyError, ShuttingDownError
from smgw_proxy_addon.http.messages import Answer
from smgw_proxy_addon.proxy.cache import LARGEST, Kept

_OK: Final = 200


class Flight:
    """One request to the gateway, and those who wait for its answer.

    ``fetch`` is begun at once; ``began`` is the time of that, in the seconds of the maker's clock; ``drain_timeout``
    how many seconds the fetch gets to come to its end when all have left.
    """

    def __init__(
        self, fetch: Callable[["Flight"], Coroutine[None, None, None]], began: float, drain_timeout: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.began = began
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when all who waited have left."""
        self.opened: asyncio.Future[Answer] = loop.create_future()
        """The answer's head, for the first one, whose request it is."""
        self.decided: asyncio.Future[Kept | None] = loop.create_future()
        """The whole answer, for the others; ``None`` if it is not to be shared."""
        self.outdated = False
        """Whether the gateway was changed in the meantime."""
        self.pieces: list[bytes] = []
        self.rest: AsyncIterator[bytes] | None = None
        """What follows the pieces, if only the first one gets it."""
        self.taken = False
        """Whether the first one was still there to read that."""
        self._grown = asyncio.Event()
        self._waiting = 0
        self._drain_timeout = drain_timeout
        self._giving_up: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(fetch(self))
        self.task.add_done_callback(self._ended)

    def enter(self) -> None:
        """Count one who waits."""
        self._waiting += 1
        if self._giving_up:
            self._giving_up.cancel()

    def leave(self) -> None:
        """Count one who waits no more."""
        self._waiting -= 1
        if self._waiting:
            return
        if not self.gone.done():
            self.gone.set_result(None)
        if not self.task.done():
            self._giving_up = asyncio.get_running_loop().call_later(self._drain_timeout, self.task.cancel)

    async def collect(self, answer: Answer, body: AsyncIterator[bytes]) -> bool:
        """Read the body for all; False if it is too large, then there is more to come."""
        if answer.whole is None:
            self.opened.set_result(answer)
        size = 0
        async for piece in body:
            self.pieces.append(piece)
            self._grown.set()
            size += len(piece)
            if size > LARGEST:
                return False
        return True

    def leave_to_the_first(self, answer: Answer, rest: AsyncIterator[bytes]) -> None:
        """Give the answer, and what was not yet read of its body, to the first one only."""
        self.rest = rest
        self.decided.set_result(None)
        if not self.opened.done():
            self.opened.set_result(answer)
        self._grown.set()

    def settle(self, kept: Kept) -> None:
        """Give the whole answer to all."""
        self.decided.set_result(kept)
        if not self.opened.done():
            self.opened.set_result(Answer(_OK, kept.reason, kept.headers, kept.body))
        self._grown.set()

    async def body(self) -> AsyncIterator[bytes]:
        """Give the body to the first one, as it comes in. Raises what the fetch raised."""
        given = 0
        while True:
            if given < len(self.pieces):
                yield self.pieces[given]
                given += 1
            elif self.rest is not None:
                self.taken = True
                async for piece in self.rest:
                    yield piece
                return
            elif not self.decided.done():
                self._grown.clear()
                await self._grown.wait()
            elif self.decided.cancelled():
                raise ShuttingDownError
            else:
                self.decided.result()
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._giving_up:
            self._giving_up.cancel()
        error = None if task.cancelled() else task.exception()
        for future in (self.opened, self.decided):
            if future.done():
                continue
            if error is None:
                future.cancel()
            else:
                future.set_exception(error)
                if isinstance(error, ProxyError):
                    future.exception()  # all may have left; any other error is a fault, and asyncio is to log it
        self._grown.set()
