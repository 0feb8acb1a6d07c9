"""Holds the package's imports against the floors of its house.

A module may import what lies on a lower floor. Floors 0 and 1 are pure: the clock, files and the network come in as
arguments. A module that is not listed here fails: whoever adds one says where it belongs.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = "smgw_proxy_addon"

FLOORS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"", "accounts", "errors", "fingerprints", "target", "values", "words"}),  # what all others speak of
    frozenset(
        {
            "access",
            "activity",
            "answers",
            "client_login",
            "client_limits",
            "diagnosis",
            "diagnosis_texts",
            "digest",
            "explain",
            "gateway_login",
            "gateway_messages",
            "guesses",
            "hold",
            "notifications",
            "option_table",
            "options",
            "pin_file",
            "rewrite",
            "schedule",
            "sessions",
            "trust",
        }
    ),
    frozenset(
        {
            "account_exchange",
            "asking",
            "client_bodies",
            "clients",
            "delivery",
            "descriptors",
            "entrance",
            "files",
            "flights",
            "gateway_http",
            "gateway_tls",
            "home_assistant",
            "listener_tls",
            "local_network",
            "log_files",
            "login_memory",
            "login_once",
            "logs",
            "own_networks",
            "porter",
            "privileges",
            "redaction",
            "running",
            "self_signed",
            "service",
            "session_keeper",
            "shared_answers",
            "trial",
            "trust_store",
            "turns",
            "upstream",
            "visitors",
        }
    ),
    frozenset({"doctor", "frontend", "listeners", "status", "trust_command"}),
    frozenset(
        {
            "__main__",
            "app",
            "application",
            "attendants",
            "command_line",
            "doctor_command",
            "login_once_parts",
            "proxy",
        }
        | {"status_page"}
    ),
)
"""The package's modules, floor by floor ("" is the package itself); a subpackage counts as one module."""

PURE: Final = 1
"""The highest of the pure floors."""

NEIGHBOURS: Final = {
    ("values", "fingerprints"): "one of the values that people write",
    ("target", "values"): "an address is a text that a person typed, like every other value",
    ("client_login", "digest"): "who may ask is decided with Digest's arithmetic",
    ("client_login", "rewrite"): "a login is made for a target, and what that is for the gateway is said there",
    ("client_limits", "hold"): "one of the limits",
    ("gateway_login", "digest"): "a login is written with Digest's arithmetic",
    ("gateway_messages", "rewrite"): "what a header is",
    ("answers", "rewrite"): "what a header is, and what is in it",
    ("options", "option_table"): "what is chosen, and what there is to choose from",
    ("pin_file", "trust"): "a pin, and its spelling in a file",
    ("logs", "log_files"): "one subject in two files: the set-up, and the files it writes",
    ("logs", "redaction"): "one subject in two files: the set-up, and what it must never write",
    ("gateway_tls", "trust_store"): "the handshake is decided by the pin, and its store is what holds it",
    ("trust_store", "files"): "the store, and each step of its writing",
    ("login_memory", "files"): "the same way to write beside the pins",
    ("listener_tls", "files"): "the same way to write beside the pins",
    ("schedule", "sessions"): "whose the gateway's session is decides who may go",
    ("upstream", "gateway_http"): "the pool, and the connections in it",
    ("asking", "gateway_http"): "what is asked, and what is answered",
    ("asking", "upstream"): "the gateway is asked over the pool's connections",
    ("login_once", "asking"): "one more way to ask, around the other one",
    ("login_once", "porter"): "who asks, and that he may",
    ("porter", "asking"): "who asks, in the same words as on the rest of the way",
    ("login_once", "shared_answers"): "what one account has asked is shared with its other clients",
    ("login_once", "account_exchange"): "whose request it is, and how it is sent",
    ("login_once", "trial"): "whose login goes first while the password may be wrong",
    ("account_exchange", "trial"): "whose login goes first while the password may be wrong",
    ("account_exchange", "asking"): "who asks, in the same words as on the rest of the way",
    ("account_exchange", "gateway_http"): "what is asked, and what is answered",
    ("session_keeper", "login_once"): "what an account asks, and the session that it has",
    ("session_keeper", "asking"): "one more step on the way of a request",
    ("shared_answers", "flights"): "who shares an answer, and the request that brings it",
    ("shared_answers", "asking"): "who asks, in the same words, whether the answer is shared or not",
    ("delivery", "clients"): "what is sent to a client, and its connection",
    ("entrance", "descriptors"): "how many connections there may be, and what is said when none can be opened",
    ("entrance", "clients"): "connections come in, and are served",
    ("entrance", "visitors"): "connections come in, and each is one of these",
    ("visitors", "clients"): "a connection, and the protocol that it gets",
    ("upstream", "turns"): "a connection is for whose turn it is",
    ("listener_tls", "self_signed"): "the listener's certificate, and its making",
    ("upstream", "gateway_tls"): "a connection is made over the context that holds the pin",
    ("__main__", "command_line"): "the first lines choose OpenSSL's configuration before anything imports ssl",
    ("command_line", "app"): "the command, inside the Home Assistant app",
    ("app", "application"): "the same process, begun as root",
    ("command_line", "application"): "the command that runs the proxy",
    ("command_line", "doctor_command"): "the command that examines",
    ("doctor_command", "attendants"): "the same doctor, without a proxy around it",
    ("doctor_command", "proxy"): "the same way to the gateway, without a proxy around it",
    ("proxy", "login_once_parts"): "the proxy, and what it has with accounts only",
    ("proxy", "attendants"): "the proxy, and what runs beside its requests",
    ("application", "proxy"): "the process, and the proxy that it runs",
    ("application", "status_page"): "the process, and the page that it shows",
}
"""Imports between two modules of one floor that are allowed, each with its reason."""

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


