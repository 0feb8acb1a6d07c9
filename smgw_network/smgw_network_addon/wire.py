"""ARP on the host's interfaces: asks who has an address, announces ours, hears who else claims one.

Owns the packet sockets, one pair for each usable interface, and their pace: at most 20 packets a second go out, and
however many come in, only so many are read that they cost next to nothing. Decides nothing.
"""

import asyncio
import ctypes
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from smgw_network_addon import arp
from smgw_network_addon.addresses import Address
from smgw_network_addon.interfaces import Interface, Snapshot
from smgw_network_addon.netlink import PermissionMissingError

PACE: Final = 0.05
"""Seconds between two packets on one interface."""
PROBES: Final = 3
PROBE_INTERVAL: Final = 0.3
"""RFC 5227 section 1.1 has 1 to 2 s; ours are shorter, as on a wired link answers take milliseconds."""
OWNERS_ADDRESSES: Final = 5
"""Who claims so many foreign addresses that we asked for has none of them: proxy ARP, or somebody who lies."""

_READ_PAUSE: Final = 0.02
_STRANGERS_PAUSE: Final = 1.0
_READ_AT_ONCE: Final = 32
_STRANGERS_AT_ONCE: Final = 4
_BUFFER: Final = 65536
_MOST_REMEMBERED: Final = 64
_SO_ATTACH_FILTER: Final = 26
_NOBODY: Final = Address(0)


class Wire:
    """One interface. ``heard`` is called with each packet that matters, ``stranger`` with foreign senders."""

    def __init__(
        self,
        interface: Interface,
        heard: Callable[["Wire", arp.Packet], None],
        stranger: Callable[["Wire", arp.Packet], None],
    ) -> None:
        self.interface = interface
        self._heard = heard
        self._stranger = stranger
        self._next = 0.0
        self._claims: dict[bytes, set[Address]] = {}
        self._sockets: list[socket.socket] = []
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        self.sent = 0
        try:
            self._main = self._open(_BUFFER)
            self._passive = self._open(0)
        except PermissionError:
            self.close()
            raise PermissionMissingError from None
        except OSError:
            self.close()
            raise
        self.filter(())
        self._listen(self._main, _READ_AT_ONCE, _READ_PAUSE, heard)
        self._listen(self._passive, _STRANGERS_AT_ONCE, _STRANGERS_PAUSE, stranger)

    def filter(self, watched: Iterable[Address]) -> None:
        """Let the kernel pass what matters: answers, who claims a watched address, and foreign senders."""
        _attach(self._main, arp.answers_and_claims(watched))
        _attach(self._passive, arp.strangers({each.network for each in self.interface.assigned}))

    async def send(self, packet: bytes) -> None:
        """Send in turn. A link that is down loses the packet."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = self._next = max(now, self._next + PACE)
        await asyncio.sleep(at - now)
        with suppress(OSError):
            self._main.sendto(packet, (self.interface.name, arp.ETHERTYPE, 0, 1, arp.BROADCAST))
            self.sent += 1

    def lies(self, packet: arp.Packet) -> bool:
        """Take in an answer; tell whether its sender claims everything, so that it means nothing."""
        if any(packet.claimed in each.network for each in self.interface.assigned):
            return False  # at home, one device may well have many addresses
        if packet.mac not in self._claims and len(self._claims) >= _MOST_REMEMBERED:
            del self._claims[next(iter(self._claims))]
        claimed = self._claims.setdefault(packet.mac, set())
        if len(claimed) < OWNERS_ADDRESSES:
            claimed.add(packet.claimed)
        return len(claimed) >= OWNERS_ADDRESSES

    def close(self) -> None:
        """Close the sockets."""
        loop = asyncio.get_running_loop()
        for timer in self._timers.values():
            timer.cancel()
        for each in self._sockets:
            loop.remove_reader(each)
            each.close()

    def _open(self, size: int) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # 0: receives nothing until it is bound
        self._sockets.append(opened)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        _attach(opened, arp.answers_and_claims(()))
        opened.bind((self.interface.name, arp.ETHERTYPE))
        return opened

    def _listen(
        self, receiver: socket.socket, most: int, pause: float, handle: Callable[["Wire", arp.Packet], None]
    ) -> None:
        """Read a few packets whenever there are some, then none for a while: a flood costs no more than that."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            loop.remove_reader(receiver)
            self._timers[receiver] = loop.call_later(pause, loop.add_reader, receiver, read)
            with suppress(OSError):  # nothing more, or the interface went down
                for _ in range(most):
                    data, address = receiver.recvfrom(64)
                    packet = arp.parse(data)
                    if packet and address[2] != socket.PACKET_OUTGOING:
                        handle(self, packet)

        loop.add_reader(receiver, read)


