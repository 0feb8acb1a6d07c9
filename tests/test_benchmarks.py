"""The benchmarks' pure parts: what is read from wrk, and how the table tells what was found."""

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import MEASUREMENTS
from benchmarks.report import Goal, Row, percentile_95, table
from benchmarks.wrk import Load, read

ROOT = Path(__file__).parent.parent
REPORT = """\
Running 4s test @ http://127.0.0.1:42301/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    49.23ms  159.72ms   1.02s    91.74%
    Req/Sec    11.47k     3.27k   17.62k    76.92%
  Latency Distribution
     50%    3.50ms
     75%   10.98ms
     90%   63.71ms
     99%    1.21s
  45213 requests in 4.03s, 9.31MB read
"""


def test_wrk_is_read() -> None:
    assert read(REPORT) == Load(45213, 0, 0.0035, 1.21)
    troubled = REPORT + "  Socket errors: connect 1, read 2, write 0, timeout 30\n  Non-2xx or 3xx responses: 400\n"
    assert read(troubled).errors == 433
    with pytest.raises(ValueError, match="unable to connect"):
        read("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_row_has_medians_ranges_ratios_and_the_verdict() -> None:
    found = {"direct": [1.0], "nginx": [10.0, 8.0, 30.0], "smgw-proxy": [25.0, 24.0, 40.0]}
    row = Row("latency, µs", found, Goal(3, "nginx"), 0)
    assert row.cells() == [
        "latency, µs",
        "≤ 3 x nginx",
        "yes, 2.50 x",
        "25 (24 to 40)",
        "10 (8 to 30), **2.50 x**",
        "-",
        "-",
        "-",
        "direct: 1, **25.00 x**",
    ]


@pytest.mark.parametrize(
    ("goal", "own", "text", "verdict"),
    [
        (Goal(1.02), 1.02, "≤ 1.02", "yes"),
        (Goal(1.02), 1.03, "≤ 1.02", "**no**"),
        (Goal(0), 0.0, "none", "yes"),
        (Goal(0), 1.0, "none", "**no**"),
        (Goal(2, "nginx"), 9.0, "≤ 2 x nginx", "**no**, 2.25 x"),
        (Goal(2, "nobody"), 9.0, "≤ 2 x nobody", "-"),
        (Goal(3, "nginx", Goal(1)), 9.0, "≤ 3 x nginx; ≤ 1", "yes, 2.25 x; **no**"),
    ],
)
def test_a_goal_is_reached_or_not(goal: Goal, own: float, text: str, verdict: str) -> None:
    assert str(goal) == text
    assert goal.reached({"smgw-proxy": [own], "nginx": [4.0]}) == verdict


def test_what_was_not_measured_says_why() -> None:
    row = Row("login once", {}, Goal(0.52, "transparent"), note="not built")
    assert row.cells() == ["login once", "≤ 0.52 x transparent", "-", "-", "-", "-", "-", "-", "not built"]


def test_every_line_of_the_table_has_the_same_columns() -> None:
    lines = table([Row("one", {"smgw-proxy": [1.0]}), Row("two", {"nginx": [0.0], "smgw-proxy": [1.0]})]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {10}


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (20, 19), (100, 95), (101, 96)])
def test_the_percentile_is_one_of_the_values(count: int, expected: int) -> None:
    assert percentile_95([float(value) for value in range(count, 0, -1)]) == expected


def test_the_explanation_names_every_measurement() -> None:
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", told)) == {*MEASUREMENTS, "quick"}
