"""The button that sets ``host_header`` through the Supervisor."""

import asyncio
import logging
from pathlib import Path

import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.page import actions
from smgw_proxy_addon.trust.policy import describe
from smgw_proxy_addon.trust.store import TrustStore
from tests.status.page.test_server import text_of, token_of, visitor
from tests.status.test_supervisor import client as client_of
from tests.status.test_supervisor import stand_in
from tests.status_rig import status_for, utc_now

BUTTON = 'action="smgw-local"'


def trust(sim: Simulator, folder: Path) -> None:
    """Pin the gateway's certificate, so that the running proxy's diagnosis asks it."""
    TrustStore(folder / "certs", sim.authority).learn(describe(sim.certificate_der), utc_now())


@pytest.mark.parametrize("refused", ["", "/addons/self/options", "/addons/self/restart"])
async def test_the_button_sets_the_option_and_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refused: str
) -> None:
    monkeypatch.setattr(actions, "RESTART_AFTER", 0.0)
    caplog.set_level(logging.WARNING)
    async with (
        Simulator(vendor="emh", smgw_local_only=True) as sim,
        stand_in() as told,
        client_of(told.url) as supervisor,
    ):
        await asyncio.to_thread(trust, sim, tmp_path)
        told.options, told.broken = {"target": sim.authority, "accounts": []}, (refused,)
        async with status_for(sim, tmp_path, supervisor=supervisor) as status, visitor(status) as browser:
            form = {"token": await token_of(browser)}
            assert BUTTON not in (await browser.get("/diagnosis")).text
            assert (await browser.post("/smgw-local", data=form)).headers["Location"] == "./?notice=not_offered"
            await browser.post("/diagnose", data=form)
            assert BUTTON in (await browser.get("/diagnosis")).text
            assert (await browser.post("/smgw-local", data={"token": "wrong"})).status_code == 403
            assert told.options == {"target": sim.authority, "accounts": []}

            done = await browser.post("/smgw-local", data=form)
            assert done.status_code == 303
            if refused == "/addons/self/options":
                assert done.headers["Location"] == "./?notice=option_failed"
                assert "Enter smgw.local yourself" in text_of((await browser.get("/?notice=option_failed")).text)
                assert (told.options.get("host_header"), told.restarts) == (None, 0)
                return
            assert done.headers["Location"] == "./?notice=restarting"
            assert told.options == {"target": sim.authority, "accounts": [], "host_header": "smgw.local"}
            async with asyncio.timeout(10):
                while not (told.restarts or "did not restart the app" in caplog.text):
                    page = text_of((await browser.get("/?notice=restarting")).text)
            if refused:
                page = text_of((await browser.get("/?notice=restarting")).text)
                assert "Restart it yourself" in page
            assert told.restarts == (0 if refused else 1)


async def test_without_a_supervisor_there_is_no_button(tmp_path: Path) -> None:
    async def diagnose() -> list[Finding]:
        return [Finding(Step.HTTP, False, "http_smgw_local", {"sent_host": "10.11.120.2"})]

    async with status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status, visitor(status) as browser:
        form = {"token": await token_of(browser)}
        await browser.post("/diagnose", data=form)
        page = (await browser.get("/diagnosis")).text
        assert "takes those for smgw.local" in page
        assert BUTTON not in page
        assert (await browser.post("/smgw-local", data=form)).headers["Location"] == "./?notice=not_offered"
