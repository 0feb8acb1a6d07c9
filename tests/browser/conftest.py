"""A real Chromium, and a page in it that tolerates no complaint of the browser."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

ARTIFACTS: Final = Path(__file__).parents[2] / "artifacts"
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WIDE: Final = {"width": 1100, "height": 900}
PHONE: Final = {"width": 360, "height": 740}

_TELL_VIOLATIONS: Final = (
    "addEventListener('securitypolicyviolation', e => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`))"
)

Open = Callable[..., AbstractAsyncContextManager[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(require: Callable[[str], None]) -> AsyncIterator[Browser]:
    require("browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Open:
    """Return ``open_page(url, **context)``: a page of its own, which fails the test for any complaint at its end."""

    @asynccontextmanager
    async def opened(url: str, **options: Any) -> AsyncIterator[Page]:
        context = await chromium.new_context(**{"viewport": WIDE, "locale": "en-GB", **options})
        context.set_default_timeout(15_000)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if options.get("java_script_enabled", True):
            await page.add_init_script(_TELL_VIOLATIONS)
        await page.goto(url)
        yield page
        await context.close()
        assert complaints == []

    return opened


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot for people."""
    await page.screenshot(path=ARTIFACTS / f"status-{name}.png", full_page=True)
