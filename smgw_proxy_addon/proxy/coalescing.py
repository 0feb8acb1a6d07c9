"""Answers shared between clients: identical reads in flight are asked once, and answers may be kept for a while.

Owns who asks the gateway, who joins another's request, and who is given what was kept. What may be shared is
``answers``'s to say, and how one request serves several clients is a matter of ``flights``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Final

from smgw_proxy_addon.errors import BusyError, ClientGoneError, ProxyError, RequestError, ShuttingDownError
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.http.rewrite import shared_headers
from smgw_proxy_addon.proxy.cache import (
    LARGEST,
    Kept,
    Read,
    Shelf,
    forward_status,
    hit_status,
    may_be_shared,
    may_change,
    read_of,
)
from smgw_proxy_addon.proxy.single_flight import Flight
from smgw_proxy_addon.proxy.source import Client, Course

Ask = Callable[[GatewayRequest, Client, Course], AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]]
"""As ``Source.ask``."""

_OK: Final = 200
_STREAMED: Final = b"\0"
"""Stands for a body that comes in pieces: it is longer than any read's, and no JSON."""


class SharedAnswers:
    """Stands before a source whose clients have been told apart: by ``account``, after their login.

    ``cache_seconds`` is how long an answer is kept, 0 for not at all; ``drain_timeout`` how many seconds the gateway
    gets to finish what all clients have left; ``clock`` is monotonic, in seconds.
    """

    def __init__(self, cache_seconds: float, clock: Callable[[], float], *, drain_timeout: float) -> None:
        self._shelf = Shelf(cache_seconds)
        self._clock = clock
        self._drain_timeout = drain_timeout
        self._flights: dict[bytes, Flight] = {}
        """Those that may be joined, by the key of their read."""
        self._running: set[Flight] = set()
        self._closed = False

    @asynccontextmanager
    async def ask(
        self, account: str, request: GatewayRequest, client: Client, course: Course, fetch: Ask
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Give a kept answer, or that of another client's request, or what ``fetch`` gives: as ``Source.ask`` does.

        ``fetch`` may outlive this context; of a read it gets a client that is gone when all who wait for it are. Its
        answer must hold nothing that belongs to one login, such as ``Authentication-Info``. Raises ``ProxyError``.
        """
        body = request.body if request.body is None or isinstance(request.body, bytes) else _STREAMED
        read = read_of(account, request.method, request.target, request.headers, body)
        if read is not None:
            async with self._read(read, request, client, course, fetch) as given:
                yield given
            return
        changes = may_change(request.method, request.target, body)
        if changes:
            self.forget()
        try:
            async with fetch(request, client, course) as given:
                yield given
        finally:
            if changes:
                self.forget()

    def forget(self) -> None:
        """Keep nothing of what was asked so far, whoever asked."""
        self._shelf.clear()
        for flight in self._running:
            flight.outdated = True
        self._flights.clear()

    async def close(self) -> None:
        """Give up what is in flight and forget everything; no task is left."""
        self._closed = True
        tasks = [flight.task for flight in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shelf.clear()

    @asynccontextmanager
    async def _read(
        self, read: Read, request: GatewayRequest, client: Client, course: Course, fetch: Ask
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        now = self._clock()
        reason = b"request" if read.fresh else b"uri-miss"
        kept = None if read.fresh else self._shelf.take(read.key, now)
        if kept and read.accepts(kept.headers):
            course.shared = "hit"
            age = now - kept.at
            yield _given(kept, hit_status(self._shelf.seconds - age), age=int(age))
            return
        # Each round ends for the one who asked; the others ask for themselves, one after the other.
        while kept is None and not read.fresh and (flight := self._flights.get(read.key)):
            try:
                kept = await self._join(flight, client)
            finally:
                course.waiting = self._clock() - now
            if kept and read.accepts(kept.headers):
                course.shared = "collapsed"
                yield _given(kept, forward_status(reason, collapsed=True))
                return
        waited, course.waiting = course.waiting, 0.0
        try:
            async with self._lead(read, request, client, course, fetch) as (answer, body):
                status = forward_status(b"vary-miss" if kept else reason, stored=course.shared == "stored")
                headers = shared_headers(answer.headers, cache_status=status, age=None)
                yield replace(answer, headers=headers), body
        finally:
            course.waiting += waited

    async def _join(self, flight: Flight, client: Client) -> Kept | None:
        """Wait for the answer to somebody else's request; ``None`` if there is none to share."""
        flight.enter()
        try:
            await _first(flight.decided, client.gone)
        finally:
            flight.leave()
        if flight.decided.cancelled():
            return None
        error = flight.decided.exception()
        if error is None:
            return flight.decided.result()
        # What is the matter with the gateway is the same for all. A full queue may be the other one's own limit.
        if isinstance(error, ProxyError) and not isinstance(error, BusyError | RequestError):
            raise _again(error)
        return None

    @asynccontextmanager
    async def _lead(
        self, read: Read, request: GatewayRequest, client: Client, course: Course, fetch: Ask
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask, so that others may join."""
        if self._closed:
            raise ShuttingDownError
        flight = Flight(
            lambda flight: self._fetch(flight, read.key, request, client.address, course, fetch),
            self._clock(),
            self._drain_timeout,
        )
        self._flights[read.key] = flight
        self._running.add(flight)
        flight.task.add_done_callback(lambda _: self._over(flight, read.key))
        flight.enter()
        try:
            await _first(flight.opened, client.gone)
            if flight.opened.cancelled():
                raise ShuttingDownError
            yield flight.opened.result(), flight.body()
        finally:
            flight.leave()
            if flight.rest is not None:
                await asyncio.wait({flight.task})

    async def _fetch(
        self, flight: Flight, key: bytes, request: GatewayRequest, address: str, course: Course, fetch: Ask
    ) -> None:
        async with fetch(request, Client(address, flight.gone), course) as (answer, body):
            sent = min(flight.began + course.waiting + course.connecting, self._clock())
            if not may_be_shared(answer.status, answer.headers) or not await flight.collect(answer, body):
                self._land(flight, key)
                flight.leave_to_the_first(answer, body)
                await flight.gone
                if not flight.taken:
                    await _drain(body, sum(map(len, flight.pieces)))
                return
        kept = Kept(answer.reason, answer.headers, b"".join(flight.pieces), sent)
        if not flight.outdated and self._shelf.put(key, kept, self._clock()):
            course.shared = "stored"
        self._land(flight, key)
        flight.settle(kept)

    def _over(self, flight: Flight, key: bytes) -> None:
        self._running.discard(flight)
        self._land(flight, key)

    def _land(self, flight: Flight, key: bytes) -> None:
        """Let nobody join any more."""
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _first(awaited: asyncio.Future[Answer] | asyncio.Future[Kept | None], gone: asyncio.Future[None]) -> None:
    """Wait for an outcome; raises ClientGoneError if the client leaves before."""
    await asyncio.wait({awaited, gone}, return_when=asyncio.FIRST_COMPLETED)
    if not awaited.done():
        raise ClientGoneError


async def _drain(body: AsyncIterator[bytes], drained: int) -> None:
    """Let the gateway finish an answer that nobody reads; for how long, the flight's ``drain_timeout`` says."""
    while drained <= LARGEST and (piece := await anext(body, None)) is not None:
        drained += len(piece)


def _again(error: ProxyError) -> ProxyError:
    """Make the same error anew: one object must not be raised in several tasks."""
    return type(error)(error.detail, **error.facts)


def _given(kept: Kept, cache_status: bytes, *, age: int | None = None) -> tuple[Answer, AsyncIterator[bytes]]:
    headers = shared_headers(kept.headers, cache_status=cache_status, age=age)
    return Answer(_OK, kept.reason, headers, kept.body), _one(kept.body)


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
