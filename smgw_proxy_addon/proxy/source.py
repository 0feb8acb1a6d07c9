"""How a request gets its answer: by whom the gateway is asked, and how long each step took.

A ``Source`` is what stands between the frontend and the gateway's connections. It never talks to the client.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from smgw_proxy_addon.errors import ClientGoneError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.server.slow_clients import Hold


@dataclass
class Course:
    """How a request fared, for its line in the log; times in seconds.

    ``reused`` says whether the gateway's connection was kept from before, ``None`` if none was used. ``shared`` says
    what became of an answer that may be shared: taken from those kept (``hit``), from another client's request
    (``collapsed``), or asked for and kept (``stored``). ``hold`` is the request's on its place at the gateway.
    """

    waiting: float = 0.0
    connecting: float = 0.0
    answering: float = 0.0
    reused: bool | None = None
    shared: Literal["hit", "collapsed", "stored"] | None = None
    hold: Hold = field(default_factory=Hold)


@dataclass(frozen=True)
class Client:
    """Who asks; ``gone`` is done when the client has left."""

    address: str
    gone: asyncio.Future[None]


class Source(Protocol):
    """Gives the answer to a request."""

    def ask(
        self, request: GatewayRequest, client: Client, course: Course
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

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, client: Client, course: Course, exchange: Exchange = _send
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Wait for a place at the gateway, and send the request once, or as ``exchange`` does."""
        asked = self._clock()
        cgi = ppc_session.read_request(request.target, request.headers, request.body)
        try:
            async with self._pool.lease(client.gone, address=client.address, cgi=cgi) as lease:
                course.waiting, course.connecting, course.reused = lease.waited, lease.connecting, lease.reused
                course.hold.others_wait = self._pool.others_wait
                asked = self._clock()
                if client.gone.done():
                    raise ClientGoneError
                answer = await exchange(lease.connection, request)
                lease.record_answer(answer)
                yield answer, lease.connection.body()
        finally:
            course.hold.others_wait = None
            if course.reused is None:
                course.waiting = self._clock() - asked
            else:
                course.answering = self._clock() - asked
