"""The button that makes a gateway the target that SMGW Network found."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.page import actions
from smgw_proxy_addon.status.suggestions import STORE_LINK
from smgw_proxy_addon.trust.policy import Certificate
from smgw_proxy_addon.trust.store import TrustStore
from tests.status.page.test_server import text_of, token_of, visitor
from tests.status.test_supervisor import StandIn, stand_in
from tests.status.test_supervisor import client as client_of
from tests.status_rig import status_for, utc_now
from tests.suggested import RELAYED, THEBEN, write

BUTTON: Final = 'action="use"'
LINK: Final = STORE_LINK.replace("&", "&amp;")
GERMAN: Final = {"Accept-Language": "de"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "RESTART_AFTER", 0.0)


def form_of(token: str, gateway: Mapping[str, object]) -> dict[str, str]:
    way = f"{gateway['host']} via {gateway['target']}" if gateway["way"] == "relay" else str(gateway["target"])
    return {"token": token, "target": way, "fingerprint": str(gateway["fingerprint"])}


def status_line(given: Sequence[Mapping[str, object]]) -> str:
    return ", ".join(f"{form_of('', each)['target']} ({each['way']})" for each in given)


@asynccontextmanager
async def app_page(folder: Path, gateway: Mapping[str, object]) -> AsyncIterator[tuple[StandIn, httpx.AsyncClient]]:
    """Run the page of an app, before a Supervisor's stand-in, with a gateway that SMGW Network found."""
    path = write(folder / "gateways.json", gateway)
    async with (
        stand_in() as told,
        client_of(told.url) as supervisor,
        status_for("127.0.0.1:1", folder, supervisor=supervisor, suggestions=path) as status,
        visitor(status) as browser,
    ):
        told.options = {"target": "127.0.0.1:1", "accounts": []}
        yield told, browser


@pytest.mark.parametrize("gateway", [THEBEN, RELAYED], ids=["peer", "relay"])
async def test_the_button_sets_the_option_and_restarts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, gateway: Mapping[str, object]
) -> None:
    caplog.set_level(logging.WARNING)
    async with app_page(tmp_path, gateway) as (told, browser):
        form = form_of(await token_of(browser), gateway)
        assert BUTTON in (await browser.get("/")).text
        assert (await browser.post("/use", data={**form, "token": "wrong"})).status_code == 403
        assert told.options == {"target": "127.0.0.1:1", "accounts": []}
        done = await browser.post("/use", data=form)
        assert (done.status_code, done.headers["Location"]) == (303, "./?notice=target_set")
        assert told.options == {"target": form["target"], "accounts": []}
        after = (await browser.get("/?notice=target_set")).text
        assert "The app restarts now" in text_of(after)
        assert BUTTON not in after
        assert f"The option target was set to {form['target']} on the status page" in caplog.text
        assert not list((tmp_path / "certs").glob("*.json"))  # no certificate was touched


async def test_what_has_changed_since_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "gateways.json"
    async with app_page(tmp_path, THEBEN) as (told, browser):
        form = form_of(await token_of(browser), THEBEN)

        async def refused(given: dict[str, str]) -> bool:
            answer = await browser.post("/use", data=given)
            return answer.headers["Location"] == "./?notice=offer_gone"

        assert await refused({**form, "target": "192.168.1.201"})
        assert await refused({"token": form["token"]})
        write(path, {**THEBEN, "fingerprint": "ef" * 32})
        assert await refused(form)
        path.write_text("{")
        assert await refused(form)
        assert BUTTON not in (await browser.get("/")).text
        path.unlink()
        assert await refused(form)
        assert (told.options, told.restarts) == ({"target": "127.0.0.1:1", "accounts": []}, 0)
        write(path, THEBEN)
        told.broken = ("/addons/self/options",)
        failed = await browser.post("/use", data=form)
        assert failed.headers["Location"] == "./?notice=target_failed"
        assert "Enter the address yourself" in text_of((await browser.get("/?notice=target_failed")).text)


