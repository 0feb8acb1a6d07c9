"""``kill -9`` at random moments, hundreds of times: pins and log files survive each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.kills import ACTIONS
from tests.process import ROOT

KILLS: Final = 500


def test_pins_and_log_files_survive_500_kills(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.kills", str(tmp_path), str(KILLS), "1"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(found.values()) == KILLS
    # Enough of them in the middle of something, or this shows nothing.
    assert all(found.get(action, 0) >= KILLS / 100 for action in set(ACTIONS) - {"log"}), found
