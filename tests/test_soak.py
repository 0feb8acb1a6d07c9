"""The soak of ``script/soak``, for a short time; ``SMGW_SOAK`` gives the seconds."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.soak import soak

SECONDS: Final = float(os.environ.get("SMGW_SOAK", "20"))


@pytest.mark.timeout(SECONDS + 60)
async def test_every_request_is_answered_rightly_or_refused_in_plain_words_and_nothing_leaks(tmp_path: Path) -> None:
    report = await soak(tmp_path, SECONDS, seed=1)
    print(report.markdown())  # noqa: T201 - the figures that a person wants to see, with pytest -s
    assert not report.problems
    assert sum(report.faults.values()) > SECONDS
    assert all(outcomes["answered"] > SECONDS for outcomes in report.outcomes.values())
    assert not any(outcomes["WRONG"] for outcomes in report.outcomes.values())
