"""Bodies that come in pieces: read to their end though nobody takes them, or read ahead for what only they tell."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from smgw_proxy_addon.errors import GatewayError

DRAIN_LIMIT: Final = 1_000_000
"""Bytes that are worth reading to save a TLS handshake: a connection carries another request only behind them."""

LONGEST_BEGIN: Final = 65536
"""Bytes of a page that are read ahead: the pages of gateways are shorter."""


async def drain(body: AsyncIterator[bytes], *, limit: int, seconds: float) -> bool:
    """Read at most ``limit`` further bytes within ``seconds``; tell whether the end was reached.

    Raises no ``GatewayError``: a connection whose answer is incomplete is not used again anyway.
    """
    try:
        async with asyncio.timeout(seconds):
            return await discard(body, limit=limit)
    except (GatewayError, TimeoutError):
        return False


async def discard(body: AsyncIterator[bytes], *, limit: int) -> bool:
    """Read at most ``limit`` further bytes; tell whether the end was reached. Raises ``GatewayError``."""
    async for piece in body:
        limit -= len(piece)
        if limit < 0:
            return False
    return True


async def read_ahead(body: AsyncIterator[bytes], limit: int) -> tuple[bytes, bool]:
    """Read until there are more than ``limit`` bytes; also tell whether the end was reached."""
    begin = bytearray()
    async for piece in body:
        begin += piece
        if len(begin) > limit:
            return bytes(begin), False
    return bytes(begin), True


async def chain(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what was read ahead, and then the rest."""
    if begin:
        yield begin
    async for piece in rest:
        yield piece
