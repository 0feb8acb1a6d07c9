"""The host's interfaces as netlink shows them, and when our address may be on one. Pure."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from smgw_network_addon.addresses import Address, Network

_VIRTUAL: Final = re.compile(
    r"(docker|br-|veth|hassio|virbr|vnet|tun|tap|wg|tailscale|zt|ppp|cni|cali|flannel|podman|lxc|ifb|dummy|sit|ip6tnl).*"
    r"|lo"
)
"""Names of bridges for containers and their ports, tunnels and the like: no gateway is there."""

OWN_ADDRESS_RETURNS: Final = 120.0
"""Seconds for which an interface that lost its own address is left to get it back: a router's restart."""
NEW_INTERFACE: Final = 5.0
"""Seconds for which a new interface is left to get an address of its own."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """One IPv4 address of an interface; ``network`` is what it makes reachable on the link (the peer's, if any)."""

    local: Address
    network: Network

    @property
    def key(self) -> tuple[Address, Address]:
        """The address and its peer; they are the same where there is none."""
        peer = self.network.network_address if self.network.prefixlen == self.network.max_prefixlen else self.local
        return self.local, peer


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

    @property
    def working(self) -> bool:
        """Whether packets can be sent on it."""
        return self.up and self.carrier

    def own(self, ours: Container[tuple[Address, Address]]) -> tuple[Assigned, ...]:
        """Return the addresses that are not ours."""
        return tuple(each for each in self.assigned if each.key not in ours)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All interfaces at one moment."""

    interfaces: tuple[Interface, ...] = ()

    def named(self, name: str) -> Interface | None:
        """Return the interface of this name."""
        return next((each for each in self.interfaces if each.name == name), None)

    def usable(self, only: str = "") -> tuple[Interface, ...]:
        """Return the interfaces where a gateway may be: all real ones, or ``only`` the named one, whatever it is."""
        if only:
            return tuple(each for each in self.interfaces if each.name == only and each.ethernet and each.working)
        return tuple(each for each in self.interfaces if each.real and each.working)

    def having(self, key: tuple[Address, Address]) -> tuple[Interface, ...]:
        """Return the interfaces with an address and peer, by whatever name."""
        return tuple(each for each in self.interfaces if any(assigned.key == key for assigned in each.assigned))

    @property
    def macs(self) -> frozenset[bytes]:
        """The host's own hardware addresses: it answers ARP for each of its addresses on every link."""
        return frozenset(each.mac for each in self.interfaces)


@dataclass(frozen=True, slots=True)
class Peering:
    """One address of ours: ``local`` on ``interface``, for the one peer ``gateway``."""

    interface: str
    local: Address
    gateway: Address

    @property
    def key(self) -> tuple[Address, Address]:
        """What it is recognised by in the kernel's list."""
        return self.local, self.gateway


class Action(Enum):
    """What has to be done about one address of ours."""

    NOTHING = "nothing"
    ADD = "add"
    REMOVE = "remove"
    REORDER = "reorder"
    """Remove and add: another address came behind ours and has to be the first."""
    WAIT = "wait"


@dataclass(slots=True)
class OwnAddress:
    """What is known of an interface's own address; times in seconds on a monotonic clock."""

    appeared: float | None
    """When the interface came; None: it was there at the start, with or without an address."""
    had: bool = False
    lost: float | None = None

    def note(self, *, present: bool, now: float) -> None:
        """Take in whether the interface has an address of its own now."""
        if present:
            self.had, self.lost = True, None
        elif self.had and self.lost is None:
            self.lost = now

    def wait(self, now: float) -> float:
        """Return for how many seconds an own address is still to be waited for; 0 for not at all."""
        if self.lost is not None:
            return max(0.0, self.lost + OWN_ADDRESS_RETURNS - now)
        if self.appeared is not None and not self.had:
            return max(0.0, self.appeared + NEW_INTERFACE - now)
        return 0.0


def action(interface: Interface, peering: Peering, ours: Container[tuple[Address, Address]], wait: float) -> Action:
    """Decide about one address of ours.

    Never the first on an interface that has, or is about to get, an address of its own: the first one becomes the
    sender of multicast, and MASQUERADE takes the first that fits.
    """
    keys = [each.key for each in interface.assigned]
    own = [at for at, key in enumerate(keys) if key not in ours]
    present = peering.key in keys
    if not own and wait > 0:
        return Action.REMOVE if present else Action.WAIT
    if not present:
        return Action.ADD
    return Action.REORDER if own and keys.index(peering.key) < own[0] else Action.NOTHING


def holds(interfaces: Iterable[Interface], address: Address, ours: Container[tuple[Address, Address]]) -> list[str]:
    """Return the names of the interfaces whose own network holds an address."""
    return [
        each.name for each in interfaces if any(address in assigned.network for assigned in each.own(ours) if each.up)
    ]
