"""The scripts that people type first must say plainly what is missing."""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.ports import free_port

ROOT: Final = Path(__file__).parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder, with a space in its name, that has what `script/setup` reads and no `.venv`."""
    root = tmp_path / "a clone"
    (root / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "setup", root / "script")
    for lock in ("requirements.txt", "requirements-build.txt", "requirements-dev.txt"):
        (root / lock).write_text("")
    return root


def setup(
    clone: Path, python: Path | str, what: str = "runtime", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": str(python), **variables}
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


def wheel(folder: Path, name: str, version: str, *metadata: str) -> str:
    """Write an empty package's wheel; returns the line by which a lock pins it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def pythons() -> list[str]:
    """Return what runs the tests and the system's Python: Debian 12 brings the oldest pip that is supported, 23.0."""
    system = "/usr/bin/python3"
    check = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    usable = Path(system).exists() and subprocess.call([system, "-c", check], stderr=subprocess.DEVNULL) == 0
    return [sys.executable, system] if usable else [sys.executable]


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("what", ["runtime", "dev"])
def test_a_newer_release_changes_nothing_that_is_locked(clone: Path, tmp_path: Path, python: str, what: str) -> None:
    index = tmp_path / "index"
    index.mkdir()
    outer = wheel(index, "outer", "1.0", "Requires-Dist: inner[more]>=1.0")
    inner = wheel(index, "inner", "1.0", "Provides-Extra: more")
    wheel(index, "inner", "1.1", "Provides-Extra: more")
    lock = clone / ("requirements.txt" if what == "runtime" else "requirements-dev.txt")
    lock.write_text(outer + inner)
    done = setup(clone, python, what, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index), PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in clone.glob(".venv/lib/python3*/site-packages/*er-1.*")} == {
        "inner-1.0.dist-info",
        "outer-1.0.dist-info",
    }


def test_a_lock_that_lacks_something_is_named(clone: Path, tmp_path: Path) -> None:
    (clone / "requirements.txt").write_text(wheel(tmp_path, "outer", "1.0", "Requires-Dist: inner>=1.0"))
    done = setup(clone, sys.executable, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    assert "requirements.txt is not complete" in done.stderr
    assert "outer 1.0 requires inner, which is not installed" in done.stderr
    assert not (clone / ".venv" / "installed-requirements.txt").exists()


def test_no_lock_is_resolved_again() -> None:
    files = (
        *(each for each in (ROOT / "script").iterdir() if each.is_file()),
        ROOT / "Dockerfile",
        ROOT / "smgw_network/Dockerfile",
    )
    scripts = [path.read_text().replace("\\\n", "") for path in files]
    commands = [line for text in scripts for line in text.splitlines() if "--require-hashes" in line]
    assert len([line for line in commands if "install" in line]) >= 4
    assert all("--no-deps" in line for line in commands if "install" in line)


def test_the_locks_hold_hashes_and_no_address() -> None:
    kinds = ("", "-build", "-dev", "-audit")
    for lock in (*(f"requirements{kind}.txt" for kind in kinds), "smgw_network/requirements.txt"):
        text = (ROOT / lock).read_text()
        pins = re.findall(r"(?m)^\S+==\S+.*\\$", text)
        assert len(pins) == len(re.findall(r"(?m)^[a-z]", text))
        assert "://" not in text
        assert "--index-url" not in text


@pytest.mark.parametrize("words", [["everything"], ["sbom"], ["sbom", "a", "b"], [""]])
def test_the_audit_says_how_it_is_used(words: list[str]) -> None:
    done = subprocess.run([ROOT / "script/audit", *words], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: script/audit [sbom FILE [network]]\n")


def test_the_test_lock_holds_every_pin_of_the_other() -> None:
    runtime, dev = (
        set(re.findall(r"(?m)^[a-z]\S+==\S+", (ROOT / lock).read_text()))
        for lock in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime < dev


@pytest.mark.parametrize("vendor", ["theben", "ppc", "emh", "sagemcom"])
def test_the_demo_prints_a_command_that_reads_the_meter(
    vendor: str, tmp_path: Path, require: Callable[[str], None]
) -> None:
    require("curl")
    demo = subprocess.Popen(
        [sys.executable, ROOT / "script" / "demo.py", "--vendor", vendor, "--port", str(free_port())],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout
        command = next(line for line in demo.stdout if line.startswith("  Readings:  ")).split(maxsplit=1)[1]
        answer = subprocess.run(shlex.split(command), capture_output=True, check=True, text=True).stdout
        shown = {"theben": '"records": "2"', "ppc": "1-0:1.8.0", "emh": "0100010800ff", "sagemcom": "0100010800ff"}
        assert shown[vendor] in answer
    finally:
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate()[0]
    assert demo.returncode == 0
    assert rest.endswith("Stopped.\n")
    assert (tmp_path / ".demo" / vendor / "certs").is_dir()
