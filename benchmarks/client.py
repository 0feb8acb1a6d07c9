"""A client that costs little and always the same: raw sockets, bodies of known length, one login.

Owns what a client says to a gateway and how its answers are read. Never retries: what fails is a result.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.digest import authorize, parse_challenges

USER: Final = "demo"
PASSWORD: Final = "gateway"  # noqa: S105 - the simulator's own
PATIENCE: Final = 30.0
"""Seconds for one answer."""

STATUS: Final = "/sim/status/200"
READINGS: Final = (
    b'{"method":"readings","usage-point-id":"01005e318021.taf7-1.sm","database":"origin","last-reading":"true"}'
)
"""A Theben client's poll."""

_CALLS: Final = f"/smgw/m2m/{USER}.sm/json"
_PIECE: Final = 262144
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHALLENGE: Final = re.compile(rb"\r\nwww-authenticate: *([^\r]+)", re.IGNORECASE)


class BadAnswerError(Exception):
    """No answer, or another one than the scenario needs."""


@dataclass(frozen=True)
class Reply:
    """An answer: its head as received and the size of its body in bytes."""

    status: int
    head: bytes
    size: int


class Client:
    """One kept connection; ``tls`` without a look at the certificate, as with a gateway asked directly."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self.host = f"127.0.0.1:{port}"
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = _tls().wrap_socket(plain) if tls else plain
        self._buffer = bytearray(_PIECE)

    def get(self, target: str) -> bytes:
        """Return the bytes of a GET."""
        return f"GET {target} HTTP/1.1\r\nHost: {self.host}\r\nAccept: */*\r\n\r\n".encode()

    def ask(self, request: bytes, *, expect: int = 200, zeros: int = 0) -> Reply:
        """Send a request, and ``zeros`` bytes after it, and read its answer to the end.

        Raises ``BadAnswerError`` for a status that is not ``expect``, and ``OSError``.
        """
        self._socket.sendall(request)
        for start in range(0, zeros, _PIECE):
            self._socket.sendall(bytes(min(_PIECE, zeros - start)))
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(_PIECE) or _broken()
        head, _, rest = received.partition(b"\r\n\r\n")
        status, found = int(head[9:12]), _LENGTH.search(head)
        if status != expect or not found:
            raise BadAnswerError(f"status {status} instead of {expect}, or no length")
        missing = int(found[1]) - len(rest)
        while missing > 0:
            missing -= self._socket.recv_into(self._buffer) or len(_broken())
        return Reply(status, head, int(found[1]))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Login:
    """A Theben client's login on one connection: the challenge is asked for once, then requests are counted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        found = _CHALLENGE.search(client.ask(self._post(""), expect=401).head)
        if not found:
            raise BadAnswerError("no challenge")
        self._challenge = parse_challenges(found[1].decode())[0]
        self._count = 0

    def readings(self) -> bytes:
        """Return the bytes of the next request for readings; each may be sent once."""
        self._count += 1
        value = authorize(
            self._challenge,
            username=USER,
            password=PASSWORD,
            method="POST",
            uri=_CALLS,
            cnonce="0123456789abcdef",
            nc=self._count,
        )
        return self._post(f"Authorization: {value}\r\n")

    def _post(self, header: str) -> bytes:
        head = (
            f"POST {_CALLS} HTTP/1.1\r\nHost: {self._client.host}\r\nAccept: */*\r\n{header}"
            f"Content-Type: application/json\r\nContent-Length: {len(READINGS)}\r\n\r\n"
        )
        return head.encode() + READINGS


@contextmanager
def connected(port: int, *, tls: bool) -> Iterator[Client]:
    """Connect for the time of the block."""
    client = Client(port, tls=tls)
    try:
        yield client
    finally:
        client.close()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _broken() -> bytes:
    raise BadAnswerError("the connection ended before the answer did")
