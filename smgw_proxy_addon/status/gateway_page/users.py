"""Who may see the gateway's page: Home Assistant's administrators, or all of its users.

The Supervisor says who asks (``X-Remote-User-Id``, which a browser cannot set), but not whether that is an
administrator: Home Assistant is asked for those. The app's ``panel_admin`` only hides the entry in the sidebar: the
page itself is open to all who are logged in.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

KNOWN_FOR: Final = 60.0
"""Seconds for which the list of administrators holds."""

FetchAdmins = Callable[[], Awaitable[frozenset[str] | None]]
"""Returns the ids of the administrators, None without an answer."""


class Refusal(Enum):
    """Why somebody may not see the gateway's page."""

    ADMINS_ONLY = "admins"
    UNKNOWN = "unknown"
    """Home Assistant did not say who asks, or who is an administrator."""


class Users:
    """Decides who may; ``everyone`` admits all users. ``clock`` gives monotonic seconds."""

    def __init__(self, fetch_admins: FetchAdmins, clock: Callable[[], float], *, everyone: bool) -> None:
        self._fetch_admins = fetch_admins
        self._clock = clock
        self._everyone = everyone
        self._admins: frozenset[str] | None = None
        self._known_until = 0.0

    async def judge(self, user: str) -> Refusal | None:
        """Tell why the user with this id may not, None if they may. An empty id is nobody known."""
        if not user:
            return Refusal.UNKNOWN
        if self._everyone:
            return None
        if self._admins is None or self._clock() >= self._known_until:
            self._admins = await self._fetch_admins()
            self._known_until = self._clock() + KNOWN_FOR
        if self._admins is None:
            return Refusal.UNKNOWN
        return None if user in self._admins else Refusal.ADMINS_ONLY
