"""Reads an answer that nobody takes to its end: only then can the connection carry another request."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from smgw_proxy_addon.errors import GatewayError

DRAIN_LIMIT: Final = 1_000_000
"""Bytes that are worth reading to save a TLS handshake."""


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
