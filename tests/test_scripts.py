"""The scripts that people type first must say plainly what is missing."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder, with a space in its name, that has what `script/setup` reads and no `.venv`."""
    root = tmp_path / "a clone"
    (root / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "setup", root / "script")
    for lock in ("requirements.txt", "requirements-dev.txt"):
        (root / lock).write_text("")
    return root


def setup(clone: Path, python: Path | str, what: str = "runtime") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": str(python)}
    return subprocess.run(
        [clone / "script" / "setup", what], env=environment, capture_output=True, check=False, text=True
    )


def stub(folder: Path, body: str) -> Path:
    path = folder / "python-stub"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_an_old_python_is_named(clone: Path, tmp_path: Path) -> None:
    old = stub(tmp_path, '[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1')
    done = setup(clone, old)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_missing_venv_names_debians_package(clone: Path, tmp_path: Path) -> None:
    without = stub(tmp_path, 'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; esac')
    done = setup(clone, without)
    assert done.returncode == 1
    assert "sudo apt-get install python3.11-venv" in done.stderr


def test_a_wrong_word_shows_the_usage(clone: Path) -> None:
    done = setup(clone, "python3", "everything")
    assert done.returncode == 2
    assert "usage: script/setup [runtime|dev]" in done.stderr


def test_the_locks_hold_hashes_and_no_address() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt", "requirements-audit.txt"):
        text = (ROOT / lock).read_text()
        pins = re.findall(r"(?m)^\S+==\S+.*\\$", text)
        assert len(pins) == len(re.findall(r"(?m)^[a-z]", text))
        assert "://" not in text
        assert "--index-url" not in text


@pytest.mark.parametrize("words", [["everything"], ["sbom"], ["sbom", "a", "b"], [""]])
def test_the_audit_says_how_it_is_used(words: list[str]) -> None:
    done = subprocess.run([ROOT / "script/audit", *words], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: script/audit [sbom FILE]\n")


def test_the_test_lock_holds_every_pin_of_the_other() -> None:
    runtime, dev = (
        set(re.findall(r"(?m)^[a-z]\S+==\S+", (ROOT / lock).read_text()))
        for lock in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime < dev


@pytest.mark.parametrize("vendor", ["theben", "ppc", "emh"])
def test_the_demo_prints_a_command_that_reads_the_meter(
    vendor: str, tmp_path: Path, require: Callable[[str], None]
) -> None:
    require("curl")
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    demo = subprocess.Popen(
        [sys.executable, ROOT / "script" / "demo.py", "--vendor", vendor, "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout
        command = next(line for line in demo.stdout if line.startswith("  Readings:  ")).split(maxsplit=1)[1]
        answer = subprocess.run(shlex.split(command), capture_output=True, check=True, text=True).stdout
        assert {"theben": '"records": "2"', "ppc": "1-0:1.8.0", "emh": "0100010800ff"}[vendor] in answer
    finally:
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate()[0]
    assert demo.returncode == 0
    assert rest.endswith("Stopped.\n")
    assert (tmp_path / ".demo" / vendor / "certs").is_dir()
