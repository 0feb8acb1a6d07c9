"""The gateway's pages over HTTP: who gets them, what passes, and how the page behaves among other clients."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.status.gateway_page import serving
from smgw_proxy_addon.status.gateway_page.asking import MOST_LOADED
from smgw_proxy_addon.status.gateway_page.policy import response_headers
from tests.gateway.test_ppc_clients import LOGGED_IN_ALREADY, PpcClient
from tests.status_rig import PREFIX, USER, Status, status_for

ACCOUNTS: Final = [{"username": "demo", "password": "gateway"}, {"username": "second", "password": "other-password"}]
OTHER: Final = "ffffffffffffffffffffffffffffffff"
CGI: Final = "/cgi-bin/hanservice.cgi"


class Person:
    """A browser of a user of Home Assistant, behind the ingress."""

    def __init__(self, status: Status, user: str = USER) -> None:
        headers = {"X-Ingress-Path": PREFIX, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        headers |= {"X-Remote-User-Id": user} if user else {}
        self.client = httpx.AsyncClient(base_url=status.url, trust_env=False, timeout=30, headers=headers)
        self.root = ""

    async def open_tab(self, query: str = "") -> str:
        answer = await self.client.get(f"/gateway{query}")
        assert answer.status_code == 200
        if found := re.search(r'data-root="(gateway/[\w-]+)/"', answer.text):
            self.root = f"/{found[1]}"
        # The cookie is for the path of the ingress, which this client does not see.
        for each in self.client.cookies.jar:
            assert each.path == PREFIX
            assert each.has_nonstandard_attr("HttpOnly")
            self.client.headers["Cookie"] = f"{each.name}={each.value}"
        return answer.text

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(self.root + path, **options)


@asynccontextmanager
async def open_house(
    folder: Path, vendor: str = "theben", user: str = USER, request_delay: float = 0.0, **options: Any
) -> AsyncIterator[tuple[Simulator, Status, Person]]:
    """Run a gateway and a status page, and open the tab in a browser."""
    gateway = Simulator(vendor=vendor, request_delay=request_delay, further_users={"second": "other-password"})
    async with gateway as sim, status_for(sim, folder, accounts=ACCOUNTS, **options) as status:
        person = Person(status, user)
        async with person.client:
            await person.open_tab()
            yield sim, status, person


# Who gets it


async def test_a_page_needs_the_cookie_the_key_the_user_and_this_origin(tmp_path: Path) -> None:
    async with open_house(tmp_path, admins=(USER, OTHER)) as (sim, status, person):
        assert (await person.get("/")).status_code == 200
        asked = len(sim.records)
        wrong: list[tuple[str, dict[str, str]]] = [
            (person.root, {"Cookie": "smgw_gateway=x"}),
            ("/gateway/x", {}),
            (person.root, {"X-Remote-User-Id": OTHER}),
            (person.root, {"X-Remote-User-Id": ""}),
            (person.root, {"Sec-Fetch-Site": "cross-site"}),
            (person.root, {"Sec-Fetch-Site": "same-site"}),
            (person.root, {"Sec-Fetch-Site": "none"}),
            (person.root, {"Sec-Fetch-Dest": "document"}),
        ]
        for root, headers in wrong:
            for method in ("GET", "POST"):
                answer = await person.client.request(method, root + "/", headers=headers)
                assert answer.status_code == 403, headers
        odd = await person.client.get(person.root + "/", headers={b"Cookie": b"smgw_gateway=\xff\xfe"})
        assert odd.status_code == 403
        forged = [*person.client.headers.raw, (b"x-remote-user-id", USER.encode())]
        assert (await person.client.get(person.root + "/", headers=forged)).status_code == 403
        del person.client.headers["Sec-Fetch-Site"]
        for origin, expected in (("https://evil.example", 403), ("null", 403), (status.url, 200)):
            assert (await person.get("/", headers={"Origin": origin})).status_code == expected
        assert (await person.client.delete(person.root + "/")).status_code == 405
        assert (await person.get("/~confirm/x")).status_code == 404
        assert len(sim.records) == asked + 1


@pytest.mark.parametrize(
    ("user", "options", "text"),
    [
        (OTHER, {}, "is for administrators"),
        (OTHER, {"everyone": True}, "You are logged in already"),
        ("", {"everyone": True}, "does not say whether"),
        (USER, {"admins": ()}, "is for administrators"),
        (USER, {"ingress": False}, "inside Home Assistant only"),
    ],
)
async def test_administrators_alone_unless_an_option_says_otherwise(
    tmp_path: Path, user: str, options: dict[str, Any], text: str
) -> None:
    async with open_house(tmp_path, user=user, **options) as (sim, _, person):
        assert text in await person.open_tab()
        if "already" not in text:
            assert "<iframe" not in await person.open_tab()
            assert (await person.get("/gateway/x/")).status_code in (403, 404)
            assert sim.records == []


async def test_without_accounts_the_tab_says_what_to_switch_on(tmp_path: Path) -> None:
    async with Simulator() as sim, status_for(sim, tmp_path) as status:
        person = Person(status)
        person.client.headers["X-Forwarded-Host"] = "homeassistant.local"
        async with person.client:
            page = await person.open_tab()
    assert "accounts" in page
    assert 'href="http://homeassistant.local:8080/"' in page
    assert "<iframe" not in page


async def test_two_persons_never_share_a_jar(tmp_path: Path) -> None:
    async with open_house(tmp_path, "ppc", admins=(USER, OTHER)) as (sim, status, first):
        second, again = Person(status, OTHER), Person(status)
        async with second.client, again.client:
            await second.open_tab()
            await again.open_tab()
            assert len({first.root, second.root, again.root}) == 3
            assert LOGGED_IN_ALREADY not in (await first.get(CGI)).text
            for each in (second, again):
                assert (await each.client.get(first.root + CGI)).status_code == 403
            root = first.root
            await first.open_tab()
            assert first.root == root  # a reload finds its jar, with the session in it
            await first.open_tab("?account=2")
            assert first.root != root
            assert LOGGED_IN_ALREADY not in (await second.get(CGI)).text
        asked = [each.header(b"cookie") for each in sim.records if each.login == "accepted" and not each.body]
        cgi = [
            each.header(b"cookie") for each in sim.records if each.login == "accepted" and each.path == CGI.encode()
        ]
        assert cgi[0] is cgi[-1] is None  # the second one begins without a session of its own
        assert len(set(asked)) == 3


# What passes


async def test_headers_pass_by_name_and_nothing_of_the_login_or_home_assistant_does(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, status, person):
        sent = {"X-Forwarded-For": "192.168.1.7", "Referer": f"{status.url}{PREFIX}", "X-Requested-With": "x"}
        answer = await person.get("/sim/headers?a=%2F", headers={**sent, "Authorization": "Bearer secret"})
        allowed = {"content-security-policy", "cache-control", "cross-origin-resource-policy", "referrer-policy"}
        allowed |= {"x-content-type-options", "content-type", "content-length", "date", "server"}
        assert {name.lower() for name in answer.headers} <= allowed
        assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
        assert "allow-same-origin" not in answer.headers["Content-Security-Policy"]
        record = sim.records[-1]
        assert record.target == b"/sim/headers?a=%2F"
        names = {name.lower() for name, _ in record.headers}
        assert names == {b"host", b"accept", b"user-agent", b"x-requested-with", b"accept-encoding"}
        again = await person.get("/sim/headers")
        assert sim.records[-1].header(b"cookie") == b"second=2; first=1"  # the longer path first
        assert again.content == b"odd\n"


async def test_sagemcom_gets_the_headers_that_it_wants_and_its_gzip_is_read(tmp_path: Path) -> None:
    gateway = Simulator(vendor="sagemcom")
    async with gateway as sim, status_for(sim, tmp_path, accounts=ACCOUNTS) as status:
        person = Person(status, USER)
        async with person.client:
            await person.open_tab()
            assert "kWh" in (await person.get("/")).text
            assert (await person.get("/smgw/hgp/readings")).status_code == 403
            headers = {"Request-ID": "1", "Device-ID": "EDNT0012345678", "Transport-Version": "1.0"}
            answer = await person.get("/smgw/hgp/readings", headers=headers)
            assert set(answer.json()["registers"]) == {"0100010800ff", "0100020800ff"}


@pytest.mark.parametrize(
    ("given", "led"),
    [
        ("/x?y", "/x?y"),
        ("x", "/sim/x"),
        ("https://{host}/x", "/x"),
        ("//{host}/x", "/x"),
        ("../../../../other/", "/other/"),
        ("/..%2f%2E%2e/%2e%2e/other", "/other"),
        ("{prefix}/../../other", "/other"),
        ("{prefix}/..%2f..%252f..%5cother", "/other"),
        ("/Z\xe4hler x", "/Z%C3%A4hler%20x"),
        ("https://example.org/", None),
        ("//example.org/", None),
        ("javascript:alert(1)", None),
    ],
)
async def test_a_redirect_stays_below_the_prefix(tmp_path: Path, given: str, led: str | None) -> None:
    async with open_house(tmp_path) as (sim, _, person):
        location = given.format(host=sim.authority, prefix=PREFIX + person.root)
        answer = await person.get("/sim/redirect", params={"to": location})
        if led is None:
            assert answer.status_code == 502
            assert "Location" not in answer.headers
        else:
            assert (answer.status_code, answer.headers["Location"]) == (302, f"{PREFIX}{person.root}{led}")


async def test_what_is_no_page_passes_byte_for_byte(tmp_path: Path) -> None:
    async with open_house(tmp_path, "ppc") as (_, _, person):
        for query in ("", "?chunked", "?close"):
            answer = await person.get(f"/sim/bytes/200000{query}")
            assert answer.content == bytes(range(256)) * 781 + bytes(range(64))
        page = await person.get(CGI)
        token = re.search(r'name="tkn" value="(\w+)"', page.text)
        assert token
        form = {"tkn": token[1], "action": "exportMeterValues", "mid": "41f3a8ed992e8ee9da39a3084a387ac3"}
        export = await person.client.post(person.root + CGI, data=form)
        assert export.headers["Content-Disposition"] == 'attachment; filename="export.xml.p7m"'
        assert export.headers["Content-Type"] == "application/pkcs7-mime"
        assert export.content.startswith(b"\x30")


async def test_what_a_page_loads_is_asked_for_once_and_never_restarts_the_gateway(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, _, person):
        page = (
            "<link rel=stylesheet href=/files/style.css><img src=/files/logo.png><img src=/sim/status/404>"
            "<img src=/smgw/m2m/demo.sm?self-test><style>a{b:url(/files/none.png)}</style>"
        )
        for _ in range(2):
            shown = (await person.get("/sim/page", params={"html": page})).text
        asked = [each.target for each in sim.records if each.path != b"/sim/page" and each.login != "none"]
        files = [b"/files/style.css", b"/files/logo.png", b"/files/none.png"]
        assert [each for each in asked if b"files" in each] == files
        assert not [each for each in sim.records if b"self-test" in each.target and each.path != b"/sim/page"]
        assert shown.count("data:text/css;base64,") == shown.count('<img src="data:image/png;base64,') == 1
        assert shown.count('<img src="data:,">') == 2


async def test_style_sheets_without_an_end_and_what_fails_for_now(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, _, person):
        await person.get("/sim/page", params={"html": "<link rel=stylesheet href=/sim/styles/0>"})
        styles = [each.target for each in sim.records if each.path.startswith(b"/sim/styles/")]
        assert len(styles) == len(set(styles)) == MOST_LOADED
        for _ in range(2):
            await person.get("/sim/page", params={"html": "<img src=/sim/status/500>"})
        assert sum(each.path == b"/sim/status/500" for each in sim.records) == 2


async def test_a_page_that_grows_beyond_measure_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LARGEST_REWRITTEN", 20_000)
    async with open_house(tmp_path) as (_, _, person):
        for times, expected in ((1, 200), (300, 502)):
            shown = await person.get("/sim/page", params={"html": "<a href=/>" * times})
            assert shown.status_code == expected


async def test_letters_stay_what_they_are(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (_, _, person):
        shown = await person.get("/sim/page", params={"html": "<a href='/x?&euro;&auml;\xe4'>\xe4</a>"})
        assert 'x?&#8364;&#228;\xe4">\xe4</a>'.encode() in shown.content
        assert b'<meta charset="utf-8"><script' in shown.content  # the Supervisor drops it from the header
    assert response_headers([(b"Content-Disposition", "\xe4".encode("latin-1"))])["Content-Disposition"] == "\xe4"
    assert response_headers([(b"Content-Disposition", "\xe4".encode())])["Content-Disposition"] == "\xe4"


async def test_a_fault_of_the_gateway_is_explained(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, status, person):
        await sim.stop()
        answer = await person.get("/", headers={"Accept-Language": "de"})
        assert answer.status_code == 502
        assert 'lang="de"' in answer.text
        chosen = {"Accept-Language": "de", "Cookie": f"{person.client.headers['Cookie']}; smgw_proxy_language=en"}
        assert 'lang="en"' in (await person.get("/", headers=chosen)).text
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert (status.rig.reports[-1].client, status.rig.reports[-1].code) == ("page", "gateway_refused")
        await sim.start()


async def test_a_self_test_is_sent_once_after_it_was_confirmed(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, _, person):
        path = f"{person.root}/smgw/m2m/demo.sm/json"
        held = await person.client.post(path, json={"method": "self-test"})
        number = held.headers["X-Smgw-Confirm"]
        assert (sim.restarts, sim.records) == (0, [])
        for expected in (200, 404):
            assert (await person.client.post(f"{person.root}/~confirm/{number}")).status_code == expected
        assert sim.restarts == 1
        other = await person.client.post(path, json={"method": "smgw-info"})
        assert "X-Smgw-Confirm" not in other.headers


async def test_the_answer_to_a_form_gets_an_address_and_no_form_is_sent_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, "ppc") as (sim, _, person):
        page = await person.get(CGI)
        token = re.search(r'name="tkn" value="(\w+)"', page.text)
        assert token
        form = {"tkn": token[1], "action": "meterform"}
        answer = await person.client.post(f"{person.root}{CGI}?x=%2F", data=form)
        assert answer.status_code == 303
        location = answer.headers["Location"].removeprefix(PREFIX)
        asked = len(sim.records)
        for _ in range(2):
            kept = await person.client.get(location)
            assert (kept.status_code, "meterform_select_meter" in kept.text) == (200, True)
        assert len(sim.records) == asked
        again = await person.client.post(location, data=form)  # a form without an action
        assert (again.status_code, sim.records[-1].target) == (303, CGI.encode() + b"?x=%2F")
        gone = await person.get(f"{CGI}?~page=x")
        assert gone.headers["Location"] == PREFIX + person.root + CGI
        script = await person.client.post(person.root + CGI, data=form, headers={"Accept": "*/*"})
        assert script.status_code == 200


async def test_a_page_that_nobody_wants_any_more_is_not_asked_for(tmp_path: Path) -> None:
    async with open_house(tmp_path, request_delay=0.3) as (sim, status, person):
        running = asyncio.create_task(status.ask("/"))
        await sim.wait_for_heads(1)
        clicks = []
        for path in ("/sim/echo?1", "/sim/echo?2", "/sim/echo?3"):
            clicks.append(asyncio.create_task(person.get(path)))
            await sim.wait_until(lambda: status.rig.proxy.pool.status().waiting > 0)
        answers = [await each for each in clicks]
        await running
        assert [each.status_code for each in answers][-1] == 200
        echoes = [each.query for each in sim.records if each.path == b"/sim/echo"]
        assert echoes == [b"3"]


async def test_an_answer_that_breaks_off_is_seen_as_that(tmp_path: Path) -> None:
    async with open_house(tmp_path) as (sim, status, person):
        sim.faults.set("truncate")
        with pytest.raises(httpx.RemoteProtocolError):
            await person.get("/sim/bytes/200000")
        assert status.rig.reports[-1].code == "gateway_answer_truncated"


# Among other clients


async def test_a_session_that_a_person_left_open_ends_at_once_when_a_client_waits(tmp_path: Path) -> None:
    async with open_house(tmp_path, "ppc") as (sim, status, person):
        await person.get(CGI)
        client = PpcClient(status.rig.http, sim)
        async with client.session, asyncio.timeout(2):
            assert (await client.log_in()).status_code == 200
        assert (sim.device.sessions_opened, sim.device.sessions_ended, sim.device.sessions_refused) == (2, 1, 0)


async def test_a_session_that_a_person_left_open_ends_after_a_minute_of_silence(tmp_path: Path) -> None:
    async with open_house(tmp_path, "ppc") as (sim, status, person):
        assert status.rig.proxy.login_once
        logout = status.rig.proxy.login_once.ppc_logout
        assert (logout.silence, logout.page_silence) == (29, 60)
        logout.page_silence = 0.2
        await person.get(CGI)
        await sim.wait_until(lambda: sim.device.sessions_ended == 1)
