"""The fault matrix: each fault in each mode, and its way back."""

from pathlib import Path

import pytest

from simulator.certificates import CertificateOptions, Identity, make_identity
from tests.faults import ROWS
from tests.faults.scene import Mode, Row, play

BOUND = 2.0
"""Seconds in which the way back has to be found; with room for a busy machine."""


@pytest.fixture(scope="module")
def identity() -> Identity:
    return make_identity(CertificateOptions())


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_fault(tmp_path: Path, identity: Identity, row: Row, mode: Mode) -> None:
    outcome = await play(row, mode, tmp_path, identity)
    assert outcome.recovery < BOUND
