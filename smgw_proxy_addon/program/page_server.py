"""Makes what serves the status page. Imported when somebody opens it: aiohttp and Jinja2 take 0.15 s and 15 MB."""

import asyncio
import time
from typing import TYPE_CHECKING

from smgw_proxy_addon.program.wiring import Proxy
from smgw_proxy_addon.status.gateway_page.asking import GatewayAsker
from smgw_proxy_addon.status.gateway_page.serving import GatewayPage, read_bridge
from smgw_proxy_addon.status.gateway_page.users import Users
from smgw_proxy_addon.status.page.pages import Pages
from smgw_proxy_addon.status.page.server import StatusServer

if TYPE_CHECKING:
    from smgw_proxy_addon.program.status_page import StatusPage


async def make_server(page: "StatusPage", proxy: Proxy) -> StatusServer:
    """Make it for a page that was started."""
    return StatusServer(
        await asyncio.to_thread(Pages),
        page.reader,
        page.actions,
        page.guard,
        options=proxy.options,
        log=page.log,
        addresses=lambda: page.addresses,
        gateway_page=await _gateway_page(proxy) if page.ingress else None,
    )


async def _gateway_page(proxy: Proxy) -> GatewayPage | None:
    """Make what serves the gateway's own page: with accounts only, since the proxy logs in."""
    supervisor = proxy.environment.supervisor
    if proxy.login_once is None or supervisor is None:
        return None
    users = Users(supervisor.fetch_admins, time.monotonic, everyone=proxy.options.gateway_page_for_all)
    asker = GatewayAsker(proxy.login_once, proxy.host.encode(), proxy.names, proxy.report)
    return GatewayPage(asker, users, await asyncio.to_thread(read_bridge), len(proxy.options.accounts))
