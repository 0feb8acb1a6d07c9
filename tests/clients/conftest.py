"""Which client, and which listener of the proxy, a test is played with."""

from collections.abc import Callable

import pytest

from tests.clients.libraries import CLIENTS, Client
from tests.rig import Rig


@pytest.fixture(params=CLIENTS)
def client_kind(request: pytest.FixtureRequest, require: Callable[[str], None]) -> type[Client]:
    if request.param == "curl":
        require("curl")
    return CLIENTS[request.param]


@pytest.fixture(params=["http", "https"])
def listener(request: pytest.FixtureRequest) -> Callable[[Rig], str]:
    """Return what gives a proxy's base URL for the listener under test."""
    return lambda rig: str(getattr(rig, request.param))
