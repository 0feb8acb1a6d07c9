"""What every test gets: the event loop's guard, hypothesis' profile, and the check for foreign programs.

Nothing here knows the proxy or the simulator; fixtures of one subject live beside its tests.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

# A machine that is busy is no failure, and a run that decides over a change must be repeatable.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")

PROGRAMS: Final = {
    "apparmor": ("apparmor_parser",),
    "curl": ("curl",),
    "container": ("buildah", "podman", "runc", "debootstrap"),
    "browser": ("chromium",),
    "netns": ("ip", "nsenter"),
    "node": ("node",),
}
"""What a test may ask for, and the programs that it means."""
NEEDS_ROOT: Final = frozenset({"container", "netns"})
FIRST: Final = ("container", "test_soak", "browser")
"""Folders that share an image or a browser, and files, that run longest."""


def missing(name: str) -> str | None:
    """Say why what ``name`` stands for cannot be used here, or ``None`` when it can."""
    absent = [program for program in PROGRAMS[name] if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if name in NEEDS_ROOT and os.geteuid() != 0:
        return "needs root"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process what shares a fixture for long, and begin with what lasts longest; for ``-n``."""
    groups = {item: _group(item.path) for item in items}
    items.sort(key=lambda item: FIRST.index(groups[item]) if groups[item] in FIRST else len(FIRST))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


def _group(path: Path) -> str:
    return path.parent.name if path.parent.name in FIRST else path.stem


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """Return ``require(name)``, with a name of ``PROGRAMS``: it skips the test when that is not here.

    What the comma list ``SMGW_REQUIRE`` names may not be skipped: then the test fails.
    """

    def check(name: str) -> None:
        musts = frozenset(filter(None, os.environ.get("SMGW_REQUIRE", "").split(",")))
        if unknown := musts - PROGRAMS.keys():
            pytest.fail(f"SMGW_REQUIRE names the unknown {', '.join(sorted(unknown))}")
        if reason := missing(name):
            if name in musts:
                pytest.fail(f"SMGW_REQUIRE demands {name}: {reason}")
            pytest.skip(f"{name}: {reason}")

    return check


@pytest.fixture(autouse=True)
def loop_guard(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """Fail the test in which the package reads a file, sleeps or waits for a lock inside an event loop.

    The way out is ``@pytest.mark.may_block("reason")``, for a test whose subject is such a call.
    """
    if request.node.get_closest_marker("may_block"):
        yield None
        return
    with blockbuster_ctx("smgw_proxy_addon") as guard:
        # Coverage takes it when any thread runs a line of a module for the first time.
        guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
        yield guard


@pytest.fixture(params=["openssl", "compatible"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once with each engine for TLS with the gateway."""
    name: str = request.param
    monkeypatch.setattr("tests.rig.tls", name)
    return name
