"""Which addresses gateways have, what the host's interfaces have, and when an address of ours may be there. Pure."""

import ipaddress
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address
LinkLocal = ipaddress.IPv6Address
"""A link-local one; its ``scope_id`` is the name of the interface."""
Network = ipaddress.IPv4Network

KNOWN: Final = tuple(map(Address, ("10.11.120.2", "192.168.1.200", "192.168.100.100", "192.168.168.168")))
"""Addresses that gateways were seen with, each in a subnet of its own (docs/network.md)."""
NAME: Final = "smgw.local"
"""The name by which a gateway may answer mDNS (TR-03109-1; optional)."""
BRIDGE: Final = Network("172.30.32.0/23")
"""The Supervisor's own network, on which the apps are."""
BRIDGE_HOST: Final = Address("172.30.32.1")
INGRESS: Final = Address("172.30.32.2")

_PRIVATE: Final = tuple(map(Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")))
_HIGHEST: Final = 250
_LOWEST: Final = 2
_PREFIX: Final = 24
_VIRTUAL: Final = re.compile(
    r"(docker|br-|veth|hassio|virbr|vnet|tun|tap|wg|tailscale|zt|ppp|cni|cali|flannel|podman|lxc|ifb|dummy|sit|ip6tnl).*"
    r"|lo"
)
"""Names of bridges for containers and their ports, tunnels and the like: no gateway is there."""

OWN_ADDRESS_RETURNS: Final = 120.0
"""Seconds for which an interface that lost its own address is left to get it back: a router's restart."""
NEW_INTERFACE: Final = 5.0
"""Seconds for which a new interface is left to get an address of its own."""


def subnet_of(gateway: Address) -> Network:
    """Return the /24 of an address: the narrowest subnet that a gateway was seen to insist on."""
    return Network((gateway, _PREFIX), strict=False)


def candidates(gateway: Address, taken: Container[Address]) -> Iterator[Address]:
    """Yield the addresses that the host may take for this gateway: .250 first, then down to .2."""
    network = subnet_of(gateway)
    for last in range(_HIGHEST, _LOWEST - 1, -1):
        if network[last] != gateway and network[last] not in taken:
            yield network[last]


def may_be_gateway(address: Address) -> bool:
    """Tell whether a gateway may have this address: private (RFC 1918) or link-local, of a single host."""
    return address.packed[3] not in (0, 255) and any(address in network for network in _PRIVATE)


def sweep() -> Iterator[Address]:
    """Yield all other addresses of the known subnets, once each."""
    for network in map(subnet_of, KNOWN):
        yield from (address for address in network.hosts() if address not in KNOWN)


@dataclass(frozen=True, slots=True)
class Assigned:
    """One IPv4 address of an interface; ``network`` is what it makes reachable on the link: the peer, if any."""

    local: Address
    network: Network


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; ``assigned`` in the kernel's order, which decides which address is used first."""

    index: int
    name: str
    mac: bytes
    up: bool
    carrier: bool
    ethernet: bool
    """Has hardware addresses and ARP: no loopback, no point-to-point link."""
    port: bool
    """Is a port of a bridge or a bond, which has the addresses."""
    assigned: tuple[Assigned, ...] = ()

    @property
    def real(self) -> bool:
        """Whether a gateway may be behind it: no container's, no tunnel. Told by name: in tests all are veths."""
        return self.ethernet and not self.port and not _VIRTUAL.fullmatch(self.name)

    def own(self, ours: Container[Assigned]) -> tuple[Assigned, ...]:
        """Return the addresses that are not ours."""
        return tuple(each for each in self.assigned if each not in ours)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All interfaces at one moment."""

    interfaces: tuple[Interface, ...] = ()

    def named(self, name: str) -> Interface | None:
        """Return the interface of this name."""
        return next((each for each in self.interfaces if each.name == name), None)

    def usable(self, only: str = "") -> tuple[Interface, ...]:
        """Return the interfaces where a gateway may be: all real ones, or ``only`` the named one, whatever it is."""
        working = (each for each in self.interfaces if each.ethernet and each.up and each.carrier)
        return tuple(each for each in working if (each.name == only if only else each.real))

    def having(self, assigned: Assigned | None) -> tuple[Interface, ...]:
        """Return the interfaces with this address and peer, by whatever name."""
        return tuple(each for each in self.interfaces if assigned in each.assigned)

    def holding(self, address: Address, ours: Container[Assigned]) -> list[str]:
        """Return the names of the interfaces whose own network holds an address."""
        up = (each for each in self.interfaces if each.up)
        return [each.name for each in up if any(address in own.network for own in each.own(ours))]


@dataclass(slots=True)
class OwnAddress:
    """Whether an interface has an address of its own, and until when one is waited for (monotonic seconds)."""

    until: float = 0.0
    present: bool = False

    def note(self, *, present: bool, now: float) -> None:
        """Take in whether the interface has an address of its own now."""
        if present:
            self.until = 0.0
        elif self.present:
            self.until = now + OWN_ADDRESS_RETURNS
        self.present = present


def change(interface: Interface, wanted: Assigned, ours: Container[Assigned], *, waiting: bool) -> tuple[bool, bool]:
    """Decide whether an address of ours has to be removed, and whether it has to be added (after that).

    Never the first on an interface that has, or is about to get (``waiting``), an address of its own: the first one
    becomes the sender of multicast, and MASQUERADE takes the first that fits.
    """
    own = [at for at, each in enumerate(interface.assigned) if each not in ours]
    present = wanted in interface.assigned
    if waiting and not own:
        return present, False
    before = present and bool(own) and interface.assigned.index(wanted) < own[0]
    return before, before or not present
