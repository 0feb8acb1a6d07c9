"""Pictures of the app's page, of a simulated gateway and a day that is made up."""

import argparse
import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, async_playwright

from simulator.gateway import Simulator
from tests.browser.conftest import ARTIFACTS, FLAGS, PHONE, WIDE
from tests.browser.test_status_page import live_a_day
from tests.status_rig import USER, Ingress, staged_diagnosis, status_for

FOLDER: Final = ARTIFACTS / "screenshots"
IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
TABS: Final = {"overview": "./", "gateway": "gateway", "connect": "connect", "diagnosis": "diagnosis"}
DOCS: Final = {
    "overview.png": "overview-en-light-desktop.png",
    "gateway-page.png": "gateway-en-light-desktop.png",
    "gateway-page-phone.png": "gateway-en-dark-phone.png",
}
"""The pictures of the documentation, by their names there."""
ACCOUNTS: Final = [{"username": "demo", "password": "gateway"}]


async def _take(browser: Browser, url: str, language: str, scheme: str, device: str) -> None:
    """Take the pictures of all tabs."""
    context = await browser.new_context(
        viewport=PHONE if device == "phone" else WIDE,
        locale={"en": "en-GB", "de": "de-DE"}[language],
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = await context.new_page()
    await page.goto(url.removesuffix("/").rpartition("/api/")[0])  # Home Assistant's page sets the session's cookie
    for name, path in TABS.items():
        await page.goto(url + path)
        if name == "gateway":
            await _show_readings(page)
        await page.screenshot(path=FOLDER / f"{name}-{language}-{scheme}-{device}.png", full_page=name != "overview")
    await context.close()


async def _show_readings(page: Page) -> None:
    """Go to the gateway's readings, and log out first in case of an older session."""
    inside = page.frame_locator("#gateway-frame")
    await inside.locator("#button_menu_zaehler").click()
    await inside.locator("#form_meterform_button_zaehlerprofil").click()
    await inside.locator("#table_metervalues_col_wert").first.wait_for()


async def _main(*, docs: bool) -> None:
    await asyncio.to_thread(FOLDER.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Simulator(vendor="ppc") as sim,
            status_for(sim, Path(folder), diagnose=staged_diagnosis, accounts=ACCOUNTS) as status,
            Ingress(status.url, USER) as ingress,
            async_playwright() as playwright,
        ):
            await status.ask()
            live_a_day(status)
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            page = await browser.new_page()
            await page.goto(ingress.url)
            await page.goto(ingress.page + "diagnosis")
            await page.locator("form[action=diagnose] button").click()
            await page.locator(".checks").wait_for()
            for language, scheme, device in itertools.product(("en", "de"), ("light", "dark"), ("desktop", "phone")):
                await _take(browser, ingress.page, language, scheme, device)
            await browser.close()
    if docs:
        await asyncio.to_thread(IMAGES.mkdir, exist_ok=True)
        for name, picture in DOCS.items():
            await asyncio.to_thread(shutil.copy, FOLDER / picture, IMAGES / name)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="script/screenshots", description=__doc__)
    parser.add_argument("--docs", action="store_true", help="replace the pictures of the documentation, too")
    asyncio.run(_main(docs=parser.parse_args().docs))


if __name__ == "__main__":
    main()
