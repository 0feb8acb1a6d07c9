"""Every way to begin and to end: what the container's exit code, its log and its time to stop say."""

import pytest

from tests.container import rig

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

STOP_SECONDS = 5.0
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
        ({"target": rig.GATEWAY, "max_connections": 99}, "max_connections"),
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
    assert named in reason
    assert "The app stops" in stops


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
