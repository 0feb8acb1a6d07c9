"""A release is one version for all that carries one, and is described before it is made."""

import re
from datetime import date
from pathlib import Path
from typing import Final

import pytest
import yaml

import smgw_network_addon
import smgw_proxy_addon

ROOT: Final = Path(__file__).parents[1]
APPS: Final = {".": smgw_proxy_addon.__version__, "smgw_network": smgw_network_addon.__version__}
VERSION: Final = smgw_proxy_addon.__version__


@pytest.mark.parametrize("folder", APPS)
def test_an_app_carries_the_version_of_both_packages(folder: str) -> None:
    config = yaml.safe_load((ROOT / folder / "config.yaml").read_text())
    assert config["version"] == APPS[folder] == VERSION


@pytest.mark.parametrize("folder", APPS)
def test_the_labels_of_an_image_get_the_version_that_it_is_built_with(folder: str) -> None:
    labels = dict(re.findall(r'^    ([\w.]+)="([^"]*)"', (ROOT / folder / "Dockerfile").read_text(), re.MULTILINE))
    assert labels["io.hass.version"] == labels["org.opencontainers.image.version"] == "${BUILD_VERSION}"


@pytest.mark.parametrize("folder", APPS)
def test_the_newest_version_of_the_changelog_is_this_one_with_its_day(folder: str) -> None:
    text = (ROOT / folder / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == VERSION
    days = [date.fromisoformat(day) for _, day in versions[1:]]
    assert days == sorted(days, reverse=True)
