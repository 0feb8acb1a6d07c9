"""The page of SMGW Network in a real browser, in both languages and on a phone."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.resources import files
from typing import Any, Final

import pytest
from playwright.async_api import expect

from smgw_network_addon.gateways import Trouble, Way
from smgw_network_addon.page import Page, View
from tests.browser.conftest import PHONE, Open, picture
from tests.network.test_page import REACHED, gateway

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(60),
    pytest.mark.asyncio(loop_scope="module"),
]

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TROUBLED: Final = replace(
    REACHED, gateways=[gateway(way=Way.RELAY, port=18443), gateway(way=Way.NONE, trouble=Trouble.AT_HOME)]
)
VIEWS: Final = {
    "reached": REACHED,
    "troubled": TROUBLED,
    "nothing": replace(REACHED, gateways=[], trouble=Trouble.NOTHING_ANSWERS),
    "searching": replace(REACHED, gateways=[], searching=True),
}


class Served:
    """A page whose view can be changed."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.pressed = 0
        self.url = ""

    def press(self) -> None:
        """Count a press of the button."""
        self.pressed += 1


@asynccontextmanager
async def served(view: View) -> AsyncIterator[Served]:
    made = Served(view)
    page = Page(lambda: made.view, made.press, "127.0.0.1")
    listening = socket.create_server(("127.0.0.1", 0))
    await page.start(listening)
    made.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    yield made
    await page.stop()


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_state_is_readable_on_a_phone(open_page: Open, scheme: str, language: str) -> None:
    async with (
        served(REACHED) as made,
        open_page(made.url, viewport=PHONE, locale=language, color_scheme=scheme, bypass_csp=True) as page,
    ):
        for name, made.view in VIEWS.items():
            await page.reload()
            await expect(page.locator("html")).to_have_attribute("lang", language[:2])
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            await page.add_script_tag(content=AXE)
            found: Any = await page.evaluate("tags => axe.run({ runOnly: tags })", TAGS)
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == [], (
                name
            )
            await picture(page, f"network-{name}-{language[:2]}-{scheme}")


async def test_it_follows_by_itself_and_its_button_works(open_page: Open) -> None:
    async with served(VIEWS["searching"]) as made, open_page(made.url) as page:
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Looking for a gateway")
        made.view = REACHED
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Everything is set up")
        await page.get_by_role("button", name="Search again").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Everything is set up")
        assert made.pressed == 1
        await page.get_by_role("link", name="Deutsch").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Alles ist eingerichtet")
