"""The status page over HTTP: its content, who may see it, and its actions."""

import asyncio
import html
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon import __version__
from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.status.history import Entry
from smgw_proxy_addon.trust.policy import describe
from tests.rig import send
from tests.status_rig import LOGIN, Ingress, Status, staged_diagnosis, status_for, utc_now

TOKEN = re.compile(r'name="token" value="([^"]+)"')
TABS = {
    "/": ("verdict", "gateway", "certificate", "clients"),
    "/gateway": ("page",),
    "/connect": ("connect",),
    "/diagnosis": ("diagnosis", "requests"),
}
"""The sections of each tab."""


@asynccontextmanager
async def visitor(status: Status, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=status.url, trust_env=False, timeout=30, headers=headers) as client:
        yield client


async def token_of(client: httpx.AsyncClient, path: str = "/diagnosis") -> str:
    found = TOKEN.search((await client.get(path)).text)
    assert found
    return found[1]


async def change(sim: Simulator, status: Status, **certificate: str) -> str:
    """Have the gateway show another certificate, and a client notice it; returns its fingerprint."""
    fingerprint = await sim.rotate_certificate(**certificate)
    sim.close_connections()
    await sim.wait_for_open(0)
    assert await status.ask() == 502
    return fingerprint


def text_of(page: str) -> str:
    """The page as it is read, without markup."""
    body = page.partition("<body>")[2].partition("<script>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


# What is shown


async def test_every_section_is_there_in_both_languages(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path, diagnose=staged_diagnosis) as status:
        await status.ask()
        async with visitor(status) as client:
            english = await client.get("/", headers={"Accept-Language": "en"})
            german = await client.get("/", headers={"Accept-Language": "de-AT,en;q=0.5"})
            for language in ("en", "de"):
                for path, sections in TABS.items():
                    page = await client.get(path, headers={"Accept-Language": language})
                    assert page.status_code == 200
                    assert re.findall(r'<section id="(\w+)" class', page.text) == list(sections)
                    assert page.text.count('aria-current="page"') == 1
    assert '<html lang="en">' in english.text
    assert "It works." in english.text
    assert '<html lang="de">' in german.text
    assert "Es funktioniert." in german.text


async def test_the_language_is_kept_below_the_ingress_path(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        for prefix, path in (("/api/hassio_ingress/x", "/api/hassio_ingress/x"), ("/a b;//", "/"), ("//evil", "/")):
            answer = await client.get("/?language=de", headers={"X-Ingress-Path": prefix})
            assert f"Path={path};" in answer.headers["Set-Cookie"] + ";"
            assert "HttpOnly" in answer.headers["Set-Cookie"]
        kept = await client.get("/requests", headers={"Cookie": "smgw_proxy_language=de"})
        assert '<html lang="de">' in kept.text
        assert '<html lang="en">' in (await client.get("/", headers={"Cookie": "smgw_proxy_language=xx"})).text


async def test_no_link_leaves_the_ingress_path(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path, diagnose=staged_diagnosis) as status:
        await status.ask()
        await change(sim, status)
        async with visitor(status) as client:
            for path in (*TABS, "/live", "/requests", "/trust", "/forget"):
                page = (await client.get(path)).text
                links = re.findall(r'(?:href|src|action)="([^"]*)"', page)
                assert not [link for link in links if link.startswith(("/", "http")) or ":/" in link]


async def test_the_fragment_holds_the_live_sections_alone(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path, diagnose=staged_diagnosis) as status, visitor(status) as client:
        fragment = (await client.get("/live")).text
    sections = ["verdict", "start", *TABS["/"][1:], "connect", "requests"]
    assert re.findall(r'<section id="(\w+)"', fragment) == sections
    assert "<html" not in fragment


async def test_the_gateway_and_its_clients_are_shown(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        async with httpx.AsyncClient(trust_env=False) as other:
            await other.post(status.rig.http + "/smgw/m2m/demo.sm/json", json={"method": "smgw-info"}, auth=LOGIN)
        page = text_of((await client.get("/")).text)
        assert sim.authority in page
        assert "Make Theben" in page
        connect = text_of((await client.get("/connect")).text)
        assert "http://local-smgw-proxy:8080/smgw/m2m/demo.sm/json" in connect
        assert re.search(r"kept open for \d+ s", page)
        assert "0 of 1 at the gateway, 0 waiting" in page
        assert "2 requests, 0 of them failed" in page
        assert "127.0.0.1 2 0" in page
        requests = text_of((await client.get("/requests")).text)
        assert "POST /smgw/m2m/demo.sm/json 200" in requests


async def test_a_gateway_that_closes_after_each_answer_is_told_of(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        sim.faults.set("close-unannounced", seconds=0.05)
        async with httpx.AsyncClient(trust_env=False) as other:
            for _ in range(3):
                assert (await other.post(status.rig.http + "/sim/echo")).status_code == 200
        assert "a new one for each request, because the gateway closes" in text_of((await client.get("/")).text)
        german = (await client.get("/", headers={"Accept-Language": "de"})).text
        assert "für jede Anfrage eine neue" in text_of(german)
        assert "the gateway closes its connection after each answer" in (await client.get("/bundle")).text


async def test_the_visitor_s_own_name_for_home_assistant_is_used_if_it_is_local(tmp_path: Path) -> None:
    async with Simulator(vendor="emh") as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        for forwarded, shown in (
            ("homeassistant.local:8123", "http://homeassistant.local:8080"),
            ("[fd00::2]:8123", "http://[fd00::2]:8080"),
            ("example.duckdns.org", "http://ADDRESS-OF-HOME-ASSISTANT:8080"),
            ("bad host", "http://ADDRESS-OF-HOME-ASSISTANT:8080"),
        ):
            page = await client.get("/connect", headers={"X-Forwarded-Host": forwarded})
            assert shown in text_of(page.text)
            assert ("Open the gateway&#39;s own page" in page.text) is not ("ADDRESS" in shown)


async def test_the_first_steps_tick_themselves_off_and_do_not_come_back(tmp_path: Path) -> None:
    async def diagnose() -> Sequence[Finding]:
        return [Finding(Step.HTTP, True, "http_ok", {"subject": "-"})]

    def steps(page: str) -> list[str]:
        assert page.count('<section id="start" hidden') == (0 if '<li class="open">' in page else 1)
        return re.findall(r'<li class="(done|open)"><b>', page)

    async with Simulator() as sim, status_for(sim, tmp_path, diagnose=diagnose) as status, visitor(status) as client:
        assert steps((await client.get("/")).text) == ["open", "open", "open"]
        await client.post("/diagnose", data={"token": await token_of(client)})
        assert steps((await client.get("/")).text) == ["done", "open", "open"]
        await asyncio.to_thread(status.store.learn, describe(sim.certificate_der), utc_now())
        assert steps((await client.get("/live")).text) == ["done", "done", "open"]
        await status.ask()
        assert steps((await client.get("/live")).text) == []
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        at = utc_now() - timedelta(days=1)
        await asyncio.to_thread(status.store.learn, describe(sim.certificate_der), at)  # before the proxy's start
        assert steps((await client.get("/")).text) == []


async def test_many_polls_are_warned_about(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        for minute in range(120, 0, -2):
            at = utc_now() - timedelta(minutes=minute)
            status.recorder.history.add(Entry(at, "10.0.0.1", "GET", "/", 200, 0, 0, 0.1, reused=True))
        page = text_of((await client.get("/")).text)
        assert "More than 10 times an hour" in page
        assert "the gateway is asked too often: 30 times" in page


async def test_a_certificate_named_like_markup_is_text(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        await change(sim, status, common_name="<script>alert(1)</script>")
        async with httpx.AsyncClient(trust_env=False) as other:
            await other.get(status.rig.http + "/<b>bold</b>?<script>", headers={"X-Forwarded-For": "<i>"})
        for path in ("/", "/live", "/trust", "/requests"):
            page = (await client.get(path)).text
            assert "<script>alert" not in page
            assert "<b>bold" not in page
        assert r"&lt;script\&gt;alert(1)" in (await client.get("/trust")).text


async def test_a_configured_fingerprint_is_shown_beside_another(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        status_for(sim, tmp_path, certificate_fingerprint="ab" * 32) as status,
        visitor(status) as client,
    ):
        assert "ABAB" in text_of((await client.get("/")).text)
        assert await status.ask() == 502
        page = text_of((await client.get("/")).text)
        assert "does not show the certificate that you entered" in page
        assert sim.fingerprint[:4].upper() in page
        assert 'action="trust"' not in page


async def test_the_right_configured_fingerprint_is_well(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        status_for(sim, tmp_path, certificate_fingerprint=sim.fingerprint) as status,
        visitor(status) as client,
    ):
        await status.ask()
        page = text_of((await client.get("/")).text)
        assert "It works." in page
        assert "exactly this one" in page


async def test_the_diagnosis_is_run_once_for_all_who_wait(tmp_path: Path) -> None:
    gate, runs = asyncio.Event(), []

    async def diagnose() -> Sequence[Finding]:
        runs.append(1)
        await gate.wait()
        return await staged_diagnosis()

    async with (
        status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status,
        visitor(status, **{"Accept-Language": "de"}) as client,
    ):
        token = await token_of(client)
        both = [asyncio.create_task(client.post("/diagnose", data={"token": token})) for _ in range(2)]
        while not runs:
            await client.get("/health")
        gate.set()
        for answer in await asyncio.gather(*both):
            assert (answer.status_code, answer.headers["Location"]) == (303, "./diagnosis")
        page = text_of((await client.get("/diagnosis")).text)
        english = text_of((await client.get("/diagnosis", headers={"Accept-Language": "en"})).text)
    assert runs == [1]
    assert "Verbindung fehlgeschlagen 10,0 s" in page
    assert "Verschlüsselung nicht geprüft" in page
    assert "Zertifikat Hinweis" in page
    assert "Connection failed 10.0 s Nobody answers at" in english
    assert "antwortet niemand" not in english


async def test_a_good_diagnosis_is_newer_than_the_last_failure(tmp_path: Path) -> None:
    async def diagnose() -> Sequence[Finding]:
        return [Finding(Step.HTTP, True, "http_ok", {"subject": "-"})]

    async with status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status, visitor(status) as client:
        form = {"token": await token_of(client)}
        await client.post("/diagnose", data=form)
        assert await status.ask() == 502
        page = text_of((await client.get("/")).text)
        assert "It does not work" in page
        assert "Last happened: " in page
        await client.post("/diagnose", data=form)
        page = text_of((await client.get("/")).text)
        assert "reached the gateway." in page
        assert "It does not work" not in page


async def test_a_diagnosis_that_breaks_off_says_so(tmp_path: Path) -> None:
    async def diagnose() -> list[Finding]:
        raise RuntimeError

    async with status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status, visitor(status) as client:
        await client.post("/diagnose", data={"token": await token_of(client)})
        assert "could not be completed" in (await client.get("/diagnosis")).text


async def test_a_diagnosis_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def diagnose() -> list[Finding]:
        running.set()
        await asyncio.Event().wait()
        return []

    running = asyncio.Event()
    async with status_for("127.0.0.1:1", tmp_path, diagnose=diagnose) as status, visitor(status) as client:
        token = await token_of(client)
        asking = asyncio.create_task(client.post("/diagnose", data={"token": token}))
        await running.wait()
        asking.cancel()


async def test_a_program_with_a_wrong_password_is_named_by_its_address(tmp_path: Path) -> None:
    async with Simulator(vendor="emh") as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        login = httpx.DigestAuth(sim.user, "wrong")
        async with httpx.AsyncClient(trust_env=False, auth=login, base_url=status.rig.http) as other:
            for _ in range(3):
                answer = await other.get("/json/metering/origin/")
        assert answer.status_code == 429
        page = await client.get("/", headers={"Accept-Language": "en"})
        assert "A program has a wrong password: 127.0.0.1." in page.text


async def test_the_bundle_holds_what_helps_and_no_secret(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask("/smgw/m2m/secret-user.sm/json?token=geheim")
        async with httpx.AsyncClient(trust_env=False) as other:
            await other.post(status.rig.http + "/smgw/m2m/demo.sm/json", json={"method": "smgw-info"}, auth=LOGIN)
        await change(sim, status)
        answer = await client.get("/bundle")
    assert "attachment" in answer.headers["Content-Disposition"]
    text = answer.text
    for expected in (
        f"smgw-proxy {__version__}",
        "max_connections: 1",
        "bad: It does not work",
        "trusted: ",
        "refused: ",
        "Log, the",
    ):
        assert expected in text
    assert "Certificate of the gateway" in text  # a line of the log
    for secret in ("geheim", "secret-user", "demo.sm", "response="):
        assert secret not in text


async def test_the_bundle_holds_no_bodies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with (
        Simulator() as sim,
        status_for(sim, tmp_path, log_bodies=True) as status,
        visitor(status) as client,
        httpx.AsyncClient(trust_env=False) as other,
    ):
        body = {"method": "smgw-info", "remark": "only-for-me"}
        await other.post(status.rig.http + "/smgw/m2m/demo.sm/json", json=body, auth=LOGIN)
        assert any("only-for-me" in line for line in status.log.lines())
        text = (await client.get("/bundle")).text
    assert "only-for-me" not in text
    assert "Body of the" not in text


# Health


async def test_health_is_the_proxy_s_and_not_the_gateway_s(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        fresh = await client.get("/health")
        assert (fresh.status_code, fresh.json()["status"]) == (200, "ok")
        assert fresh.json()["gateway"]["verdict"] == "idle"
        assert await status.ask() == 502
        answer = await client.get("/health")
        assert answer.status_code == 200
        assert answer.json()["gateway"] == {
            "verdict": "bad",
            "last_error": "gateway_refused",
            "last_answer": None,
            "active": 0,
            "waiting": 0,
        }
        await status.rig.proxy.stop(grace=0.1)
        assert (await client.get("/health")).status_code == 503


# Who may come in


async def test_the_headers_that_protect_the_page(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        for path in ("/", "/health", "/nothing", "/bundle"):
            headers = (await client.get(path)).headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'self'" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Cache-Control"] == "no-store"


async def test_other_methods_and_pages(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        assert (await client.get("/nothing")).status_code == 404
        assert (await client.get("/keep")).status_code == 405
        assert (await client.post("/health")).status_code == 405
        assert (await client.post("/nothing")).status_code == 404
        head = await client.head("/")
        assert (head.status_code, head.content) == (200, b"")


async def test_a_name_of_the_internet_on_loopback_is_refused(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        for name in ("evil.example", "evil.example:8099"):
            answer = await client.get("/", headers={"Host": name})
            assert answer.status_code == 403
            assert "token" not in answer.text
        assert (await client.get("/", headers={"Host": "localhost:8099"})).status_code == 200


async def test_what_is_not_http_gets_a_constant_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status:
        answer = await send(status.port, b"GET /<script>\x00 HTTP/9.9\r\n\r\n")
    assert b" 400 " in answer
    assert b"script" not in answer
    assert "script" not in caplog.text


# What is done


async def test_a_changed_certificate_is_trusted_after_a_second_question(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        trusted = sim.fingerprint
        shown = await change(sim, status)
        page = text_of((await client.get("/")).text)
        assert "another certificate than before" in page
        for fingerprint in (trusted, shown):
            assert " ".join(re.findall("....", fingerprint.upper())) in page
        question = (await client.get("/trust", params={"fingerprint": shown})).text
        assert " ".join(re.findall("....", shown.upper())) in text_of(question)
        assert f'name="fingerprint" value="{shown}"' in question
        assert await status.ask() == 502  # asking changes nothing
        answer = await client.post("/trust", data={"token": await token_of(client, "/"), "fingerprint": shown})
        assert (answer.status_code, answer.headers["Location"]) == (303, "./?notice=trusted")
        page = text_of((await client.get("/?notice=trusted")).text)
        assert "The new certificate is trusted now." in page
        assert "The next request will show" in page
        assert await status.ask() == 200
        page = text_of((await client.get("/")).text)
        assert "you trusted it" in page
        assert "It works, but 2 of 4 requests failed" in page


async def test_a_certificate_that_passed_is_not_trusted(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        own = sim.device.identity
        passed = await change(sim, status)
        token = await token_of(client, "/trust")
        await sim.use_identity(own)
        sim.close_connections()
        assert await status.ask() == 200  # the gateway shows the trusted one again
        answer = await client.post("/trust", data={"token": token, "fingerprint": passed})
        assert answer.headers["Location"] == "./?notice=nothing"
        await change(sim, status)
        trusted = {"token": token, "fingerprint": own.fingerprint}
        answer = await client.post("/trust", data=trusted)  # while a third one is shown
        assert answer.headers["Location"] == "./?notice=other"
        assert await status.ask() == 502
        pin = await asyncio.to_thread(status.store.load)
        assert pin
        assert pin.certificate.fingerprint == own.fingerprint


async def test_a_refused_certificate_that_cannot_be_stored_is_no_decision(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        (status.rig.cert_dir / ".lock").unlink()
        (status.rig.cert_dir / ".lock").symlink_to("/nowhere")  # nobody can take the lock
        shown = await change(sim, status)
        page = text_of((await client.get("/")).text)
        assert "it could not be stored" in page
        assert "You have decided" not in page
        assert " ".join(re.findall("....", shown.upper())) in page
        form = {"token": await token_of(client, "/forget"), "fingerprint": shown}
        assert (await client.post("/trust", data=form)).headers["Location"] == "./?notice=other"


async def test_yet_another_certificate_is_not_trusted_by_the_old_form(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        trusted = sim.fingerprint
        first = await change(sim, status)
        token = await token_of(client, "/trust")
        await change(sim, status)
        assert "yet another certificate" in (await client.get(f"/trust?fingerprint={first}")).text
        answer = await client.post("/trust", data={"token": token, "fingerprint": first})
        assert answer.headers["Location"] == "./?notice=other"
        pin = await asyncio.to_thread(status.store.load)
        assert pin
        assert pin.certificate.fingerprint == trusted


@pytest.mark.parametrize(
    ("form", "notice"),
    [({}, "nothing"), ({"fingerprint": "ab" * 32}, "nothing"), ({"fingerprint": "no fingerprint"}, "nothing")],
)
async def test_there_is_nothing_to_trust(tmp_path: Path, form: dict[str, str], notice: str) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        assert "no refused certificate" in (await client.get("/trust")).text
        answer = await client.post("/trust", data={"token": await token_of(client, "/forget"), **form})
        assert answer.headers["Location"] == f"./?notice={notice}"


async def test_the_trusted_one_is_trusted_already(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        form = {"token": await token_of(client, "/forget"), "fingerprint": sim.fingerprint}
        assert (await client.post("/trust", data=form)).headers["Location"] == "./?notice=trusted"


async def test_to_keep_refusing_is_remembered_for_this_certificate(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        form = {"token": await token_of(client, "/forget")}
        assert (await client.post("/keep", data=form)).headers["Location"] == "./?notice=nothing"
        await change(sim, status)
        assert (await client.post("/keep", data=form)).headers["Location"] == "./?notice=kept"
        assert "you decided to keep refusing" in (await client.get("/")).text
        assert await status.ask() == 502
        await change(sim, status)
        assert "you decided to keep refusing" not in (await client.get("/")).text


async def test_a_forgotten_certificate_is_learnt_anew(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        assert "No certificate is stored" in (await client.get("/forget")).text
        await status.ask()
        await change(sim, status)
        question = (await client.get("/forget")).text
        found = re.search('name="fingerprint" value="([^"]+)"', question)
        assert found
        form = {"token": await token_of(client, "/forget")}
        for other in ({}, {"fingerprint": "ab" * 32}):
            answer = await client.post("/forget", data={**form, **other})
            assert answer.headers["Location"] == "./?notice=not_this"
        form["fingerprint"] = found[1]
        assert (await client.post("/forget", data=form)).headers["Location"] == "./?notice=forgotten"
        assert (await client.post("/forget", data=form)).headers["Location"] == "./?notice=nothing"
        assert await status.ask() == 200
        pin = await asyncio.to_thread(status.store.load)
        assert pin
        assert pin.certificate.fingerprint == sim.fingerprint


async def test_an_unreadable_pin_can_be_forgotten(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        await change(sim, status)
        (status.rig.cert_dir / f"{sim.authority}.json").write_text("{")
        page = text_of((await client.get("/")).text)
        assert "It does not work: The stored certificate cannot be read." in page
        token = await token_of(client, "/forget")
        answer = await client.post("/trust", data={"token": token, "fingerprint": sim.fingerprint})
        assert answer.headers["Location"] == "./?notice=unreadable"
        assert (await client.post("/forget", data={"token": token})).headers["Location"] == "./?notice=forgotten"
        assert await status.ask() == 200


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        trusted = sim.fingerprint
        shown = await change(sim, status)
        token = await token_of(client, "/trust")
        (status.rig.cert_dir / ".lock").unlink()
        (status.rig.cert_dir / ".lock").symlink_to("/nowhere")  # nobody can take the lock
        for path, fingerprint in (("/trust", shown), ("/forget", trusted)):
            answer = await client.post(path, data={"token": token, "fingerprint": fingerprint})
            assert answer.headers["Location"] == "./?notice=not_written"
        assert "cannot write into its folder" in (await client.get("/?notice=not_written")).text


FOREIGN = {
    "no token": ({}, {}),
    "another token": ({"token": "x" * 43}, {}),
    "a token that is no ASCII": ({"token": "ö"}, {}),
    "cross-site": (None, {"Sec-Fetch-Site": "cross-site"}),
    "same-site": (None, {"Sec-Fetch-Site": "same-site"}),
    "typed": (None, {"Sec-Fetch-Site": "none"}),
    "another origin": (None, {"Origin": "http://evil.example"}),
    "another port": (None, {"Origin": "http://127.0.0.1:1"}),
    "no origin": (None, {"Origin": "null"}),
    "a broken origin": (None, {"Origin": "http://[evil"}),
    "not a form": (None, {"Content-Type": "text/plain"}),
    "another form": (None, {"Content-Type": "multipart/form-data; boundary=x"}),
}


@pytest.mark.parametrize("case", FOREIGN)
async def test_a_foreign_form_changes_nothing(tmp_path: Path, case: str) -> None:
    given, headers = FOREIGN[case]
    runs = []

    async def diagnose() -> list[Finding]:
        runs.append(1)
        return []

    async with (
        Simulator() as sim,
        status_for(sim, tmp_path, diagnose=diagnose) as status,
        visitor(status) as client,
    ):
        await status.ask()
        shown = await change(sim, status)
        before = {each.name: each.read_bytes() for each in status.rig.cert_dir.iterdir()}
        form = {"fingerprint": shown, **(given if given is not None else {"token": await token_of(client)})}
        for path in ("/trust", "/keep", "/forget", "/diagnose"):
            assert (await client.post(path, data=form, headers=headers)).status_code == 403
        assert {each.name: each.read_bytes() for each in status.rig.cert_dir.iterdir()} == before
        assert "you decided" not in (await client.get("/")).text
        assert runs == []


async def test_a_token_of_half_a_character_is_a_wrong_one(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=unicode_escape"}
        answer = await client.post("/forget", content=rb"token=\ud800", headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://ha.local:8123", "Host": "ha.local:8123"},
        {"Origin": "https://ha.local", "Host": "ha.local", "X-Forwarded-Host": "ha.local"},
        {},
    ],
)
async def test_an_own_form_counts(tmp_path: Path, headers: dict[str, str]) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        await status.ask()
        token = await token_of(client, "/forget")
        form = {"token": token, "fingerprint": sim.fingerprint}
        answer = await client.post("/forget", data=form, headers=headers)
        assert answer.headers["Location"] == "./?notice=forgotten"


async def test_a_form_that_is_too_long_is_none(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status, visitor(status) as client:
        form = {"token": "x", "fill": "y" * 100_000}
        assert (await client.post("/forget", data=form)).status_code == 403


async def test_the_whole_way_through_the_ingress(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        status_for(sim, tmp_path) as status,
        Ingress(status.url) as ingress,
        httpx.AsyncClient(trust_env=False, timeout=30, follow_redirects=True) as client,
    ):
        await status.ask()
        shown = await change(sim, status)
        form = {"token": await token_of(client, ingress.page + "trust"), "fingerprint": shown}
        answer = await client.post(ingress.page + "trust", data=form, headers={"Origin": ingress.url})
        assert answer.url == ingress.page + "?notice=trusted"
        assert await status.ask() == 200


# The proxy's own logins

ACCOUNTS = [{"username": "demo", "password": "gateway"}, {"username": "feed-in", "password": "hunter2"}]


async def test_a_stopped_login_is_shown_and_tried_again_after_a_click(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Simulator() as sim,
        status_for(sim, tmp_path, accounts=ACCOUNTS, login_pauses=(0.0,)) as status,
        visitor(status) as client,
    ):
        assert await status.ask("/smgw/m2m") == 307
        page = text_of((await client.get("/")).text)
        assert "Account 1 (d…) accepted by the gateway" in page
        assert "Account 2 (f…) not tried yet" in page
        assert "Try again" not in page

        sim.login.password = "changed"  # which Theben tells by closing: with an old nonce, then twice by accident?
        for _ in range(3):
            await status.ask("/smgw/m2m")
        page = text_of((await client.get("/")).text)
        assert "Account 1 (d…) accepted before, not answered the last time" in page
        for _ in range(2):
            await status.ask("/smgw/m2m")
        page = (await client.get("/")).text
        assert "the gateway refused the login twice in a row (account 1)" in text_of(page)
        assert page.count('action="retry"') == 1
        assert 'action="retry"' in (await client.get("/live")).text
        german = text_of((await client.get("/", headers={"Accept-Language": "de"})).text)
        assert "Zugang 1 (d…) zweimal abgelehnt, angehalten" in german
        bundle = (await client.get("/bundle")).text
        assert not [secret for secret in ("demo", "feed-in", "hunter2") if secret in page + german + bundle]

        before = len(sim.records)
        assert (await client.post("/retry", data={"account": "1"})).status_code == 403
        assert await status.ask("/smgw/m2m") == 502
        token = await token_of(client, "/")
        for number in ("2", "0", "-1", "9", "", "1" * 30, "\u0661"):
            answer = await client.post("/retry", data={"token": token, "account": number})
            assert answer.headers["Location"] == "./?notice=not_stopped"
        sim.login.password = "gateway"
        answer = await client.post("/retry", data={"token": token, "account": "1"})
        assert answer.headers["Location"] == "./?notice=retried"
        assert "account 1 may be tried again" in caplog.text
        assert "whether the gateway takes the login" in text_of((await client.get("/")).text)
        assert len(sim.records) == before
        assert await status.ask("/smgw/m2m") == 307
        page = text_of((await client.get("/")).text)
        assert "It works, but" in page
        assert "Account 1 (d…) accepted by the gateway" in page


async def test_without_accounts_there_is_nothing_to_try_again(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status, visitor(status) as client:
        page = (await client.get("/")).text
        assert "Accounts" not in text_of(page)
        assert "retry" not in page.partition("<body>")[2].partition("<script>")[0]
        retried = await client.post("/retry", data={"token": await token_of(client), "account": "1"})
        assert retried.headers["Location"] == "./?notice=not_stopped"
