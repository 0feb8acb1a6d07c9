"""The gateways that were found: their list, their relays, and whether each is still there."""

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from smgw_network_addon.addresses import Address, LinkLocal
from smgw_network_addon.gateways import Gateway, Step, Trouble, Way
from smgw_network_addon.handshake import Certificate, look
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.netlink import PermissionMissingError
from smgw_network_addon.relay import Relay, port_for
from smgw_network_addon.search import MOST_LOOKS, Place, Search
from smgw_network_addon.store import Store
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

CHECK: Final = 60.0
"""Seconds between two questions whether a gateway is still there."""
CHECK_IN_TROUBLE: Final = 5.0
_ATTENTION: Final = 1.0
_MISSES: Final = 2
_SLOW: Final = (None, Trouble.ADDRESS_TAKEN, Trouble.NOT_A_GATEWAY)
"""What is looked after once a minute: more would press a device, or a link on which every address is claimed."""


@dataclass(eq=False)
class Registry:
    """The list of gateways; ``suggestion`` is where the proxy reads it."""

    wires: Wires
    keeper: Keeper
    search: Search
    context: ssl.SSLContext
    suggestion: Store
    twins: dict[Place, Gateway] = field(default_factory=dict)
    """Devices with the address of one of the others: only one of them can be served."""
    _relays: dict[Gateway, Relay] = field(default_factory=dict)
    _level: int = logging.WARNING

    @property
    def listed(self) -> list[Gateway]:
        """All that there is to be told."""
        return [*(each for each in self.keeper.gateways.values() if each.listed), *self.twins.values()]

    @property
    def any_served(self) -> bool:
        """Whether a gateway is found, reached or not."""
        return any(each.way is not Way.NONE for each in self.listed)

    async def add(
        self, gateway: Gateway, way: Way, certificate: Certificate | None = None, trouble: Trouble | None = None
    ) -> None:
        """Take a gateway into the list, or what is new of it; the same device by a worse way is left out."""
        for other in self.listed:
            if certificate and certificate == other.certificate and other is not gateway:
                if other.reached and isinstance(other.address, Address):
                    return
                await self.drop(other)
        gateway.listed, gateway.way, gateway.trouble = True, way, trouble
        gateway.certificate = certificate or gateway.certificate
        gateway.note(Step.FOUND)
        if way is Way.RELAY:
            await self._open_relay(gateway)
        shown = certificate.name if certificate else "no certificate"
        ending = f", {gateway.trouble}" if gateway.trouble else ""
        _LOGGER.info("%s on %s: %s, reached: %s%s", gateway.address, gateway.interface, shown, way, ending)
        await self._publish()

    def add_twin(self, place: Place) -> None:
        """Note another device with a known gateway's address."""
        name, address = place
        if place not in self.twins:
            self.twins[place] = Gateway(address, name, trouble=Trouble.SAME_ADDRESS)
            _LOGGER.warning("%s answers on %s, too: two with one address cannot be served", address, name)

    async def drop(self, gateway: Gateway) -> None:
        """Forget a gateway, and take away what was set up for it."""
        if relay := self._relays.pop(gateway, None):
            await relay.stop()
        await self.keeper.release(gateway)
        self.keeper.gateways.pop(gateway.address, None)

    async def stop(self) -> None:
        """Take everything away."""
        for relay in self._relays.values():
            await relay.stop()
        await self.keeper.release_all()
        self.keeper.gateways.clear()
        await self._publish()

    async def run(self) -> None:
        """Follow what was found, until cancelled."""
        while True:
            await asyncio.sleep(_ATTENTION)
            for gateway in self.listed:
                if gateway.conflict:
                    self.search.put((gateway.interface, gateway.address))
                elif gateway.way is not Way.NONE and self._is_due(gateway):
                    with suppress(OSError, PermissionMissingError):
                        await self._check(gateway)
            await self._publish()

    async def _publish(self) -> None:
        """Tell the proxy what can be used now."""
        try:
            usable = (each for each in self.listed if each.way is not Way.NONE and each.certificate)
            await self.suggestion.write(gateways=[each.described() for each in usable])
            self._level = logging.WARNING
        except OSError as error:
            _LOGGER.log(self._level, "What was found cannot be written: %s", error)
            self._level = logging.DEBUG

    async def _open_relay(self, gateway: Gateway) -> None:
        gateway.port = port_for(gateway.host)
        relay = self._relays.setdefault(gateway, Relay(str(gateway.address), gateway.port))
        listens = await relay.start()
        if not listens or gateway.trouble is Trouble.NO_BRIDGE:
            gateway.trouble = None if listens else Trouble.NO_BRIDGE

    def _is_due(self, gateway: Gateway) -> bool:
        """Note whether the interface is there, and tell whether it is time to ask for the gateway."""
        now = asyncio.get_running_loop().time()
        there = gateway.interface in self.wires.names
        if there == (gateway.trouble is Trouble.NO_CARRIER):
            gateway.trouble, gateway.checked = None if there else Trouble.NO_CARRIER, 0.0
        pause = CHECK if gateway.trouble in _SLOW else CHECK_IN_TROUBLE
        if gateway.checked and now - gateway.checked < pause:
            return False
        gateway.checked = now
        return True

    async def _check(self, gateway: Gateway) -> None:
        address, there = gateway.address, gateway.trouble is not Trouble.NO_CARRIER
        if gateway.way is Way.RELAY and there:
            await self._open_relay(gateway)
        if isinstance(address, LinkLocal):
            return
        if gateway.way is Way.DIRECT:
            if gateway.interface not in self.keeper.holding(address) or gateway.trouble is Trouble.NOT_A_GATEWAY:
                await self.drop(gateway)  # the search decides anew
            return
        if there:
            await self._check_peer(gateway, address)
        if not there or gateway.missed >= _MISSES:
            others = [name for name in self.wires.names if name != gateway.interface]
            for name in await self.wires.ask(address, others):
                self.search.put((name, address))

    async def _check_peer(self, gateway: Gateway, address: Address) -> None:
        if gateway.local is None:
            self.search.put((gateway.interface, address))
            return
        answered = await self.wires.ask(address, [gateway.interface])
        gateway.missed = 0 if answered else gateway.missed + 1
        if not gateway.present:
            gateway.trouble = Trouble.WAITING
        elif gateway.missed >= _MISSES:
            gateway.trouble = Trouble.NOTHING_ANSWERS
        elif gateway.trouble in (Trouble.WAITING, Trouble.NOTHING_ANSWERS):
            gateway.trouble = None
        if answered and gateway.certificate is None and gateway.looks < MOST_LOOKS and gateway.present:
            gateway.looks += 1
            gateway.certificate = (await look(address, self.context)).certificate
