"""Raw bytes from the gateway: an answer that is taken must be read the same way by another parser.

The connection is the real one; its transport is a stand-in.
"""

import asyncio
from functools import cache
from typing import Final

import h11

from fuzz.front_door import Wire
from fuzz.promises import promise
from smgw_proxy_addon.errors import GatewayError
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.http.messages import Answer, GatewayRequest

METHODS: Final = (b"GET", b"HEAD")
TURNS: Final = 10
_LIMIT: Final = 2**22


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def fuzz(data: bytes) -> None:
    """Answer with ``data``: its first byte chooses the method and in pieces of how many bytes (0: at once)."""
    if data:
        size = data[0] >> 1 or len(data)
        pieces = [data[at : at + size] for at in range(1, len(data), size)]
        _loop().run_until_complete(_answer(METHODS[data[0] & 1], pieces[:128]))


async def _answer(method: bytes, pieces: list[bytes]) -> None:
    connection = Connection(read_timeout=5, clock=asyncio.get_running_loop().time)
    wire = Wire()
    wire.lost = lambda: connection.connection_lost(None)
    connection.connection_made(wire)
    asking = asyncio.create_task(_exchange(connection, method))
    await asyncio.sleep(0)
    for piece in pieces:
        if not wire.is_closing():
            connection.data_received(piece)
            await asyncio.sleep(0)
    connection.eof_received()
    wire.close()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    promise(asking.done(), "the end of the connection ends the exchange")
    if (answered := await asking) is not None:
        check(method, b"".join(pieces), *answered)


async def _exchange(connection: Connection, method: bytes) -> tuple[Answer, bytes] | None:
    request = GatewayRequest(method, b"/", [(b"Host", b"gateway")], None, chunked=False, has_login=False)
    try:
        answer = await connection.exchange(request)
        return answer, b"".join([piece async for piece in connection.body()])
    except GatewayError:
        return None


def check(method: bytes, raw: bytes, answer: Answer, body: bytes) -> None:
    """Compare with what another parser reads, unless that one refuses."""
    for name, value in answer.headers:
        promise(name and not set(name + value) & set(b"\r\n\x00"), "a header is one line")
    promise(not set(answer.reason) & set(b"\r\n\x00"), "a reason is one line")
    other = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LIMIT)
    other.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"gateway")]))
    other.send(h11.EndOfMessage())
    other.receive_data(raw)
    if raw:
        other.receive_data(b"")
    status, theirs = 0, b""
    try:
        while not isinstance(event := other.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                theirs += event.data
            elif isinstance(event, type):
                return
    except h11.RemoteProtocolError:
        return
    promise((status, theirs) == (answer.status, body), "two parsers read one answer")
