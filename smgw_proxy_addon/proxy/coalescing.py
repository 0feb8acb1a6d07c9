"""Answers shared between clients: identical reads at the same time are asked once, and answers may be stored.

Owns who asks the gateway, who joins another's request, and who is given what was stored. What may be shared is
``cache``'s to say, and how one request serves several clients is a matter of ``single_flight``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Final

from smgw_proxy_addon.errors import BusyError, ProxyError, RequestError, ShuttingDownError
from smgw_proxy_addon.gateway.bodies import read_ahead
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
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
from smgw_proxy_addon.proxy.single_flight import SharedFetch, UnsharedAnswer
from smgw_proxy_addon.proxy.source import Client

Ask = Callable[[GatewayRequest, Client], AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]]
"""As ``Source.ask``."""

_OK: Final = 200


class SharedAnswers:
    """Shares the answers of a source among the clients of one ``account``.

    ``cache_seconds`` is how long an answer is stored, 0 for not at all; ``drain_timeout`` how many seconds a fetch
    gets to end when all its clients have left; ``clock`` is monotonic, in seconds.
    """

    def __init__(self, cache_seconds: float, clock: Callable[[], float], *, drain_timeout: float) -> None:
        self._cache = Cache(cache_seconds)
        self._clock = clock
        self._drain_timeout = drain_timeout
        self._joinable: dict[bytes, SharedFetch] = {}
        """By the key of their read."""
        self._running: set[SharedFetch] = set()
        self._closed = False

    @asynccontextmanager
    async def ask(
        self, account: str, request: GatewayRequest, client: Client, fetch: Ask
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Give a stored answer, that of another client's request, or the one of ``fetch``, as ``Source.ask`` does.

        ``fetch`` may outlive this context; for a read its client is gone when all who wait for the answer are. The
        answer must hold nothing that belongs to one login, such as ``Authentication-Info``. Raises ``ProxyError``.
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
        for shared in self._running:
            shared.outdated = True
        self._joinable.clear()

    async def close(self) -> None:
        """Cancel all fetches and drop all answers; no task is left."""
        self._closed = True
        tasks = [shared.task for shared in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cache.clear()

    @asynccontextmanager
    async def _read(
        self, read: Read, request: GatewayRequest, client: Client, fetch: Ask
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        record = client.record
        now = self._clock()
        reason = b"request" if read.fresh else b"uri-miss"
        stored = None if read.fresh else self._cache.get(read.key, now)
        if stored and read.accepts(stored.headers):
            record.shared = "hit"
            age = now - stored.at
            yield _make_answer(stored, format_hit(self._cache.seconds - age), age=int(age))
            return
        # An answer that is not shared is for the one who asked: the next one asks, the others join again.
        while stored is None and not read.fresh and (shared := self._joinable.get(read.key)):
            with record.wait(self._clock):
                stored = await _join(shared, client)
            if stored and read.accepts(stored.headers):
                record.shared = "collapsed"
                yield _make_answer(stored, format_forward(reason, collapsed=True))
                return
        if stored:
            reason = b"vary-miss"
        async with self._lead(read, request, client, fetch) as answer:
            status = format_forward(reason, stored=record.shared == "stored")
            if isinstance(answer, StoredAnswer):
                yield _make_answer(answer, status)
            else:
                head = answer.answer
                headers = shared_headers(head.headers, cache_status=status, age=None)
                yield replace(head, headers=headers), answer.body()

    @asynccontextmanager
    async def _lead(
        self, read: Read, request: GatewayRequest, client: Client, fetch: Ask
    ) -> AsyncIterator[StoredAnswer | UnsharedAnswer]:
        """Ask the gateway, so that others may join."""
        if self._closed:
            raise ShuttingDownError
        record = client.record
        began = self._clock()
        shared = SharedFetch(
            lambda shared: self._fetch(
                shared, read.key, request, replace(client, gone=shared.gone, record=shared.record), fetch
            ),
            self._drain_timeout,
        )
        self._joinable[read.key] = shared
        self._running.add(shared)
        shared.task.add_done_callback(lambda _: self._forget(shared, read.key))
        shared.join()
        answer = None
        try:
            await shared.wait(client.gone)
            if shared.answer.cancelled():
                raise ShuttingDownError
            answer = shared.answer.result()
            record.shared = shared.record.shared
            yield answer
        finally:
            shared.leave()
            if isinstance(answer, UnsharedAnswer):
                await asyncio.wait({shared.task})
            record.add(shared.record)
            if shared.record.reused is None and not shared.task.done():
                record.waiting += self._clock() - began  # for a place, as those who stay still do

    async def _fetch(
        self, shared: SharedFetch, key: bytes, request: GatewayRequest, client: Client, fetch: Ask
    ) -> None:
        began = self._clock()
        async with fetch(request, client) as (answer, body):
            sent = min(began + shared.record.waiting + shared.record.connecting, self._clock())
            begin, is_whole = b"", False
            if may_be_shared(answer.status, answer.headers):
                begin, is_whole = await read_ahead(body, LARGEST)
            if not is_whole:
                self._let_nobody_join(shared, key)
                await shared.hand_over(answer, begin, body)
                return
        stored = StoredAnswer(answer.reason, answer.headers, begin, sent)
        if not shared.outdated and self._cache.put(key, stored, self._clock()):
            shared.record.shared = "stored"
        self._let_nobody_join(shared, key)
        shared.answer.set_result(stored)

    def _forget(self, shared: SharedFetch, key: bytes) -> None:
        self._running.discard(shared)
        self._let_nobody_join(shared, key)

    def _let_nobody_join(self, shared: SharedFetch, key: bytes) -> None:
        if self._joinable.get(key) is shared:
            del self._joinable[key]


async def _join(shared: SharedFetch, client: Client) -> StoredAnswer | None:
    """Wait for the answer to another client's request; ``None`` if there is none to share."""
    shared.join()
    try:
        await shared.wait(client.gone)
    finally:
        shared.leave()
    if shared.answer.cancelled():
        return None
    error = shared.answer.exception()
    if error is None:
        answer = shared.answer.result()
        return answer if isinstance(answer, StoredAnswer) else None
    # A fault of the gateway is the same for all. A full queue may be the other client's own limit.
    if isinstance(error, ProxyError) and not isinstance(error, BusyError | RequestError):
        raise _copy(error)
    return None


def _copy(error: ProxyError) -> ProxyError:
    """Make the same error anew: one object must not be raised in several tasks."""
    return type(error)(error.detail, **error.facts)


def _make_answer(
    stored: StoredAnswer, cache_status: bytes, *, age: int | None = None
) -> tuple[Answer, AsyncIterator[bytes]]:
    headers = shared_headers(stored.headers, cache_status=cache_status, age=age)
    return Answer(_OK, stored.reason, headers, stored.body), _yield_once(stored.body)


async def _yield_once(piece: bytes) -> AsyncIterator[bytes]:
    yield piece
