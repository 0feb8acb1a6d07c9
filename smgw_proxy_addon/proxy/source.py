"""How a request gets its answer from the gateway, and how long each step took.

A ``Source`` stands between the handler and the gateway's connections. It never talks to the client.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from smgw_proxy_addon.errors import ClientGoneError, StaleConnectionError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.page_begin import read_begin
from smgw_proxy_addon.gateway.pool import Lease, Pool
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.server.slow_clients import Hold


@dataclass(slots=True)
class Timings:
    """How a request fared, for its line in the log and on the page; times in seconds.

    ``reused`` says whether the gateway's connection was kept from before, ``None`` if none was used. ``shared`` says
    what became of an answer that may be shared: taken from those stored (``hit``), from another client's request
    (``collapsed``), or asked for and stored (``stored``). ``hold`` is the request's on its place at the gateway.
    """

    connecting: float = 0.0
    answering: float = 0.0
    reused: bool | None = None
    shared: Literal["hit", "collapsed", "stored"] | None = None
    hold: Hold = field(default_factory=Hold)
    waiting: float = field(default=0.0, init=False)
    """The sum of all waits; to be changed with ``waited`` only."""

    def waited(self, seconds: float) -> None:
        """Add a wait: for the throttle, another login, another request's answer, or a place at the gateway."""
        self.waiting += seconds

    @contextmanager
    def wait(self, clock: Callable[[], float]) -> Iterator[None]:
        """Add the time of this context as a wait, also if it ends with an exception."""
        began = clock()
        try:
            yield
        finally:
            self.waited(clock() - began)

    def add(self, other: "Timings") -> None:
        """Add how a request fared that was made for this one."""
        self.waited(other.waiting)
        self.connecting += other.connecting
        self.answering += other.answering
        self.reused, self.shared = other.reused, other.shared


@dataclass(slots=True)
class Client:
    """Who asks; ``gone`` is done when the client has left."""

    address: str
    gone: asyncio.Future[None]


class Source(Protocol):
    """Gives the answer to a request."""

    def ask(
        self, request: GatewayRequest, client: Client, timings: Timings
    ) -> AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask for an answer: its head, and its body piece by piece, to be read inside the context.

        Raises ``ProxyError``, in the middle of the body as well.
        """
        ...


Exchange = Callable[[Connection, GatewayRequest], Awaitable[Answer]]
"""Sends a request over a connection and gives the head of its answer."""


class Transparent:
    """Hands each request to the gateway as it is."""

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self.may_reuse = pool.may_reuse

    def ask(
        self,
        request: GatewayRequest,
        client: Client,
        timings: Timings,
        exchange: Exchange = Connection.exchange,
    ) -> AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]:
        """Wait for a place at the gateway, and send the request as ``exchange`` does.

        If a connection has ended and the request may be sent once more, it is, on a new one.
        """
        return _Asking(self._pool, self._clock, request, client, timings, exchange)


@dataclass(slots=True, eq=False)
class _Asking:
    """One request at the gateway, from the wait for a place to the end of the answer.

    A class and no generator: each of those costs a request several microseconds.
    """

    _pool: Pool
    _clock: Callable[[], float]
    _request: GatewayRequest
    _client: Client
    _timings: Timings
    _exchange: Exchange
    _lease: Lease = field(init=False)
    _began: float = field(default=0.0, init=False)
    _waited_before: float = field(default=0.0, init=False)

    async def __aenter__(self) -> tuple[Answer, AsyncIterator[bytes]]:
        request, client, timings = self._request, self._client, self._timings
        own = client.address == PAGE
        cgi = ppc_session.read_request(request.target, request.headers, request.body, page=own)
        if cgi and not cgi.sessions and not request.has_login and self._exchange is Connection.exchange:
            cgi = None  # The gateway only asks for the login and opens no session: nobody's is at risk.
        self._began = self._clock()
        try:
            lease = self._lease = await self._pool.acquire(client.gone, address=client.address, cgi=cgi)
        except BaseException:
            timings.waited(self._clock() - self._began)
            raise
        timings.waited(lease.waited)
        timings.connecting += lease.connecting
        timings.reused = lease.reused
        timings.hold.others_wait = self._pool.others_wait
        self._began, self._waited_before = self._clock(), timings.waiting
        if client.gone.done():
            await self.__aexit__()
            raise ClientGoneError
        try:
            try:
                answer = await self._exchange(lease.connection, request)
            except StaleConnectionError:
                await self._reconnect()
                answer = await self._exchange(lease.connection, request)
            page, body = b"", lease.connection.body()
            if self._pool.session.needs_page(cgi, answer.status, answer.headers):
                page, body = await read_begin(answer, body)
            self._pool.record_answer(lease, answer, page)
        except BaseException:
            await self.__aexit__()
            raise
        return answer, body

    async def _reconnect(self) -> None:
        if self._client.gone.done():
            raise ClientGoneError
        lease, timings, began = self._lease, self._timings, self._clock()
        try:
            await self._pool.reconnect(lease)
        finally:
            elapsed = self._clock() - began
            self._began += elapsed
            timings.connecting += elapsed
            timings.reused = lease.reused

    async def __aexit__(self, *_: object) -> None:
        timings = self._timings
        try:
            await self._pool.release(self._lease)
        finally:
            timings.hold.others_wait = None
            # An exchange may wait for another login: that is no time of the gateway's.
            waited = timings.waiting - self._waited_before
            timings.answering += self._clock() - self._began - waited
