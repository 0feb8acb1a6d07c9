"""Answers shared between clients: identical reads at the same time are asked once, and answers may be stored.

Owns who asks the gateway, who joins another's request, and who is given what was stored. What may be shared is
``cache``'s to say. The client that asks holds its place at the gateway until its answer is read, also if it has left
by then, so that those who joined have it. If it leaves before, the next of them asks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import Any

from smgw_proxy_addon.errors import BusyError, ClientGoneError, ProxyError, RequestError
from smgw_proxy_addon.gateway.bodies import chain
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.http.rewrite import shared_headers
from smgw_proxy_addon.proxy.cache import (
    LARGEST,
    Cache,
    Read,
    StoredAnswer,
    format_forward,
    format_hit,
    may_be_shared,
    may_change,
    recognise_read,
)
from smgw_proxy_addon.proxy.source import Answered, Ask, Client

_Outcome = asyncio.Future[StoredAnswer | ProxyError | None]
"""Of a request that others may join; ``None`` if there is nothing to share."""


class SharedAnswers:
    """Shares the answers of a source among the clients of one ``account``.

    ``cache_seconds`` is how long an answer is stored, 0 for not at all; ``slowest`` how many seconds the body of an
    answer may take whose client has left; ``clock`` is monotonic, in seconds.
    """

    def __init__(self, cache_seconds: float, clock: Callable[[], float], *, slowest: float) -> None:
        self._cache = Cache(cache_seconds)
        self._clock = clock
        self._slowest = slowest
        self._joinable: dict[bytes, _Outcome] = {}
        """By the key of their read."""
        self._changes = 0
        """How often the gateway may have changed."""

    @asynccontextmanager
    async def ask(self, account: str, request: GatewayRequest, client: Client, fetch: Ask) -> AsyncIterator[Answered]:
        """Give a stored answer, that of another client's request, or the one of ``fetch``, as ``Ask`` says.

        The answer must hold nothing that belongs to one login, such as ``Authentication-Info``. Raises
        ``ProxyError``.
        """
        method, target, body = request.method, request.target, request.body
        read = None
        if request.stream is None:  # a body in pieces is longer than any read's
            read = recognise_read(account, method, target, request.headers, body)
        if read is not None:
            async with self._read(read, request, client, fetch) as given:
                yield given
            return
        changes = request.stream is not None or may_change(method, target, body)
        if changes:
            self.forget()
        try:
            async with fetch(request, client) as given:
                yield given
        finally:
            if changes:
                self.forget()

    def forget(self) -> None:
        """Drop all stored answers, and store none of those that were asked for before."""
        self._cache.clear()
        self._joinable.clear()
        self._changes += 1

    @asynccontextmanager
    async def _read(self, read: Read, request: GatewayRequest, client: Client, fetch: Ask) -> AsyncIterator[Answered]:
        record = client.record
        now = self._clock()
        reason = b"request" if read.fresh else b"uri-miss"
        stored = None if read.fresh else self._cache.get(read.key, now)
        if stored and read.accepts(stored.answer.headers):
            record.shared = "hit"
            age = now - stored.at
            yield _make_answer(stored, format_hit(self._cache.seconds - age), age=int(age))
            return
        # An answer that is not shared is for the one who asked: the next one asks, the others join again.
        while stored is None and not read.fresh and (outcome := self._joinable.get(read.key)):
            with record.wait(self._clock):
                stored = await _join(outcome, client.gone)
            if stored and read.accepts(stored.answer.headers):
                record.shared = "collapsed"
                yield _make_answer(stored, format_forward(reason, collapsed=True))
                return
        if stored:
            reason = b"vary-miss"
        async with self._lead(read.key, fetch(request, client), client) as (answer, body):
            status = format_forward(reason, stored=record.shared == "stored")
            yield replace(answer, headers=shared_headers(answer.headers, cache_status=status, age=None)), body

    @asynccontextmanager
    async def _lead(
        self, key: bytes, asking: AbstractAsyncContextManager[Answered], client: Client
    ) -> AsyncIterator[Answered]:
        """Ask the gateway, so that others may join."""
        record = client.record
        outcome: _Outcome = asyncio.get_running_loop().create_future()
        self._joinable[key] = outcome
        shared: StoredAnswer | ProxyError | None = None
        changes, began = self._changes, self._clock() - record.waiting - record.connecting
        async with AsyncExitStack() as stack:
            try:
                answer, body = await stack.enter_async_context(asking)
                sent = min(began + record.waiting + record.connecting, self._clock())
                begin, is_whole = b"", False
                if may_be_shared(answer.status, answer.headers):
                    begin, is_whole = await self._read_ahead(body, client)
                    body = chain(begin, body)
                if is_whole:
                    await stack.aclose()  # the place is free before the client reads
                    answer, body = replace(answer, whole=begin), _yield_once(begin)
                    shared = StoredAnswer(answer, sent)
                    if changes == self._changes and self._cache.put(key, shared, self._clock()):
                        record.shared = "stored"
            except ProxyError as error:
                shared = error
                raise
            finally:
                if self._joinable.get(key) is outcome:
                    del self._joinable[key]
                outcome.set_result(shared)
            yield answer, body

    async def _read_ahead(self, body: AsyncIterator[bytes], client: Client) -> tuple[bytes, bool]:
        """Read a body that may be shared; also tell whether its end was reached."""
        begin, began = bytearray(), self._clock()
        async for piece in body:
            begin += piece
            if len(begin) > LARGEST or (client.gone.done() and self._clock() - began > self._slowest):
                return bytes(begin), False
        return bytes(begin), True


async def _join(outcome: _Outcome, gone: asyncio.Future[None]) -> StoredAnswer | None:
    """Wait for the answer to another client's request; ``None`` if there is none to share."""
    awaited: set[asyncio.Future[Any]] = {outcome, gone}
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if not outcome.done():
        raise ClientGoneError
    shared = outcome.result()
    # A fault of the gateway is the same for all. A full queue may be the other client's own limit.
    if isinstance(shared, BusyError | RequestError):
        return None
    if isinstance(shared, ProxyError):
        raise copy(shared)  # one object must not be raised in several tasks
    return shared


def _make_answer(stored: StoredAnswer, cache_status: bytes, *, age: int | None = None) -> Answered:
    headers = shared_headers(stored.answer.headers, cache_status=cache_status, age=age)
    return replace(stored.answer, headers=headers), _yield_once(stored.answer.whole or b"")


async def _yield_once(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
