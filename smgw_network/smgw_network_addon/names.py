"""A gateway's name asked for by mDNS, for a few seconds.

The library listens only while the question is open: what else a home announces costs nothing in between.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from zeroconf import AddressResolverIPv4, AddressResolverIPv6, DNSAddress, IPVersion
from zeroconf.asyncio import AsyncZeroconf

from smgw_network_addon.addresses import NAME, Address

PATIENCE: Final = 3.0
"""Seconds; a gateway was seen to answer within 0.3."""
_FURTHER: Final = 0.5
"""Seconds in which a second gateway may answer, too."""
_WITH_IPV6: Final = Path("/proc/net/if_inet6")

logging.getLogger("zeroconf").setLevel(logging.ERROR)  # an address that is being checked is no news


async def resolve(names: Sequence[str], own: Sequence[Address]) -> tuple[set[Address], set[str]]:
    """Ask for ``smgw.local`` on interfaces, which have these IPv4 addresses.

    Returns IPv4 addresses, and link-local IPv6 addresses with their interface (``fe80::1%eth0``).
    """
    with_ipv6 = {line.split()[-1] for line in (await asyncio.to_thread(_WITH_IPV6.read_text)).splitlines()}
    indexes = [socket.if_nametoindex(name) for name in names if name in with_ipv6]
    answers = await asyncio.gather(
        _ask([str(each) for each in own], IPVersion.V4Only), _ask(indexes, IPVersion.V6Only), return_exceptions=True
    )
    found4: set[Address] = set()
    found6: set[str] = set()
    for record in (record for answer in answers if not isinstance(answer, BaseException) for record in answer):
        address = ipaddress.ip_address(record.address)
        if isinstance(address, Address):
            found4.add(address)
        elif address.is_link_local and record.scope_id:
            zone = socket.if_indextoname(record.scope_id)
            found6 |= {f"{ipaddress.IPv6Address(int(address))}%{zone}"} if zone in names else set()
    return found4, found6


async def _ask(interfaces: Sequence[str | int], version: IPVersion) -> list[DNSAddress]:
    if not interfaces:
        return []
    resolver = AddressResolverIPv4 if version is IPVersion.V4Only else AddressResolverIPv6
    async with AsyncZeroconf(interfaces=list(interfaces), ip_version=version) as responder:
        if await resolver(f"{NAME}.").async_request(responder.zeroconf, PATIENCE * 1000):
            await asyncio.sleep(_FURTHER)
        records = responder.zeroconf.cache.entries_with_name(f"{NAME}.")
        return [record for record in records if isinstance(record, DNSAddress)]
