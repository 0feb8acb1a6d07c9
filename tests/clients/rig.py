"""A gateway, a proxy, and two clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from simulator.gateway import Simulator
from tests.clients.libraries import Client, opened
from tests.faults.scene import Mode, options_of
from tests.rig import Rig, proxy_for


@asynccontextmanager
async def two(
    kind: type[Client], folder: Path, mode: Mode, **gateway: Any
) -> AsyncIterator[tuple[Simulator, Rig, Client, Client]]:
    """Set up a gateway with the given habits, a proxy, and two clients of a kind."""
    async with (
        Simulator(**gateway) as sim,
        proxy_for(sim, folder, **options_of(mode, sim.user, sim.password)) as rig,
        opened(kind, sim, folder / "one") as one,
        opened(kind, sim, folder / "other") as other,
    ):
        yield sim, rig, one, other