class Wires:
    """All usable interfaces.

    ``claim`` is told who else claims a watched address, ``answer`` who answers a sweep and where, ``stranger`` which
    foreign address was heard and where.
    """

    def __init__(self) -> None:
        self.claim: Callable[[Address], None] = lambda _address: None
        self.answer: Callable[[str, Address], None] = lambda _name, _address: None
        self.stranger: Callable[[str, Address], None] = lambda _name, _address: None
        self._wires: dict[str, Wire] = {}
        self._macs: frozenset[bytes] = frozenset()
        self._held: frozenset[Address] = frozenset()
        self._probed: dict[Address, int] = {}
        self._answers: dict[tuple[str, Address], asyncio.Future[bytes]] = {}
        self._swept: set[tuple[str, Address]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The interfaces' names."""
        return tuple(self._wires)

    @property
    def sent(self) -> dict[str, int]:
        """How many packets were sent on each interface."""
        return {name: wire.sent for name, wire in self._wires.items()}

    def refresh(self, snapshot: Snapshot, only: str) -> list[str]:
        """Follow the interfaces; return the names of the new ones. Raises ``PermissionMissingError``."""
        usable = {each.name: each for each in snapshot.usable(only)}
        self._macs = snapshot.macs
        new = []
        for name, wire in list(self._wires.items()):
            now = usable.get(name)
            if now is None or (now.index, now.mac) != (wire.interface.index, wire.interface.mac):
                wire.close()
                del self._wires[name]
            elif now != wire.interface:
                wire.interface = now
                wire.filter(self._watched)
        for name in usable.keys() - self._wires.keys():
            with suppress(OSError):  # gone again
                self._wires[name] = Wire(usable[name], self._heard, self._foreign)
                self._wires[name].filter(self._watched)
                new.append(name)
        return new

    def watch(self, held: Iterable[Address]) -> None:
        """Tell ``claim`` from now on who else claims these addresses."""
        self._held = frozenset(held)
        self._filter()

    async def ask(self, address: Address, names: Iterable[str] | None = None, tries: int = 2) -> dict[str, bytes]:
        """Ask who has an address; return the interfaces where somebody answers, with the hardware address."""
        chosen = [name for name in (self.names if names is None else names) if name in self._wires]
        answers = await asyncio.gather(*(self._ask(name, address, tries) for name in chosen))
        return {name: mac for name, mac in zip(chosen, answers, strict=True) if mac}

    async def is_taken(self, address: Address) -> bool:
        """Tell whether somebody has, or is about to take, an address: three probes on all interfaces."""
        self._probed[address] = self._probed.get(address, 0) + 1
        self._filter()
        try:
            return bool(await self.ask(address, tries=PROBES))
        finally:
            self._probed[address] -= 1
            if not self._probed[address]:
                del self._probed[address]
            self._filter()

    async def announce(self, name: str, address: Address) -> None:
        """Say on one interface that an address is ours."""
        if wire := self._wires.get(name):
            await wire.send(arp.announcement(wire.interface.mac, address))

    async def sweep(self, name: str, addresses: Iterable[Address]) -> None:
        """Ask for each address once; ``answer`` is told who answers."""
        for address in addresses:
            if (wire := self._wires.get(name)) is None:
                return
            self._swept.add((name, address))
            await wire.send(arp.probe(wire.interface.mac, address))

    def close(self) -> None:
        """Close all sockets."""
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    @property
    def _watched(self) -> frozenset[Address]:
        return self._held | self._probed.keys()

    def _filter(self) -> None:
        for wire in self._wires.values():
            wire.filter(self._watched)

    async def _ask(self, name: str, address: Address, tries: int) -> bytes:
        key = (name, address)
        answer = self._answers.setdefault(key, asyncio.get_running_loop().create_future())
        try:
            for _ in range(tries):
                if (wire := self._wires.get(name)) is None:
                    break
                await wire.send(arp.probe(wire.interface.mac, address))
                await asyncio.wait([answer], timeout=PROBE_INTERVAL)
                if answer.done():
                    return answer.result()
            return b""
        finally:
            self._answers.pop(key, None)

    def _heard(self, wire: Wire, packet: arp.Packet) -> None:
        address, name = packet.claimed, wire.interface.name
        if packet.mac in self._macs or address == _NOBODY:
            return
        asked, swept = self._answers.get((name, address)), (name, address) in self._swept
        if (asked is not None or swept) and wire.lies(packet):
            return
        if asked is not None and (packet.sender == address or address in self._probed):
            if not asked.done():
                asked.set_result(packet.mac)
        elif swept and packet.reply:
            self._swept.discard((name, address))
            self.answer(name, address)
        if address in self._held:
            self.claim(address)

    def _foreign(self, wire: Wire, packet: arp.Packet) -> None:
        if packet.mac not in self._macs and packet.sender != _NOBODY:
            self.stranger(wire.interface.name, packet.sender)


def _attach(receiver: socket.socket, program: bytes) -> None:
    """Give the kernel a filter for a socket, in place of an earlier one (SO_ATTACH_FILTER)."""
    buffer = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    described = SockFprog(len(program) // 8, ctypes.addressof(buffer))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(described))
