"""What a ClientHello offers (RFC 5246 section 7.4.1.2)."""

from dataclasses import dataclass
from typing import Final

RENEGOTIATION_INFO: Final = 0xFF01
SCSV: Final = 0x00FF
"""Both of RFC 5746: its extension, and what stands for it among the suites."""

_TO_SESSION_ID: Final = 5 + 4 + 2 + 32
_GROUPS: Final = 10
_SIGNATURES: Final = 13


@dataclass(frozen=True)
class Hello:
    """The record of one ClientHello, taken apart."""

    version: int
    suites: list[int]
    extensions: dict[int, bytes]

    @property
    def asks_for_renegotiation_info(self) -> bool:
        """Whether it is one that Sagemcom's gateways refuse: OpenSSL's."""
        return SCSV in self.suites or RENEGOTIATION_INFO in self.extensions

    @property
    def groups(self) -> list[int]:
        """The curves (RFC 8422 section 5.1.1)."""
        return _numbers(self.extensions[_GROUPS][2:])

    @property
    def signatures(self) -> list[int]:
        """Hash and kind of each signature that is taken."""
        return _numbers(self.extensions[_SIGNATURES][2:])


def parse_hello(record: bytes) -> Hello:
    """Take a record apart that holds a whole ClientHello and nothing else."""
    assert (record[0], record[5]) == (22, 1)
    assert len(record) == 5 + int.from_bytes(record[3:5])
    parts, rest = [], record[_TO_SESSION_ID:]
    for size in (1, 2, 1, 2):  # session id, suites, compression, extensions
        end = size + int.from_bytes(rest[:size])
        parts.append(rest[size:end])
        rest = rest[end:]
    extensions, rest = {}, parts[3]
    while rest:
        end = 4 + int.from_bytes(rest[2:4])
        extensions[int.from_bytes(rest[:2])] = rest[4:end]
        rest = rest[end:]
    return Hello(int.from_bytes(record[9:11]), _numbers(parts[1]), extensions)


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
