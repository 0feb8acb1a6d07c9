"""Draining: up to the end, a number of bytes, a time or an error of the gateway, whichever comes first."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from smgw_proxy_addon.errors import GatewayError, TruncatedAnswerError
from smgw_proxy_addon.gateway.bodies import discard, drain


async def body(*pieces: bytes, error: Exception | None = None, hangs: bool = False) -> AsyncIterator[bytes]:
    """Give ``pieces``; then raise ``error``, never come back, or end."""
    for piece in pieces:
        yield piece
    if error:
        raise error
    if hangs:
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("pieces", "ended"),
    [((), True), ((b"abc", b"de"), True), ((b"abc", b"def"), False), ((b"abcdef",), False)],
)
async def test_at_most_so_many_bytes_are_read(pieces: tuple[bytes, ...], ended: bool) -> None:
    assert await drain(body(*pieces), limit=5, seconds=5) is ended


async def test_a_body_that_does_not_end_in_time_is_given_up() -> None:
    assert not await drain(body(b"a", hangs=True), limit=5, seconds=0.05)


async def test_an_error_of_the_gateway_is_raised_only_to_those_who_ask_for_it() -> None:
    assert not await drain(body(b"a", error=TruncatedAnswerError()), limit=5, seconds=5)
    with pytest.raises(GatewayError):
        await discard(body(b"a", error=TruncatedAnswerError()), limit=5)


async def test_any_other_error_is_raised() -> None:
    with pytest.raises(ValueError, match="a fault"):
        await drain(body(error=ValueError("a fault")), limit=5, seconds=5)
