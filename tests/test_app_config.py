"""The app as the store sees it, against the platform's rules and the one definition of the options."""

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest
import yaml

from smgw_proxy_addon.config.schema import APP_OPTIONS, Option
from tests.store_schema import complaints, option_complaints, security_rating, taken_for_an_app

ROOT: Final = Path(__file__).parent.parent
LANGUAGES: Final = ("en", "de")
SERVICES: Final = ROOT / "rootfs/etc/s6-overlay/s6-rc.d"
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


CONFIG: Final = read("config.yaml")


def element(option: Option) -> object:
    """Write an option's definition as ``config.yaml`` has it."""
    match option.kind:
        case "int" | "float":
            text = f"{option.kind}({option.low},{option.high})"
        case "list":
            text = f"list({'|'.join(option.choices)})"
        case "names":
            return ["str?"]
        case "accounts":
            return [{"username": "str", "password": "password"}]
        case kind:
            text = kind
    return text if option.required else f"{text}?"


def files_of_the_repository() -> list[PurePosixPath]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [PurePosixPath(name) for name in listed.split("\0") if name]


def test_the_store_has_nothing_to_complain_of() -> None:
    assert list(complaints(CONFIG)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"arch": ["armv7"]}, "arch"),
        ({"arch": []}, "arch"),
        ({"slug": "SMGW Proxy"}, "slug"),
        ({"version": 1.0}, "version"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"startup": "sometime"}, "startup"),
        ({"startup": "application"}, "set to its default"),
        ({"ingress": False}, "set to its default"),
        ({"ingress_port": 8099}, "set to its default"),
        ({"watchdog": "tcp://[HOST]:[PORT:80]"}, "deprecated"),
        ({"ports": {"http": 80}}, "8080/tcp"),
        ({"map": ["share:rw"]}, "map"),
        ({"map": [{"type": "ssl", "read_only": True}]}, "read-only by default"),
        ({"schema": {"target": "string"}}, "schema"),
        ({"schema": {"target": "str?"}}, "has no default"),
        ({"options": {"target": 7}}, "target: 7"),
        ({"options": {}}, "target: missing"),
        ({"options": {"target": "x", "other": "y"}}, "not in the schema"),
        ({"ingress": True, "webui": "http://[HOST]:[PORT:8080]/"}, "beside ingress"),
    ],
)
def test_the_rules_find_what_is_wrong(change: dict[str, object], complaint: str) -> None:
    assert complaint in " ".join(complaints({**CONFIG, **change}))


def test_options_are_those_of_the_program() -> None:
    assert CONFIG["schema"] == {option.name: element(option) for option in APP_OPTIONS}
    # The Supervisor knows no optional list of groups: it has to be there, empty.
    given = {option.name: option.default for option in APP_OPTIONS if option.required} | {"accounts": []}
    assert CONFIG["options"] == given


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, False),
        ({"max_connections": 8, "log_level": "debug", "allowed_hosts": ["a", "b"]}, False),
        ({"max_connections": 9}, True),
        ({"log_level": "loud"}, True),
        ({"allowed_hosts": "a"}, True),
        ({"log_bodies": "yes"}, True),
        ({"accounts": [{"username": "u", "password": "p"}]}, False),
        ({"accounts": [{"username": "u"}]}, True),
        ({"accounts": [{"username": "u", "password": "p", "realm": "r"}]}, True),
        ({"accounts": ["u"]}, True),
    ],
)
def test_the_form_lets_only_good_values_through(options: dict[str, object], wrong: bool) -> None:
    given = {"target": "192.168.1.200", "accounts": [], **options}
    assert bool(list(option_complaints(CONFIG["schema"], given))) == wrong


def test_a_list_of_groups_is_not_optional_for_the_supervisor() -> None:
    assert list(option_complaints(CONFIG["schema"], {"target": "192.168.1.200"})) == ["accounts: missing"]


def test_the_store_finds_two_apps_and_no_other_file() -> None:
    found = {str(path) for path in files_of_the_repository() if taken_for_an_app(path)}
    assert found == {"config.yaml", "smgw_network/config.yaml"}
    assert taken_for_an_app(PurePosixPath("tests/data/config.json"))
    assert not taken_for_an_app(PurePosixPath("rootfs/etc/config.yaml"))
    assert not taken_for_an_app(PurePosixPath(".github/config.yml"))


def test_the_rating_is_the_highest_once_there_is_ingress() -> None:
    assert security_rating({**CONFIG, "ingress": True}, own_profile=(ROOT / "apparmor.txt").exists()) == 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_option_and_port_is_explained(language: str) -> None:
    translation = read(f"translations/{language}.yaml")
    assert translation.keys() == {"configuration", "network"}
    assert list(translation["configuration"]) == list(CONFIG["schema"])
    for text in translation["configuration"].values():
        assert text.keys() == {"name", "description"}
        assert 3 < len(text["name"]) < 40
        assert text["description"].endswith(".")
    assert translation["network"].keys() == CONFIG["ports"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("option", APP_OPTIONS, ids=lambda option: option.name)
def test_descriptions_name_the_range_and_the_default(option: Option, language: str) -> None:
    description = read(f"translations/{language}.yaml")["configuration"][option.name]["description"]
    expected: list[object] = [option.low, option.high]
    if not option.required and option.kind not in {"bool", "names", "accounts"}:
        expected.append(option.default)
    for value in expected:
        if value is not None:
            assert re.search(rf"(?<![\w.]){re.escape(str(value))}(?!\w)", description), value


def test_translations_have_the_same_shape() -> None:
    english, german = (read(f"translations/{language}.yaml") for language in LANGUAGES)
    for part in english:
        assert list(english[part]) == list(german[part])


def test_build_yaml_says_what_the_dockerfile_says() -> None:
    found = re.search(r"^ARG BUILD_FROM=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    assert read("build.yaml") == {"build_from": dict.fromkeys(CONFIG["arch"], found[1])}
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BUILD_FROM}"}


def test_the_repository_is_described() -> None:
    assert read("repository.yaml").keys() == {"name", "url", "maintainer"}
    assert read("repository.yaml")["url"] == CONFIG["url"]


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_pictures_have_the_size_that_the_store_wants(name: str, size: tuple[int, int]) -> None:
    head = (ROOT / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == size


def test_the_service_is_one_that_s6_understands() -> None:
    # A wrong type, carriage returns or a missing bit leave a container that idles with nothing in it.
    services = [path.name for path in (SERVICES / "user/contents.d").iterdir()]
    assert services == ["smgw-proxy"]
    assert (SERVICES / "smgw-proxy/type").read_bytes() == b"longrun\n"
    assert {path.name for path in (SERVICES / "smgw-proxy").iterdir()} == {"finish", "run", "timeout-finish", "type"}
    finish = (SERVICES / "smgw-proxy/finish").read_text()
    granted = int((SERVICES / "smgw-proxy/timeout-finish").read_text()) / 1000
    assert granted - int(finish.partition("--signal=KILL ")[2].split()[0]) >= 2
    for name in ("run", "finish"):
        script = SERVICES / "smgw-proxy" / name
        assert script.stat().st_mode & 0o111 == 0o111
        assert script.read_bytes().startswith(b"#!/command/with-contenv bashio\n")
        assert b"\r" not in script.read_bytes()


def test_the_profile_is_for_this_app_and_can_be_parsed(require: Callable[[str], None]) -> None:
    profile = ROOT / "apparmor.txt"
    assert f"\nprofile {CONFIG['slug']} flags=" in profile.read_text()
    require("apparmor")
    command = ["apparmor_parser", "-Q", "-K", str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
