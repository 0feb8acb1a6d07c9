"""Headers as pairs of raw bytes, in the case and order received, and how values and lists are read from them.

Pure. Nothing here changes a header: that is ``rewrite``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

Headers = list[tuple[bytes, bytes]]
Fields = Mapping[bytes, Sequence[bytes]]

_WHITESPACE: Final = b" \t"
"""OWS (RFC 9110 section 5.6.3)."""
_QVALUE: Final = re.compile(rb"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the values of all headers by their names in lower case, without the white space around them."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(value.strip(_WHITESPACE))
    return fields


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of all headers called ``name`` (in lower case), without the white space around them."""
    return [value.strip(_WHITESPACE) for each, value in headers if each.lower() == name]


def tokens(lists: Iterable[bytes]) -> set[bytes]:
    """Return the elements of comma-separated values, in lower case (RFC 9110 section 5.6.1)."""
    return {each.strip(_WHITESPACE) for each in b",".join(lists).lower().split(b",")} - {b""}


def qualities(lists: Iterable[bytes]) -> dict[bytes, float]:
    """Return each element of weighted lists (``Accept``), in lower case, with its weight (RFC 9110 section 12.4.2).

    Without a weight it is 1, with a malformed one 0: not acceptable. Other parameters are left out.
    """
    found: dict[bytes, float] = {}
    for element in b",".join(lists).lower().split(b","):
        name, *parameters = (part.strip(_WHITESPACE) for part in element.split(b";"))
        pairs = ((part.strip(_WHITESPACE) for part in each.partition(b"=")) for each in parameters)
        weights = [float(value) if _QVALUE.fullmatch(value) else 0.0 for key, _, value in pairs if key == b"q"]
        if name:
            found[name] = min(weights, default=1.0)
    return found
