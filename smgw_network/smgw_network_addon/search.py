"""Asks where gateways may be, and hands on who answers: the known addresses, a name, then the known subnets.

Never asks faster than ``wire`` allows, and never asks whole networks but the known ones. Who answers is only
somebody: ``examine`` looks who it is.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from smgw_network_addon import addresses
from smgw_network_addon.addresses import Address
from smgw_network_addon.interfaces import Peering, holds
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.names import resolve
from smgw_network_addon.netlink import Netlink
from smgw_network_addon.options import Options
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

ROUND: Final = 60.0
"""Seconds between two rounds of questions for the known addresses, as long as nothing is found."""
GIVEN_ROUND: Final = 3.0
"""The same for the one address that was given."""
MOST_LOOKS: Final = 10
"""How often a silent device is looked at: a gateway that starts answers ARP first."""
_STRANGER_PAUSE: Final = 15.0


class Priority(IntEnum):
    """Which candidate is looked at first."""

    WANTED = 0
    SWEPT = 1
    AT_HOME = 2
    """A device of the home network, of which there may be many."""
    HEARD = 3


@dataclass(frozen=True, order=True, slots=True)
class Candidate:
    """Somebody at an address on an interface, who may be a gateway; an empty interface means: by a router."""

    priority: Priority
    number: int
    interface: str = field(compare=False)
    address: str = field(compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Where it is."""
        return self.interface, self.address


class Search:
    """The questions, and the queue of who answered."""

    def __init__(self, options: Options, netlink: Netlink, wires: Wires, keeper: Keeper) -> None:
        self.active = False
        self.asked_once = False
        self.candidates: asyncio.PriorityQueue[Candidate] = asyncio.PriorityQueue()
        self._options = options
        self._netlink = netlink
        self._wires = wires
        self._keeper = keeper
        self._queued: set[tuple[str, str]] = set()
        self._looks: dict[tuple[str, str], int] = {}
        self._swept: set[str] = set()
        self._again = asyncio.Event()
        self._count = 0
        self._next_heard = 0.0
        wires.answer, wires.stranger, keeper.appeared = self._answered, self._heard, self._again.set

    @property
    def sent(self) -> dict[str, int]:
        """How many ARP packets were sent on each interface."""
        return self._wires.sent

    def start_again(self) -> None:
        """Search from the start: also for what was looked at before."""
        self._looks.clear()
        self._swept.clear()
        self._again.set()

    def put(self, interface: str, address: str, priority: Priority) -> None:
        """Queue somebody to be looked at, unless that is done or was done."""
        key = (interface, address)
        if key not in self._queued and self._looks.get(key, 0) < MOST_LOOKS:
            self._queued.add(key)
            self._count += 1
            self.candidates.put_nowait(Candidate(priority, self._count, interface, address))

    def conflict(self, peering: Peering) -> None:
        """Queue a gateway whose address on our side has to be given up."""
        self.put(peering.interface, str(peering.gateway), Priority.WANTED)

    def done(self, candidate: Candidate) -> None:
        """Hear that a candidate was looked at."""
        self._queued.discard(candidate.key)
        self.candidates.task_done()

    def forget(self, key: tuple[str, str], *, for_good: bool) -> None:
        """Leave a device alone that is no gateway; who was silent gets more looks, without end if it is given."""
        if for_good or not self._options.given:
            self._looks[key] = MOST_LOOKS if for_good else self._looks.get(key, 0) + 1

    async def run(self, found: Callable[[], bool]) -> None:
        """Ask in rounds, as long as nothing is found, until cancelled."""
        while True:
            if not found() or self._again.is_set():
                self._again.clear()
                await self.ask()
            await self.sweep()
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVEN_ROUND if self._options.given else ROUND):
                    await self._again.wait()

    async def ask(self) -> None:
        """Ask once for what is given, or for all that is known."""
        self.active = True
        try:
            if self._options.link_local:
                for name in self._wires.names:
                    self.put(name, f"{self._options.link_local}%{name}", Priority.WANTED)
            elif self._options.gateway:
                await self._ask([self._options.gateway])
            else:
                await asyncio.gather(self._ask(addresses.KNOWN), self._ask_name())
        except OSError as error:
            _LOGGER.debug("Asking failed: %s", error)
        finally:
            self.asked_once, self.active = True, False

    async def sweep(self) -> None:
        """Ask for the other addresses of the known subnets, once on each interface."""
        new = [name for name in self._wires.names if name not in self._swept]
        if not new or self._options.given or not self._options.search:
            return
        self.active = True
        self._swept.update(new)
        try:
            await asyncio.gather(*(self._wires.sweep(name, addresses.sweep()) for name in new))
        finally:
            self.active = False

    async def _ask(self, wanted: Iterable[Address]) -> None:
        """Ask for single addresses, and note those that have a route of their own, as behind a small router."""
        wanted = tuple(wanted)
        networks = await self._netlink.routes()
        for address in wanted:
            if any(address in network for network in networks):
                self.put("", str(address), Priority.WANTED)
        for address, answers in zip(wanted, await asyncio.gather(*map(self._wires.ask, wanted)), strict=True):
            for name in answers:
                self.put(name, str(address), Priority.WANTED)

    async def _ask_name(self) -> None:
        ours = self._keeper.ours
        usable = self._keeper.snapshot.usable(self._options.interface)
        own = [assigned.local for each in usable for assigned in each.own(ours)]
        ipv4, link_local = await resolve([each.name for each in usable], own)
        await self._ask(each for each in ipv4 - set(addresses.KNOWN) if addresses.may_be_gateway(each))
        for each in link_local:
            self.put(each.partition("%")[2], each, Priority.SWEPT)

    def _answered(self, name: str, address: Address) -> None:
        at_home = name in holds(self._keeper.snapshot.interfaces, address, self._keeper.ours)
        self.put(name, str(address), Priority.AT_HOME if at_home else Priority.SWEPT)

    def _heard(self, name: str, address: Address) -> None:
        now = asyncio.get_running_loop().time()
        if self._options.given or now < self._next_heard or not addresses.may_be_gateway(address):
            return
        if not holds(self._keeper.snapshot.interfaces, address, self._keeper.ours):
            self._next_heard = now + _STRANGER_PAUSE
            self.put(name, str(address), Priority.HEARD)
