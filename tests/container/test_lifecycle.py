"""Every way to begin and to end: what the container's exit code, its log and its time to stop say."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container import images, rig

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

STOP_SECONDS = 5.0
COULD_NOT_CONNECT = 7
"""An exit code of curl."""
PACKAGE = "/opt/smgw-proxy/lib/python3.13/site-packages/smgw_proxy_addon"


def die(app: rig.App, option: str) -> None:
    """Kill the program and wait until another one has taken its place."""
    before = app.program()
    app.signal_program(option)
    rig.eventually(lambda: app.program() not in {-1, before} and app.healthy(), app.log)


def test_a_stop_is_quick_and_reports_success(app: rig.App) -> None:
    app.start_and_wait()
    code, seconds = app.stop()
    assert code == 0, app.log()
    assert seconds < STOP_SECONDS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"target": ""}, "target"),
        ({"target": "http://gateway/"}, "target"),
        ({"target": rig.GATEWAY, "allow": ["home"]}, "allow"),
        ({"target": rig.GATEWAY, "certfile": "absent.pem", "keyfile": "absent.pem"}, "absent.pem"),
        (None, "options.json"),
    ],
)
def test_bad_options_stop_the_app_with_one_plain_line(
    app: rig.App, options: dict[str, object] | None, named: str
) -> None:
    app.options = options
    app.start()
    assert app.wait() == 2, app.log()
    started, reason, stops = app.log().splitlines()
    assert started.endswith("Starting the SMGW proxy")
    assert " ERROR   The proxy cannot start: " in reason
    assert named in reason
    assert "The app stops" in stops


def test_options_of_another_version_do_not_stop_the_app(app: rig.App) -> None:
    app.options = {"target": rig.GATEWAY, "max_connections": 99, "dropped": "x"}
    app.start_and_wait()
    assert 'WARNING Option "max_connections": 99 is too large' in app.log()
    assert 'WARNING Option "dropped": there is no such option' in app.log()


@pytest.mark.parametrize(("option", "signal"), [("-k", 9), ("-b", 6)])
def test_a_killed_program_starts_again_and_a_later_stop_reports_success(
    app: rig.App, option: str, signal: int
) -> None:
    app.start_and_wait()
    die(app, option)
    assert f"killed by signal {signal} and starts again in 1 s" in app.log()
    code, _ = app.stop()
    assert code == 0


def test_the_fifth_early_death_stops_the_app_with_its_code(app: rig.App) -> None:
    app.start_and_wait()
    for _ in range(4):
        die(app, "-k")
    app.signal_program("-k")
    assert app.wait() == 128 + 9
    assert "for the 5th time" in app.log()
    assert app.log().count("Starting the SMGW proxy") == 5


def test_a_new_start_of_the_same_container_forgets_early_failures(app: rig.App) -> None:
    app.start_and_wait()
    for _ in range(4):
        die(app, "-k")
    app.signal_program("-k")
    assert app.wait() == 128 + 9
    before = app.log()
    app.start_again()
    rig.eventually(app.healthy, app.log)
    assert not app.execute("find", "/run/smgw-proxy", "-name", "pause", "-o", "-name", "early_failures")
    for pause in (1, 2):
        die(app, "-k")
        assert app.log().removeprefix(before).count(f"starts again in {pause} s") == 1
    code, _ = app.stop()
    assert code == 0


@pytest.fixture
def full_disk(app: rig.App) -> Iterator[Path]:
    """Put /data on a disk of 4 kB, which the options take."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(app.data)], check=True)
    yield app.data
    app.remove()
    subprocess.run(["umount", "--lazy", str(app.data)], check=True)


def test_http_does_not_wait_for_room_on_the_disk_and_https_comes_with_it(app: rig.App, full_disk: Path) -> None:
    app.start_and_wait()
    (warning,) = [line for line in app.log().splitlines() if " WARNING " in line]
    assert "No HTTPS for now" in warning
    assert "/data/certs: No space left on device; free some space there" in warning
    assert "pin_not_written" in app.curl("http://127.0.0.1:8080/").stdout
    assert app.curl("https://127.0.0.1/", "--insecure").returncode == COULD_NOT_CONNECT
    subprocess.run(["mount", "-o", "remount,size=1m", str(full_disk)], check=True)
    rig.eventually(lambda: "Listening at https" in app.log(), app.log, seconds=50)
    assert app.curl("https://127.0.0.1/smgw/m2m", "--insecure").returncode == 0


def test_a_stop_in_the_pause_before_a_restart_is_quick(app: rig.App) -> None:
    app.start_and_wait()
    for _ in range(3):
        die(app, "-k")
    app.signal_program("-k")
    rig.eventually(lambda: "starts again in 8 s" in app.log(), app.log)
    code, seconds = app.stop()
    assert code == 0
    assert seconds < STOP_SECONDS


def test_a_program_that_cannot_be_loaded_stops_the_app(app: rig.App) -> None:
    empty = app.folder / "empty"
    empty.mkdir()
    app.mounts = (f"{empty}:{PACKAGE}:ro",)
    app.start()
    assert app.wait() == 1
    assert "The app stops" in app.log()


def test_the_health_check_fails_when_the_program_hangs(app: rig.App) -> None:
    app.start_and_wait()
    app.signal_program("-p")
    assert not app.healthy()
    app.signal_program("-c")
    assert app.healthy()


def test_a_gateway_that_is_away_is_no_reason_to_be_unhealthy(app: rig.App) -> None:
    app.options = {"target": "10.11.120.77"}
    app.start_and_wait()


_PROCESSES = """
import glob, json, os
found = []
for folder in glob.glob("/proc/[0-9]*"):
    pid = int(folder.rpartition("/")[2])
    if pid != os.getpid():
        with open(f"{folder}/status") as status:
            facts = dict(line.split(":", 1) for line in status)
        found.append([pid, facts["Name"].strip(), int(facts["Uid"].split()[0])])
print(json.dumps(found))
"""


def test_no_shell_stays_behind_and_only_the_supervision_is_root(app: rig.App) -> None:
    app.start_and_wait()
    processes = json.loads(app.execute("/opt/smgw-proxy/bin/python3", "-c", _PROCESSES))
    assert not {name for _, name, _ in processes} & {"bash", "dash", "sh", "busybox"}
    [(_, name, user)] = [each for each in processes if each[0] == app.program()]
    assert name.startswith("python3")
    assert user != 0
    assert {user for _, name, user in processes if name.startswith("s6-")} == {0}


def test_the_rights_that_the_profile_grants_are_enough(app: rig.App) -> None:
    profile = (images.REPOSITORY / "apparmor.txt").read_text()
    app.capabilities = tuple(re.findall(r"(?m)^  capability (\w+),$", profile))
    assert set(app.capabilities) == {"chown", "dac_override", "kill", "net_bind_service", "setgid", "setuid"}
    for _ in range(2):  # the second time, its folders belong to the unprivileged user
        app.start_and_wait()
        assert "No log files" not in app.log()
        assert "Listening at https" in app.log()
        code, seconds = app.stop()
        assert code == 0, app.log()
        assert seconds < STOP_SECONDS
