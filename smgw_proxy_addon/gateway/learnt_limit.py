"""A limit in time that a gateway was seen to have: of a silent connection, of an old nonce.

Pure: ``now`` is an argument.
"""

from dataclasses import dataclass
from typing import Final

SAFE_SHARE: Final = 0.8
"""The share of an observed limit that is used."""

FORGOTTEN_AFTER: Final = 24 * 3600.0
"""Seconds after which an observation counts no more: a restart of the gateway looks like a low limit."""


@dataclass
class LearntLimit:
    """A limit in seconds: ``default`` until one was observed, and again a day after the last observation."""

    default: float
    _observed: float | None = None
    _observed_at: float = 0.0

    def observe(self, seconds: float, now: float) -> None:
        """Note that the gateway had a limit of at most ``seconds``."""
        self._observed, self._observed_at = seconds, now

    def value(self, now: float) -> float:
        """Return the seconds that are safe."""
        if self._observed is None or now - self._observed_at > FORGOTTEN_AFTER:
            return self.default
        return self._observed * SAFE_SHARE
