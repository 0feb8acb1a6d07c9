"""The bodies of clients' requests: small ones whole, large ones in pieces, none too large and none too slowly.

Nothing is changed in them, and none is kept.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from smgw_proxy_addon.errors import BodyTooLargeError, ClientStalledError
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.slow_clients import Hold

MB: Final = 1_000_000

WHOLE_BODY: Final = 65536
"""Bytes of a request's body that are read before a place at the gateway is taken."""

STALL: Final = 30.0
"""Seconds in which a client has to send something."""

SLOWEST: Final = 1000
"""Bytes that it has to send in each further second."""


async def receive(
    client: ClientConnection, limit: int, hold: Hold
) -> tuple[bytes, None] | tuple[None, AsyncIterator[bytes]]:
    """Read a body of up to ``WHOLE_BODY`` bytes whole; a larger one comes in pieces, whose ``hold`` is bounded.

    Raises ``BodyTooLargeError`` beyond ``limit`` bytes, also between the pieces, ``ClientStalledError`` if it is sent
    too slowly, ``ClientGoneError`` and ``BadRequestError``.
    """
    pieces = _pieces(client, limit, hold)
    start = bytearray()
    async for piece in pieces:
        start += piece
        if len(start) > WHOLE_BODY:
            return None, _chain(bytes(start), pieces)
    return bytes(start), None


async def _chain(start: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in pieces:
        yield piece


async def _pieces(client: ClientConnection, limit: int, hold: Hold) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    received, patience = 0, STALL
    while True:
        # Only the time that the client needs counts, not what the gateway takes between two pieces. A byte now and
        # then is not enough: at the other end of the request somebody's place at the gateway may be taken.
        began = loop.time()
        piece = await _next(client, min(patience, STALL), hold)
        if not piece:
            return
        received += len(piece)
        if received > limit:
            raise too_large(limit)
        patience += len(piece) / SLOWEST - (loop.time() - began)
        yield piece


async def _next(client: ClientConnection, patience: float, hold: Hold) -> bytes:
    """Give what has come in, or wait for it; nothing at the end."""
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        piece = await client.read_body(min(patience, hold.step))
        waited = loop.time() - began
        hold.waited(waited, moved=len(piece or b""))
        if piece is not None:
            return piece
        patience -= waited
        if patience <= 0:
            raise ClientStalledError


def too_large(limit: int) -> BodyTooLargeError:
    """Say that a body has more than so many bytes."""
    return BodyTooLargeError(limit=f"{limit / MB:g}")