@pytest.mark.parametrize(
    ("given", "english", "german"),
    [
        (
            [THEBEN],
            "SMGW Network found a gateway by Theben at 192.168.1.200.",
            "SMGW Network hat ein Gateway von Theben gefunden: 192.168.1.200.",
        ),
        (
            [RELAYED],
            "SMGW Network found a gateway by EMH at fe80::2.",
            "SMGW Network hat ein Gateway von EMH gefunden: fe80::2.",
        ),
        (
            [{**THEBEN, "maker": None}],
            "SMGW Network found a gateway at 192.168.1.200.",
            "SMGW Network hat ein Gateway gefunden: 192.168.1.200.",
        ),
        (
            [THEBEN, RELAYED],
            "SMGW Network found 2 gateways: choose one.",
            "SMGW Network hat 2 Gateways gefunden: Wählen Sie eines.",
        ),
    ],
)
async def test_a_new_proxy_begins_with_it(
    tmp_path: Path, given: Sequence[Mapping[str, object]], english: str, german: str
) -> None:
    path = write(tmp_path / "gateways.json", *given)
    async with status_for("10.11.120.2", tmp_path, suggestions=path) as status, visitor(status) as browser:
        for language, sentence in (("en", english), ("de", german)):
            page = (await browser.get("/", headers={"Accept-Language": language})).text
            heading = text_of("<body>" + page.partition("<h1")[2].partition("</h1>")[0])
            assert heading.strip().endswith(sentence)
            assert page.count(BUTTON) == len(given)
        assert BUTTON in (await browser.get("/live")).text
        assert f"SMGW Network: {status_line(given)}" in (await browser.get("/bundle")).text.splitlines()


@pytest.mark.parametrize("pinned", [True, False])
async def test_it_does_not_push_itself_to_the_front_of_a_proxy_in_use(tmp_path: Path, pinned: bool) -> None:
    path = write(tmp_path / "gateways.json", THEBEN)
    target = "10.11.120.2" if pinned else "10.11.120.3"
    if pinned:
        await asyncio.to_thread(TrustStore(tmp_path / "certs", target).learn, Certificate("12" * 32), utc_now())
    async with status_for(target, tmp_path, suggestions=path) as status, visitor(status) as browser:
        page = (await browser.get("/")).text
        assert BUTTON in page
        assert "by Theben" not in page.partition("</h1>")[0]
        if pinned:  # the certificate stays
            assert await asyncio.to_thread(status.store.load)


async def test_the_target_itself_is_not_offered(tmp_path: Path) -> None:
    path = write(tmp_path / "gateways.json", {**THEBEN, "target": "10.11.120.2", "host": "10.11.120.2"})
    async with status_for("10.11.120.2", tmp_path, suggestions=path) as status, visitor(status) as browser:
        page = (await browser.get("/")).text
        assert BUTTON not in page
        assert "10.11.120.2 found by SMGW Network" in text_of(page)
        assert "von SMGW Network gefunden" in text_of((await browser.get("/", headers=GERMAN)).text)
        path.write_text("{")
        assert "What SMGW Network found cannot be read" in text_of((await browser.get("/")).text)


@pytest.mark.parametrize("there", [True, False])
async def test_without_smgw_network_a_gateway_out_of_reach_leads_to_it(tmp_path: Path, there: bool) -> None:
    async def diagnose() -> list[Finding]:
        return [Finding(Step.ADDRESS, False, "address_link_local_app", {})]

    path = tmp_path / "gateways.json"
    if there:
        write(path)
    async with (
        status_for("[fe80::1%lo]:1", tmp_path, diagnose=diagnose, suggestions=path) as status,
        visitor(status) as browser,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        assert LINK not in (await browser.get("/")).text
        assert (await client.get(status.rig.http)).status_code == 502
        assert (LINK in (await browser.get("/")).text) is not there
        await browser.post("/diagnose", data={"token": await token_of(browser)})
        assert (LINK in (await browser.get("/")).text) is not there
        assert LINK in (await browser.get("/diagnosis")).text


async def test_outside_of_home_assistant_nothing_leads_to_it(tmp_path: Path) -> None:
    async def diagnose() -> list[Finding]:
        return [Finding(Step.TCP, False, "tcp_no_relay", {"at": "127.0.0.1:1", "target": "fe80::2"})]

    async with status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status, visitor(status) as browser:
        form = {"token": await token_of(browser)}
        await browser.post("/diagnose", data=form)
        for path in ("/", "/diagnosis"):
            assert LINK not in (await browser.get(path)).text
        assert (await browser.post("/use", data=form)).headers["Location"] == "./?notice=offer_gone"
