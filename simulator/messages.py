"""HTTP/1.1 messages as the simulator sees them: heads kept byte for byte, bodies streamed.

Parsed by hand, because the record must hold exactly what was received; tolerant on purpose, because a proxy's
mistakes must become visible in the record instead of being refused here.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

Headers = list[tuple[bytes, bytes]]

HEAD_LIMIT: Final = 256 * 1024
"""Bytes; far above what gateways take, so that the proxy's limits are the ones that show."""
PIECE: Final = 64 * 1024
KEPT_BODY: Final = 1024 * 1024
"""Bytes of a request's body that the record keeps."""


class MalformedRequestError(Exception):
    """What came is no HTTP/1.1 request."""


@dataclass(frozen=True)
class Received:
    """One request as it came in, also one that was broken off (``complete`` is false then)."""

    connection: int
    """Number of the TCP connection, from 1."""
    raw_head: bytes
    """Everything from the first byte to the empty line."""
    method: str = ""
    target: bytes = b""
    """The request target as it was on the request line."""
    headers: Headers = field(default_factory=list)
    """Names and values in the order and case received."""
    body: bytes = b""
    """The first ``KEPT_BODY`` bytes."""
    body_size: int = 0
    body_sha256: str = ""
    login: str = "none"
    """What the login check said: none, accepted, wrong, stale, replayed, other-uri, locked (whatever was sent), or
    certificate (none was sent, and none is needed: the client showed a certificate)."""
    complete: bool = True

    @property
    def authorized(self) -> bool:
        """Whether the request carried a login that was verified, or came with a certificate instead."""
        return self.login in ("accepted", "certificate")

    @property
    def path(self) -> bytes:
        """The target up to the question mark, not decoded."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """The target behind the question mark, not decoded."""
        return self.target.partition(b"?")[2]

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, in any case."""
        return next(iter(self.all_headers(name)), None)

    def all_headers(self, name: bytes) -> list[bytes]:
        """Return every value of a header, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Response:
    """An answer. A streamed ``body`` comes with its ``length``, or is sent chunked without one.

    ``until_close`` sends neither: the body ends with the connection, as CGI programs do it.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None
    close: bool = False
    until_close: bool = False

    @classmethod
    def json(cls, value: object, status: int = 200) -> "Response":
        """Answer with JSON."""
        return cls(status, [(b"Content-Type", b"application/json")], json.dumps(value).encode())

    @classmethod
    def html(cls, text: str, status: int = 200) -> "Response":
        """Answer with a page."""
        return cls(status, [(b"Content-Type", b"text/html; charset=utf-8")], text.encode())

    def has_body(self, method: str) -> bool:
        """Whether bytes follow the head (RFC 9112 section 6.3)."""
        return method != "HEAD" and self.status >= HTTPStatus.OK and self.status not in (204, 304)

    def head(self) -> bytes:
        """Return the head with the framing that fits the body."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Status"
        lines = [b"HTTP/1.1 %d %s" % (self.status, phrase.encode("ascii"))]
        lines += [name + b": " + value for name, value in self.headers]
        length = len(self.body) if isinstance(self.body, bytes) else self.length
        if self.until_close:
            pass
        elif length is None:
            lines.append(b"Transfer-Encoding: chunked")
        elif self.status not in (204, 304) or length:
            lines.append(b"Content-Length: %d" % length)
        if self.close or self.until_close:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it goes over the wire, chunk framing included."""
        if isinstance(self.body, bytes):
            for start in range(0, len(self.body), PIECE):
                yield self.body[start : start + PIECE]
        elif self.length is not None or self.until_close:
            async for piece in self.body:
                yield piece
        else:
            async for piece in self.body:
                yield b"%x\r\n%s\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"


def parse_head(connection: int, raw: bytes) -> Received:
    """Take a head apart; what cannot be taken apart raises ``MalformedRequestError``."""
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):  # noqa: PLR2004  # method, target, version
        raise MalformedRequestError("request line")
    headers: Headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise MalformedRequestError("header line")
        headers.append((name, value.strip(b" \t")))
    return Received(connection, raw, parts[0].decode("ascii", "replace"), parts[1], headers)


@dataclass
class Body:
    """What was read of a request's body so far."""

    kept: bytearray = field(default_factory=bytearray)
    size: int = 0
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        """Count, hash and keep a piece."""
        self.size += len(piece)
        self.sha256.update(piece)
        self.kept += piece[: KEPT_BODY - len(self.kept)]


async def read_body(head: Received, reader: asyncio.StreamReader, add: Callable[[bytes], None]) -> None:
    """Read the body that ``head`` announces and hand it on piece by piece.

    Raises IncompleteReadError when the client leaves, ``MalformedRequestError`` on broken framing.
    """
    if b"chunked" in (head.header(b"transfer-encoding") or b"").lower():
        while size := await _chunk_size(reader):
            await _read_exactly(reader, size, add)
            if await reader.readexactly(2) != b"\r\n":
                raise MalformedRequestError("chunk end")
        while await _line(reader):
            pass  # trailers
        return
    length = head.header(b"content-length") or b"0"
    if not length.isdigit():
        raise MalformedRequestError("Content-Length")
    await _read_exactly(reader, int(length), add)


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    digits = (await _line(reader)).partition(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError:
        raise MalformedRequestError("chunk size") from None


async def _line(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n"))[:-2]


async def _read_exactly(reader: asyncio.StreamReader, size: int, add: Callable[[bytes], None]) -> None:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        add(piece)
        size -= len(piece)
