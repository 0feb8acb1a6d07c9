"""Looks at who answered, one after the other, and decides how a gateway is reached.

An address of ours is added for a look at somebody outside the home network, and stays only for a gateway.
"""

import logging
import ssl
from contextlib import suppress
from typing import Final

from smgw_network_addon.addresses import Address, is_beside_apps
from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.handshake import Look, Seen, look
from smgw_network_addon.interfaces import Peering, holds
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.netlink import PermissionMissingError
from smgw_network_addon.options import Options
from smgw_network_addon.registry import Registry
from smgw_network_addon.search import Candidate, Priority, Search
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)

_NARROW: Final = 24
_TRIES: Final = 3


class Examiner:
    """Takes candidates from ``search`` and puts gateways into ``registry``."""

    def __init__(
        self,
        options: Options,
        wires: Wires,
        keeper: Keeper,
        search: Search,
        registry: Registry,
        context: ssl.SSLContext,
    ) -> None:
        self.taken = False
        """All addresses that could be ours were taken at the last look."""
        self._options = options
        self._wires = wires
        self._keeper = keeper
        self._search = search
        self._registry = registry
        self._context = context
        self._given_up: set[Address] = set()
        keeper.conflict = self._conflict

    async def take_over(self, left: list[Peering]) -> None:
        """Go on with what an earlier run has left behind, or take it away."""
        for each in self._keeper.adopt(left):
            wanted = self._options.gateway in (None, each.gateway) and not self._options.link_local
            wanted &= self._options.interface in ("", each.interface)
            wanted &= self._options.address in (None, each.local)
            if wanted and await self._wires.ask(each.gateway, [each.interface], _TRIES):
                self._search.put(each.interface, str(each.gateway), Priority.WANTED)
            else:
                _LOGGER.info("An earlier run has left %s behind", each.local)
                await self._keeper.release(each.gateway)

    async def run(self) -> None:
        """Look at one candidate after the other, until cancelled."""
        while True:
            candidate = await self._search.candidates.get()
            try:
                await self._examine(candidate)
            except (OSError, PermissionMissingError) as error:
                _LOGGER.warning("%s on %s cannot be looked at: %s", candidate.address, candidate.interface, error)
            finally:
                await self._clear(candidate.address)
                self._search.done(candidate)

    async def _clear(self, text: str) -> None:
        """Take an address of ours away that turned out to be for nobody."""
        if "%" not in text and text not in self._registry.gateways:
            with suppress(OSError, PermissionMissingError):
                await self._keeper.release(Address(text))

    def _conflict(self, peering: Peering) -> None:
        self._given_up.add(peering.gateway)
        self._search.conflict(peering)

    async def _examine(self, candidate: Candidate) -> None:
        name, text = candidate.key
        known = self._registry.gateways.get(text)
        if "%" in text:
            if known is None:
                await self._examine_link_local(candidate)
            return
        address = Address(text)
        if candidate.priority is Priority.HEARD and not await self._wires.ask(address, [name]):
            return
        if known and name and known.interface != name:
            await self._examine_elsewhere(known, candidate, address)
        elif known and address in self._keeper.peerings:
            if address in self._given_up:
                await self._change_address(known, address)
        elif known is None or known.way is not Way.DIRECT:
            served = known is not None and known.way is not Way.NONE
            await self._examine_new(candidate, address, given=served or address == self._options.gateway)

    async def _examine_new(self, candidate: Candidate, address: Address, *, given: bool) -> None:
        name, text = candidate.key
        home = holds(self._keeper.snapshot.interfaces, address, self._keeper.ours)
        if home or not name:
            seen = await look(text, self._context)
            if seen.seen is Seen.GATEWAY:
                await self._registry.add(name, text, Way.DIRECT, seen.certificate)
                return
            if not name or (name in home and not (seen.seen is Seen.SILENT and self._is_wide(name, address))):
                self._search.forget(candidate.key, for_good=seen.seen is Seen.OTHER)
                if given and name:
                    await self._registry.add(name, text, Way.DIRECT, None, Trouble.NOT_A_GATEWAY)
                return
            if await self._would_cut_off(name, address, home) and not given:
                await self._registry.add(name, text, Way.NONE, None, Trouble.AT_HOME)
                return
        await self._try(candidate, address, given=given, relay=name in home or is_beside_apps(address))

    def _is_wide(self, name: str, address: Address) -> bool:
        """Tell whether the home network holds the gateway's address, and more than a gateway's /24."""
        interface = self._keeper.snapshot.named(name)
        own = interface.own(self._keeper.ours) if interface else ()
        return all(each.network.prefixlen < _NARROW for each in own if address in each.network)

    async def _would_cut_off(self, name: str, address: Address, home: list[str]) -> bool:
        """Tell whether another device has this address in the home network on another interface."""
        elsewhere = await self._wires.ask(address, [each for each in home if each != name], _TRIES)
        here = (await self._wires.ask(address, [name], _TRIES)).get(name)
        return any(mac != here for mac in elsewhere.values())

    async def _try(self, candidate: Candidate, address: Address, *, given: bool, relay: bool) -> None:
        name, text = candidate.key
        way = Way.RELAY if relay else Way.PEER
        peering = self._keeper.peerings.get(address)
        if peering is None:
            local = await self._keeper.choose(address)
            self.taken = local is None
            if local is None:
                if given:
                    await self._registry.add(name, text, way, None, Trouble.ADDRESS_TAKEN)
                return
            peering = Peering(name, local, address)
        there = await self._keeper.hold(peering)
        if there and given:  # at once: the look takes a gateway's second
            await self._registry.add(name, text, way, None)
        seen = await look(text, self._context) if there else Look(Seen.SILENT)
        if seen.seen is Seen.GATEWAY or given:
            await self._registry.add(name, text, way, seen.certificate, None if there else Trouble.WAITING)
        else:
            self._search.forget(candidate.key, for_good=seen.seen is Seen.OTHER)

    async def _examine_link_local(self, candidate: Candidate) -> None:
        seen = await look(candidate.address, self._context)
        if seen.seen is Seen.GATEWAY:
            await self._registry.add(candidate.interface, candidate.address, Way.RELAY, seen.certificate)
        else:
            self._search.forget(candidate.key, for_good=seen.seen is Seen.OTHER)

    async def _examine_elsewhere(self, known: Gateway, candidate: Candidate, address: Address) -> None:
        """Deal with a known address on another interface: moved there, seen from there too, or another device."""
        name = candidate.interface
        if known.trouble is Trouble.NOT_A_GATEWAY:
            await self._registry.drop(known)
            await self._examine_new(candidate, address, given=True)
            return
        there = await self._wires.ask(address, [known.interface], _TRIES)
        here = await self._wires.ask(address, [name], _TRIES)
        if known.way in (Way.DIRECT, Way.NONE) or not here:
            return
        if not there or (known.certificate is None and here[name] != there[known.interface]):
            await self._registry.drop(known)
            await self._examine_new(candidate, address, given=True)
        elif here[name] != there[known.interface]:
            await self._registry.add_twin(name, address)

    async def _change_address(self, known: Gateway, address: Address) -> None:
        """Give up an address that somebody else has, and take another one."""
        self._given_up.discard(address)
        await self._keeper.release(address)
        await self._registry.set_local(known, None, Trouble.ADDRESS_TAKEN)
        local = await self._keeper.choose(address)
        if local:
            there = await self._keeper.hold(Peering(known.interface, local, address))
            await self._registry.set_local(known, local, None if there else Trouble.WAITING)
