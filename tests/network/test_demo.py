"""The demo shows the whole way by itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.timeout(180)
def test_the_demo_ends_with_a_reading(require: Callable[[str], None]) -> None:
    require("netns")
    require("curl")
    done = subprocess.run(
        [sys.executable, "-m", "script.demo_network", "--address", "10.11.120.2"],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert "yes" in done.stdout
    assert '"version"' in done.stdout
    assert done.stdout.rstrip().endswith("192.168.178.20")
