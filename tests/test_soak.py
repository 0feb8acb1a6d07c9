"""The soak of ``script/soak``, for a short time: ``SMGW_SOAK`` seconds, divided among the modes."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.faults.scene import Mode
from tests.soak import GROWTH, MODES, SAMPLES, SETTLED, Report, Sample, soak

SECONDS: Final = float(os.environ.get("SMGW_SOAK", "20"))


@pytest.mark.parametrize(("growth", "found"), [(0.9 * GROWTH, False), (1.1 * GROWTH, True)])
def test_memory_that_grows_from_the_second_quarter_to_the_last_is_a_problem(growth: float, found: bool) -> None:
    memory = [round(80e6 * (1 + growth * 2 * at / SAMPLES)) for at in range(SAMPLES)]
    samples = [Sample(each, 0, 0) for each in memory]
    report = Report(SETTLED, samples=samples, before=samples[0], after=samples[-1])
    report.judge()
    assert any(problem.startswith("memory grew") for problem in report.problems) is found


# A cable whose port is closed while a connection comes in leaves that to the collector; it is the tests' own.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_every_request_is_answered_rightly_or_refused_in_plain_words_and_nothing_leaks(
    tmp_path: Path, mode: Mode
) -> None:
    seconds = SECONDS / len(MODES)
    report = await soak(tmp_path, seconds, seed=1, mode=mode)
    print(report.markdown())  # noqa: T201 - the figures that a person wants to see, with pytest -s
    assert not report.problems
    assert sum(report.faults.values()) > seconds
    assert all(outcomes["answered"] > 0 for outcomes in report.outcomes.values())
