"""A fetch whose answer several clients wait for: one request to the gateway.

It runs in a task of its own, so that the client that asked first may leave without harm to the others. Never chooses
who may join, or what is stored.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field

from smgw_proxy_addon.errors import ClientGoneError, ProxyError
from smgw_proxy_addon.gateway.bodies import chain, drain
from smgw_proxy_addon.http.messages import Answer
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.cache import LARGEST, StoredAnswer


@dataclass(eq=False)
class UnsharedAnswer:
    """An answer for the client that asked first, and for no other."""

    answer: Answer
    pieces: AsyncIterator[bytes] = field(repr=False)
    taken: bool = False

    async def body(self) -> AsyncIterator[bytes]:
        """Give the body. Raises ``GatewayError``."""
        self.taken = True
        async for piece in self.pieces:
            yield piece


class SharedFetch:
    """One request to the gateway, and the clients that wait for its answer.

    ``fetch`` is begun at once. When all clients have left, ``gone`` is done, and the fetch is cancelled after
    ``drain_timeout`` seconds.
    """

    def __init__(self, fetch: Callable[["SharedFetch"], Coroutine[None, None, None]], drain_timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[StoredAnswer | UnsharedAnswer] = loop.create_future()
        self.record = RequestRecord()
        self.outdated = False
        """Whether the gateway was changed in the meantime."""
        self._clients = 0
        self._drain_timeout = drain_timeout
        self._cancelling: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(fetch(self))
        self.task.add_done_callback(self._end)

    def join(self) -> None:
        """Count a client that waits."""
        self._clients += 1
        if self._cancelling:
            self._cancelling.cancel()

    def leave(self) -> None:
        """Count a client that waits no more."""
        self._clients -= 1
        if self._clients:
            return
        if not self.gone.done():
            self.gone.set_result(None)
        if not self.task.done():
            self._cancelling = asyncio.get_running_loop().call_later(self._drain_timeout, self.task.cancel)

    async def wait(self, gone: asyncio.Future[None]) -> None:
        """Wait until ``answer`` is done. Raises ``ClientGoneError`` if the client's ``gone`` is done before."""
        awaited: set[asyncio.Future[StoredAnswer | UnsharedAnswer] | asyncio.Future[None]] = {self.answer, gone}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not self.answer.done():
            raise ClientGoneError

    async def hand_over(self, answer: Answer, begin: bytes, rest: AsyncIterator[bytes]) -> None:
        """Give the answer to the client that asked first; returns when that has read it, or it was drained.

        ``begin`` is what was read of its body.
        """
        unshared = UnsharedAnswer(answer, chain(begin, rest))
        left = LARGEST - len(begin)
        self.answer.set_result(unshared)
        await self.gone
        if not unshared.taken and left >= 0:
            await drain(rest, limit=left, seconds=self._drain_timeout)

    def _end(self, task: asyncio.Task[None]) -> None:
        if self._cancelling:
            self._cancelling.cancel()
        error = None if task.cancelled() else task.exception()
        if self.answer.done():
            return
        if error is None:
            self.answer.cancel()
            return
        self.answer.set_exception(error)
        if isinstance(error, ProxyError):
            self.answer.exception()  # all may have left; any other error is a fault, and asyncio is to log it
