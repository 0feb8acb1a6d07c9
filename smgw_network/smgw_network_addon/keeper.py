"""Holds the host's addresses for gateways: adds them, puts them back, defends them, takes them away.

Owns all addresses that this program has added, and the file that knows of them after a crash. The rules about when
an address may be there are in ``addresses``.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from smgw_network_addon import addresses
from smgw_network_addon.addresses import NEW_INTERFACE, Address, Assigned, Interface, LinkLocal, OwnAddress, Snapshot
from smgw_network_addon.gateways import Gateway, Step
from smgw_network_addon.netlink import Netlink, PermissionMissingError
from smgw_network_addon.options import Options
from smgw_network_addon.store import Store
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

ANNOUNCE_INTERVAL: Final = 2.0
DEFEND_INTERVAL: Final = 10.0
MOST_CONFLICTS: Final = 10
"""Addresses that are tried in one go (RFC 5227 section 1.1: ANNOUNCE_INTERVAL, DEFEND_INTERVAL, MAX_CONFLICTS)."""
_SETTLE: Final = 0.05
_BETWEEN_LOOKS: Final = 0.2
_LOOK_ANYWAY: Final = 30.0


class Keeper:
    """The gateways, and the addresses that are ours for them. ``appeared`` is told that an interface came."""

    def __init__(self, options: Options, netlink: Netlink, wires: Wires, store: Store) -> None:
        self.snapshot = Snapshot()
        self.gateways: dict[Address | LinkLocal, Gateway] = {}
        self.permitted = True
        self.appeared: Callable[[], None] = lambda: None
        self._options = options
        self._netlink = netlink
        self._wires = wires
        self._store = store
        self._own: dict[tuple[str, int], OwnAddress] | None = None
        self._next_dispute = 0.0
        self._avoided: set[Address] = set()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        wires.claim = self._claimed

    def own(self, interface: Interface) -> tuple[Assigned, ...]:
        """Return the addresses of an interface that are not ours."""
        return interface.own(self._ours)

    def holding(self, address: Address) -> list[str]:
        """Return the names of the interfaces whose own network holds an address."""
        return self.snapshot.holding(address, self._ours)

    async def adopt(self, left: Iterable[Gateway]) -> list[Gateway]:
        """Take over what an earlier run has left behind; returns what of it is still there."""
        for each in left:
            for interface in self.snapshot.having(each.assigned):
                each.interface, each.present, each.was_present = interface.name, True, True
                self.gateways[each.address] = each
        await self._changed()
        return list(self.gateways.values())

    async def choose(self, gateway: Address) -> Address | None:
        """Return a free address beside a gateway, asked for on all interfaces; None if ten in a row are taken."""
        used = {assigned.local for each in self.snapshot.interfaces for assigned in each.assigned}
        used |= {each.local for each in self._ours} | self._avoided
        given = self._options.address
        possible = [given] if given else list(islice(addresses.candidates(gateway, used), MOST_CONFLICTS))
        for each in possible:
            if not await self._wires.is_taken(each):
                return each
            self._avoided.add(each)
        if not possible:  # all were tried: from the start again
            self._avoided.clear()
        return None

    async def hold(self, gateway: Gateway, local: Address) -> None:
        """Add an address and keep it from now on; ``present`` tells whether it is there already.

        It is not where the interface is about to get an address of its own. Raises ``PermissionMissingError``.
        """
        gateway.local = local
        await self._changed()  # before it is there: a crash leaves nothing unknown behind
        await self.look()

    async def release(self, gateway: Gateway) -> None:
        """Take the address for a gateway away."""
        async with self._lock:
            assigned = gateway.assigned
            if assigned is None:
                return
            for interface in (await self._netlink.snapshot()).having(assigned):
                await self._netlink.remove(interface, assigned)
            _note(gateway, Step.REMOVED)
            gateway.local, gateway.present, gateway.was_present = None, False, False
        await self._changed()

    async def release_all(self) -> None:
        """Take all away."""
        for task in self._tasks:
            task.cancel()
        for each in self.gateways.values():
            with suppress(OSError, PermissionMissingError):
                await self.release(each)

    async def run(self) -> None:
        """Follow the interfaces until cancelled: what was taken away is put back."""
        pause, level = 0.0, logging.WARNING
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause or _LOOK_ANYWAY, _LOOK_ANYWAY)):
                    await self._netlink.changed.wait()
            await asyncio.sleep(_SETTLE)  # an interface's change comes in several parts
            try:
                pause, level = await self.look(), logging.WARNING
            except (OSError, PermissionMissingError) as error:
                _LOGGER.log(level, "Addresses cannot be read or changed: %s", error)
                pause, level = 1.0, logging.DEBUG
            await asyncio.sleep(_BETWEEN_LOOKS - _SETTLE)

    async def look(self) -> float:
        """Read the interfaces, do what has to be done; return after how many seconds to look again, or 0."""
        async with self._lock:
            self._netlink.changed.clear()
            self.snapshot = await self._netlink.snapshot()
            self._note_own()
            try:
                new = self._wires.refresh(self.snapshot, self._options.interface)
                waits = [await self._apply(each) for each in list(self.gateways.values())]
            except PermissionMissingError:
                self.permitted = False
                raise
            self.permitted = True
        if new:
            self.appeared()
        return min(filter(None, waits), default=0.0)

    @property
    def _ours(self) -> set[Assigned]:
        return {each.assigned for each in self.gateways.values() if each.assigned}

    async def _changed(self) -> None:
        held = [each for each in self.gateways.values() if each.local]
        self._wires.watch(each.local for each in self._ours)
        await self._store.write(
            added=[{"interface": e.interface, "address": str(e.local), "peer": str(e.address)} for e in held]
        )

    def _claimed(self, address: Address) -> None:
        """Hear that somebody else has an address of ours: defend it once, and give it up if it is really so."""
        now = asyncio.get_running_loop().time()
        gateway = next((each for each in self.gateways.values() if each.local == address), None)
        if gateway and now >= self._next_dispute:
            self._next_dispute = now + DEFEND_INTERVAL
            self._spawn(self._dispute(gateway, address))

    def _note_own(self) -> None:
        now = asyncio.get_running_loop().time()
        known, self._own = self._own, {}
        for each in self.snapshot.interfaces:
            new = OwnAddress(until=0.0 if known is None else now + NEW_INTERFACE)
            own = self._own[each.name, each.index] = (known or {}).get((each.name, each.index), new)
            own.note(present=bool(self.own(each)), now=now)

    async def _apply(self, gateway: Gateway) -> float:
        """Have one address where it belongs; return after how many seconds to look again, or 0."""
        interface, assigned, wait = self.snapshot.named(gateway.interface), gateway.assigned, 0.0
        if assigned is None:
            return wait
        present = added = False
        if interface and interface.up and self._own:
            wait = max(0.0, self._own[interface.name, interface.index].until - asyncio.get_running_loop().time())
            unwanted, added = addresses.change(interface, assigned, self._ours, waiting=wait > 0)
            if unwanted:
                await self._netlink.remove(interface, assigned)
            if added:
                try:
                    await self._netlink.add(interface, assigned)
                except OSError as error:  # the interface went in this moment: the next look knows
                    _LOGGER.debug("%s cannot be added: %s", assigned, error)
                    return 1.0
            present = added or (not unwanted and assigned in interface.assigned)
        if present and (added or not gateway.present):
            _note(gateway, Step.PUT_BACK if gateway.was_present else Step.ADDED)
            self._spawn(self._announce(gateway, assigned.local))
        elif gateway.present and not present:
            _note(gateway, Step.LOST)
        gateway.present, gateway.was_present = present, gateway.was_present or present
        return 0.0 if present else wait

    async def _announce(self, gateway: Gateway, local: Address) -> None:
        await self._wires.announce(gateway.interface, local)
        await asyncio.sleep(ANNOUNCE_INTERVAL)
        if gateway.present and gateway.local == local:
            await self._wires.announce(gateway.interface, local)

    async def _dispute(self, gateway: Gateway, local: Address) -> None:
        await self._wires.announce(gateway.interface, local)
        taken = await self._wires.is_taken(local)
        if taken and gateway.local == local:
            self._avoided.add(local)
            _note(gateway, Step.CONFLICT)
            gateway.conflict = True
        elif gateway.local == local:  # a forged claim, which the gateway may believe
            await self._wires.announce(gateway.interface, local)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _note(gateway: Gateway, step: Step) -> None:
    gateway.note(step)
    done = step.replace("_", " ")
    _LOGGER.info("%s for %s on %s: %s", gateway.local, gateway.address, gateway.interface, done)
