"""ARP packets (RFC 826, RFC 5227) as bytes, and the kernel's filters (BPF) for those that matter. Pure."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from smgw_network_addon.addresses import Address, Network

ETHERTYPE: Final = 0x0806
BROADCAST: Final = b"\xff" * 6

_LAYOUT: Final = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)
_REQUEST, _REPLY = 1, 2
_NOWHERE: Final = Address(0)

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
        return self.target if self.sender == _NOWHERE and not self.reply else self.sender


def probe(mac: bytes, address: Address) -> bytes:
    """Ask for an address without telling one of ours: as RFC 5227 section 2.1.1 has it.

    A gateway may refuse questions from foreign senders (rp_filter on Linux), and it must not remember us yet.
    """
    return _LAYOUT.pack(*_ETHERNET_IPV4, _REQUEST, mac, _NOWHERE.packed, bytes(6), address.packed)


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
