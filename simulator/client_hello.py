"""Takes a ClientHello apart (RFC 5246 section 7.4.1.2), as far as a gateway looks at it before it answers. Pure."""

import struct
from dataclasses import dataclass
from typing import Final

RENEGOTIATION_INFO: Final = 0xFF01
EMPTY_RENEGOTIATION_INFO_SCSV: Final = 0x00FF
"""RFC 5746 sections 3.2 and 3.3: the extension, and the cipher suite that stands for an empty one."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD_HEAD: Final = 5
_MESSAGE_HEAD: Final = 4
_VERSION_AND_RANDOM: Final = 2 + 32


class NotClientHelloError(Exception):
    """What came is no ClientHello."""


@dataclass(frozen=True)
class ClientHello:
    """The cipher suites and extensions that a client names, by number and in order."""

    cipher_suites: tuple[int, ...]
    extensions: tuple[int, ...]

    @property
    def speaks_of_renegotiation(self) -> bool:
        """Whether it holds ``renegotiation_info`` or the cipher suite in its place."""
        return RENEGOTIATION_INFO in self.extensions or EMPTY_RENEGOTIATION_INFO_SCSV in self.cipher_suites


def parse_client_hello(received: bytes) -> ClientHello | None:
    """Take a client's first bytes apart, None while some are missing; raises NotClientHelloError."""
    message = _first_message(received)
    if message is None:
        return None
    hello = _Reader(message)
    hello.take(_VERSION_AND_RANDOM)
    hello.vector(1)  # session id
    suites = hello.vector(2)
    hello.vector(1)  # compression methods
    if len(suites) % 2:
        raise NotClientHelloError("half a cipher suite")
    return ClientHello(struct.unpack(f"!{len(suites) // 2}H", suites), tuple(_extensions(hello)))


def _first_message(received: bytes) -> bytes | None:
    """Return the body of the first handshake message, which may be cut into records; None without its end."""
    message, rest = b"", received
    while rest:
        if rest[0] != _HANDSHAKE:
            raise NotClientHelloError("no handshake record")
        end = _RECORD_HEAD + int.from_bytes(rest[3:_RECORD_HEAD], "big")
        message, rest = message + rest[_RECORD_HEAD:end], rest[end:]
        if message and message[0] != _CLIENT_HELLO:
            raise NotClientHelloError("another handshake message")
        end = _MESSAGE_HEAD + int.from_bytes(message[1:_MESSAGE_HEAD], "big")
        if len(message) >= _MESSAGE_HEAD and end <= len(message):
            return message[_MESSAGE_HEAD:end]
    return None


def _extensions(hello: "_Reader") -> list[int]:
    if not hello.rest:
        return []  # a client of before RFC 3546
    found, extensions = [], _Reader(hello.vector(2))
    while extensions.rest:
        found.append(int.from_bytes(extensions.take(2), "big"))
        extensions.vector(2)
    return found


class _Reader:
    """Cuts the parts of a message off its front."""

    def __init__(self, message: bytes) -> None:
        self.rest = message

    def take(self, size: int) -> bytes:
        """Cut off so many bytes."""
        if len(self.rest) < size:
            raise NotClientHelloError("too short")
        part, self.rest = self.rest[:size], self.rest[size:]
        return part

    def vector(self, width: int) -> bytes:
        """Cut off a vector, whose length comes first in ``width`` bytes (RFC 5246 section 4.3)."""
        return self.take(int.from_bytes(self.take(width), "big"))
