"""The host's interfaces and addresses by netlink: read them, hear of changes, add and remove single addresses.

Never touches a route, a rule, a sysctl or an address that it was not told to.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from smgw_network_addon.addresses import Address, Assigned, Interface, Network, Snapshot

_CHANGES: Final = 0x1 | 0x10  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR
_SKIP_STATISTICS: Final = 8  # RTEXT_FILTER_SKIP_STATS
_UP, _CARRIER = 0x1, 0x10000  # linux/if.h
_NO_ETHERNET: Final = 0x8 | 0x10 | 0x80  # IFF_LOOPBACK, IFF_POINTOPOINT, IFF_NOARP
_ETHERNET: Final = 1  # ARPHRD_ETHER


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
        while True:
            with suppress(NetlinkDumpInterrupted):  # something changed meanwhile
                links = [each async for each in await self._route.link("dump", ext_mask=_SKIP_STATISTICS)]
                addresses = [each async for each in await self._route.addr("dump", family=socket.AF_INET)]
                break
        assigned: dict[int, list[Assigned]] = {}
        for each in addresses:
            local, peer = each.get("local"), each.get("address")
            network = Network((peer or local, each["prefixlen"]), strict=False)
            assigned.setdefault(each["index"], []).append(Assigned(Address(local or peer), network))
        return Snapshot(tuple(_interface(link, tuple(assigned.get(link["index"], ()))) for link in links))

    async def add(self, interface: Interface, wanted: Assigned) -> None:
        """Add an address for one peer; it brings a route to this peer alone. No error if it is there.

        The scope is global: MASQUERADE skips others. Raises OSError and ``PermissionMissingError``.
        """
        await self._change("add", (errno.EEXIST,), interface.index, wanted)

    async def remove(self, interface: Interface, unwanted: Assigned) -> None:
        """Remove an address for one peer; no error if it, or its interface, is gone."""
        await self._change("delete", (errno.EADDRNOTAVAIL, errno.ENODEV), interface.index, unwanted)

    async def _change(self, command: str, harmless: tuple[int, ...], index: int, assigned: Assigned) -> None:
        local, peer = str(assigned.local), str(assigned.network[0])
        try:
            await self._route.addr(
                command, index=index, local=local, address=peer, prefixlen=32, family=socket.AF_INET
            )
        except NetlinkError as error:
            if error.code in (errno.EPERM, errno.EACCES):
                raise PermissionMissingError from None
            if error.code not in harmless:
                raise OSError(error.code, f"netlink: {command} {local}") from None

    def _note(self, changes: socket.socket) -> None:
        with suppress(OSError):  # nothing more, or there was more than fits: something changed, then
            while changes.recv(65536):
                pass
        self.changed.set()


def _interface(link: Any, assigned: tuple[Assigned, ...]) -> Interface:
    flags = link["flags"]
    return Interface(
        index=link["index"],
        name=link.get("ifname"),
        mac=bytes.fromhex((link.get("address") or "").replace(":", "")),
        up=bool(flags & _UP),
        carrier=bool(flags & _CARRIER),
        ethernet=link["ifi_type"] == _ETHERNET and not flags & _NO_ETHERNET,
        port=bool(link.get("master")),
        assigned=assigned,
    )
