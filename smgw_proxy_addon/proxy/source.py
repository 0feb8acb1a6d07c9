"""How a request gets its answer from the gateway.

A ``Source`` stands between the handler and the gateway's connections. It never talks to the client.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from smgw_proxy_addon.errors import ClientGoneError, StaleConnectionError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.bodies import read_begin
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.pool import Lease, Pool
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.server.slow_clients import SlowClientTimeout


@dataclass(slots=True)
class Client:
    """Who asks; ``gone`` is done when the client has left. ``slow_timeout`` is for this request."""

    address: str
    gone: asyncio.Future[None]
    slow_timeout: SlowClientTimeout = field(default_factory=SlowClientTimeout)


class Source(Protocol):
    """Gives the answer to a request."""

    def ask(
        self, request: GatewayRequest, client: Client, record: RequestRecord
    ) -> AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask for an answer: its head, and its body piece by piece, to be read inside the context.

        Notes in ``record`` how long each step took. Raises ``ProxyError``, in the middle of the body as well.
        """
        ...


Exchange = Callable[[Connection, GatewayRequest], Awaitable[Answer]]
"""Sends a request over a connection and gives the head of its answer."""


class Transparent:
    """Hands each request to the gateway as it is."""

    def __init__(self, pool: Pool, clock: Callable[[], float]) -> None:
        self.pool = pool
        self.clock = clock
        self.may_reuse = pool.may_reuse

    def ask(
        self,
        request: GatewayRequest,
        client: Client,
        record: RequestRecord,
        exchange: Exchange = Connection.exchange,
        *,
        logs_in: bool = False,
    ) -> AbstractAsyncContextManager[tuple[Answer, AsyncIterator[bytes]]]:
        """Wait for a place at the gateway, and send the request as ``exchange`` does, which ``logs_in`` or not.

        If a connection has ended and the request may be sent once more, it is, on a new one.
        """
        page = client.address == PAGE
        cgi = ppc_session.read_request(request.target, request.headers, request.body, page=page)
        if cgi and not cgi.sessions and not request.has_login and not logs_in:
            cgi = None  # The gateway only asks for the login and opens no session: nobody's is at risk.
        return _Asking(self, request, client, record, exchange, cgi)


class _Asking:
    """One request at the gateway, from the wait for a place to the end of the answer.

    A class and no generator: each of those costs a request several microseconds.
    """

    __slots__ = (
        "_began",
        "_cgi",
        "_client",
        "_clock",
        "_exchange",
        "_lease",
        "_pool",
        "_record",
        "_request",
        "_spent",
    )

    def __init__(
        self,
        source: Transparent,
        request: GatewayRequest,
        client: Client,
        record: RequestRecord,
        exchange: Exchange,
        cgi: ppc_session.CgiRequest | None,
    ) -> None:
        self._pool = source.pool
        self._clock = source.clock
        self._request = request
        self._client = client
        self._record = record
        self._exchange = exchange
        self._cgi = cgi
        self._lease: Lease

    async def __aenter__(self) -> tuple[Answer, AsyncIterator[bytes]]:
        client, record, pool = self._client, self._record, self._pool
        lease = self._lease = await pool.acquire(client.gone, record, address=client.address, cgi=self._cgi)
        client.slow_timeout.others_wait = pool.others_wait
        self._began, self._spent = self._clock(), record.waiting + record.connecting
        try:
            record.reused = lease.reused
            self._check_client()
            try:
                answer = await self._exchange(lease.connection, self._request)
            except StaleConnectionError:
                self._check_client()
                await pool.reconnect(lease, record)
                record.reused = False
                answer = await self._exchange(lease.connection, self._request)
            body = lease.connection.body()
            if self._cgi is not None:
                page = b""
                if pool.session.needs_page(self._cgi, answer.status, answer.headers):
                    page, body = await read_begin(answer, body)
                pool.record_answer(lease, answer, page)
        except BaseException:
            await self.__aexit__()
            raise
        return answer, body

    def _check_client(self) -> None:
        if self._client.gone.done():
            raise ClientGoneError

    async def __aexit__(self, *_: object) -> None:
        record = self._record
        try:
            await self._pool.release(self._lease)
        finally:
            self._client.slow_timeout.others_wait = None
            # An exchange may wait for another login or connection: that is no time of the gateway's.
            elsewhere = record.waiting + record.connecting - self._spent
            record.answering += self._clock() - self._began - elsewhere
