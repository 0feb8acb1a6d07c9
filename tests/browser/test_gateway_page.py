"""The gateway's own page in a real browser, inside of Home Assistant's frame and behind its ingress."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Dialog, FrameLocator, Page, expect

from simulator.gateway import Simulator
from tests.browser.conftest import PHONE, Open, picture
from tests.browser.test_status_page import violations
from tests.status_rig import PREFIX, USER, Ingress, Status, status_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

ACCOUNTS: Final = [{"username": "demo", "password": "gateway"}]
SECRETS: Final = re.compile(
    rb"set-cookie': '(?!smgw_)|www-authenticate|nonce=|session=[0-9a-f]{32}|x-frame-options", re.IGNORECASE
)


@dataclass
class House:
    """A gateway, the proxy before it, and Home Assistant."""

    sim: Simulator
    status: Status
    ingress: Ingress


@asynccontextmanager
async def house(folder: Path, vendor: str, **options: Any) -> AsyncIterator[House]:
    """Run a house, and look at its end at all that the browser asked and got."""
    async with (
        Simulator(vendor=vendor) as sim,
        status_for(sim, folder, accounts=ACCOUNTS, **options) as status,
        Ingress(status.url, USER) as ingress,
    ):
        await status.ask()  # the certificate tells the make
        yield House(sim, status, ingress)
        for _, path, code in ingress.seen:
            assert path.startswith(PREFIX + "/"), path
            assert code < 400, path
        assert not SECRETS.search(ingress.sent)


async def open_tab(page: Page) -> FrameLocator:
    """Go to the tab from Home Assistant's page; returns the gateway's page."""
    app = page.frame_locator("iframe")
    await app.get_by_role("link", name="Gateway's page").click()
    return app.frame_locator("#gateway-frame")


@pytest.mark.parametrize("viewport", [{"width": 1100, "height": 900}, PHONE])
async def test_ppc_is_used_from_the_first_click_to_the_last(
    tmp_path: Path, open_page: Open, viewport: dict[str, int]
) -> None:
    async with house(tmp_path, "ppc") as home, open_page(home.ingress.url, viewport=viewport) as page:
        inside = await open_tab(page)
        await expect(inside.locator("h1")).to_have_text("Willkommen")
        await picture(page, "gateway-ppc")
        await inside.locator("#button_menu_zaehler").click()
        await inside.locator("#meterform_select_meter").select_option(index=0)
        await inside.locator("#form_meterform_button_zaehlerprofil").click()
        await expect(inside.locator("#table_metervalues_col_wert").first).to_be_visible()
        asked = len(home.sim.records)
        await page.frame_locator("iframe").get_by_role("button", name="Back").click()
        await expect(inside.locator("#table_metervalues_col_wert")).to_have_count(0)
        await expect(inside.locator("#meterform_select_meter")).to_be_visible()
        await page.frame_locator("iframe").locator("body").evaluate("() => history.forward()")
        await expect(inside.locator("#table_metervalues_col_wert").first).to_be_visible()
        assert len(home.sim.records) == asked  # nothing was sent again
        async with page.expect_download() as expected:
            await inside.locator("#button_export").click()
        download = await expected.value
        assert download.suggested_filename == "export.xml.p7m"
        await inside.locator("#button_logout").click()
        await expect(inside.get_by_text("Sie sind abgemeldet.")).to_be_visible()
        assert (home.sim.device.sessions_opened, home.sim.device.sessions_ended) == (1, 1)


async def test_theben_is_used_with_its_scripts_and_asks_before_it_restarts(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path, "theben") as home, open_page(home.ingress.url) as page:
        inside = await open_tab(page)
        await expect(inside.locator("h1")).to_contain_text("Theben Conexa")
        loaded = await inside.locator("img").evaluate("image => image.src + image.naturalWidth")
        assert re.fullmatch(r"data:image/png;base64,.*1", loaded)
        assert "data:image/png" in await inside.locator("body").evaluate(
            "body => getComputedStyle(body).backgroundImage"
        )
        await inside.get_by_role("button", name="Status").click()
        await expect(inside.locator("#shown")).to_contain_text('"method": "smgw-info"')
        await inside.get_by_role("button", name="Benutzer").click()
        await expect(inside.locator("#shown")).to_contain_text('"method": "user-info"')
        asked: list[str] = []
        for answer, restarts in ((False, 0), (True, 1)):
            page.once("dialog", partial(decide, asked=asked, yes=answer))
            await inside.get_by_role("button", name="Selbsttest").click()
            await expect(inside.locator("#shown")).to_contain_text("self-test" if answer else "Fehler 403")
            assert home.sim.restarts == restarts
        assert asked == ["This restarts the gateway. It can take minutes until it answers again."] * 2
        await inside.get_by_role("button", name="Neu laden").click()
        await expect(inside.locator("#shown")).to_be_empty()
        assert sum(record.path == b"/files/logo.png" for record in home.sim.records if record.authorized) == 1


async def decide(dialog: Dialog, *, asked: list[str], yes: bool) -> None:
    asked.append(dialog.message)
    await (dialog.accept() if yes else dialog.dismiss())


async def test_emh_is_used_and_back_goes_back(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path, "emh") as home, open_page(home.ingress.url, viewport=PHONE) as page:
        inside = await open_tab(page)
        back = page.frame_locator("iframe").get_by_role("button", name="Back")
        for link, shown in (("Zähler", "1emh0012345678"), ("Werte", "logical_name"), ("Verträge", "taf7-1")):
            await inside.get_by_role("link", name=link).click()
            await expect(inside.locator("body")).to_contain_text(shown)
            await back.click()
            await expect(inside.locator("h1")).to_contain_text("EMH CASA")
        assert home.sim.records[-1].authorized
        await page.goto(home.ingress.page + "gateway")
        await expect(page.frame_locator("#gateway-frame").locator("h1")).to_be_visible()
        assert await violations(page) == []


async def test_ppc_s_self_test_is_asked_about_on_a_page(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path, "ppc") as home, open_page(home.ingress.url) as page:
        inside = await open_tab(page)
        await inside.locator("#button_selftest").click()
        await expect(inside.locator("h1")).to_have_text("Restart the gateway?")
        assert home.sim.restarts == 0
        await inside.get_by_role("button", name="Restart it").click()
        await expect(inside.get_by_text("Sie sind abgemeldet.")).to_be_visible()
        assert home.sim.restarts == 1


ATTACKS: Final = """async () => {
  const outcomes = {};
  const attempt = async (name, action) => {
    try { outcomes[name] = String(await action()).slice(0, 80); } catch (error) { outcomes[name] = error.name; }
  };
  const other = location.origin + '/api/hassio_ingress/other/';
  const untouched = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');
  const ask = (url, method = 'GET') => new Promise(done => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => done(data.error ? 'refused' : data.status);
    parent.postMessage({ kind: 'ask', url, method, headers: [], body: null }, '*', [port2]);
  });
  await attempt('parent', () => parent.document.title);
  await attempt('top', () => { top.location = location.origin + '/lovelace'; return 'went'; });
  await attempt('cookie', () => untouched.get.call(document));
  await attempt('storage', () => indexedDB.open('x') && 'opened');
  await attempt('beacon', () => navigator.sendBeacon(other, 'x'));
  await attempt('image', () => new Promise((done, failed) => {
    const image = new Image(); image.onload = done; image.onerror = () => failed(new TypeError()); image.src = other;
  }));
  await attempt('socket', () => new Promise((done, failed) => {
    const socket = new WebSocket(other.replace('http', 'ws'));
    socket.onopen = done; socket.onerror = () => failed(new TypeError());
  }));
  await attempt('popup', () => Window.prototype.open?.call(window, other));
  await attempt('other ingress', () => ask(other));
  await attempt('dots', () => ask(location.href.replace(/\\/[^/]*$/, '/') + '../../../../%2e%2e/other/'));
  const here = new URL('.', location.href).href;
  for (const away of ['..%2f..%2fforget', 'x/%2E%2e%5C..%252f%252e./forget', '..%2F..']) {
    await attempt(away, () => ask(here + away));
  }
  await attempt('status page', () => ask(new URL('../../forget', location.href).href));
  await attempt('Home Assistant', () => ask(location.origin + '/api/config'));
  await attempt('elsewhere', () => ask('https://example.org/'));
  await attempt('method', () => ask(location.href, 'DELETE'));
  return outcomes;
}"""


async def test_a_hostile_page_reaches_nothing_but_its_gateway(tmp_path: Path, chromium: Browser) -> None:
    async with house(tmp_path, "theben") as home:
        page = await chromium.new_page()
        await page.goto(home.ingress.url)
        inside = await open_tab(page)
        await expect(inside.locator("h1")).to_contain_text("Theben Conexa")
        (frame,) = [each for each in page.frames if each.name == "gateway-frame"]
        outcomes = await frame.evaluate(ATTACKS)
        blocked = dict.fromkeys(("parent", "top", "cookie", "storage"), "SecurityError")
        blocked |= dict.fromkeys(("image", "socket"), "TypeError")
        refused = ["other ingress", "dots", "status page", "Home Assistant", "elsewhere", "method"]
        refused += ["..%2f..%2fforget", "x/%2E%2e%5C..%252f%252e./forget", "..%2F.."]
        assert outcomes.pop("beacon") in ("true", "false")  # the policy is not said
        assert outcomes.pop("popup") in ("null", "undefined")
        assert outcomes == blocked | dict.fromkeys(refused, "refused")
        await frame.evaluate("window.name = 'other'")
        asked = len(home.sim.records)
        await frame.evaluate(
            "parent.postMessage({ kind: 'go', url: location.href, post: { fields: [], enctype: '' } }, '*')"
        )
        async with page.expect_event("framenavigated"):
            await page.frame_locator("iframe").get_by_role("link", name="First page").click()
        assert [each.method for each in home.sim.records[asked:] if each.path == b"/"] == ["GET"]  # no form was sent
        assert len(page.context.pages) == 1  # and nothing is in a window of its own
        for away in ("https://example.org/", f"{home.ingress.url}/api/hassio_ingress/other/"):
            async with page.expect_event("framenavigated"):  # to the browser's page that says it is blocked
                await frame.evaluate("url => { location.href = url; }", away)
        assert page.url == f"{home.ingress.url}/"
        await page.close()
