"""What was measured, as one Markdown table; holds no measuring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

OWN: Final = "smgw-proxy"
COLUMNS: Final = (OWN, "nginx", "haproxy", "caddy", "plain aiohttp")
"""Who has a column; all others are told in the last one."""


@dataclass(frozen=True)
class Goal:
    """At most this, or, with a name, at most this many times what that one has; and ``also`` another goal."""

    limit: float
    times: str | None = None
    also: "Goal | None" = None

    def __str__(self) -> str:
        text = f"≤ {self.limit:g}" if self.limit else "none"
        if self.times:
            text += f" x {self.times}"
        return f"{text}; {self.also}" if self.also else text

    def reached(self, found: Mapping[str, Sequence[float]]) -> str:
        """Compare the medians: yes or no, and by how much."""
        verdict = self._verdict(found)
        return f"{verdict}; {self.also.reached(found)}" if self.also else verdict

    def _verdict(self, found: Mapping[str, Sequence[float]]) -> str:
        if OWN not in found or (self.times and self.times not in found):
            return "-"
        value = median(found[OWN])
        if self.times is None:
            return "yes" if value <= self.limit else "**no**"
        base = median(found[self.times])
        verdict = "yes" if value <= self.limit * base else "**no**"
        return f"{verdict}, {value / base:.2f} x" if base > 0 else verdict


@dataclass(frozen=True)
class Row:
    """One line of the table: a value for each run, by name. ``note`` says why there are none."""

    what: str
    found: Mapping[str, Sequence[float]]
    goal: Goal | None = None
    digits: int = 2
    note: str = ""

    def cells(self) -> list[str]:
        """Return the row's cells."""
        others = [f"{name}: {self._cell(name)}" for name in self.found if name not in COLUMNS]
        return [
            self.what,
            str(self.goal or "-"),
            self.goal.reached(self.found) if self.goal else "-",
            *(self._cell(name) for name in COLUMNS),
            "; ".join((*others, self.note) if self.note else others) or "-",
        ]

    def _cell(self, name: str) -> str:
        values = self.found.get(name)
        if not values:
            return "-"
        low, middle, high = (f"{each:.{self.digits}f}" for each in (min(values), median(values), max(values)))
        text = middle if low == high else f"{middle} ({low} to {high})"
        base, own = median(values), self.found.get(OWN)
        if name == OWN or not own or base <= 0:
            return text
        return f"{text}, **{median(own) / base:.2f} x**"


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    head = ["measurement", "goal", "reached", *COLUMNS, "beside"]
    lines = [head, ["---", *["---:"] * (len(head) - 2), "---"], *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def percentile_95(values: Sequence[float]) -> float:
    """Return what 95 % of the values do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]
