"""Looks at who answered, one after the other, and decides how a gateway is reached.

An address of ours is added for a look at somebody outside the home network, and stays only for a gateway.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from smgw_network_addon.addresses import BRIDGE, Address, LinkLocal
from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.handshake import Look, look
from smgw_network_addon.netlink import PermissionMissingError
from smgw_network_addon.options import Options
from smgw_network_addon.registry import Registry

_LOGGER: Final = logging.getLogger(__name__)

_NARROW: Final = 24
_TRIES: Final = 3


class Examiner:
    """Takes candidates from the search and puts gateways into the registry."""

    def __init__(self, options: Options, registry: Registry) -> None:
        self.taken = False
        """All addresses that could be ours were taken at the last look."""
        self._options = options
        self._registry = registry
        self._wires, self._keeper, self._search = registry.wires, registry.keeper, registry.search

    async def take_over(self, left: Iterable[Gateway]) -> None:
        """Go on with what an earlier run has left behind, or take it away."""
        wanted = self._options
        for each in await self._keeper.adopt(left):
            pairs = (wanted.gateway, each.address), (wanted.interface, each.interface), (wanted.address, each.local)
            fits = all(option in (None, "", own) for option, own in pairs)
            if fits and await self._wires.ask(Address(each.address), [each.interface], _TRIES):
                self._search.put((each.interface, each.address))
            else:
                _LOGGER.info("An earlier run has left %s behind", each.local)
                await self._registry.drop(each)

    async def run(self) -> None:
        """Look at one candidate after the other, until cancelled."""
        while True:
            _, _, place = await self._search.candidates.get()
            name, address = place
            try:
                await self._examine(name, address)
            except (OSError, PermissionMissingError) as error:
                _LOGGER.warning("%s on %s cannot be looked at: %s", address, name, error)
            finally:
                gateway = self._keeper.gateways.get(address)
                if gateway and not gateway.listed:
                    with suppress(OSError, PermissionMissingError):
                        await self._registry.drop(gateway)
                self._search.done(place)

    async def _examine(self, name: str, address: Address | LinkLocal, *, given: bool = False) -> None:
        gateway = self._keeper.gateways.setdefault(address, Gateway(address, name))
        if isinstance(address, LinkLocal):
            if not gateway.listed:
                await self._look_directly(gateway, Way.RELAY)
        elif gateway.listed and gateway.interface != name:
            await self._examine_elsewhere(gateway, name, address)
        elif gateway.conflict:
            await self._change_address(gateway, address)
        elif not gateway.listed or (gateway.local is None and gateway.way is not Way.DIRECT):
            given = given or address == self._options.gateway or gateway.way is not Way.NONE
            if await self._wires.ask(address, [name]):  # it may have been heard long ago
                await self._examine_new(gateway, address, given=given)

    async def _look_directly(self, gateway: Gateway, way: Way) -> Look:
        """Look without an address of ours."""
        seen = await look(gateway.address, self._registry.context)
        if seen.is_gateway:
            await self._registry.add(gateway, way, seen.certificate)
        elif way is Way.RELAY:
            self._search.forget((gateway.interface, gateway.address), for_good=seen.answered)
        return seen

    async def _examine_new(self, gateway: Gateway, address: Address, *, given: bool) -> None:
        name, home = gateway.interface, self._keeper.holding(address)
        if home:
            seen = await self._look_directly(gateway, Way.DIRECT)
            if seen.is_gateway:
                return
            if name in home and (seen.answered or not self._is_wide(name, address)):
                self._search.forget((name, address), for_good=seen.answered)
                if given:
                    await self._registry.add(gateway, Way.DIRECT, trouble=Trouble.NOT_A_GATEWAY)
                return
            if not given and await self._would_cut_off(name, address, home):
                await self._registry.add(gateway, Way.NONE, trouble=Trouble.AT_HOME)
                return
        way = Way.RELAY if name in home or address in BRIDGE else Way.PEER
        await self._try(gateway, address, given=given, way=way)

    def _is_wide(self, name: str, address: Address) -> bool:
        """Tell whether the home network holds the gateway's address, and more than a gateway's /24."""
        interface = self._keeper.snapshot.named(name)
        own = self._keeper.own(interface) if interface else ()
        return all(each.network.prefixlen < _NARROW for each in own if address in each.network)

    async def _would_cut_off(self, name: str, address: Address, home: list[str]) -> bool:
        """Tell whether another device has this address in the home network on another interface."""
        macs = await self._wires.ask(address, {name, *home}, _TRIES)
        return any(mac != macs.get(name) for mac in macs.values())

    async def _try(self, gateway: Gateway, address: Address, *, given: bool, way: Way) -> None:
        """Add an address, look, and keep what is a gateway's."""
        if gateway.local is None:
            local = await self._keeper.choose(address)
            self.taken = local is None
            if local is None:
                if given:
                    await self._registry.add(gateway, way, trouble=Trouble.ADDRESS_TAKEN)
                return
            await self._keeper.hold(gateway, local)
        there = gateway.present
        if there and given:  # at once: the look takes a gateway's second
            await self._registry.add(gateway, way)
        seen = await look(address, self._registry.context) if there else Look(answered=False)
        if seen.is_gateway or given:
            await self._registry.add(gateway, way, seen.certificate, None if there else Trouble.WAITING)
        else:
            self._search.forget((gateway.interface, address), for_good=seen.answered)

    async def _examine_elsewhere(self, known: Gateway, name: str, address: Address) -> None:
        """Deal with a known address on another interface: moved there, seen from there too, or another device."""
        macs = await self._wires.ask(address, [known.interface, name], _TRIES)
        there, here = macs.get(known.interface), macs.get(name)
        moved = not there or (known.certificate is None and here != there)
        if known.trouble is Trouble.NOT_A_GATEWAY or (known.way in (Way.PEER, Way.RELAY) and here and moved):
            await self._registry.drop(known)
            await self._examine(name, address, given=True)
        elif known.way in (Way.PEER, Way.RELAY) and here and here != there:
            self._registry.add_twin((name, address))

    async def _change_address(self, known: Gateway, address: Address) -> None:
        """Give up an address that somebody else has, and take another one."""
        known.conflict = False
        await self._keeper.release(known)
        known.trouble = Trouble.ADDRESS_TAKEN
        local = await self._keeper.choose(address)
        if local:
            await self._keeper.hold(known, local)
            known.trouble = None if known.present else Trouble.WAITING
