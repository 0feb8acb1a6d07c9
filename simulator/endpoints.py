"""Targets below ``/sim/`` that no gateway has: large bodies, odd headers, any status, for tests and measurements."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qs

from simulator.messages import PIECE, Received, Response

PREFIX: Final = b"/sim/"

ODD_HEADERS: Final = [
    (b"Set-Cookie", b"first=1; Path=/; Domain=gateway.example; Secure; HttpOnly"),
    (b"set-COOKIE", b"second=2 ;SECURE;  sameSite=Strict;domain=.example"),
    (b"STRICT-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"X-FRAME-OPTIONS", b"deny"),
    (b"x-tWice", b"one"),
    (b"X-Twice", b"two"),
    (b"X-Empty", b""),
    (b"X-Latin", b"gr\xfc\xdfe"),
    (b"Keep-Alive", b"timeout=600"),
    (b"Connection", b"keep-alive, X-Hop"),
    (b"X-Hop", b"for the next one only"),
]
"""What ``/sim/headers`` sends: repeated, in odd case, for the next hop only, or not to be passed on."""


def answer(request: Received) -> Response:
    """Answer a target below ``/sim/``."""
    response = Response.json({"error": "no such test target"}, 404)
    parts = request.path.decode("latin-1").removeprefix(PREFIX.decode()).split("/")
    query = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
    match parts:
        case ["bytes", number] if number.isdigit():
            response = _bytes(int(number), query)
        case ["echo"]:
            response = Response.json({"size": request.body_size, "sha256": request.body_sha256})
        case ["status", code] if code.isdigit() and int(code) in range(200, 600):
            body = b"" if int(code) in (204, 304) else f"status {code}\n".encode()
            response = Response(int(code), [(b"Content-Type", b"text/plain")], body)
        case ["page"]:
            response = Response.html(query.get("html", ""))
        case ["headers"]:
            response = Response(200, [*ODD_HEADERS], b"odd\n")
        case ["styles", number] if number.isdigit():  # each loads another two
            following = f'@import "{int(number) + 1}"; @import "{number}?other";'.encode()
            response = Response(200, [(b"Content-Type", b"text/css")], following)
        case ["redirect"] if "to" in query:
            status = 307 if query.get("status") == "307" else 302
            response = Response(status, [(b"Location", query["to"].encode())])
    return response


def _bytes(size: int, query: dict[str, str]) -> Response:
    response = Response(200, [(b"Content-Type", b"application/octet-stream")], _stream(size))
    response.until_close = "close" in query
    if "chunked" not in query and "close" not in query:
        response.length = size
    return response


async def _stream(size: int) -> AsyncIterator[bytes]:
    block = bytes(range(256)) * (PIECE // 256)
    while size:
        yield block[:size]
        size -= min(size, PIECE)
