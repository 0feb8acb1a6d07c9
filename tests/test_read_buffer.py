"""Connections share one buffer, and none gets what belongs to another."""

import asyncio
import socket

from smgw_proxy_addon.read_buffer import BufferedReader

SIZE = 300_000


class Received(BufferedReader):
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes | memoryview) -> None:
        self.pieces.append(bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)


async def test_bytes_of_two_connections_do_not_mix() -> None:
    loop = asyncio.get_running_loop()
    received = {}
    for letter in (b"a", b"b"):
        sending, reading = socket.socketpair()
        _, received[letter] = await loop.create_connection(Received, sock=reading)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sending)
        transport.write(letter * SIZE)
        transport.close()
    for letter, each in received.items():
        assert await asyncio.wait_for(each.ended, 20) is None
        assert b"".join(each.pieces) == letter * SIZE
