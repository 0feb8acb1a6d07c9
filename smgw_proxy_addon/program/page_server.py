"""Makes what serves the status page. Imported when somebody opens it: aiohttp and Jinja2 take 0.15 s and 15 MB."""

import asyncio
import time
from collections.abc import Callable, Sequence

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.program.wiring import Proxy
from smgw_proxy_addon.status.gateway_page.asking import GatewayAsker
from smgw_proxy_addon.status.gateway_page.serving import GatewayPage, read_bridge
from smgw_proxy_addon.status.gateway_page.users import Users
from smgw_proxy_addon.status.page.actions import Actions
from smgw_proxy_addon.status.page.guides import ProxyAddress
from smgw_proxy_addon.status.page.pages import Pages
from smgw_proxy_addon.status.page.recorder import LogBuffer
from smgw_proxy_addon.status.page.security import Guard
from smgw_proxy_addon.status.page.server import StatusServer
from smgw_proxy_addon.status.page.state import Reader
from smgw_proxy_addon.status.supervisor import Supervisor


async def make_server(
    reader: Reader,
    actions: Actions,
    guard: Guard,
    *,
    proxy: Proxy,
    options: Options,
    supervisor: Supervisor | None,
    log: LogBuffer,
    addresses: Callable[[], Sequence[ProxyAddress]],
) -> StatusServer:
    """Make it; with a ``supervisor`` (Home Assistant shows the page) also what serves the gateway's own page."""
    return StatusServer(
        await asyncio.to_thread(Pages),
        reader,
        actions,
        guard,
        options=options,
        log=log,
        addresses=addresses,
        gateway_page=await _gateway_page(options, proxy, supervisor) if supervisor else None,
    )


async def _gateway_page(options: Options, proxy: Proxy, supervisor: Supervisor) -> GatewayPage | None:
    """Make what serves the gateway's own page: with accounts only, since the proxy logs in."""
    if proxy.login_once is None:
        return None
    users = Users(supervisor.fetch_admins, time.monotonic, everyone=options.gateway_page_for_all)
    asker = GatewayAsker(proxy.login_once, proxy.host.encode(), proxy.names, proxy.report)
    return GatewayPage(asker, users, await asyncio.to_thread(read_bridge), len(options.accounts))
