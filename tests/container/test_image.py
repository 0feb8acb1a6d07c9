"""What is in the image, and what is not."""

import json
from pathlib import PurePosixPath

import pytest
import yaml

from tests.container import images

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LARGEST_ADDITION = 25_000_000


@pytest.fixture(scope="module")
def paths(engine: images.Engine, image: str) -> list[PurePosixPath]:
    found = engine.run("--rm", "--network=none", "--entrypoint=find", image, "/", "-xdev")
    return [PurePosixPath(line) for line in found.splitlines()]


def test_it_is_small(engine: images.Engine, image: str, base: str) -> None:
    assert images.added_size(engine, image, base) <= LARGEST_ADDITION


def test_nothing_is_left_that_only_a_build_needs(paths: list[PurePosixPath]) -> None:
    names = {path.name for path in paths}
    assert not names & {
        "pip",
        "ensurepip",
        "requirements.txt",
        "simulator",
        "tests",
        "config.yaml",
        "smgw_network_addon",
    }
    assert PurePosixPath("/usr/bin/gcc") not in paths
    assert not [path for path in paths if path.parent == PurePosixPath("/var/lib/apt/lists")]


def test_what_the_program_loads_is_compiled(paths: list[PurePosixPath]) -> None:
    compiled = {path.name for path in paths if path.suffix == ".pyc"}
    assert {"options.cpython-313.pyc", "web.cpython-313.pyc", "base_events.cpython-313.pyc"} <= compiled
    assert len(compiled) < 1000
    assert all(".cpython-313." in name for name in compiled), "compiled by another Python, outside the image"


def test_labels_and_health_check(engine: images.Engine, image: str) -> None:
    [inspected] = json.loads(engine.podman("image", "inspect", image).stdout)
    labels = inspected["Labels"]
    config = yaml.safe_load((images.REPOSITORY / "config.yaml").read_text())
    assert labels["io.hass.type"] == "app"
    assert labels["io.hass.arch"] in config["arch"]
    assert labels["io.hass.version"] == labels["org.opencontainers.image.version"] == config["version"]
    assert labels["io.hass.name"] == labels["org.opencontainers.image.title"] == config["name"]
    assert labels["io.hass.description"] == config["description"]
    assert labels["org.opencontainers.image.url"] == config["url"]
    assert inspected["Healthcheck"]["Test"][:2] == ["CMD", "curl"]
    assert inspected["Config"]["Entrypoint"] == ["/init"]
    assert not inspected["Config"].get("User")
