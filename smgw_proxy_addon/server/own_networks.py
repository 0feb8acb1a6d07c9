"""Keeps the gate informed of the networks that this computer itself is in: a public IPv6 prefix changes at times.

Only asks and tells: what a prefix opens is decided in ``access``. Nobody ever waits for it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.interfaces import Interface

_LOGGER: Final = logging.getLogger(__name__)

PAUSE: Final = 10.0
"""Seconds between two looks at least, however many strangers are refused."""

REFRESH: Final = 290.0
"""Seconds behind the pause until the next look if nobody is refused."""


async def learn_own_networks(
    access: Access, interfaces: Callable[[], Awaitable[Sequence[Interface] | None]], refused: asyncio.Event
) -> None:
    """Look again and again, until cancelled; return at once if the user has named the networks.

    ``interfaces`` are None while nobody tells them: then what was known last counts. ``refused`` is set when somebody
    was refused who may be in a network that is new.
    """
    while access.learns:
        refused.clear()
        try:
            found = await interfaces()
            if found is not None and access.learn(network for each in found for network in each.networks):
                _LOGGER.debug("The networks of this computer's interfaces may come in")
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
        await asyncio.sleep(PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH):
                await refused.wait()
