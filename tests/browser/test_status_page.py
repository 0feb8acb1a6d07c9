"""The status page in a real browser, behind a stand-in for Home Assistant's ingress."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import FrameLocator, Page, expect

from simulator.gateway import Simulator
from smgw_proxy_addon.status.history import Entry
from tests.browser.conftest import PHONE, Open, picture
from tests.status.page.test_server import TABS
from tests.status_rig import LOGIN, Ingress, Status, staged_diagnosis, status_for, utc_now

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The dark page differs in its colours alone.
RULES: Final[dict[str, tuple[str, ...]]] = {"light": (), "dark": ("color-contrast", "link-in-text-block")}
REFRESH: Final = "document.dispatchEvent(new Event('visibilitychange'))"


@dataclass
class House:
    """A gateway, the proxy before it, and Home Assistant."""

    sim: Simulator
    status: Status
    ingress: Ingress

    async def change_certificate(self) -> str:
        """Have the gateway show another certificate, and a client notice it."""
        fingerprint = await self.sim.rotate_certificate()
        self.sim.close_connections()
        await self.sim.wait_for_open(0)
        assert await self.status.ask() == 502
        return fingerprint


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    async with (
        Simulator() as sim,
        status_for(sim, folder, diagnose=staged_diagnosis) as status,
        Ingress(status.url) as ingress,
    ):
        live_a_day(status)
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(status.rig.http + "/smgw/m2m/demo.sm/json", json={"method": "smgw-info"}, auth=LOGIN)
        yield House(sim, status, ingress)


def live_a_day(status: Status) -> None:
    """Make a day of requests up, with answer times and some errors."""
    now = utc_now()
    for number in range(96, 0, -1):
        lost = number % 31 == 0
        status.recorder.history.add(
            Entry(
                at=now - timedelta(minutes=15 * number),
                client="172.30.32.1" if number % 3 else "192.168.178.40",
                method="POST",
                target="/smgw/m2m/demo.sm/json",
                status=502 if lost else 200,
                waiting=0.004,
                connecting=0 if number % 9 else 1.3,
                answering=0.4 + (number * 7 % 10) / 10,
                reused=bool(number % 9),
                code="gateway_connection_lost" if lost else None,
            )
        )


def frame(page: Page) -> FrameLocator:
    """The app's frame in Home Assistant."""
    return page.frame_locator("iframe")


