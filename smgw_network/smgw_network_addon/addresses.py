"""Which addresses gateways have, which one the host takes beside them, and where to ask. Pure."""

import ipaddress
from collections.abc import Container, Iterable, Iterator
from typing import Final

Address = ipaddress.IPv4Address
Network = ipaddress.IPv4Network

KNOWN: Final = tuple(map(Address, ("10.11.120.2", "192.168.1.200", "192.168.100.100", "192.168.168.168")))
"""Addresses that gateways were seen with (docs/network.md)."""
NAME: Final = "smgw.local"
"""The name by which a gateway may answer mDNS (TR-03109-1; optional)."""
BRIDGE: Final = Network("172.30.32.0/23")
"""The Supervisor's own network, on which the apps are."""
BRIDGE_HOST: Final = Address("172.30.32.1")
INGRESS: Final = Address("172.30.32.2")

_HIGHEST: Final = 250
_LOWEST: Final = 2
_PREFIX: Final = 24


def subnet_of(gateway: Address) -> Network:
    """Return the /24 of an address: the narrowest subnet that a gateway was seen to insist on."""
    return Network((gateway, _PREFIX), strict=False)


def candidates(gateway: Address, taken: Container[Address]) -> Iterator[Address]:
    """Yield the addresses that the host may take for this gateway: .250 first, then down to .2."""
    base = int(subnet_of(gateway).network_address)
    for last in range(_HIGHEST, _LOWEST - 1, -1):
        address = Address(base + last)
        if address != gateway and address not in taken:
            yield address


def may_be_local(address: Address) -> bool:
    """Tell whether the host may have this address: no network's or broadcast address, no router's usual one."""
    return address.packed[3] not in (0, 1, 255) and may_be_gateway(address)


def may_be_gateway(address: Address) -> bool:
    """Tell whether a gateway may have this address: a private one, or link-local, of a single host."""
    return (
        (address.is_private or address.is_link_local)
        and not address.is_loopback
        and not address.is_unspecified
        and not address.is_reserved
        and address.packed[3] not in (0, 255)
    )


def sweep(known: Iterable[Address] = KNOWN) -> Iterator[Address]:
    """Yield all other addresses of the known subnets, once each."""
    known = tuple(known)
    for network in dict.fromkeys(map(subnet_of, known)):
        yield from (address for address in network.hosts() if address not in known)


def is_beside_apps(gateway: Address) -> bool:
    """Tell whether a gateway has a number of the Supervisor's network: apps never leave that for it."""
    return gateway in BRIDGE
