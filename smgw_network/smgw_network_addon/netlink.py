"""The host's interfaces and addresses by netlink: read them, hear of changes, add and remove single addresses.

Never touches a route, a rule, a sysctl or an address that it was not told to.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from smgw_network_addon.addresses import Address, Network
from smgw_network_addon.interfaces import Assigned, Interface, Snapshot

_CHANGES: Final = 0x1 | 0x10  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR
_SKIP_STATISTICS: Final = 8  # RTEXT_FILTER_SKIP_STATS
_MAIN_TABLE: Final = 254
_UP, _LOOPBACK, _POINT_TO_POINT, _NO_ARP, _CARRIER = 0x1, 0x8, 0x10, 0x80, 0x10000  # linux/if.h
_ETHERNET: Final = 1  # ARPHRD_ETHER
_UNICAST: Final = 1  # RTN_UNICAST
_ATTEMPTS: Final = 5


class PermissionMissingError(Exception):
    """The kernel refuses: CAP_NET_ADMIN or CAP_NET_RAW is missing."""

    def __str__(self) -> str:
        return "no permission (CAP_NET_ADMIN, CAP_NET_RAW)"


class Netlink:
    """The connection to the kernel; ``changed`` is set when an interface or an IPv4 address changed."""

    def __init__(self, route: AsyncIPRoute) -> None:
        self._route = route
        self.changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["Netlink"]:
        """Connect, and listen to changes until the block ends."""
        loop = asyncio.get_running_loop()
        async with AsyncIPRoute() as route:
            netlink = cls(route)
            # What changed is not parsed but read anew: a storm of changes costs next to nothing, none is missed.
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes:
                changes.setblocking(False)
                changes.bind((0, _CHANGES))
                loop.add_reader(changes, netlink._note, changes)
                try:
                    yield netlink
                finally:
                    loop.remove_reader(changes)

    async def snapshot(self) -> Snapshot:
        """Read all interfaces and their IPv4 addresses."""
        for attempt in range(_ATTEMPTS):
            try:
                links = [each async for each in await self._route.link("dump", ext_mask=_SKIP_STATISTICS)]
                addresses = [each async for each in await self._route.addr("dump", family=socket.AF_INET)]
                break
            except NetlinkDumpInterrupted:  # something changed meanwhile
                if attempt == _ATTEMPTS - 1:
                    raise
        assigned: dict[int, list[Assigned]] = {}
        for each in addresses:
            local, peer = each.get("local"), each.get("address")
            network = Network((peer or local, each["prefixlen"]), strict=False)
            assigned.setdefault(each["index"], []).append(Assigned(Address(local or peer), network))
        return Snapshot(tuple(_interface(link, tuple(assigned.get(link["index"], ()))) for link in links))

    async def routes(self) -> tuple[Network, ...]:
        """Return the networks that have a route by a router of their own: not by the default one."""
        dump = await self._route.route("dump", family=socket.AF_INET)
        routes = [each async for each in dump if each["dst_len"] and each.get("gateway")]
        return tuple(
            Network((each.get("dst"), each["dst_len"]))
            for each in routes
            if each["type"] == _UNICAST and each.get("table") == _MAIN_TABLE
        )

    async def add(self, interface: Interface, local: Address, peer: Address) -> None:
        """Add an address for one peer; it brings a route to this peer alone. No error if it is there.

        The scope is global: MASQUERADE skips others. Raises OSError and ``PermissionMissingError``.
        """
        await self._change("add", errno.EEXIST, interface.index, local, peer)

    async def remove(self, interface: Interface, local: Address, peer: Address) -> None:
        """Remove an address for one peer; no error if it, or its interface, is gone."""
        await self._change("delete", errno.EADDRNOTAVAIL, interface.index, local, peer)

    async def _change(self, command: str, harmless: int, index: int, local: Address, peer: Address) -> None:
        try:
            await self._route.addr(
                command, index=index, local=str(local), address=str(peer), prefixlen=32, family=socket.AF_INET
            )
        except NetlinkError as error:
            if error.code in (errno.EPERM, errno.EACCES):
                raise PermissionMissingError from None
            if error.code not in (harmless, *((errno.ENODEV,) if command == "delete" else ())):
                raise OSError(error.code, f"netlink: {command} {local}") from None

    def _note(self, changes: socket.socket) -> None:
        try:
            while changes.recv(65536):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # more than fits: something changed, then
                raise
        self.changed.set()


def _interface(link: Any, assigned: tuple[Assigned, ...]) -> Interface:
    flags = link["flags"]
    mac = link.get("address") or ""
    return Interface(
        index=link["index"],
        name=link.get("ifname"),
        mac=bytes.fromhex(mac.replace(":", "")),
        up=bool(flags & _UP),
        carrier=bool(flags & _CARRIER),
        ethernet=link["ifi_type"] == _ETHERNET and not flags & (_LOOPBACK | _POINT_TO_POINT | _NO_ARP),
        port=bool(link.get("master")),
        assigned=assigned,
    )
