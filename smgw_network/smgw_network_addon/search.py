"""Asks where gateways may be, and hands on who answers: the known addresses, a name, then the known subnets.

Never asks faster than ``wire`` allows, and never asks whole networks but the known ones. Who answers is only
somebody: ``examine`` looks who it is.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from zeroconf import AddressResolver, DNSAddress, IPVersion
from zeroconf.asyncio import AsyncZeroconf

from smgw_network_addon import addresses
from smgw_network_addon.addresses import Address, LinkLocal
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.options import Options
from smgw_network_addon.wire import PACE, Wires

_LOGGER: Final = logging.getLogger(__name__)

ROUND: Final = 60.0
"""Seconds between two rounds of questions for the known addresses, as long as nothing is found."""
GIVEN_ROUND: Final = 3.0
"""The same for the one address that was given."""
MOST_LOOKS: Final = 10
"""How often a silent device is looked at: a gateway that starts answers ARP first."""
NAME_PATIENCE: Final = 3.0
"""Seconds; a gateway was seen to answer mDNS within 0.3."""
_FURTHER: Final = 0.5
"""Seconds in which a second gateway may answer, too."""
_SWEEP_PATIENCE: Final = 1.0
_STRANGER_PAUSE: Final = 15.0
_WITH_IPV6: Final = Path("/proc/net/if_inet6")

# Which candidate is looked at first: there may be many devices at home, and anybody can be heard.
WANTED, SWEPT, AT_HOME, HEARD = range(4)

Place = tuple[str, Address | LinkLocal]
"""Where somebody may be a gateway: interface and address."""

logging.getLogger("zeroconf").setLevel(logging.ERROR)  # an address that is being checked is no news


class Search:
    """The questions, and the queue of who answered."""

    def __init__(self, options: Options, wires: Wires, keeper: Keeper) -> None:
        self.active = False
        self.asked_once = False
        self.candidates: asyncio.PriorityQueue[tuple[int, int, Place]] = asyncio.PriorityQueue()
        self._options = options
        self._wires = wires
        self._keeper = keeper
        self._numbers = count()
        self._queued: set[Place] = set()
        self._looks: dict[Place, int] = {}
        self._swept: set[str] = set()
        self._again = asyncio.Event()
        self._next_heard = 0.0
        wires.stranger, keeper.appeared = self._heard, self._again.set

    def start_again(self) -> None:
        """Search from the start: also for what was looked at before."""
        self._looks.clear()
        self._swept.clear()
        self._again.set()

    def put(self, place: Place, priority: int = WANTED) -> None:
        """Queue somebody to be looked at, unless that is done or was done."""
        if place not in self._queued and self._looks.get(place, 0) < MOST_LOOKS:
            self._queued.add(place)
            self.candidates.put_nowait((priority, next(self._numbers), place))

    def done(self, place: Place) -> None:
        """Hear that somebody was looked at."""
        self._queued.discard(place)
        self.candidates.task_done()

    def forget(self, place: Place, *, for_good: bool) -> None:
        """Leave a device alone that is no gateway; who was silent gets more looks, without end if it is given."""
        if for_good or not self._options.gateway:
            self._looks[place] = MOST_LOOKS if for_good else self._looks.get(place, 0) + 1

    async def run(self, found: Callable[[], bool]) -> None:
        """Ask in rounds, as long as nothing is found, until cancelled."""
        while True:
            if not found() or self._again.is_set():
                self._again.clear()
                await self.ask()
            await self.sweep()
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVEN_ROUND if self._options.gateway else ROUND):
                    await self._again.wait()

    async def ask(self) -> None:
        """Ask once for what is given, or for all that is known."""
        self.active, gateway = True, self._options.gateway
        try:
            if isinstance(gateway, LinkLocal):
                for name in self._wires.names:
                    self.put((name, LinkLocal(f"{gateway}%{name}")))
            elif gateway:
                await self._ask([gateway])
            else:
                silent = (address for (_, address), looks in self._looks.items() if looks < MOST_LOOKS)
                again = {each for each in silent if isinstance(each, Address)}
                await asyncio.gather(self._ask(again.union(addresses.KNOWN)), self._ask_name())
        except OSError as error:
            _LOGGER.debug("Asking failed: %s", error)
        finally:
            self.asked_once, self.active = True, False

    async def sweep(self) -> None:
        """Ask for the other addresses of the known subnets, once on each interface."""
        new = [name for name in self._wires.names if name not in self._swept]
        if not new or self._options.gateway or not self._options.search:
            return
        self.active = True
        self._swept.update(new)
        try:
            await asyncio.gather(*map(self._sweep, new))
        finally:
            self.active = False

    async def _sweep(self, name: str) -> None:
        async with asyncio.TaskGroup() as questions:
            for address in addresses.sweep():
                if name not in self._wires.names:  # the cable is out: from the start again once it is back
                    self._swept.discard(name)
                    return
                questions.create_task(self._ask_one(address, [name], tries=1, patience=_SWEEP_PATIENCE))
                await asyncio.sleep(PACE)

    async def _ask(self, wanted: Iterable[Address]) -> None:
        await asyncio.gather(*map(self._ask_one, wanted))

    async def _ask_one(self, address: Address, names: Iterable[str] | None = None, **how: Any) -> None:
        """Ask, and queue who answers; with ``names`` it is a sweep, which finds the devices at home, too."""
        for name in await self._wires.ask(address, names, **how):
            at_home = names and name in self._keeper.holding(address)
            self.put((name, address), AT_HOME if at_home else SWEPT if names else WANTED)

    async def _ask_name(self) -> None:
        usable = self._keeper.snapshot.usable(self._options.interface)
        own = [str(assigned.local) for each in usable for assigned in self._keeper.own(each)]
        named = await _resolve(own, [each.name for each in usable])
        for each in named:
            if isinstance(each, LinkLocal) and each.scope_id:
                self.put((each.scope_id, each), SWEPT)
        unknown = {each for each in named if isinstance(each, Address)}.difference(addresses.KNOWN)
        await self._ask(filter(addresses.may_be_gateway, unknown))

    def _heard(self, name: str, address: Address) -> None:
        now = asyncio.get_running_loop().time()
        if self._options.gateway or now < self._next_heard or not addresses.may_be_gateway(address):
            return
        if not self._keeper.holding(address):
            self._next_heard = now + _STRANGER_PAUSE
            self.put((name, address), HEARD)


async def _resolve(own: list[str], names: list[str]) -> set[Address | LinkLocal]:
    """Ask for ``smgw.local`` by mDNS, from the host's IPv4 addresses and on interfaces. Raises OSError.

    The library listens only while the question is open: what else a home announces costs nothing in between.
    """
    with_ipv6 = {line.split()[-1] for line in (await asyncio.to_thread(_WITH_IPV6.read_text)).splitlines()}
    indexes = [socket.if_nametoindex(name) for name in names if name in with_ipv6]
    if not own and not indexes:
        return set()
    version = IPVersion.All if indexes else IPVersion.V4Only
    async with AsyncZeroconf(interfaces=[*own, *indexes], ip_version=version) as responder:
        if await AddressResolver(f"{addresses.NAME}.").async_request(responder.zeroconf, NAME_PATIENCE * 1000):
            await asyncio.sleep(_FURTHER)
        records = responder.zeroconf.cache.entries_with_name(f"{addresses.NAME}.")
    found: set[Address | LinkLocal] = set()
    for record in (each for each in records if isinstance(each, DNSAddress)):
        address = ipaddress.ip_address(record.address)
        if isinstance(address, Address):
            found.add(address)
        elif address.is_link_local and record.scope_id in indexes:
            found.add(LinkLocal(f"{LinkLocal(int(address))}%{socket.if_indextoname(record.scope_id)}"))
    return found
