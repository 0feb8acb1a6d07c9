"""Masks secrets in targets and bodies for logs, pages and reports.

Masks too much rather than too little. Its results are for people only, never forwarded.
"""

import json
import re
from typing import Final
from urllib.parse import unquote, unquote_plus

from smgw_proxy_addon.text import LIMIT, printable

MASK: Final = "***"
BODY_LIMIT: Final = 4000
"""Characters of a body that are shown."""

_SECRET_PARTS: Final = (
    *("apikey", "auth", "credential", "kennwort", "passphrase", "passw"),
    *("privatekey", "pwd", "secret", "session", "tkn", "token"),
)
_SECRET_WORDS: Final = frozenset({"otp", "pass", "pin", "pw", "sid"})
"""Too short to be searched inside other words ("shopping")."""

_PAIR: Final = re.compile(r"(?:^|[;?&#\r\n])([^=;?&#\r\n]*)=")
_INPUT: Final = re.compile(r"<input\b(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^>\"'])*>?", re.IGNORECASE)
_NAME: Final = re.compile(  # possessive, and only from the start of a word: linear time
    r"""(?<=["'])[^"'\s<>]++(?=["'])|(?<![\w.\[\]-])[\w.\[\]-]++(?=["']?\s*[:=>])"""
)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_FORM: Final = re.compile(r"[^\s<{\[\"=]+=")
_SUSPECT: Final = re.compile(r"[=?@%]")
_BINARY: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")


def is_secret_name(name: str) -> bool:
    """Tell whether the value of a parameter, field or header of this name must not be shown."""
    plain = re.sub(r"[^a-z0-9]", "", name.casefold())
    if any(part in plain for part in _SECRET_PARTS):
        return True
    return plain in _SECRET_WORDS or any(word.lower() in _SECRET_WORDS for word in _WORD.findall(name))


def redact_target(target: bytes | str, limit: int = LIMIT) -> str:
    """Return a request target or URL with user names and the values of secret parameters masked."""
    text = _text(target)
    if text.startswith("/") and not _SUSPECT.search(text):
        return printable(text, limit)  # most requests: no parameter and no user name
    if text.startswith("//"):
        text = re.sub(r"\A//[^/?#]*@", f"//{MASK}@", text)
    elif not text.startswith("/"):
        text = re.sub(r"\A([A-Za-z][A-Za-z0-9+.-]*://)?[^?#]*@", rf"\1{MASK}@", text)
    path, separator, query = text[: limit + 1].partition("?")  # the rest is not shown
    path = "/".join(map(_redact_pairs, path.split("/")))
    return printable(path + separator + _redact_form(query), limit)


def redact_body(body: bytes, limit: int = BODY_LIMIT) -> str:
    """Return a body, or the beginning of one, with secrets masked.

    JSON and forms lose the values of secret fields, HTML its secret ``<input>`` elements. Of any other text, such
    as JSON that was cut, a line ends at the first secret name. Binary and multipart bodies are not shown.
    """
    text = _text(body)
    if _BINARY.search(text) or text.lstrip().startswith("--"):
        return f"({len(body)} bytes, not shown)"
    try:
        return printable(json.dumps(_redact_json(json.loads(text)), ensure_ascii=False), limit)
    except (ValueError, RecursionError):
        pass
    text = text[: limit + 1]
    if _FORM.match(text):
        return printable(_redact_form(text), limit)
    text = _INPUT.sub(_redact_input, text)
    return printable("\n".join(map(_redact_line, text.splitlines())), limit)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _redact_form(text: str) -> str:
    return "&".join(map(_redact_pairs, text.split("&")))


def _redact_pairs(segment: str) -> str:
    """Mask from the first secret's value to the end: servers differ in whether ``;`` ends a value."""
    end = _first_secret(segment)
    if end is not None:
        return segment[:end] + MASK
    # A whole target as a value, such as ?next=%2Flogin%3Fpassword%3D…
    if any(_first_secret(part) is not None for part in unquote(segment).split("&")):
        return segment.partition("=")[0] + "=" + MASK if "=" in segment else MASK
    return segment


def _first_secret(segment: str) -> int | None:
    """Return where the value of the first secret parameter begins."""
    return next((pair.end() for pair in _PAIR.finditer(segment) if is_secret_name(unquote_plus(pair[1]))), None)


def _redact_json(value: object) -> object:
    match value:
        case dict():
            return {key: MASK if is_secret_name(key) else _redact_json(each) for key, each in value.items()}
        case list():
            return [_redact_json(each) for each in value]
        case str():
            return _redact_form(value[: BODY_LIMIT + 1])
    return value


def _redact_input(tag: re.Match[str]) -> str:
    return f"<input {MASK}>" if any(map(is_secret_name, re.findall(r"[\w.\[\]-]+", tag[0]))) else tag[0]


def _redact_line(line: str) -> str:
    for name in _NAME.finditer(line):
        if is_secret_name(name[0]):
            return f"{line[: name.end()]} {MASK}"
    return line
