"""The interfaces and addresses of this computer, from the Linux kernel: all addresses, also second ones.

And the IPv6 prefixes that a router says are on the link (RFC 4861 section 6.3.4), also those without an address here.

Asks over netlink (rtnetlink(7)), which needs no program, no right and no file; elsewhere nothing is known.
"""

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

_RTM_GETLINK: Final = 18
_RTM_GETADDR: Final = 22
_RTM_GETROUTE: Final = 26
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_REQUEST_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_IFF_UP: Final = 0x1
_IFF_LOWER_UP: Final = 0x10000
_IFLA_IFNAME: Final = 3
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_RTPROT_RA: Final = 9
_RTN_UNICAST: Final = 1
_HEADER: Final = struct.Struct("=LHHLL")
_LINK: Final = struct.Struct("=BxHiLL")
_ADDRESS: Final = struct.Struct("=BBBBL")
_ROUTE: Final = struct.Struct("=BBBBBBBBL")
_INDEX: Final = struct.Struct("=L")
_ATTRIBUTE: Final = struct.Struct("=HH")
_TIMEOUT: Final = 2.0
_IPV6: Final = 6

InterfaceAddress = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Interface(NamedTuple):
    """A network interface of the host.

    ``up`` means switched on and with a cable; ``gateway`` and ``nameservers`` are of IPv4, empty where not known.
    ``on_link`` are the prefixes of router advertisements.
    """

    name: str
    up: bool
    addresses: tuple[InterfaceAddress, ...] = ()
    primary: bool = False
    gateway: str = ""
    nameservers: tuple[str, ...] = ()
    on_link: tuple[ipaddress.IPv6Network, ...] = ()

    @property
    def networks(self) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The networks that are on the interface's own link."""
        yield from (each.network for each in self.addresses)
        yield from self.on_link


def local_interfaces() -> list[Interface] | None:
    """Return the interfaces of this computer, None where the system does not tell. Must be run in executor."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.settimeout(_TIMEOUT)
            links = dict(_links(netlink))
            addresses: dict[int, list[InterfaceAddress]] = {index: [] for index in links}
            for index, address in _addresses(netlink):
                addresses.setdefault(index, []).append(address)
            on_link: dict[int, list[ipaddress.IPv6Network]] = {index: [] for index in addresses}
            for index, prefix in _advertised(netlink):
                on_link.setdefault(index, []).append(prefix)
    except (AttributeError, OSError, struct.error):
        return None
    return [
        Interface(name, up, tuple(addresses[index]), on_link=tuple(on_link[index]))
        for index, (name, up) in links.items()
    ]


def local_names(interfaces: Callable[[], list[Interface] | None] = local_interfaces) -> list[str]:
    """Return the names of this computer: ``localhost``, its host name, each IPv4 and IPv6 address.

    Link-local IPv6 addresses carry their zone. Must be run in executor.
    """
    addresses = [
        f"{address.ip}%{each.name}" if address.version == _IPV6 and address.is_link_local else str(address.ip)
        for each in interfaces() or []
        for address in each.addresses
    ]
    return list(dict.fromkeys(["localhost", socket.gethostname().lower(), *addresses]))


def _links(netlink: socket.socket) -> Iterator[tuple[int, tuple[str, bool]]]:
    for (_, _, index, flags, _), attributes in _dump(netlink, _RTM_GETLINK, _LINK):
        name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        yield index, (name, bool(flags & _IFF_UP and flags & _IFF_LOWER_UP))


def _addresses(netlink: socket.socket) -> Iterator[tuple[int, InterfaceAddress]]:
    for (_, prefix, _, _, index), attributes in _dump(netlink, _RTM_GETADDR, _ADDRESS):
        # Of a point-to-point link, IFA_ADDRESS is the peer's.
        raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        with suppress(ValueError):
            yield index, ipaddress.ip_interface(f"{ipaddress.ip_address(raw)}/{prefix}")


def _advertised(netlink: socket.socket) -> Iterator[tuple[int, ipaddress.IPv6Network]]:
    """Yield the routes of router advertisements that lead to no router: prefixes with the flag "on-link"."""
    for fields, attributes in _dump(netlink, _RTM_GETROUTE, _ROUTE, socket.AF_INET6):
        family, length, _, _, _, protocol, _, kind, _ = fields
        by_a_router = (family, protocol, kind) == (socket.AF_INET6, _RTPROT_RA, _RTN_UNICAST)
        if by_a_router and length and _RTA_GATEWAY not in attributes and {_RTA_DST, _RTA_OIF} <= attributes.keys():
            (index,) = _INDEX.unpack(attributes[_RTA_OIF])
            with suppress(ValueError):
                yield index, ipaddress.IPv6Network((attributes[_RTA_DST], length))


def _dump(
    netlink: socket.socket, kind: int, layout: struct.Struct, family: int = socket.AF_UNSPEC
) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    """Ask for all objects of a kind; yields the fields of each, the family first, and its attributes."""
    body = bytes([family]).ljust(layout.size, b"\0")
    netlink.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
    while True:
        data = netlink.recv(1 << 18)
        while data:
            length, what, _, _, _ = _HEADER.unpack_from(data)
            if what == _NLMSG_DONE:
                return
            if what == _NLMSG_ERROR:
                raise OSError("the kernel does not tell its interfaces")
            yield layout.unpack_from(data, _HEADER.size), _attributes(data[_HEADER.size + layout.size : length])
            data = data[_aligned(length) :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
