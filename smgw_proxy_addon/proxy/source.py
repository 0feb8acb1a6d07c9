"""How a request gets its answer from the gateway.

A source, whose method is an ``Ask``, stands between the handler and the gateway's connections. It never talks to the
client.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from smgw_proxy_addon.errors import ClientGoneError, StaleConnectionError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.bodies import LONGEST_BEGIN, chain, read_ahead
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.pool import Lease, Pool
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.server.slow_clients import SlowClientTimeout

Answered = tuple[Answer, AsyncIterator[bytes]]
"""The head of an answer, and its body piece by piece."""


@dataclass(slots=True)
class Client:
    """Who asks; ``gone`` is done when the client has left. ``record`` and ``slow_timeout`` are of this request."""

    address: str
    gone: asyncio.Future[None]
    record: RequestRecord = field(default_factory=RequestRecord)
    slow_timeout: SlowClientTimeout = field(default_factory=SlowClientTimeout)

    def check(self) -> None:
        """Raise ``ClientGoneError`` if the client has left."""
        if self.gone.done():
            raise ClientGoneError


Ask = Callable[[GatewayRequest, Client], AbstractAsyncContextManager[Answered]]
"""Asks for an answer: its head, and its body piece by piece, to be read inside the context.

Notes in the client's record how long each step took. Raises ``ProxyError``, also in the middle of the body.
"""

Exchange = Callable[[Connection, GatewayRequest], Awaitable[Answer]]
"""Sends a request over a connection and gives the head of its answer."""


@dataclass(eq=False, repr=False)
class Transparent:
    """Hands each request to the gateway as it is; ``clock`` gives monotonic seconds."""

    pool: Pool
    clock: Callable[[], float]

    def ask(
        self,
        request: GatewayRequest,
        client: Client,
        exchange: Exchange = Connection.exchange,
        *,
        logs_in: bool = False,
    ) -> AbstractAsyncContextManager[Answered]:
        """Wait for a place at the gateway, and send the request as ``exchange`` does, which ``logs_in`` or not.

        If a connection has ended and the request may be sent once more, it is, on a new one.
        """
        page = client.address == PAGE
        cgi = ppc_session.read_request(request.target, request.headers, request.body, page=page)
        if cgi and not cgi.sessions and not request.has_login and not logs_in:
            cgi = None  # The gateway only asks for the login and opens no session: nobody's is at risk.
        return _Asking(self.pool, self.clock, request, client, exchange, cgi)


@dataclass(eq=False, repr=False, slots=True)
class _Asking:
    """One request at the gateway, from the wait for a place to the end of the answer.

    A class and no generator: each of those costs a request several microseconds.
    """

    pool: Pool
    clock: Callable[[], float]
    request: GatewayRequest
    client: Client
    exchange: Exchange
    cgi: ppc_session.CgiRequest | None
    lease: Lease = field(init=False)
    began: float = 0.0
    spent: float = 0.0
    """Seconds that the record had by then for waits and connecting."""

    async def __aenter__(self) -> Answered:
        client, record, pool = self.client, self.client.record, self.pool
        lease = self.lease = await pool.acquire(client.gone, record, address=client.address, cgi=self.cgi)
        client.slow_timeout.others_wait = pool.others_wait
        self.began, self.spent = self.clock(), record.waiting + record.connecting
        try:
            record.reused = lease.reused
            client.check()
            try:
                answer = await self.exchange(lease.connection, self.request)
            except StaleConnectionError:
                client.check()
                await pool.reconnect(lease, record)
                record.reused = False
                answer = await self.exchange(lease.connection, self.request)
            body = lease.connection.body()
            if self.cgi is not None:
                page = b""
                if pool.session.needs_page(self.cgi, answer.status, answer.headers):
                    page, _ = await read_ahead(body, LONGEST_BEGIN)
                    body = chain(page, body)
                pool.record_answer(lease, answer, page)
        except BaseException:
            await self.__aexit__()
            raise
        return answer, body

    async def __aexit__(self, *_: object) -> None:
        record = self.client.record
        try:
            await self.pool.release(self.lease)
        finally:
            self.client.slow_timeout.others_wait = None
            # An exchange may wait for another login or connection: that is no time of the gateway's.
            elsewhere = record.waiting + record.connecting - self.spent
            record.answering += self.clock() - self.began - elsewhere
