"""Reads the rest of an answer that no client wants, so that the gateway can finish and the connection is kept."""

import asyncio
from collections.abc import AsyncIterator

from smgw_proxy_addon.errors import GatewayError


async def drain(body: AsyncIterator[bytes], *, limit: int, seconds: float) -> bool:
    """Read at most ``limit`` further bytes within ``seconds``; tells whether the end was reached.

    An error of the gateway ends it as well: nobody is left to be told.
    """
    read = 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in body:
                read += len(piece)
                if read > limit:
                    return False
    except (GatewayError, TimeoutError):
        return False
    return True
