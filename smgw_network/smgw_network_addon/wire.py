"""ARP on the host's interfaces: asks who has an address, announces ours, hears who else claims one.

Owns two packet sockets, for what we asked for and for what is said to others, and the pace: at most 20 packets a
second go out on each interface, and however many come in, only so many are read that they cost next to nothing.
Decides nothing.
"""

import asyncio
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pyroute2.ext import bpf

from smgw_network_addon.addresses import Address, Interface, Network, Snapshot
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
_MOST_REMEMBERED: Final = 64
_SO_ATTACH_FILTER: Final = 26
_NOBODY: Final = Address(0)

ETHERTYPE: Final = 0x0806
BROADCAST: Final = b"\xff" * 6

_LAYOUT: Final = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)
_REQUEST, _REPLY = 1, 2

# BPF (linux/filter.h): code, how many to skip if equal and if not, constant; here for the fields of a packet.
Filter = list[list[int]]
_EQUAL, _RETURN = 0x15, 0x06
_LOAD_OPERATION: Final = [0x28, 0, 0, 6]
_LOAD_SENDER: Final = [0x20, 0, 0, 14]
_LOAD_TARGET: Final = [0x20, 0, 0, 24]
_PASS: Final = [_RETURN, 0, 0, 0xFFFF]
_DROP: Final = [_RETURN, 0, 0, 0]


@dataclass(frozen=True, slots=True)
class Packet:
    """What an ARP packet says: ``sender`` (0.0.0.0 in a probe) is at ``mac``, and ``target`` is asked for."""

    mac: bytes
    sender: Address
    target: Address
    reply: bool

    @property
    def claimed(self) -> Address:
        """The address that the sender has or, as a probe, is about to take."""
        return self.target if self.sender == _NOBODY and not self.reply else self.sender


def probe(mac: bytes, address: Address) -> bytes:
    """Ask for an address without telling one of ours: as RFC 5227 section 2.1.1 has it.

    A gateway may refuse questions from foreign senders (rp_filter on Linux), and it must not remember us yet.
    """
    return _LAYOUT.pack(*_ETHERNET_IPV4, _REQUEST, mac, _NOBODY.packed, bytes(6), address.packed)


def announcement(mac: bytes, address: Address) -> bytes:
    """Say that an address is ours (RFC 5227 section 2.3)."""
    return _LAYOUT.pack(*_ETHERNET_IPV4, _REQUEST, mac, address.packed, bytes(6), address.packed)


def parse(data: bytes) -> Packet | None:
    """Read a packet without its link header; None for what is no ARP of IPv4 over Ethernet."""
    if len(data) < _LAYOUT.size:
        return None
    *kind, operation, mac, sender, _, target = _LAYOUT.unpack_from(data)
    if tuple(kind) != _ETHERNET_IPV4 or operation not in (_REQUEST, _REPLY):
        return None
    return Packet(mac, Address(sender), Address(target), operation == _REPLY)


def answers_and_claims(watched: Iterable[Address]) -> Filter:
    """Return the filter that passes answers to our probes, and all from those who claim a watched address."""
    claims = [step for each in watched for step in ([_EQUAL, 0, 1, int(each)], _PASS)]
    answer = [_LOAD_TARGET, [_EQUAL, 0, 1, 0], _PASS]
    return [
        *(_LOAD_OPERATION, [_EQUAL, 0, len(answer), _REPLY], *answer),
        *(_LOAD_SENDER, *claims, [_EQUAL, 1, 0, 0], _DROP),
        *(_LOAD_TARGET, *claims, _DROP),
    ]


def strangers(own: Iterable[Network]) -> Filter:
    """Return the filter that passes packets whose sender is in none of these networks."""
    steps = [_LOAD_SENDER, [_EQUAL, 0, 1, 0], _DROP]
    for network in own:
        masked = [0x54, 0, 0, int(network.netmask)]
        steps += [_LOAD_SENDER, masked, [_EQUAL, 0, 1, int(network[0])], _DROP]
    return [*steps, _PASS]


Handler = Callable[[Interface, Packet], None]


