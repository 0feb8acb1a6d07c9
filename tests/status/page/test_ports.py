"""The page inside Home Assistant shows the ports that the Supervisor names."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from smgw_proxy_addon.config.options import from_command_line
from smgw_proxy_addon.program.status_page import StatusPage
from smgw_proxy_addon.server.listeners import open_listeners
from tests.rig import proxy_for
from tests.status.test_supervisor import client, stand_in, user

UNSURE = "If you changed the app&#39;s port"
BUTTON = "Open the gateway&#39;s own page"


@pytest.mark.parametrize(
    ("ports", "shown", "hidden"),
    [
        ({"8080/tcp": 18080, "443/tcp": None}, (BUTTON, "http://pi.local:18080/"), (UNSURE,)),
        ({"8080/tcp": None, "443/tcp": None}, ("/cgi-bin/",), (UNSURE, BUTTON, "http://pi.local")),
        (None, (UNSURE, "http://pi.local"), (BUTTON, ":18080")),
    ],
)
async def test_the_host_s_port_is_named_to_clients_outside(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    ports: dict[str, int | None] | None,
    shown: tuple[str, ...],
    hidden: tuple[str, ...],
) -> None:
    caplog.set_level(logging.INFO)
    options = from_command_line({"target": "127.0.0.1:1", "port": 0, "bind": ["127.0.0.1"], "status_port": 0})
    listeners = await asyncio.to_thread(open_listeners, options)
    page = await asyncio.to_thread(lambda: StatusPage(options, listeners, ingress=True))
    port = listeners[0].port
    async with (
        stand_in() as told,
        client(told.url) as supervisor,
        proxy_for("127.0.0.1:1", tmp_path, supervisor=supervisor) as rig,
    ):
        # What the Supervisor calls the port is the container's.
        told.ports = ports and {name.replace("8080", str(port)): value for name, value in ports.items()}
        await page.start(rig.proxy)
        try:
            url = caplog.text.partition("Status page at ")[2].split()[0].replace("[::]", "127.0.0.1")
            async with httpx.AsyncClient(trust_env=False) as browser, asyncio.timeout(10):
                while True:
                    text = (await browser.get(f"{url}connect", headers={"X-Forwarded-Host": "pi.local:8123"})).text
                    if all(each in text for each in shown) and not any(each in text for each in hidden):
                        break
        finally:
            await page.stop()
            for each in listeners:
                each.socket.close()


async def test_home_assistant_says_who_may_see_the_gateway_s_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    accounts = [{"username": "demo", "password": "gateway"}]
    options = from_command_line(
        {"target": "127.0.0.1:1", "port": 0, "bind": ["127.0.0.1"], "status_port": 0, "accounts": accounts}
    )
    listeners = await asyncio.to_thread(open_listeners, options)
    page = await asyncio.to_thread(lambda: StatusPage(options, listeners, ingress=True))
    async with (
        stand_in() as told,
        client(told.url) as supervisor,
        proxy_for("127.0.0.1:1", tmp_path, accounts=accounts, supervisor=supervisor) as rig,
    ):
        told.users = [user("a", "system-admin"), user("b", "system-users")]
        await page.start(rig.proxy)
        try:
            url = caplog.text.partition("Status page at ")[2].split()[0].replace("[::]", "127.0.0.1")
            async with httpx.AsyncClient(trust_env=False) as browser:
                for name, shown in (("a", True), ("b", False), ("c", False)):
                    text = (await browser.get(f"{url}gateway", headers={"X-Remote-User-Id": name})).text
                    assert ("<iframe" in text) is shown
                    assert ("is for administrators" in text) is not shown
            assert told.sockets == 1
        finally:
            await page.stop()
            for each in listeners:
                each.socket.close()
