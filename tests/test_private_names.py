"""The package uses no private name of a library: such names change without notice. tlslite-ng is an exception."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PUBLIC: Final = frozenset({"_asdict", "_exit", "_replace"})
"""Documented parts of ``NamedTuple`` and ``os``."""

EXCEPTIONS: Final = [("compatible_tls.py", name) for name in ("_read_buffer", "_readBuffer", "_defragmenter")]
"""Nothing public says the same; ``tests/gateway/test_compatible_tls.py`` fails when they change."""

PACKAGE: Final = Path(__file__).parent.parent / "smgw_proxy_addon"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a module makes itself."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def foreign(tree: ast.AST, ours: set[str]) -> Iterator[str]:
    """Yield the private names that a module takes from elsewhere."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name) and name not in ours:
                yield name
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith(PACKAGE.name):
                yield from (each.name for each in names if is_private(each.name))


def test_there_is_none_but_the_exceptions() -> None:
    trees = {path: ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    ours = {name for tree in trees.values() for name in defined(tree)}
    found = {(path.name, name) for path, tree in trees.items() for name in foreign(tree, ours)}
    assert found == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "from aiohttp.web_protocol import ERROR, _ErrInfo",
        "request._payload_writer.write(b'')",
        "getattr(transport, '_x'); transport._ssl_protocol",
    ],
)
def test_one_is_found(source: str) -> None:
    assert list(foreign(ast.parse(source), {"_ours"}))
