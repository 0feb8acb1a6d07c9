"""What SMGW Network found, on the proxy's page in a real browser: offered, malformed, gone, in both languages."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import expect

from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.page import actions
from tests.browser.conftest import PHONE, Open, picture
from tests.status.test_supervisor import client as client_of
from tests.status.test_supervisor import stand_in
from tests.status_rig import Ingress, status_for
from tests.suggested import RELAYED, THEBEN, write

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
REFRESH: Final = "document.dispatchEvent(new Event('visibilitychange'))"
BUTTON: Final = {"en-GB": "Use it", "de-DE": "Übernehmen"}
FOUND: Final = {"en-GB": "found a gateway by Theben at 192.168.1.200", "de-DE": "ein Gateway von Theben gefunden"}
DONE: Final = {"en-GB": "The app restarts now", "de-DE": "Die App startet jetzt neu"}


async def diagnose() -> list[Finding]:
    """Find no way to the gateway."""
    facts = {"gateway": "10.11.120.3", "add": "10.11.120.12", "netmask": "255.255.255.0", "network": "10.11.120.0/24"}
    host = {"interface": "end0", "kept": "192.168.1.5/24", "router": "192.168.1.1", "nameservers": "192.168.1.1"}
    return [
        Finding(Step.ADDRESS, False, "address_missing_app", {**facts, **host, "command": "ha network update end0 …"}),
        Finding(Step.TCP, False, "tcp_timeout", {"at": "10.11.120.3:443", "seconds": "10"}, 10.0),
        *(Finding(each, None, "not_tried") for each in (Step.TLS, Step.CERTIFICATE, Step.HTTP)),
    ]


@pytest.mark.parametrize("language", BUTTON)
async def test_a_new_proxy_is_set_up_with_one_button(
    tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setattr(actions, "RESTART_AFTER", 0.0)
    path = tmp_path / "gateways.json"
    async with (
        stand_in() as told,
        client_of(told.url) as supervisor,
        status_for("10.11.120.2", tmp_path, supervisor=supervisor, diagnose=diagnose, suggestions=path) as status,
        Ingress(status.url) as ingress,
        open_page(ingress.url, locale=language) as page,
    ):
        told.options = {"target": "10.11.120.2", "accounts": []}
        inside = page.frame_locator("iframe")
        heading, button = inside.get_by_role("heading", level=1), inside.get_by_role("button", name=BUTTON[language])
        await expect(heading).to_be_visible()
        await expect(button).to_have_count(0)
        write(path, THEBEN)
        await page.frames[-1].evaluate(REFRESH)  # it is found while the page is open
        await expect(heading).to_contain_text(FOUND[language])
        await button.click()
        await expect(inside.locator(".notice")).to_contain_text(DONE[language])
        await expect(button).to_have_count(0)
        assert told.options == {"target": "192.168.1.200", "accounts": []}
        notice, own = inside.locator(".notice"), page.frames[-1]
        await own.evaluate("void (window.fetch = () => Promise.reject(new Error('gone')))")
        await own.evaluate(REFRESH)
        await expect(inside.locator("#stale")).to_be_visible()
        await expect(notice).to_be_visible()
        await own.evaluate("void (window.fetch = () => Promise.resolve(new Response('')))")
        await own.evaluate(REFRESH)
        await expect(notice).to_have_count(0)  # the app is back: the page has loaded itself anew


async def test_one_that_vanishes_or_breaks_changes_nothing(tmp_path: Path, open_page: Open) -> None:
    path = write(tmp_path / "gateways.json", THEBEN)
    async with (
        stand_in() as told,
        client_of(told.url) as supervisor,
        status_for("10.11.120.2", tmp_path, supervisor=supervisor, diagnose=diagnose, suggestions=path) as status,
        Ingress(status.url) as ingress,
        open_page(ingress.page) as page,
    ):
        told.options = {"target": "10.11.120.2", "accounts": []}
        write(path)
        await page.get_by_role("button", name="Use it").click()
        await expect(page.locator(".notice")).to_contain_text("does not report this gateway any more")
        await expect(page.get_by_role("button", name="Use it")).to_have_count(0)
        write(path, THEBEN)
        await page.goto(ingress.page + "?language=de")
        path.write_text('{"version": 1, "gateways": [{"target": "<script>alert(1)</script>"}]}')
        await page.get_by_role("button", name="Übernehmen").click()
        await expect(page.locator(".notice")).to_contain_text("meldet dieses Gateway nicht mehr")
        await expect(page.locator("#verdict")).to_contain_text("ist nicht lesbar")
        await picture(page, "offer-broken-de")
        assert (told.options, told.restarts) == ({"target": "10.11.120.2", "accounts": []}, 0)


@pytest.mark.parametrize(
    ("name", "target", "given", "language", "scheme"),
    [
        ("new", "10.11.120.2", [THEBEN], "en-GB", "light"),
        ("several", "10.11.120.2", [THEBEN, RELAYED], "de-DE", "dark"),
        ("used", "10.11.120.3", [RELAYED], "en-GB", "light"),
        ("second", "192.168.1.200", [THEBEN, RELAYED], "en-GB", "dark"),
        ("missing", "10.11.120.3", None, "de-DE", "light"),
    ],
)
async def test_it_is_readable_on_a_phone(
    tmp_path: Path, open_page: Open, name: str, target: str, given: list[Any] | None, language: str, scheme: str
) -> None:
    path = tmp_path / "gateways.json"
    if given is not None:
        write(path, *given)
    async with (
        stand_in() as told,
        client_of(told.url) as supervisor,
        status_for(target, tmp_path, supervisor=supervisor, diagnose=diagnose, suggestions=path) as status,
        open_page(f"{status.url}/", viewport=PHONE, locale=language, color_scheme=scheme, bypass_csp=True) as page,
    ):
        if given is None:
            await page.goto(f"{status.url}/diagnosis")
            await page.locator("form[action=diagnose] button").click()
            await expect(page.locator("#diagnosis a.button")).to_be_visible()
        if name == "second":  # only for who looks for it
            await expect(page.get_by_role("button", name="Use it")).to_be_hidden()
            await page.locator("summary", has_text="found a gateway by EMH").click()
            await expect(page.get_by_role("button", name="Use it")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.add_script_tag(content=AXE)
        found: Any = await page.evaluate("tags => axe.run({ runOnly: tags })", TAGS)
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        await picture(page, f"offer-{name}-{language[:2]}-{scheme}")
