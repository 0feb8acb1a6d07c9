"""A TCP port that stays free until a program listens at it."""

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """Return one that the kernel gives nobody by itself: those begin at 32768."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("", port)):
            return port
    raise OSError("100 ports are taken")
