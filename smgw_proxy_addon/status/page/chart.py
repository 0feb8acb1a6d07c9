"""The day's answer times and errors as shapes for an SVG. Pure: numbers in, numbers out."""

from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.status.history import BUCKETS, Bucket, Day

WIDTH: Final = 720
HEIGHT: Final = 150
TOP: Final = 8
FLOOR: Final = 128
"""Where the zero of the answer times is."""

_STEP: Final = WIDTH / BUCKETS
BAR_WIDTH: Final = round(_STEP - 1, 1)
_SCALES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True)
class Bar:
    """One bucket: ``x`` its left edge; ``mean`` and ``longest`` are the y of answer times, none without."""

    x: float
    mean: float | None
    longest: float | None
    bucket: Bucket


@dataclass(frozen=True)
class Chart:
    """The shapes, and the seconds that the upper line stands for."""

    bars: tuple[Bar, ...]
    scale: float


def draw(day: Day) -> Chart:
    """Lay the day out; buckets in which nothing happened are left out."""
    scale = next((each for each in _SCALES if each >= day.total.answer_max), _SCALES[-1])
    busy = ((position, bucket) for position, bucket in enumerate(day.buckets) if bucket.requests)
    return Chart(tuple(_bar(position, bucket, scale) for position, bucket in busy), scale)


def _bar(position: int, bucket: Bucket, scale: float) -> Bar:
    mean = bucket.answer_mean
    return Bar(
        x=round(position * _STEP, 1),
        mean=None if mean is None else _height(mean, scale),
        longest=None if mean is None else _height(bucket.answer_max, scale),
        bucket=bucket,
    )


def _height(seconds: float, scale: float) -> float:
    return round(FLOOR - (FLOOR - TOP) * min(1.0, seconds / scale), 1)
