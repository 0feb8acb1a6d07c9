"""Holds the package's imports against the order of its rooms, which ``docs/architecture.md`` draws.

A module imports from its own room and from rooms below it, never from one above or beside it. The modules that
decide are pure: the clock, files and the network come in as arguments.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "smgw_proxy_addon"

ENTRY: Final = "__main__"
"""Imported by nothing; hands over to ``program``."""

ORDER: Final = (
    ("program",),
    ("status",),
    ("auth",),
    ("proxy",),
    ("server", "gateway"),
    ("locales", "config", "trust", "http"),
    ("root",),
)
"""The rooms from the highest to the lowest; those of one line know nothing of each other. Modules that lie directly
in the package are the room ``root``."""

PURE: Final = (
    *("auth.client_login", "auth.gateway_login", "auth.throttle", "auth.used_logins"),
    *(
        "config",
        "fingerprint",
        "gateway.ppc_session",
        "gateway.scheduler",
        "http",
        "proxy.cache",
        "proxy.login_guard",
    ),
    *("server.access", "server.limits", "server.slow_clients", "text", "trust.pin_file", "trust.policy"),
    "gateway.learnt_limit",
    *(f"status.gateway_page.{name}" for name in ("confirmation", "jars", "policy", "rewriting", "tokens", "users")),
)
IMPURE: Final = frozenset(
    {"aiohttp", "asyncio", "concurrent", "glob", "http", "io", "multiprocessing", "os", "random", "select"}
    | {"shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time"}
)
IMPURE_CALLS: Final = frozenset(
    {"now", "utcnow", "today"}  # of datetime: the clock
    | {"open", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir", "stat"}
    | {"mkdir", "unlink", "rename", "touch", "chmod", "iterdir", "resolve", "expanduser", "cwd", "home"}
)
"""By name alone: what reaches for the clock or, on a ``Path`` (which is fine as a value), for the disk."""


def imports_of(tree: ast.AST, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield ``(line, module)`` for each import; ``known`` are all modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                submodule = f"{module}.{alias.name}"
                yield node.lineno, submodule if submodule in known else module


def room_of(module: str) -> str:
    """Return the room of a module: ``smgw_proxy_addon.status.page.pages`` is in ``status``."""
    first, _, rest = module.removeprefix(PACKAGE).lstrip(".").partition(".")
    return first if rest or any(first in rooms for rooms in ORDER) else "root"


def height(room: str) -> int | None:
    """Return how high a room lies, ``None`` if it is not in the order."""
    return next((-depth for depth, rooms in enumerate(ORDER) if room in rooms), None)


def judge(importer: str, imported: str) -> str | None:
    """Say what is wrong with one import inside the package."""
    here, there = room_of(importer), room_of(imported)
    if imported == f"{PACKAGE}.{ENTRY}":
        return f"imports {ENTRY}"
    if importer == f"{PACKAGE}.{ENTRY}" or here == there:
        return None
    above, below = height(here), height(there)
    if above is None or below is None:
        return None  # a room that is not in the order has its own message
    return None if below < above else f"imports {imported.removeprefix(f'{PACKAGE}.')} from {there}"


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the calls by which a pure module would reach for the clock or a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in IMPURE_CALLS:
                yield node.lineno, f"calls {name}()"


def is_pure(module: str) -> bool:
    """Tell whether a module may not know the clock, files or the network."""
    return any(f"{module}.".startswith(f"{PACKAGE}.{pure}.") for pure in PURE)


def violations(sources: Mapping[str, str]) -> list[str]:
    """Return one line for each broken rule; ``sources`` maps dotted names to source text."""
    found: list[str] = []
    for name, source in sorted(sources.items()):
        tree = ast.parse(source)
        if height(room_of(name)) is None:
            found.append(f"{name}: its room is not in the order")
        for line, module in imports_of(tree, frozenset(sources)):
            top = module.split(".")[0]
            wrong = judge(name, module) if top == PACKAGE else None
            if module.startswith("."):
                wrong = "imports relatively"
            if top in {"simulator", "tests", "benchmarks"}:
                wrong = f"imports {top}"
            if is_pure(name) and top in IMPURE:
                wrong = f"is pure and imports {module}"
            if wrong:
                found.append(f"{name}:{line}: {wrong}")
        if is_pure(name):
            found += [f"{name}:{line}: is pure and {wrong}" for line, wrong in impurities(tree)]
    return found


def test_the_package_keeps_the_rules() -> None:
    sources = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        sources[".".join(parts).removesuffix(".__init__")] = path.read_text()
    assert {room_of(name) for name in sources} == {room for rooms in ORDER for room in rooms}
    assert all(any(is_pure(name) for name in sources if f"{name}.".startswith(f"{PACKAGE}.{pure}.")) for pure in PURE)
    assert violations(sources) == []


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("proxy.cache", "from smgw_proxy_addon.auth.throttle import Throttle", ":1: imports auth.throttle from auth"),
        ("server.access", "import smgw_proxy_addon.gateway.pool", ":1: imports gateway.pool from gateway"),
        ("http.rewrite", "from smgw_proxy_addon.config import target", ":1: imports config.target from config"),
        ("errors", "from smgw_proxy_addon.http import digest", ":1: imports http.digest from http"),
        ("status.page.pages", "from . import texts", ":1: imports relatively"),
        ("program.cli", "def f():\n    from smgw_proxy_addon import __main__", ":2: imports __main__"),
        ("gateway.pool", "from simulator.gateway import Simulator", ":1: imports simulator"),
        ("trust.policy", "import asyncio.streams", ":1: is pure and imports asyncio.streams"),
        (
            "config.options",
            "from pathlib import Path\nx = Path('f').exists()",
            ":2: is pure and calls exists()",
        ),
        (
            "trust.policy",
            "from datetime import datetime\nx = datetime.now()",
            ":2: is pure and calls now()",
        ),
        ("proxy.cache", "x = open('f')", ":1: is pure and calls open()"),
        ("cellar.newcomer", "", ": its room is not in the order"),
    ],
)
def test_a_broken_rule_is_found(module: str, source: str, message: str) -> None:
    known = ("", "http.digest", "auth.throttle", "gateway.pool", "config.target", "__main__")
    name = f"{PACKAGE}.{module}"
    assert violations({**{f"{PACKAGE}.{other}".rstrip("."): "" for other in known}, name: source}) == [
        f"{name}{message}"
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("config.options", "from pathlib import Path\nx = Path('a') / 'b'"),
        ("gateway.pool", "import asyncio, ssl\nfrom smgw_proxy_addon.trust.policy import Pin"),
        ("status.page.pages", "from smgw_proxy_addon import __version__, errors"),
        ("proxy.handler", "import time\nnow = time.monotonic()"),
        ("__main__", "from smgw_proxy_addon.program import cli"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations({f"{PACKAGE}.{module}": source, f"{PACKAGE}.program.cli": ""}) == []
