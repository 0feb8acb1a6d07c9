"""Text from outside: what is printed to a terminal, a log or a page stays on one line, and numbers are small."""

import codecs
from typing import Final

LIMIT: Final = 1000
"""Characters that are shown by default."""
_DIGITS: Final = 3

# Looked up at import: the codec's module is a file, and no file can be opened when descriptors run out.
_ESCAPE: Final = codecs.lookup("unicode_escape").encode


def printable(value: bytes | str, limit: int = LIMIT) -> str:
    r"""Return ``value`` on one line, every character that does not print as its escape (``\n``, ``\x1b``).

    "Prints" is ``str.isprintable``: no control characters, line and paragraph separators, bidirectional overrides,
    surrogates. Bytes that are not UTF-8 are escaped too. A backslash stays as it is: escaping twice changes nothing.
    The result has at most ``limit`` characters, the last one "…" if it was cut.
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    text = text[: limit + 1]  # escaping only makes longer
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else _ESCAPE(letter)[0].decode() for letter in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def read_number(text: str) -> int | None:
    """Return the number that a text of at most three ASCII digits says, None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