def grouped(fingerprint: str) -> str:
    return " ".join(re.findall("....", fingerprint.upper()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
async def test_every_tab_renders_in_home_assistant_s_frame(
    tmp_path: Path, open_page: Open, language: str, scheme: str
) -> None:
    async with house(tmp_path) as home, open_page(home.ingress.url, locale=language, color_scheme=scheme) as page:
        inside = frame(page)
        for path, names in reversed(TABS.items()):
            await inside.locator(f'.tabs a[href="{path.removeprefix("/") or "./"}"]').click()
            for name in names:
                await expect(inside.locator(f"#{name}")).to_be_visible()
        await expect(inside.locator("html")).to_have_attribute("lang", language[:2])
        sentence = {"en": "It works.", "de": "Es funktioniert."}[language[:2]]
        await expect(inside.get_by_role("heading", level=1)).to_contain_text(sentence)
        await expect(inside.get_by_role("img", name=re.compile("0.4|0,4|1.3|1,3"))).to_be_visible()
        background = await inside.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        assert background == {"light": "rgb(250, 250, 250)", "dark": "rgb(17, 17, 17)"}[scheme]
        await page.goto(home.ingress.page)
        await picture(page, f"works-{language[:2]}-{scheme}")


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
async def test_nothing_is_wider_than_a_phone(tmp_path: Path, open_page: Open, language: str) -> None:
    async with house(tmp_path) as home:
        await home.change_certificate()
        async with open_page(home.ingress.page, locale=language, viewport=PHONE, has_touch=True) as page:
            for path in ("", "gateway", "connect", "diagnosis", "trust", "forget", "requests"):
                await page.goto(home.ingress.page + path)
                width = await page.evaluate("document.documentElement.scrollWidth")
                assert width <= PHONE["width"], path
                await picture(page, f"phone-{language[:2]}-{path or 'changed'}")


async def refused(page: Page, home: House) -> str:
    """Have the certificate change while the page is open; the page notices by itself."""
    await home.status.ask()
    shown = await home.change_certificate()
    await page.frames[-1].evaluate(REFRESH)
    return shown


async def test_a_changed_certificate_is_noticed_trusted_and_served(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home, open_page(home.ingress.url) as page:
        inside = frame(page)
        trusted = home.sim.fingerprint
        shown = await refused(page, home)
        await expect(inside.get_by_role("heading", level=1)).to_contain_text("another certificate than before")
        await expect(inside.locator("#certificate")).to_contain_text(grouped(trusted))
        await expect(inside.locator("#certificate")).to_contain_text(grouped(shown))
        await inside.get_by_role("button", name="Trust the new certificate").click()
        await expect(inside.get_by_role("heading", level=1)).to_have_text("Trust the new certificate?")
        await expect(inside.locator("main")).to_contain_text(grouped(shown))
        assert await home.status.ask() == 502
        await inside.get_by_role("button", name="Trust this certificate").click()
        await expect(inside.locator(".notice")).to_have_text("The new certificate is trusted now.")
        assert await home.status.ask() == 200
        await page.frames[-1].evaluate(REFRESH)
        await expect(inside.locator("#certificate")).to_contain_text("you trusted it")


async def test_to_keep_refusing_changes_nothing(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home:
        await home.change_certificate()
        async with open_page(home.ingress.url, locale="de-DE") as page:
            inside = frame(page)
            await inside.get_by_role("button", name="Weiter ablehnen").click()
            await expect(inside.locator(".notice")).to_contain_text("bleibt abgelehnt")
            await expect(inside.locator("#certificate")).to_contain_text("haben Sie entschieden")
        assert await home.status.ask() == 502


async def test_another_certificate_between_question_and_answer_is_not_trusted(
    tmp_path: Path, open_page: Open
) -> None:
    async with house(tmp_path) as home:
        await home.change_certificate()
        async with open_page(home.ingress.page) as page:
            await page.get_by_role("button", name="Trust the new certificate").click()
            await home.change_certificate()
            await page.get_by_role("button", name="Trust this certificate").click()
            await expect(page.locator(".notice")).to_contain_text("yet another certificate")
        assert await home.status.ask() == 502


async def tab_to(page: Page, name: str) -> None:
    """Go forward by Tab until the focus is on the control with this text."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        focused = await page.evaluate("document.activeElement.textContent.trim()")
        if focused == name:
            shown = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert shown == "solid"  # the focus can be seen
            return
    pytest.fail(f"{name} cannot be reached")


async def test_the_keyboard_alone_does_it(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home:
        await home.change_certificate()
        async with open_page(home.ingress.page) as page:
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")  # the link that skips to the content
            assert await page.evaluate("document.activeElement.id") == "content"
            await tab_to(page, "Trust the new certificate…")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", level=1)).to_have_text("Trust the new certificate?")
            await tab_to(page, "Trust this certificate")
            await page.keyboard.press("Enter")
            await expect(page.locator(".notice")).to_be_visible()
        assert await home.status.ask() == 200


async def test_without_javascript_it_works_all_the_same(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home:
        shown = await home.change_certificate()
        async with open_page(home.ingress.url, java_script_enabled=False) as page:
            inside = frame(page)
            await inside.get_by_role("link", name="Deutsch").click()
            await expect(inside.get_by_role("heading", level=1)).to_contain_text("anderes Zertifikat")
            await expect(inside.get_by_role("button", name="Kopieren")).to_have_count(0)
            await inside.get_by_role("link", name="Diagnose", exact=True).click()
            await inside.get_by_role("button", name="Diagnose starten").click()
            await expect(inside.locator("#diagnosis")).to_contain_text("prüfen Sie das Kabel")
            await inside.get_by_role("link", name="Übersicht").click()
            await inside.get_by_role("button", name="Dem neuen Zertifikat vertrauen").click()
            await expect(inside.locator("main")).to_contain_text(grouped(shown))
            await inside.get_by_role("button", name="Diesem Zertifikat vertrauen").click()
            await expect(inside.locator(".notice")).to_have_text("Dem neuen Zertifikat wird jetzt vertraut.")
            assert await home.status.ask() == 200
            await inside.get_by_role("link", name="Diagnose", exact=True).click()
            await inside.get_by_role("link", name="Die letzten 200 Anfragen").click()
            await expect(inside.locator("tbody tr")).to_have_count(len(home.status.recorder.history.entries()))
            await inside.get_by_role("link", name="Zurück zur Übersicht").click()
            await inside.get_by_role("link", name="Vergessen").click()
            await inside.get_by_role("button", name="Dieses Zertifikat vergessen").click()
            await expect(inside.locator(".notice")).to_contain_text("vergessen")
            await expect(inside.locator("#certificate")).to_contain_text("Noch ist kein Zertifikat bekannt")


async def test_live_parts_leave_alone_what_is_in_use_and_say_when_they_are_stale(
    tmp_path: Path, open_page: Open
) -> None:
    async with house(tmp_path) as home, open_page(home.ingress.page + "diagnosis") as page:
        await page.get_by_role("link", name="Show the last").focus()
        before = await page.locator("#requests tbody").inner_text()
        await home.status.ask()
        async with page.expect_response("**/live"):
            await page.evaluate(REFRESH)
        await expect(page.get_by_role("link", name="Show the last")).to_be_focused()
        assert await page.locator("#requests tbody").inner_text() == before
        await page.evaluate("document.activeElement.blur()")
        await page.evaluate(REFRESH)
        await expect(page.locator("#requests tbody tr").first).to_contain_text("/sim/status/200")
        await page.get_by_role("link", name="Connect").click()
        await page.get_by_text("Gateways of other makes").click()
        await page.evaluate("document.activeElement.blur()")
        async with page.expect_response("**/live"):
            await page.evaluate(REFRESH)
        await expect(page.get_by_text("ha-ppc-smgw, EMH gateway")).to_be_visible()  # still unfolded


async def test_the_chart_says_its_values_to_pointer_and_keyboard(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home, open_page(home.ingress.page) as page:
        reading = page.locator(".reading")
        await expect(reading).to_contain_text("Point at a bar")
        await page.locator("rect.hit").nth(3).hover()
        await expect(reading).to_have_text(re.compile(r"^\d\d:\d\d: 1 requests, mean answer time .*, failed [01]$"))
        await page.locator(".chart svg").focus()
        pointed = await reading.inner_text()
        await page.keyboard.press("ArrowRight")
        await expect(reading).not_to_have_text(pointed)
        await page.keyboard.press("ArrowLeft")
        await expect(reading).to_have_text(pointed)


async def test_nothing_moves_when_the_page_refreshes(tmp_path: Path, open_page: Open) -> None:
    places = "[...document.querySelectorAll('section')].map(each => JSON.stringify(each.getBoundingClientRect()))"
    async with house(tmp_path) as home:
        for tab in ("", "connect", "diagnosis"):
            async with open_page(home.ingress.page + tab) as page:
                before = await page.evaluate(places)
                async with page.expect_response("**/live"):
                    await page.evaluate(REFRESH)
                await page.evaluate("new Promise(requestAnimationFrame)")
                assert await page.evaluate(places) == before


async def test_a_proxy_that_is_gone_is_said(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home, open_page(home.ingress.page) as page:
        stale = page.locator("#stale")
        await expect(stale).to_be_hidden()
        await page.evaluate("void (window.fetch = () => Promise.reject(new Error('gone')))")
        await page.evaluate(REFRESH)
        await expect(stale).to_contain_text("does not answer")
        await page.evaluate("void (window.fetch = () => Promise.resolve(new Response('')))")
        await page.evaluate(REFRESH)
        await expect(stale).to_be_hidden()


async def test_addresses_can_be_copied(tmp_path: Path, open_page: Open) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    async with house(tmp_path) as home, open_page(f"{home.ingress.page}connect", permissions=permissions) as page:
        copy = page.get_by_role("button", name="Copy: http://local-smgw-proxy:8080/smgw/m2m/demo.sm/json").first
        await copy.click()
        await expect(page.get_by_text("Copied")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == (
            "http://local-smgw-proxy:8080/smgw/m2m/demo.sm/json"
        )


async def test_the_bundle_is_a_file(tmp_path: Path, open_page: Open) -> None:
    async with house(tmp_path) as home, open_page(f"{home.ingress.page}diagnosis") as page:
        async with page.expect_download() as expected:
            await page.get_by_role("link", name="Download a diagnosis file").click()
        download = await expected.value
        assert re.fullmatch(r"smgw-proxy-diagnosis-\d{4}-\d\d-\d\d\.txt", download.suggested_filename)


async def violations(page: Page, *rules: str) -> list[dict[str, Any]]:
    """Let axe-core look at the page, with all its rules for WCAG 2.2 AA and good practice or only some."""
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
    await page.evaluate(AXE)
    result = await page.evaluate("only => axe.run({runOnly: only, resultTypes: ['violations']})", only)
    return [
        {"id": each["id"], "nodes": [node["html"][:200] for node in each["nodes"]]} for each in result["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_has_nothing_to_say(tmp_path: Path, open_page: Open, scheme: str) -> None:
    rules = RULES[scheme]
    async with house(tmp_path) as home:
        async with open_page(f"{home.ingress.page}diagnosis", color_scheme=scheme) as page:
            await page.get_by_role("button", name="Run the diagnosis").click()
            await expect(page.locator("#diagnosis li")).to_have_count(4)
            assert await violations(page, *rules) == []
            await picture(page, f"diagnosis-en-{scheme}")
            await page.get_by_role("link", name="Connect").click()
            await page.get_by_text("Gateways of other makes").click()
            assert await violations(page, *rules) == []
        await home.change_certificate()
        async with open_page(home.ingress.page, color_scheme=scheme, locale="de-DE") as page:
            for path in ("?notice=kept", "gateway", "trust", "forget", "requests"):
                await page.goto(home.ingress.page + path)
                assert await violations(page, *rules) == []
                await picture(page, f"{path.replace('?notice=kept', 'changed')}-de-{scheme}")


async def test_axe_has_nothing_to_say_about_a_new_proxy(tmp_path: Path, open_page: Open) -> None:
    async with (
        status_for("127.0.0.1:1", tmp_path, diagnose=staged_diagnosis) as status,
        Ingress(status.url) as ingress,
        open_page(ingress.page) as page,
    ):
        assert await violations(page) == []
        await picture(page, "new-en-light")
