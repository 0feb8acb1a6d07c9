"""How long a slow client may keep others from the gateway.

There is one place there, unless the user asks for more, and whoever has it could read or send a byte now and then for
hours. Only the time counts in which the client was waited for while others waited for the gateway. Bytes moved earn
time at ``PACE``, so that a long transfer at a fair pace may end. A client that is alone has only the other
limits.

Pure: nothing is waited for here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.errors import ClientStalledError

LONGEST: Final = 5.0
"""Seconds: clients give up at 10 s, and whoever waits is to get its answer before, also with a new connection."""

PACE: Final = 50_000
"""Bytes a second that are not slow: half of what a phone gets that is away from home."""

_STEPS: Final = 10


@dataclass(slots=True)
class SlowClientTimeout:
    """Ends a request whose client keeps its place at the gateway from others, for ``longest`` seconds in all.

    ``others_wait`` tells whether anybody waits for the gateway; it is None while the request has no place.
    """

    longest: float = LONGEST
    others_wait: Callable[[], bool] | None = None
    _spent: float = 0.0

    @property
    def step(self) -> float:
        """The most seconds to wait for the client before ``waited`` is called."""
        return self.longest / _STEPS

    def waited(self, seconds: float, moved: int = 0) -> None:
        """Count the seconds for which the client was waited for, and the bytes that it took or sent meanwhile.

        Raises ``ClientStalledError`` if that kept others for too long.
        """
        if self.others_wait is None or not self.others_wait():
            return
        self._spent = max(0.0, self._spent + seconds - moved / PACE)
        if self._spent >= self.longest:
            raise ClientStalledError(f"it kept others waiting for {self.longest:g} s")
