"""Answers mDNS for ``smgw.local`` with addresses: ``python -m tests.network.responder ADDRESS…``, until killed."""

import asyncio
import ipaddress
import sys

from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf


async def respond(addresses: list[str]) -> None:
    """Respond for ever."""
    version = IPVersion.V6Only if ":" in addresses[0] else IPVersion.V4Only
    packed = [ipaddress.ip_address(each).packed for each in addresses]
    info = ServiceInfo("_https._tcp.local.", "smgw._https._tcp.local.", 443, addresses=packed, server="smgw.local.")
    async with AsyncZeroconf(ip_version=version) as responder:
        await responder.async_register_service(info)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(respond(sys.argv[1:]))
