"""A house for each test of this folder; most of them wait, so several houses are lived in at a time.

A test that measures times or processor time has the mark ``alone``, or the fixture ``lasting``: it runs before, with
no other house beside it. All others run in a few threads, each in a house of its own; pytest waits for one outcome
after the other.
"""

import inspect
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.network import house
from tests.network.house import GATEWAY, House, Program, eventually

HOUSES_AT_A_TIME: Final = 6
FOLDER: Final = Path(__file__).parent
FIXTURES: Final = frozenset({"empty", "home", "running"})
LONG: Final = pytest.StashKey[dict[str, Future[None]]]()
SHORT: Final = pytest.StashKey[dict[str, Future[None]]]()


def furnish(made: House) -> House:
    """Add a router and the Home Assistant host in 192.168.178.0/24, without a gateway."""
    made.host("192.168.178.20/24")
    made.plug("router", "192.168.178.1/24")
    made.at("hahost", "ip route add default via 192.168.178.1")
    return made


def reach(made: House) -> Program:
    """Add a gateway, and run the program until it is reached."""
    made.gateway()
    program = made.network("--gateway", GATEWAY)
    eventually(made.reaches, 20, program.log)
    return program


def in_a_house(item: pytest.Item) -> bool:
    """Tell whether a test of this folder has a house of its own."""
    return item.path.parent == FOLDER and not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def shared(item: pytest.Item) -> bool:
    """Tell whether a test with a house runs in a thread beside others."""
    return item.get_closest_marker("alone") is None


def run_in_a_house(function: Callable[..., object], names: set[str], arguments: dict[str, Any]) -> None:
    """Make a house, and run a test in it."""
    with tempfile.TemporaryDirectory() as folder, house.house(Path(folder)) as made:
        fixtures: dict[str, Any] = {"empty": made, "tmp_path": made.folder}
        if not names.isdisjoint({"home", "running"}):
            fixtures["home"] = furnish(made)
        if "running" in names:
            fixtures["running"] = reach(made)
        function(**{name: fixtures.get(name, value) for name, value in arguments.items()})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that have a house last, and of these the shared ones."""
    items.sort(key=lambda item: (in_a_house(item), in_a_house(item) and shared(item)))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a shared test's outcome. The first house starts all that take long, the first shared one the rest."""
    if not in_a_house(pyfuncitem) and "lasting" not in pyfuncitem.fixturenames:
        return None
    stash, items = pyfuncitem.session.stash, pyfuncitem.session.items
    if LONG not in stash:
        stash[LONG] = start(items, long=True)
    if not in_a_house(pyfuncitem) or not shared(pyfuncitem):
        return None
    if SHORT not in stash:
        stash[SHORT] = start(items, long=False)
    (stash[LONG] | stash[SHORT])[pyfuncitem.nodeid].result()
    return True


def start(items: list[pytest.Item], *, long: bool) -> dict[str, Future[None]]:
    """Begin those shared tests that take long, or those that do not."""
    pool = ThreadPoolExecutor(HOUSES_AT_A_TIME)
    mine = [item for item in items if isinstance(item, pytest.Function) and in_a_house(item) and shared(item)]
    outcomes = {}
    for item in mine:
        if (item.get_closest_marker("long") is not None) is not long:
            continue
        params = item.callspec.params if hasattr(item, "callspec") else {}
        needed = {name: params.get(name) for name in inspect.signature(item.function).parameters}
        outcomes[item.nodeid] = pool.submit(run_in_a_house, item.function, set(item.fixturenames), needed)
    pool.shutdown(wait=False)
    return outcomes


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Start no more houses."""
    for key in (LONG, SHORT):
        for outcome in session.stash.get(key, {}).values():
            outcome.cancel()


@pytest.fixture
def empty(request: pytest.FixtureRequest, require: Callable[[str], None], tmp_path: Path) -> Iterator[House | None]:
    """Return a house with nothing in it; None for a shared test, whose house is in its thread."""
    require("netns")
    require("curl")
    if shared(request.node):
        yield None
        return
    with house.house(tmp_path) as made:
        yield made


@pytest.fixture
def home(empty: House | None) -> House | None:
    """Return a house with a router and the Home Assistant host in 192.168.178.0/24, without a gateway."""
    return furnish(empty) if empty else None


@pytest.fixture
def running(home: House | None) -> Program | None:
    """Return the program in a house with a gateway, which it has reached."""
    return reach(home) if home else None


@pytest.fixture(scope="module")
def lasting(
    require: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Program]]:
    """Return a house for several tests that leave it as it was, and the program that has reached its gateway."""
    require("netns")
    require("curl")
    with house.house(tmp_path_factory.mktemp("lasting")) as made:
        yield furnish(made), reach(made)
