"""The command line: what it refuses in one line, and what ``find`` prints and leaves."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smgw_network_addon import __version__
from tests.network.house import GATEWAY, House, environment, eventually

pytestmark = pytest.mark.timeout(180)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program outside of any house: only with arguments that it refuses."""
    command = [sys.executable, "-m", "smgw_network_addon", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=environment(),
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--gateway", "10.11.120"], "gateway"),
        (["run", "--gateway", "8.8.8.8"], "gateway"),
        (["find", "--address", "10.11.120.1"], "address"),
        (["find", "--interface", "a b"], "interface"),
        (["run", "--json"], "--json"),
        (["find", "--state", "x"], "--state"),
        (["search"], "search"),
        ([], "command"),
    ],
)
def test_bad_options_get_one_plain_line_and_code_2(arguments: list[str], named: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("smgw-network")
    assert named in line


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_without_the_capabilities_it_says_so(require: Callable[[str], None], tmp_path: Path) -> None:
    require("netns")
    words = [sys.executable, "-m", "smgw_network_addon", "run", "--state", str(tmp_path / "state")]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin,-net_raw", *words],
        capture_output=True,
        check=False,
        text=True,
        env=environment(),
    )
    assert done.returncode == 1
    assert done.stderr == "smgw-network: no permission (CAP_NET_ADMIN, CAP_NET_RAW)\n"


def test_find_prints_a_table_and_leaves_nothing(home: House) -> None:
    home.gateway()
    home.gateway("192.168.100.100", "gateway2", vendor="emh")
    before = home.picture()
    program = home.start("hahost", ["smgw_network_addon", "find", "--no-search"])
    assert program.process.wait(60) == 0
    head, *rows = program.log().splitlines()
    assert head.split() == ["ADDRESS", "INTERFACE", "MAKER", "CERTIFICATE", "REACHED", "BY"]
    assert sorted(row.split() for row in rows) == [
        [GATEWAY, "eth0", "Theben", "ETHE0300186023.SMGW", "peer"],
        ["192.168.100.100", "eth0", "EMH", "EEMH0012345678.SMGW", "peer"],
    ]
    assert home.picture() == before


def test_find_prints_json(home: House) -> None:
    home.gateway()
    program = home.start("hahost", ["smgw_network_addon", "find", "--json", "--gateway", GATEWAY])
    assert program.process.wait(60) == 0
    [found] = json.loads(program.log())
    assert (found["host"], found["interface"], found["way"]) == (GATEWAY, "eth0", "peer")


def test_find_says_that_nothing_answered(home: House) -> None:
    program = home.start("hahost", ["smgw_network_addon", "find", "--no-search"])
    assert program.process.wait(60) == 3
    assert program.log() == "No gateway answered.\n"


def test_an_address_that_was_given_is_taken_or_none(home: House) -> None:
    home.gateway()
    program = home.network("--gateway", GATEWAY, "--address", "10.11.120.77")
    eventually(home.reaches, 20, program.log)
    assert home.addresses()[1:] == ["10.11.120.77"]
    program.stop()
    home.plug("printer", "10.11.120.77/24")
    program = home.network("--gateway", GATEWAY, "--address", "10.11.120.77")
    program.waits_for("address_taken", 20)
    assert home.addresses()[1:] == []


def test_a_folder_with_other_files_is_only_written_into(home: House, tmp_path: Path) -> None:
    home.gateway()
    (home.folder / "share").mkdir()
    (home.folder / "share" / "notes.txt").write_text("mine")
    program = home.network("--gateway", GATEWAY)
    eventually(home.suggested, 20, program.log)
    assert (home.folder / "share").stat().st_uid == 0
    assert (tmp_path / "share" / "gateways.json").stat().st_uid != 0
    program.stop()
    assert home.suggested() == []


@pytest.mark.parametrize("kept", ["", "[]", "{", '{"added": [{"interface": 7}, {}, 5], "relays": "x"}', "null"])
def test_a_state_that_cannot_be_read_is_no_obstacle(home: House, kept: str) -> None:
    home.gateway()
    (home.folder / "state").mkdir()
    (home.folder / "state" / "smgw-network.json").write_text(kept)
    program = home.network("--gateway", GATEWAY)
    eventually(home.reaches, 20, program.log)


def test_a_link_in_place_of_a_file_is_refused(home: House) -> None:
    target = home.folder / "precious"
    target.write_text("precious")
    (home.folder / "state").mkdir()
    (home.folder / "state" / "smgw-network.json").symlink_to(target)
    program = home.network("--gateway", GATEWAY)
    assert program.process.wait(20) == 1
    assert "cannot be used" in program.log()
    assert target.read_text() == "precious"
