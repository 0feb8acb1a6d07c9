"""What a scenario found, as a Markdown table; holds no measuring."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Table:
    """One scenario's result: what was done, and a row for each peer."""

    title: str
    told: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return heading, explanation and table."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.told}\n\n{table}\n"


def ms(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return f"{seconds * 1000:.2f}"


def ratio(value: float, base: float | None) -> str:
    """Return how many times the base a value is."""
    return f"{value / base:.2f}" if base else "-"


def percentile_95(values: Sequence[float]) -> float:
    """Return what 95 % of the values do not exceed."""
    return quantiles(values, n=20)[-1]


def spread(values: Sequence[float]) -> str:
    """Return median, smallest and largest of seconds, in milliseconds."""
    return f"{ms(median(values))} ({ms(min(values))} to {ms(max(values))})"
