"""A gateway that refuses every browser is read by one through the proxy."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Error, expect

from simulator.gateway import Simulator
from tests.browser.conftest import picture
from tests.rig import proxy_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]


async def test_a_browser_reads_a_sagemcom_through_the_proxy_only(tmp_path: Path, chromium: Browser) -> None:
    async with Simulator(vendor="sagemcom") as sim, proxy_for(sim, tmp_path) as rig:
        context = await chromium.new_context(
            ignore_https_errors=True, http_credentials={"username": sim.user, "password": sim.password}
        )
        direct = await context.new_page()
        with pytest.raises(Error, match="ERR_SSL"):
            await direct.goto(sim.url)
        await direct.close()
        refused = sim.journal.refused_hellos
        assert refused
        page = await context.new_page()
        await page.goto(rig.http)
        await expect(page.get_by_role("heading", name="Sagemcom SMARTY IQ (Simulator)")).to_be_visible()
        await page.get_by_role("button", name="Werte").click()
        await expect(page.locator("#shown")).to_contain_text("registers")
        assert sim.journal.refused_hellos == refused + 1, "the proxy's own first one"
        await picture(page, "sagemcom")
        await context.close()
