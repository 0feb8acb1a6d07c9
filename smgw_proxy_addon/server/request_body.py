"""The bodies of clients' requests: small ones whole, large ones in pieces, none too large and none too slowly.

Nothing is changed in them, and none is kept.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from smgw_proxy_addon.errors import BodyTooLargeError, ClientStalledError
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.slow_clients import SlowClientTimeout

MB: Final = 1_000_000

WHOLE_BODY: Final = 65536
"""Bytes of a request's body that are read before a place at the gateway is taken."""

STALL: Final = 30.0
"""Seconds in which a client has to send something."""

SLOWEST: Final = 1000
"""Bytes that it has to send in each further second."""


async def receive(
    client: ClientConnection, limit: int, slow_timeout: SlowClientTimeout
) -> tuple[bytes, None] | tuple[None, AsyncIterator[bytes]]:
    """Read a body of up to ``WHOLE_BODY`` bytes whole; a larger one comes in pieces.

    Raises ``BodyTooLargeError`` beyond ``limit`` bytes, also between the pieces, ``ClientStalledError`` if it is sent
    too slowly, ``ClientGoneError`` and ``BadRequestError``.
    """
    body = _Body(client, limit, slow_timeout)
    start = b""
    while piece := await body.read():
        start += piece
        if len(start) > WHOLE_BODY:
            return None, body.rest(start)
    return start, None


def too_large(limit: int) -> BodyTooLargeError:
    """Say that a body has more than so many bytes."""
    return BodyTooLargeError(limit=f"{limit / MB:g}")


class _Body:
    """The body of one request while it comes in."""

    def __init__(self, client: ClientConnection, limit: int, slow_timeout: SlowClientTimeout) -> None:
        self._client = client
        self._limit = limit
        self._timeout = slow_timeout
        self._received = 0
        self._patience = STALL

    async def rest(self, start: bytes) -> AsyncIterator[bytes]:
        yield start
        while piece := await self.read():
            yield piece

    async def read(self) -> bytes:
        """Give what has come in, or wait for it; nothing at the end."""
        # Only the time that the client needs counts, not what the gateway takes between two pieces. A byte now and
        # then is not enough: at the other end of the request somebody's place at the gateway may be taken.
        loop = asyncio.get_running_loop()
        waited = 0.0
        while True:
            piece = self._client.take_body()
            size = len(piece or b"")
            self._timeout.waited(waited, moved=size)
            self._patience = min(STALL, self._patience - waited + size / SLOWEST)
            if piece is not None:
                break
            if self._patience <= 0:
                raise ClientStalledError
            began = loop.time()
            await self._client.wait_for_body(min(self._patience, self._timeout.step))
            waited = loop.time() - began
        self._received += size
        if self._received > self._limit:
            raise too_large(self._limit)
        return piece
