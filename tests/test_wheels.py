"""Nothing compiles on a Raspberry Pi: each dependency in the lock has a wheel for both architectures."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PYTHON: Final = "3.13"
GLIBC: Final = range(17, 42)
"""Minor versions of glibc 2 up to Debian 13's: a wheel for an older one works on a newer one (PEP 600)."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lock", ["requirements.txt", "smgw_network/requirements.txt"])
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_dependency_has_a_wheel_for_the_image(machine: str, lock: str, tmp_path: Path) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", f"--python-version={PYTHON}", "--implementation=cp"]
    command += [f"--platform={platform}" for platform in platforms]
    done = subprocess.run(
        [*command, f"--dest={tmp_path}", f"--requirement={ROOT / lock}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.whl"))) == len(list(tmp_path.iterdir())) > 0