class Wires:
    """All usable interfaces.

    ``claim`` is told who else claims a watched address, ``stranger`` which foreign address was heard and where.
    """

    def __init__(self) -> None:
        self.claim: Callable[[Address], None] = lambda _address: None
        self.stranger: Callable[[str, Address], None] = lambda _name, _address: None
        self.sent: Counter[str] = Counter()
        """How many packets were sent on each interface."""
        self._interfaces: dict[str, Interface] = {}
        self._macs: set[bytes] = set()
        self._networks: set[Network] = set()
        self._next: defaultdict[str, float] = defaultdict(float)
        self._claims: dict[bytes, set[Address]] = {}
        self._held: set[Address] = set()
        self._probed: set[Address] = set()
        self._answers: dict[tuple[str, Address], asyncio.Future[bytes]] = {}
        self._sockets: list[socket.socket] = []
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The interfaces' names."""
        return tuple(self._interfaces)

    def refresh(self, snapshot: Snapshot, only: str) -> bool:
        """Follow the interfaces; tell whether there is a new one. Raises ``PermissionMissingError``."""
        if not self._sockets:
            self._open()
        before = {each.index for each in self._interfaces.values()}
        self._interfaces = {each.name: each for each in snapshot.usable(only)}
        self._macs = {each.mac for each in snapshot.interfaces}
        self._networks = {assigned.network for each in snapshot.interfaces for assigned in each.assigned}
        self._filter()
        return any(each.index not in before for each in self._interfaces.values())

    def watch(self, held: Iterable[Address]) -> None:
        """Tell ``claim`` from now on who else claims these addresses."""
        self._held = set(held)
        self._filter()

    async def ask(
        self, address: Address, names: Iterable[str] | None = None, tries: int = 2, patience: float = PROBE_INTERVAL
    ) -> dict[str, bytes]:
        """Ask who has an address; return the interfaces where somebody answers, with the hardware address."""
        chosen = self.names if names is None else tuple(names)
        answers = await asyncio.gather(*(self._ask(name, address, tries, patience) for name in chosen))
        return {name: mac for name, mac in zip(chosen, answers, strict=True) if mac}

    async def is_taken(self, address: Address) -> bool:
        """Tell whether somebody has, or is about to take, an address: three probes on all interfaces."""
        self._probed.add(address)
        self._filter()
        try:
            return bool(await self.ask(address, tries=PROBES))
        finally:
            self._probed.discard(address)
            self._filter()

    async def announce(self, name: str, address: Address) -> None:
        """Say on one interface that an address is ours."""
        await self._send(name, announcement, address)

    def close(self) -> None:
        """Close the sockets."""
        for timer in self._timers.values():
            timer.cancel()
        for each in self._sockets:
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    def _open(self) -> None:
        """Open the sockets: the first for answers and claims, the second for strangers."""
        try:
            for _ in range(2):
                opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHERTYPE))
                opened.setblocking(False)
                self._sockets.append(opened)
        except PermissionError:
            raise PermissionMissingError from None
        answers, strangers = self._sockets
        strangers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # the least
        self._listen(answers, _READ_AT_ONCE, _READ_PAUSE, self._heard)
        self._listen(strangers, _STRANGERS_AT_ONCE, _STRANGERS_PAUSE, self._foreign)

    def _filter(self) -> None:
        """Let the kernel pass what matters: answers, who claims a watched address, and foreign senders."""
        filters = answers_and_claims(self._held | self._probed), strangers(self._networks)
        for each, program in zip(self._sockets, filters, strict=False):
            described, _keep = bpf.compile(program)
            each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)

    def _listen(self, receiver: socket.socket, most: int, pause: float, handle: Handler) -> None:
        """Read a few packets whenever there are some, then none for a while: a flood costs no more than that."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            loop.remove_reader(receiver)
            self._timers[receiver] = loop.call_later(pause, loop.add_reader, receiver, read)
            with suppress(OSError):  # nothing more, or an interface went down
                for _ in range(most):
                    data, (name, _, kind, *_) = receiver.recvfrom(64)
                    packet, interface = parse(data), self._interfaces.get(name)
                    if packet and interface and kind != socket.PACKET_OUTGOING and packet.mac not in self._macs:
                        handle(interface, packet)

        loop.add_reader(receiver, read)

    async def _send(self, name: str, make: Callable[[bytes, Address], bytes], address: Address) -> bool:
        """Send in turn; tell whether the interface is there. A link that is down loses the packet."""
        now = asyncio.get_running_loop().time()
        at = self._next[name] = max(now, self._next[name] + PACE)
        await asyncio.sleep(at - now)
        if interface := self._interfaces.get(name):
            with suppress(OSError):
                packet = make(interface.mac, address)
                self._sockets[0].sendto(packet, (name, ETHERTYPE, 0, 1, BROADCAST))
                self.sent[name] += 1
        return interface is not None

    async def _ask(self, name: str, address: Address, tries: int, patience: float) -> bytes:
        answer = self._answers.setdefault((name, address), asyncio.get_running_loop().create_future())
        try:
            for _ in range(tries):
                if not await self._send(name, probe, address):
                    break
                await asyncio.wait([answer], timeout=patience)
                if answer.done():
                    return answer.result()
            return b""
        finally:
            self._answers.pop((name, address), None)

    def _heard(self, interface: Interface, packet: Packet) -> None:
        address = packet.claimed
        asked = self._answers.get((interface.name, address))
        if address == _NOBODY or (asked and self._lies(interface, packet)):
            return
        if asked and not asked.done() and (packet.sender == address or address in self._probed):
            asked.set_result(packet.mac)
        if address in self._held:
            self.claim(address)

    def _lies(self, interface: Interface, packet: Packet) -> bool:
        """Take in an answer; tell whether its sender claims everything, so that it means nothing."""
        if any(packet.claimed in each.network for each in interface.assigned):
            return False  # at home, one device may well have many addresses
        if packet.mac not in self._claims and len(self._claims) >= _MOST_REMEMBERED:
            del self._claims[next(iter(self._claims))]
        claimed = self._claims.setdefault(packet.mac, set())
        if len(claimed) < OWNERS_ADDRESSES:
            claimed.add(packet.claimed)
        return len(claimed) >= OWNERS_ADDRESSES

    def _foreign(self, interface: Interface, packet: Packet) -> None:
        if packet.sender != _NOBODY:
            self.stranger(interface.name, packet.sender)
