"""Holds the host's addresses for gateways: adds them, puts them back, defends them, takes them away.

Owns all addresses that this program has added, and the file that knows of them after a crash. The rules about when
an address may be there are in ``interfaces``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Final

from smgw_network_addon.addresses import Address, candidates
from smgw_network_addon.gateways import Step
from smgw_network_addon.interfaces import Action, OwnAddress, Peering, Snapshot, action
from smgw_network_addon.netlink import Netlink, PermissionMissingError
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

ANNOUNCE_INTERVAL: Final = 2.0
DEFEND_INTERVAL: Final = 10.0
MOST_CONFLICTS: Final = 10
"""Addresses that are tried in one go (RFC 5227 section 1.1: ANNOUNCE_INTERVAL, DEFEND_INTERVAL, MAX_CONFLICTS)."""
_SETTLE: Final = 0.05
_BETWEEN_LOOKS: Final = 0.2
_LOOK_ANYWAY: Final = 30.0

Key = tuple[Address, Address]


class Keeper:
    """The addresses that are ours, on all interfaces or ``only`` on one; ``address`` is the only one to choose.

    ``save`` writes them down before they are there. ``tell``, ``conflict`` and ``appeared`` are for who decides: what
    was done, that an address has to be given up, and that an interface came.
    """

    def __init__(
        self,
        netlink: Netlink,
        wires: Wires,
        only: str,
        address: Address | None,
        save: Callable[[list[Peering]], Awaitable[None]],
    ) -> None:
        self.snapshot = Snapshot()
        self.peerings: dict[Address, Peering] = {}
        self.permitted = True
        self.tell: Callable[[Peering, Step], None] = lambda _peering, _step: None
        self.conflict: Callable[[Peering], None] = lambda _peering: None
        self.appeared: Callable[[], None] = lambda: None
        wires.claim = self.claimed
        self._wires = wires
        self._netlink = netlink
        self._only = only
        self._address = address
        self._save = save
        self._own: dict[tuple[str, int], OwnAddress] = {}
        self._present: set[Key] = set()
        self._ever: set[Key] = set()
        self._next_dispute = 0.0
        self._avoided: set[Address] = set()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    @property
    def ours(self) -> set[Key]:
        """The addresses that are ours, with their peers."""
        return {each.key for each in self.peerings.values()}

    def has(self, peering: Peering) -> bool:
        """Tell whether an address was in its place at the last look."""
        return peering.key in self._present

    def adopt(self, left: list[Peering]) -> list[Peering]:
        """Take over what an earlier run has left behind; returns what of it is still there."""
        for each in left:
            for interface in self.snapshot.having(each.key):
                self.peerings[each.gateway] = replace(each, interface=interface.name)
                self._present.add(each.key)
                self._ever.add(each.key)
        self._wires.watch(each.local for each in self.peerings.values())
        return list(self.peerings.values())

    async def choose(self, gateway: Address) -> Address | None:
        """Return a free address beside a gateway, asked for on all interfaces; None if ten in a row are taken."""
        used = {assigned.local for each in self.snapshot.interfaces for assigned in each.assigned}
        used |= {each.local for each in self.peerings.values()} | self._avoided
        possible = [self._address] if self._address else list(islice(candidates(gateway, used), MOST_CONFLICTS))
        for each in possible:
            if not await self._wires.is_taken(each):
                return each
            self._avoided.add(each)
        if not possible:  # all were tried: from the start again
            self._avoided.clear()
        return None

    async def hold(self, peering: Peering) -> bool:
        """Add an address and keep it from now on; tell whether it is there already.

        It is not where the interface is about to get an address of its own. Raises ``PermissionMissingError``.
        """
        self.peerings[peering.gateway] = peering
        await self._save(list(self.peerings.values()))  # before it is there: a crash leaves nothing unknown behind
        self._wires.watch(each.local for each in self.peerings.values())
        await self.look()
        return self.has(peering)

    async def release(self, gateway: Address) -> None:
        """Take the address for a gateway away."""
        async with self._lock:
            peering = self.peerings.get(gateway)
            if peering is None:
                return
            await self._remove(peering)
            del self.peerings[gateway]
            self._present.discard(peering.key)
            self._ever.discard(peering.key)
            self._wires.watch(each.local for each in self.peerings.values())
        self.tell(peering, Step.REMOVED)
        await self._save(list(self.peerings.values()))

    async def release_all(self) -> None:
        """Take all away."""
        for task in self._tasks:
            task.cancel()
        for gateway in list(self.peerings):
            with suppress(OSError, PermissionMissingError):
                await self.release(gateway)

    async def run(self) -> None:
        """Follow the interfaces until cancelled: what was taken away is put back."""
        pause, failing = 0.0, False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause or _LOOK_ANYWAY, _LOOK_ANYWAY)):
                    await self._netlink.changed.wait()
            await asyncio.sleep(_SETTLE)  # an interface's change comes in several parts
            try:
                pause, failing = await self.look(), False
            except (OSError, PermissionMissingError) as error:
                _LOGGER.log(
                    logging.DEBUG if failing else logging.WARNING, "Addresses cannot be read or changed: %s", error
                )
                pause, failing = 1.0, True
            await asyncio.sleep(_BETWEEN_LOOKS - _SETTLE)

    async def look(self) -> float:
        """Read the interfaces, do what has to be done; return after how many seconds to look again, or 0."""
        async with self._lock:
            self._netlink.changed.clear()
            self.snapshot = await self._netlink.snapshot()
            now = asyncio.get_running_loop().time()
            self._note_own(now)
            try:
                new = self._wires.refresh(self.snapshot, self._only)
                waits = [await self._apply(each, now) for each in self.peerings.values()]
            except PermissionMissingError:
                self.permitted = False
                raise
            self.permitted = True
        if new:
            self.appeared()
        return min((each for each in waits if each), default=0.0)

    def claimed(self, address: Address) -> None:
        """Hear that somebody else has an address of ours: defend it once, and give it up if it is really so."""
        now = asyncio.get_running_loop().time()
        peering = next((each for each in self.peerings.values() if each.local == address), None)
        if peering and now >= self._next_dispute:
            self._next_dispute = now + DEFEND_INTERVAL
            self._spawn(self._dispute(peering))

    def _note_own(self, now: float) -> None:
        ours = self.ours
        there = {(each.name, each.index): bool(each.own(ours)) for each in self.snapshot.interfaces}
        self._own = {key: self._own.get(key, OwnAddress(now if self._started else None)) for key in there}
        self._started = True
        for key, present in there.items():
            self._own[key].note(present=present, now=now)

    async def _apply(self, peering: Peering, now: float) -> float:
        interface = self.snapshot.named(peering.interface)
        if interface is None or not interface.up:
            self._lost(peering)
            return 0.0
        wait = self._own[interface.name, interface.index].wait(now)
        what = action(interface, peering, self.ours, wait)
        if what is Action.NOTHING:
            if peering.key not in self._present:
                self._put(peering)
            return 0.0
        if what is Action.WAIT:
            self._lost(peering)
            return wait
        if what in (Action.REMOVE, Action.REORDER):
            await self._netlink.remove(interface, peering.local, peering.gateway)
        if what is Action.REMOVE:
            self._lost(peering)
            return wait
        try:
            await self._netlink.add(interface, peering.local, peering.gateway)
        except OSError as error:  # the interface went in this moment: the next look knows
            _LOGGER.debug("%s cannot be added: %s", peering, error)
            return 1.0
        self._put(peering)
        return 0.0

    def _put(self, peering: Peering) -> None:
        self._present.add(peering.key)
        self.tell(peering, Step.PUT_BACK if peering.key in self._ever else Step.ADDED)
        self._ever.add(peering.key)
        self._spawn(self._announce(peering))

    def _lost(self, peering: Peering) -> None:
        if peering.key in self._present:
            self._present.discard(peering.key)
            self.tell(peering, Step.LOST)

    async def _remove(self, peering: Peering) -> None:
        for interface in (await self._netlink.snapshot()).having(peering.key):
            await self._netlink.remove(interface, peering.local, peering.gateway)

    async def _announce(self, peering: Peering) -> None:
        await self._wires.announce(peering.interface, peering.local)
        await asyncio.sleep(ANNOUNCE_INTERVAL)
        if self.has(peering):
            await self._wires.announce(peering.interface, peering.local)

    async def _dispute(self, peering: Peering) -> None:
        await self._wires.announce(peering.interface, peering.local)
        if await self._wires.is_taken(peering.local) and self.peerings.get(peering.gateway) == peering:
            self._avoided.add(peering.local)
            self.tell(peering, Step.CONFLICT)
            self.conflict(peering)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
