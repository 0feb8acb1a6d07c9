"""The second app as the store sees it, against the platform's rules and the options of its program."""

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from smgw_network_addon.options import NAMES
from tests.store_schema import complaints, option_complaints, security_rating

APP: Final = Path(__file__).resolve().parents[2] / "smgw_network"
ROOT: Final = APP.parent
SERVICE: Final = APP / "rootfs/etc/s6-overlay/s6-rc.d"
DOCKERFILE: Final = (APP / "Dockerfile").read_text()


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


CONFIG: Final = read(APP / "config.yaml")


def test_the_store_has_nothing_to_complain_of() -> None:
    assert list(complaints(CONFIG)) == []


def test_the_rating_is_six() -> None:
    assert security_rating(CONFIG, own_profile=(APP / "apparmor.txt").exists()) == 6
    assert set(CONFIG["privileged"]) == {"NET_ADMIN", "NET_RAW"}


def test_options_are_those_of_the_program_and_none_has_to_be_filled_in() -> None:
    assert tuple(CONFIG["schema"]) == NAMES
    assert CONFIG["options"] == {"search": True}
    assert list(option_complaints(CONFIG["schema"], CONFIG["options"])) == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_option_is_explained(language: str) -> None:
    translation = read(APP / f"translations/{language}.yaml")
    assert list(translation) == ["configuration"]
    assert list(translation["configuration"]) == list(CONFIG["schema"])
    for text in translation["configuration"].values():
        assert text.keys() == {"name", "description"}
        assert 3 < len(text["name"]) < 40
        assert text["description"].endswith(".")


def test_build_yaml_says_what_the_dockerfile_says() -> None:
    found = re.search(r"^ARG BUILD_FROM=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    assert read(APP / "build.yaml") == {"build_from": dict.fromkeys(CONFIG["arch"], found[1])}
    assert (APP / "build.yaml").read_text() == (ROOT / "build.yaml").read_text()


def test_both_apps_run_as_the_same_user_so_that_both_can_write_the_shared_folder() -> None:
    user = r"groupadd --gid (\d+) smgw"
    numbers = {re.findall(user, path.read_text())[0] for path in (APP / "Dockerfile", ROOT / "Dockerfile")}
    assert numbers == {"8443"}


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_pictures_have_the_size_that_the_store_wants(name: str, size: tuple[int, int]) -> None:
    head = (APP / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == size


def test_the_service_is_one_that_s6_understands() -> None:
    assert [path.name for path in (SERVICE / "user/contents.d").iterdir()] == ["smgw-network"]
    assert (SERVICE / "smgw-network/type").read_bytes() == b"longrun\n"
    assert {path.name for path in (SERVICE / "smgw-network").iterdir()} == {"finish", "run", "type"}
    for name in ("run", "finish"):
        script = SERVICE / "smgw-network" / name
        assert script.stat().st_mode & 0o111 == 0o111
        assert script.read_bytes().startswith(b"#!/command/with-contenv bashio\n")
        assert b"\r" not in script.read_bytes()


def test_the_profile_is_for_this_app_and_can_be_parsed(require: Callable[[str], None]) -> None:
    profile = APP / "apparmor.txt"
    assert f"\nprofile {CONFIG['slug']} flags=" in profile.read_text()
    require("apparmor")
    command = ["apparmor_parser", "-Q", "-K", str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_file_of_the_store_is_there() -> None:
    for name in ("README.md", "DOCS.md", "CHANGELOG.md", ".dockerignore"):
        assert (APP / name).is_file(), name


def test_the_lock_is_part_of_the_one_for_tests() -> None:
    pins = r"(?m)^[a-z]\S+==\S+"
    own = set(re.findall(pins, (APP / "requirements.txt").read_text()))
    assert own < set(re.findall(pins, (ROOT / "requirements-dev.txt").read_text()))
    proxy = {pin.partition("==")[0] for pin in re.findall(pins, (ROOT / "requirements.txt").read_text())}
    assert not proxy & {"pyroute2", "zeroconf", "ifaddr"}


def test_releases_and_audits_know_both_apps() -> None:
    [image] = [job for job in read(ROOT / ".github/workflows/publish.yaml")["jobs"].values() if "uses" in job]
    folders = [ROOT / each["folder"] for each in image["strategy"]["matrix"]["include"]]
    assert folders == [ROOT, APP]
    assert all((folder / "Dockerfile").is_file() for folder in folders)
    assert "smgw_network/requirements.txt" in (ROOT / "script/audit").read_text()


def test_the_proxys_image_has_nothing_of_it() -> None:
    assert "smgw_network" not in (ROOT / ".dockerignore").read_text()
    assert "smgw_network" not in (ROOT / "Dockerfile").read_text()