def imports_of(name: str, tree: ast.AST, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield ``(line, module)`` for each import in ``name``; ``known`` are all modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                submodule = f"{module}.{alias.name}"
                yield node.lineno, submodule if submodule in known else module


def unit(module: str) -> str:
    """Return what the floors call a module: ``smgw_proxy_addon.status.pages`` is ``status``."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def floor_of(module: str) -> int | None:
    """Return the floor of a module of the package, or ``None`` when it is not listed."""
    return next((floor for floor, units in enumerate(FLOORS) if unit(module) in units), None)


def judge(importer: str, imported: str) -> str | None:
    """Say what is wrong with one import inside the package."""
    here, there = floor_of(importer), floor_of(imported)
    if here is None or there is None or unit(importer) == unit(imported):
        return None  # a module that is not listed has its own message
    if unit(imported) == "__main__":
        return "imports __main__"
    if there > here:
        return f"imports {unit(imported)} from the higher floor {there}"
    if there == here and (unit(importer), unit(imported)) not in NEIGHBOURS:
        return f"imports {unit(imported)} from its own floor {there}"
    return None


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the calls by which a pure module would reach for the clock or a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in IMPURE_CALLS:
                yield node.lineno, f"calls {name}()"


def violations(sources: Mapping[str, str]) -> list[str]:
    """Return one line for each broken rule; ``sources`` maps dotted names to source text."""
    found: list[str] = []
    for name, source in sorted(sources.items()):
        tree = ast.parse(source)
        floor = floor_of(name)
        if floor is None:
            found.append(f"{name}: is on no floor")
        for line, module in imports_of(name, tree, frozenset(sources)):
            top = module.split(".")[0]
            wrong = judge(name, module) if top == PACKAGE else None
            if top in {"simulator", "tests", "benchmarks"}:
                wrong = f"imports {top}"
            if floor is not None and floor <= PURE and top in IMPURE:
                wrong = f"is pure and imports {module}"
            if wrong:
                found.append(f"{name}:{line}: {wrong}")
        if floor is not None and floor <= PURE:
            found += [f"{name}:{line}: is pure and {wrong}" for line, wrong in impurities(tree)]
    return found


def test_the_package_keeps_the_rules() -> None:
    sources = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        sources[".".join(parts).removesuffix(".__init__")] = path.read_text()
    assert violations(sources) == []


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        (
            "rewrite",
            "from smgw_proxy_addon.upstream import Pool",
            ":1: imports upstream from the higher floor 2",
        ),
        ("rewrite", "import smgw_proxy_addon.digest", ":1: imports digest from its own floor 1"),
        ("rewrite", "from smgw_proxy_addon import digest", ":1: imports digest from its own floor 1"),
        ("rewrite", "from .digest import parse", ":1: imports digest from its own floor 1"),
        ("status.pages", "from ..frontend import serve", ":1: imports frontend from its own floor 3"),
        ("command_line", "def f():\n    from smgw_proxy_addon import __main__", ":2: imports __main__"),
        ("upstream", "from simulator.gateway import Simulator", ":1: imports simulator"),
        ("trust", "import asyncio.streams", ":1: is pure and imports asyncio.streams"),
        ("options", "from pathlib import Path\nx = Path('f').exists()", ":2: is pure and calls exists()"),
        ("trust", "from datetime import datetime\nx = datetime.now()", ":2: is pure and calls now()"),
        ("answers", "x = open('f')", ":1: is pure and calls open()"),
        ("newcomer", "", ": is on no floor"),
    ],
)
def test_a_broken_rule_is_found(module: str, source: str, message: str) -> None:
    others = {f"{PACKAGE}.{name}": "" for name in ("", "digest", "frontend", "upstream", "__main__")}
    name = f"{PACKAGE}.{module}"
    assert violations({**others, name: source}) == [f"{name}{message}"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("options", "from pathlib import Path\nx = Path('a') / 'b'"),
        ("upstream", "import asyncio, ssl\nfrom smgw_proxy_addon.gateway_tls import client_context"),
        ("status.pages", "from .texts import words\nfrom smgw_proxy_addon import __version__, errors"),
        ("frontend", "import time\nnow = time.monotonic()"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations({f"{PACKAGE}.{module}": source}) == []


def test_a_module_stands_on_one_floor_and_an_exception_on_the_same() -> None:
    units = [unit for floor in FLOORS for unit in floor]
    assert len(units) == len(set(units))
    assert all(floor_of(a) == floor_of(b) for a, b in NEIGHBOURS)
