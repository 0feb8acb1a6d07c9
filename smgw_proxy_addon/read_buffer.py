"""Reads all connections through one buffer.

asyncio takes 256 kB for each read and gives back what was not filled. glibc has the system map and unmap them each
time, which took a quarter of a request's time.
"""

import asyncio
from typing import Final

_SIZE: Final = 262_144


class BufferedReader(asyncio.Protocol, asyncio.BufferedProtocol):
    """A protocol whose ``data_received`` gets what one read brings: a view, good until it returns.

    For one event loop in a process.
    """

    _buffer: Final = memoryview(bytearray(_SIZE))

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what came in."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Give the event loop the buffer to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read into the buffer."""
        self.data_received(self._buffer[:nbytes])
