"""How long a client's own slowness may keep others from the gateway.

There is one place there, unless the user asks for more, and whoever has it may read or send a byte now and then for
hours. What counts is only the time in which the client was waited for while others waited for the gateway, and what
it took or sent meanwhile is to its credit: a slow gateway is not blamed on anybody, a long transfer at a fair pace
may end, and who is alone may take all the time that the limits of silence leave.

Pure: nothing is waited for here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.errors import ClientStalledError

LONGEST: Final = 5.0
"""Seconds: clients give up at 10 s, and whoever waits is to get its answer before, also with a new connection."""

PACE: Final = 50_000
"""Bytes a second that nobody calls slow: half of what a phone gets that is away from home."""

_STEPS: Final = 10


@dataclass(slots=True)
class Hold:
    """A request's hold on a place at the gateway, at most ``longest`` seconds because of its client.

    ``others_wait`` tells whether anybody waits for the gateway; it is None while the request has no place.
    """

    longest: float = LONGEST
    others_wait: Callable[[], bool] | None = None
    _spent: float = 0.0

    @property
    def step(self) -> float:
        """The most seconds to wait for the client before ``waited`` is told."""
        return self.longest / _STEPS

    def waited(self, seconds: float, moved: int = 0) -> None:
        """Note that the client was waited for, and how many bytes it took or sent meanwhile.

        Raises ``ClientStalledError`` if that kept others for too long.
        """
        if self.others_wait is None or not self.others_wait():
            return
        self._spent = max(0.0, self._spent + seconds - moved / PACE)
        if self._spent >= self.longest:
            raise ClientStalledError(f"it kept others waiting for {self.longest:g} s")
