"""The gateways that were found: their list, their relays, and whether each is still there."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from smgw_network_addon.addresses import Address
from smgw_network_addon.certificate import Certificate
from smgw_network_addon.gateways import Gateway, Step, Trouble, Way
from smgw_network_addon.handshake import look
from smgw_network_addon.interfaces import Peering, holds
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.netlink import PermissionMissingError
from smgw_network_addon.relay import PORTS, Relay
from smgw_network_addon.search import MOST_LOOKS, Priority, Search
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

CHECK: Final = 60.0
"""Seconds between two questions whether a gateway is still there."""
CHECK_IN_TROUBLE: Final = 5.0
_ATTENTION: Final = 1.0
_MISSES: Final = 2
_SLOW: Final = (None, Trouble.ADDRESS_TAKEN, Trouble.NOT_A_GATEWAY)
"""What is looked after once a minute: more would press a device, or a link on which every address is claimed."""
_WORDS: Final = {
    Step.LOST: "was taken away by somebody else",
    Step.CONFLICT: "is used by another device, too",
    Step.PUT_BACK: "was put back",
    Step.ADDED: "was added",
    Step.REMOVED: "was removed",
}


class Registry:
    """The list of gateways. ``publish`` is called when it has changed; ``ports`` are those of earlier relays."""

    def __init__(
        self,
        wires: Wires,
        keeper: Keeper,
        search: Search,
        context: ssl.SSLContext,
        ports: dict[str, int],
        publish: Callable[[Iterable[Gateway]], Awaitable[None]],
    ) -> None:
        self.gateways: dict[str, Gateway] = {}
        self._wires = wires
        self._keeper = keeper
        self._search = search
        self._context = context
        self._ports = ports
        self._publish = publish
        self._relays: dict[str, Relay] = {}
        keeper.tell = self.note

    @property
    def any_served(self) -> bool:
        """Whether a gateway is found, reached or not."""
        return any(each.way is not Way.NONE for each in self.gateways.values())

    def note(self, peering: Peering, step: Step) -> None:
        """Hear what was done for a gateway."""
        _LOGGER.info("%s for %s on %s %s", peering.local, peering.gateway, peering.interface, _WORDS[step])
        if gateway := self.gateways.get(str(peering.gateway)):
            _step(gateway, step)

    async def add(
        self, name: str, address: str, way: Way, certificate: Certificate | None, trouble: Trouble | None = None
    ) -> None:
        """Take a gateway into the list, or what is new of it; the same device by a worse way is left out."""
        same = next(
            (each for each in self.gateways.values() if certificate and each.certificate == certificate), None
        )
        if same and same.address != address:
            if same.reached and "%" not in same.address:
                return
            await self.drop(same)
        gateway = self.gateways.setdefault(address, Gateway(address, name, way))
        gateway.interface, gateway.way, gateway.trouble = name, way, trouble
        gateway.certificate = certificate or gateway.certificate
        peering = None if "%" in address else self._keeper.peerings.get(Address(address))
        gateway.local = peering.local if peering else None
        _step(gateway, Step.FOUND)
        if way is Way.RELAY:
            await self._open_relay(gateway)
        shown = certificate.name if certificate else "no certificate"
        ending = f", {gateway.trouble}" if gateway.trouble else ""
        _LOGGER.info("%s on %s: %s, reached: %s%s", address, name or "a router", shown, way, ending)
        await self._publish(self.gateways.values())

    async def add_twin(self, name: str, address: Address) -> None:
        """Note another device with a known gateway's address: only one of them can be served."""
        key = f"{address} on {name}"
        if key not in self.gateways:
            self.gateways[key] = Gateway(str(address), name, Way.NONE, trouble=Trouble.SAME_ADDRESS)
            _LOGGER.warning("%s answers on %s, too: two with one address cannot be served", address, name)

    async def set_local(self, gateway: Gateway, local: Address | None, trouble: Trouble | None) -> None:
        """Note another address on our side."""
        gateway.local, gateway.trouble = local, trouble
        await self._publish(self.gateways.values())

    async def drop(self, gateway: Gateway) -> None:
        """Forget a gateway, and take away what was set up for it."""
        self.gateways.pop(gateway.address, None)
        if relay := self._relays.pop(gateway.address, None):
            await relay.stop()
        if "%" not in gateway.address:
            await self._keeper.release(Address(gateway.address))

    async def stop(self) -> None:
        """Take everything away."""
        for relay in self._relays.values():
            await relay.stop()
        await self._keeper.release_all()
        self.gateways.clear()
        with suppress(OSError):
            await self._publish(())

    async def run(self) -> None:
        """Follow what was found, until cancelled."""
        while True:
            await asyncio.sleep(_ATTENTION)
            before = [(each.address, each.trouble, each.certificate) for each in self.gateways.values()]
            for gateway in list(self.gateways.values()):
                with suppress(OSError, PermissionMissingError):
                    await self._check(gateway)
            if before != [(each.address, each.trouble, each.certificate) for each in self.gateways.values()]:
                await self._publish(self.gateways.values())

    async def _open_relay(self, gateway: Gateway) -> None:
        if gateway.host not in self._ports:
            self._ports[gateway.host] = next((each for each in PORTS if each not in self._ports.values()), PORTS[-1])
        gateway.port = self._ports[gateway.host]
        relay = self._relays.setdefault(gateway.address, Relay(lambda: gateway.address, gateway.port))
        listens = await relay.start()
        if not listens or gateway.trouble is Trouble.NO_BRIDGE:
            gateway.trouble = None if listens else Trouble.NO_BRIDGE

    async def _check(self, gateway: Gateway) -> None:
        if gateway.way is Way.NONE or not gateway.interface or not self._is_due(gateway):
            return
        there = gateway.trouble is not Trouble.NO_CARRIER
        if gateway.way is Way.RELAY and there:
            await self._open_relay(gateway)
        if "%" in gateway.address:
            return
        address = Address(gateway.address)
        if gateway.way is Way.DIRECT:
            home = holds(self._keeper.snapshot.interfaces, address, self._keeper.ours)
            if gateway.interface not in home or gateway.trouble is Trouble.NOT_A_GATEWAY:
                await self.drop(gateway)  # the search decides anew
            return
        if there:
            await self._check_peer(gateway, address)
        if not there or gateway.missed >= _MISSES:
            others = [name for name in self._wires.names if name != gateway.interface]
            for name in await self._wires.ask(address, others):
                self._search.put(name, gateway.address, Priority.WANTED)

    def _is_due(self, gateway: Gateway) -> bool:
        """Note whether the interface is there, and tell whether it is time to ask for the gateway."""
        now = asyncio.get_running_loop().time()
        there = gateway.interface in self._wires.names
        if there == (gateway.trouble is Trouble.NO_CARRIER):
            gateway.trouble, gateway.checked = None if there else Trouble.NO_CARRIER, 0.0
        pause = CHECK if gateway.trouble in _SLOW else CHECK_IN_TROUBLE
        if gateway.checked and now - gateway.checked < pause:
            return False
        gateway.checked = now
        return True

    async def _check_peer(self, gateway: Gateway, address: Address) -> None:
        peering = self._keeper.peerings.get(address)
        if peering is None:
            self._search.put(gateway.interface, gateway.address, Priority.WANTED)
            return
        answered = await self._wires.ask(address, [gateway.interface])
        gateway.missed = 0 if answered else gateway.missed + 1
        if not self._keeper.has(peering):
            gateway.trouble = Trouble.WAITING
        elif gateway.missed >= _MISSES:
            gateway.trouble = Trouble.NOTHING_ANSWERS
        elif gateway.trouble in (Trouble.WAITING, Trouble.NOTHING_ANSWERS):
            gateway.trouble = None
        if answered and gateway.certificate is None and gateway.looks < MOST_LOOKS and self._keeper.has(peering):
            gateway.looks += 1
            gateway.certificate = (await look(gateway.address, self._context)).certificate


def _step(gateway: Gateway, step: Step) -> None:
    now = datetime.now(UTC)
    gateway.steps.appendleft((now, step))
    if step in (Step.FOUND, Step.ADDED, Step.PUT_BACK):
        gateway.since = now
