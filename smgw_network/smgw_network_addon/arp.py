"""ARP packets (RFC 826, RFC 5227) as bytes, and the kernel's filter (BPF) for those that matter. Pure."""

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
_OPERATION_AT, _SENDER_AT, _TARGET_AT = 6, 14, 24
_NOWHERE: Final = Address(0)

# BPF: load a half word, load a word, and with a constant, jump if equal, return (linux/filter.h).
_LOAD_HALF, _LOAD, _AND, _EQUAL, _RETURN = 0x28, 0x20, 0x54, 0x15, 0x06
_INSTRUCTION: Final = struct.Struct("HBBI")
_WHOLE: Final = 0xFFFF
_Step = str | tuple[int, int] | tuple[int, int, str, str]


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


def answers_and_claims(watched: Iterable[Address]) -> bytes:
    """Return the filter that passes answers to our probes, and all from those who claim a watched address."""
    claims: list[_Step] = [(_EQUAL, int(each), "pass", "") for each in watched]
    return _assemble(
        (_LOAD_HALF, _OPERATION_AT),
        (_EQUAL, _REPLY, "", "sender"),
        (_LOAD, _TARGET_AT),
        (_EQUAL, 0, "pass", ""),
        "sender",
        (_LOAD, _SENDER_AT),
        *claims,
        (_EQUAL, 0, "", "drop"),
        (_LOAD, _TARGET_AT),
        *claims,
        "drop",
        (_RETURN, 0),
        "pass",
        (_RETURN, _WHOLE),
    )


def strangers(own: Iterable[Network]) -> bytes:
    """Return the filter that passes packets whose sender is in none of these networks."""
    steps: list[_Step] = [(_LOAD, _SENDER_AT), (_EQUAL, 0, "drop", "")]
    for network in own:
        steps += [(_LOAD, _SENDER_AT), (_AND, int(network.netmask)), (_EQUAL, int(network[0]), "drop", "")]
    return _assemble(*steps, (_RETURN, _WHOLE), "drop", (_RETURN, 0))


def _assemble(*steps: _Step) -> bytes:
    """Translate steps: a label, or an instruction with its constant and the labels to go to if equal and if not."""
    labels: dict[str, int] = {}
    instructions: list[tuple[int, int, str, str]] = []
    for step in steps:
        if isinstance(step, str):
            labels[step] = len(instructions)
        else:
            code, constant, *jumps = step
            equal, other = jumps or ("", "")
            instructions.append((code, constant, equal, other))
    return b"".join(
        _INSTRUCTION.pack(code, *(labels[label] - at - 1 if label else 0 for label in (equal, other)), constant)
        for at, (code, constant, equal, other) in enumerate(instructions)
    )
