"""What the service does after every kind of end of the program, and what s6 finds."""

import subprocess
import sys
from pathlib import Path

import pytest

from smgw_proxy_addon.program.run import EXIT_RESTART
from smgw_proxy_addon.program.s6_finish import (
    EARLY_FAILURES,
    EARLY_SECONDS,
    STOP,
    Decision,
    choose_action,
    finish,
    main,
)

SIGNALLED = 256
SIGABRT, SIGKILL, SIGTERM = 6, 9, 15


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "s6-linux-init-container-results").mkdir()
    (tmp_path / "smgw-proxy").mkdir()
    return tmp_path


def exit_code(run: Path) -> str | None:
    file = run / "s6-linux-init-container-results" / "exitcode"
    return file.read_text() if file.exists() else None


@pytest.mark.parametrize(
    ("exit_code", "signal", "seconds", "code"),
    [
        (0, 0, 5, 0),
        (0, SIGTERM, 5, 0),
        (SIGNALLED, SIGTERM, 5, 0),
        (2, 0, 5, 2),
        (2, 0, 5000, 2),
    ],
)
def test_some_ends_stop_the_app_at_once(exit_code: int, signal: int, seconds: int, code: int) -> None:
    decision = choose_action(exit_code, signal, seconds, 0)
    assert decision.exit_code == code
    assert bool(decision.message) == bool(code)


@pytest.mark.parametrize(
    ("exit_code", "signal", "code"), [(1, 0, 1), (SIGNALLED, SIGABRT, 134), (SIGNALLED, SIGKILL, 137)]
)
def test_the_fifth_early_death_in_a_row_stops_the_app(exit_code: int, signal: int, code: int) -> None:
    early_failures, pauses = 0, []
    for _ in range(EARLY_FAILURES - 1):
        decision = choose_action(exit_code, signal, EARLY_SECONDS - 1, early_failures)
        assert decision.exit_code is None
        early_failures = decision.early_failures
        pauses.append(decision.pause)
    assert pauses == [1, 2, 4, 8]
    last = choose_action(exit_code, signal, EARLY_SECONDS - 1, early_failures)
    assert last.exit_code == code


def test_a_long_life_starts_the_count_again() -> None:
    decision = choose_action(SIGNALLED, SIGKILL, EARLY_SECONDS, EARLY_FAILURES - 1)
    assert decision == Decision("The proxy was killed by signal 9 and starts again in 1 s", None, 1, 0)


def test_a_program_that_asks_for_it_is_started_again_at_once() -> None:
    decision = choose_action(EXIT_RESTART, 0, 40, EARLY_FAILURES - 1)
    assert decision == Decision("The proxy starts again, as it asked to", None, 0, 0)


def test_a_restart_leaves_the_pause_and_no_exit_code(run: Path) -> None:
    (run / "smgw-proxy" / "started").write_text("100.25\n")
    finish(SIGNALLED, SIGKILL, 101.0, run)
    finish(SIGNALLED, SIGKILL, 102.0, run)
    assert (run / "smgw-proxy" / "pause").read_text() == "2\n"
    assert exit_code(run) is None


def test_a_clean_stop_after_crashes_reports_success(run: Path) -> None:
    (run / "s6-linux-init-container-results" / "exitcode").write_text("137\n")
    finish(SIGNALLED, SIGKILL, 102.0, run)
    finish(0, 0, 103.0, run)
    assert exit_code(run) == "0\n"


def test_ends_before_the_machine_was_restarted_do_not_count(run: Path) -> None:
    (run / "smgw-proxy" / "started").write_text("90000")
    (run / "smgw-proxy" / "early_failures").write_text("4")
    decision = finish(1, 0, 20.0, run)
    assert decision.exit_code is None


@pytest.mark.parametrize("content", ["", "nonsense", "\x00"])
def test_a_damaged_state_counts_as_an_early_death(run: Path, content: str) -> None:
    for name in ("started", "early_failures"):
        (run / "smgw-proxy" / name).write_text(content)
    decision = finish(1, 0, 20.0, run)
    assert (decision.exit_code, decision.early_failures) == (None, 1)


def test_the_state_folder_need_not_exist(tmp_path: Path) -> None:
    assert finish(1, 0, 20.0, tmp_path).exit_code is None


def test_the_proxy_itself_is_not_loaded() -> None:
    code = "import sys, smgw_proxy_addon.program.s6_finish; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "asyncio", "ssl", "voluptuous"} & set(loaded)


def test_the_code_for_stopping_is_the_one_s6_knows() -> None:
    assert STOP == 125


def test_the_script_gets_a_line_for_the_log_and_a_code(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["1", "0"], run) == 0
    assert capsys.readouterr().out == "The proxy failed (exit code 1) and starts again in 1 s"
    assert main(["2", "0"], run) == STOP
    assert capsys.readouterr().out.startswith("The app stops: ")
    assert main(["0", "0"], run) == STOP
    assert capsys.readouterr().out == ""
