"""A house for each test of this folder.

The tests in network namespaces take nine minutes, more than a run for each change has left: ``SMGW_NETWORK=1`` runs
them, and those of the second image and its page.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.network import house

_IN_NAMESPACES: Final = ("both_apps", "cli", "demo", "find", "keep", "page", "reach")
collect_ignore = [] if os.environ.get("SMGW_NETWORK") else [f"test_{each}.py" for each in _IN_NAMESPACES]


@pytest.fixture
def empty(require: Callable[[str], None], tmp_path: Path) -> Iterator[house.House]:
    """Return a house with nothing in it."""
    require("netns")
    require("curl")
    with house.house(tmp_path) as made:
        yield made


@pytest.fixture
def home(empty: house.House) -> house.House:
    """Return a house with a router and the Home Assistant host in 192.168.178.0/24, without a gateway."""
    empty.host("192.168.178.20/24")
    empty.plug("router", "192.168.178.1/24")
    empty.at("hahost", "ip route add default via 192.168.178.1")
    return empty
