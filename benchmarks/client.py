"""A client that costs little and always the same: raw sockets, bodies of known length, a Digest login.

Owns what a client says to a gateway and how its answers are read. Never retries: what fails is a result.
"""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smgw_proxy_addon.http.digest import authorize, parse_challenges

USER: Final = "demo"
PASSWORD: Final = "gateway"  # noqa: S105 - the simulator's own
PATIENCE: Final = 90.0
"""Seconds for one answer."""

_POINT: Final = b'"usage-point-id":"01005e318021.taf7-1.sm"'
_HOUR: Final = b'"fromtime":"2026-01-10T10:00:00Z","totime":"2026-01-10T11:00:00Z"'
READS: Final = (
    b'{"method":"smgw-info"}',
    b'{"method":"user-info"}',
    b'{"method":"usage-point-info",%b}' % _POINT,
    b'{"method":"readings",%b,"database":"origin","last-reading":"true"}' % _POINT,
    b'{"method":"readings",%b,"database":"origin",%b}' % (_POINT, _HOUR),
    b'{"method":"log",%b}' % _POINT,
)
"""A Theben client's poll: six different reads."""
EXCHANGES: Final = 2 * len(READS)
"""What a poll is at the gateway: ha-ppc-smgw asks for a fresh challenge (401) before each request."""

_CALLS: Final = f"/smgw/m2m/{USER}.sm/json"
_PIECE: Final = 262144
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHALLENGE: Final = re.compile(rb"\r\nwww-authenticate: *([^\r]+)", re.IGNORECASE)


class BadAnswerError(Exception):
    """No answer, or another one than the measurement needs."""


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

    def ask(self, request: bytes, *, expect: int = 200) -> bytes:
        """Send a request, read its answer to the end and return its head.

        Raises ``BadAnswerError`` for a status that is not ``expect``, and ``OSError``.
        """
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(_PIECE) or _broken()
        head, _, rest = received.partition(b"\r\n\r\n")
        if int(head[9:12]) != expect:
            raise BadAnswerError(f"status {head[9:12].decode()} instead of {expect}")
        found = _LENGTH.search(head)
        if not found:
            raise BadAnswerError("an answer without a length")
        missing = int(found[1]) - len(rest)
        while missing > 0:
            missing -= self._socket.recv_into(self._buffer) or len(_broken())
        return head

    def poll(self) -> None:
        """Ask for all of ``READS``, each with a fresh Digest challenge."""
        for body in READS:
            head = self.ask(self._post(body), expect=401)
            found = _CHALLENGE.search(head)
            if not found:
                raise BadAnswerError("no challenge")
            challenge = parse_challenges(found[1].decode())[0]
            value = authorize(
                challenge,
                username=USER,
                password=PASSWORD,
                method="POST",
                uri=_CALLS,
                cnonce="0123456789abcdef",
                nc=1,
            )
            self.ask(self._post(body, f"Authorization: {value}\r\n"))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _post(self, body: bytes, header: str = "") -> bytes:
        head = (
            f"POST {_CALLS} HTTP/1.1\r\nHost: {self.host}\r\nAccept: */*\r\n{header}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextmanager
def connected(port: int, *, tls: bool) -> Iterator[Client]:
    """Connect for the time of the block."""
    client = Client(port, tls=tls)
    try:
        yield client
    finally:
        client.close()


def timed(client: Client, request: bytes) -> float:
    """Return the seconds of an exchange."""
    began = time.perf_counter()
    client.ask(request)
    return time.perf_counter() - began


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _broken() -> bytes:
    raise BadAnswerError("the connection ended before the answer did")
