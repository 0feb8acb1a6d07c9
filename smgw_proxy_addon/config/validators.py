"""Readers of single values that a user has typed. Pure: paths are not opened.

Every reader raises ``vol.Invalid`` with a plain text that fits into one line of the log.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import voluptuous as vol

from smgw_proxy_addon.fingerprint import normalise_fingerprint
from smgw_proxy_addon.text import printable

ECHO_LIMIT: Final = 60
"""Characters of a wrong value that an error message repeats."""

_T = TypeVar("_T")


def echo(value: object) -> str:
    """Quote a wrong value for an error message, in JSON's words."""
    match value:
        case str():
            return f'"{printable(value, ECHO_LIMIT)}"'
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > ECHO_LIMIT:
            return "this number"  # Python refuses to print one of thousands of digits
        case int() | float():
            return str(value)
        case dict():
            return "a group of values"
    return "a list"


def read_line(value: object) -> str:
    """Read a text of one line, not empty, without the white space around it."""
    if not isinstance(value, str):
        raise vol.Invalid(f"{echo(value)} is not a text")
    text = value.strip()
    if not text:
        raise vol.Invalid("empty")
    if not text.isprintable():
        raise vol.Invalid(f"{echo(text)} holds characters that cannot be printed")
    return text


def read_path(value: object) -> Path:
    """Read any path."""
    return Path(read_line(value))


def below(folder: str) -> Callable[[object], Path]:
    """Read a path that stays in ``folder``, relative to it or written in full."""

    def read(value: object) -> Path:
        path = Path(folder) / read_line(value)
        if ".." in path.parts or Path(folder) not in path.parents:
            raise vol.Invalid(f"{echo(value)} is not inside {folder}")
        return path

    return read


def read_file_name(value: object) -> str:
    """Read the name of a file without a folder."""
    text = read_line(value)
    # 200 bytes leave room for the date before it in the 255 that a file name may have.
    if "/" in text or "\\" in text or text.startswith(".") or len(text.encode()) > 200:  # noqa: PLR2004
        raise vol.Invalid(f"{echo(text)} is not a plain file name")
    return text


def read_flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise vol.Invalid(f"{echo(value)} is neither true nor false")
    return value


def read_fingerprint(value: object) -> str:
    """Read a SHA-256 as 64 lower-case hexadecimal digits."""
    text = read_line(value)
    try:
        return normalise_fingerprint(text)
    except ValueError:
        raise vol.Invalid(f"{echo(value)} is not a SHA-256 fingerprint") from None


def list_of(read: Callable[[str], _T]) -> Callable[[object], tuple[_T, ...]]:
    """Read a list, or one text with commas; the app's form leaves empty entries behind: they are left out."""

    def read_list(value: object) -> tuple[_T, ...]:
        entries = value.split(",") if isinstance(value, str) else value
        if not isinstance(entries, list | tuple):
            raise vol.Invalid(f"{echo(value)} is not a list")
        texts = [read_line(entry) for entry in entries if entry not in ("", None)]
        return tuple(dict.fromkeys(map(read, texts)))

    return read_list
