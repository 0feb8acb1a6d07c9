"""How a request gets its answer from the gateway, and how long each step took.

A ``Source`` stands between the handler and the gateway's connections. It never talks to the client.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from smgw_proxy_addon.errors import ClientGoneError, StaleConnectionError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.pool import Lease, Pool
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.server.slow_clients import Hold


@dataclass
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
    _waiting: float = field(default=0.0, init=False)

    @property
    def waiting(self) -> float:
        """The sum of all waits."""
        return self._waiting

    def waited(self, seconds: float) -> None:
        """Add a wait: for the throttle, another login, another request's answer, or a place at the gateway."""
        self._waiting += seconds

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


@dataclass(frozen=True)
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


async def _send(connection: Connection, request: GatewayRequest) -> Answer:
    return await connection.exchange(request)


class Transparent:
    """Hands each request to the gateway as it is."""

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self._pool = pool
        self._clock = clock
        self.may_reuse = pool.may_reuse

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, client: Client, timings: Timings, exchange: Exchange = _send
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Wait for a place at the gateway, and send the request as ``exchange`` does.

        If a connection has ended and the request may be sent once more, it is, on a new one.
        """
        asked = self._clock()
        cgi = ppc_session.read_request(request.target, request.headers, request.body)
        if cgi and not cgi.sessions and not request.has_login and exchange is _send:
            cgi = None  # The gateway only asks for the login and opens no session: nobody's is at risk.
        waited_before: float | None = None
        try:
            async with self._pool.lease(client.gone, address=client.address, cgi=cgi) as lease:
                timings.waited(lease.waited)
                timings.connecting += lease.connecting
                timings.reused = lease.reused
                timings.hold.others_wait = self._pool.others_wait
                asked, waited_before = self._clock(), timings.waiting
                if client.gone.done():
                    raise ClientGoneError
                try:
                    answer = await exchange(lease.connection, request)
                except StaleConnectionError:
                    asked += await self._reconnect(lease, client, timings)
                    answer = await exchange(lease.connection, request)
                lease.record_answer(answer)
                yield answer, lease.connection.body()
        finally:
            timings.hold.others_wait = None
            elapsed = self._clock() - asked
            if waited_before is None:
                timings.waited(elapsed)
            else:
                # An exchange may wait for another login: that is no time of the gateway's.
                timings.answering += elapsed - (timings.waiting - waited_before)

    async def _reconnect(self, lease: Lease, client: Client, timings: Timings) -> float:
        """Give a lease a new connection; returns the seconds that it took."""
        if client.gone.done():
            raise ClientGoneError
        began = self._clock()
        try:
            await lease.reconnect()
        finally:
            elapsed = self._clock() - began
            timings.connecting += elapsed
            timings.reused = lease.reused
        return elapsed
