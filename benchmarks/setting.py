"""How long and how often is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """``runs`` of each, every one with fresh processes; all delays and timeouts are multiplied with ``scale``.

    A ``scale`` below 1 is for trying the measurements: what the programs need themselves does not shrink with it.
    """

    runs: int = 5
    scale: float = 1.0
