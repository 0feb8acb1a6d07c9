"""Reads the begin of an answer's body ahead, for what only a page tells."""

from collections.abc import AsyncIterator
from typing import Final

from smgw_proxy_addon.http.messages import Answer

LONGEST: Final = 65536
"""Bytes that are read ahead: the pages of gateways are shorter."""


async def read_begin(answer: Answer, body: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return up to about ``LONGEST`` bytes of a body, and the whole body again. Raises what ``body`` raises."""
    if answer.whole is not None:
        return answer.whole, body
    begin = bytearray()
    async for piece in body:
        begin += piece
        if len(begin) >= LONGEST:
            break
    return bytes(begin), _chain(bytes(begin), body)


async def _chain(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if begin:
        yield begin
    async for piece in rest:
        yield piece
