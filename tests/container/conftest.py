"""The app's image and its surroundings, built once for all tests of this folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container import images, rig


@pytest.fixture(scope="session")
def engine(require: Callable[[str], None]) -> images.Engine:
    require("container")
    require("netns")
    require("curl")
    return images.engine()


@pytest.fixture(scope="session")
def base(engine: images.Engine) -> str:
    return images.build_base(engine)


@pytest.fixture(scope="session")
def image(engine: images.Engine, base: str) -> str:
    return images.build_app(engine, base)


@pytest.fixture(scope="session")
def clients(engine: images.Engine, base: str) -> str:
    """Return the image with the libraries of Home Assistant's integrations."""
    return images.build(engine, base, Path(__file__).parent / "clients", "localhost/smgw-proxy-clients")


@pytest.fixture(scope="session")
def network(engine: images.Engine) -> Iterator[rig.Network]:
    del engine  # asked for because it skips where there is none
    with rig.network(f"smgw-{os.getpid()}") as net:
        yield net


@pytest.fixture(scope="session")
def theben(network: rig.Network) -> Iterator[rig.Gateway]:
    with rig.gateway(network, rig.GATEWAY, "theben") as gateway:
        yield gateway


@pytest.fixture(scope="session")
def ppc(network: rig.Network) -> Iterator[rig.Gateway]:
    with rig.gateway(network, rig.PPC_GATEWAY, "ppc") as gateway:
        yield gateway


@pytest.fixture
def app(
    engine: images.Engine, image: str, network: rig.Network, theben: rig.Gateway, tmp_path: Path
) -> Iterator[rig.App]:
    """Return an app that is installed and not started; the gateway at its default address runs."""
    del theben
    app = rig.App(engine, image, network, tmp_path, f"smgw-proxy-test-{os.getpid()}")
    yield app
    app.remove()
