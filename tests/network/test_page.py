"""The page: what it says in each case, in both languages, and who may see it and press its button."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest

from smgw_network_addon.addresses import Address
from smgw_network_addon.gateways import Gateway, Step, Trouble, Way
from smgw_network_addon.handshake import Certificate
from smgw_network_addon.locales import TEXTS, Language, choose_language
from smgw_network_addon.page import Page, View, content_html

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
THEBEN = Certificate("ETHE0300186023.SMGW", "SMGW", "SM-PKI", True, "ab" * 32)
OVERALL = ("address_taken", "no_carrier", "no_interface", "no_permission", "nothing_answers")


def gateway(**changes: object) -> Gateway:
    made = Gateway(Address("10.11.120.2"), "end0", Way.PEER, THEBEN, Address("10.11.120.250"), since=NOW)
    made.steps.extend([(NOW, Step.ADDED), (NOW, Step.FOUND)])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


REACHED = View([gateway()], None, searching=False, given=False, sent={"end0": 1024})


def test_both_languages_have_the_same_sentences() -> None:
    english, german = TEXTS["en"], TEXTS["de"]
    assert list(english) == list(german)
    for key in english:
        assert re.findall(r"{\w+}", english[key]) == re.findall(r"{\w+}", german[key]), key


@pytest.mark.parametrize("language", ["en", "de"])
def test_everything_that_can_be_shown_has_a_sentence(language: Language) -> None:
    texts = TEXTS[language]
    for trouble in Trouble:
        assert f"gateway.{trouble}" in texts or trouble in OVERALL
    for overall in OVERALL:
        view = replace(REACHED, gateways=[], trouble=Trouble(overall))
        assert texts[f"trouble.{overall}"] in content_html(view, language)
        assert texts[f"remedy.{overall}"] in content_html(view, language)
    for way in Way:
        assert texts[f"way.{way}"] in content_html(replace(REACHED, gateways=[gateway(way=way)]), language)
    for step in Step:
        made = gateway()
        made.steps.appendleft((NOW, step))
        assert texts[f"step.{step}"] in content_html(replace(REACHED, gateways=[made]), language)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_gateway_in_trouble_says_so(trouble: Trouble) -> None:
    shown = content_html(replace(REACHED, gateways=[gateway(trouble=trouble)]), "en")
    assert TEXTS["en"][f"gateway.{trouble}"] in shown
    assert TEXTS["en"]["verdict.trouble"] in shown


def test_a_gateway_is_described() -> None:
    shown = content_html(REACHED, "en")
    for text in (
        "Theben gateway",
        "10.11.120.2",
        "end0",
        "10.11.120.250",
        "ETHE0300186023.SMGW",
        "abab abab",
        "1024",
    ):
        assert text in shown


def test_a_relay_is_the_proxys_target() -> None:
    shown = content_html(replace(REACHED, gateways=[gateway(way=Way.RELAY, port=18443)]), "en")
    assert " via 172.30.32.1:18443" in shown


def test_what_comes_from_outside_is_escaped() -> None:
    evil = replace(THEBEN, name="<script>x</script>.SMGW")
    shown = content_html(replace(REACHED, gateways=[gateway(certificate=evil, interface="<b>")]), "de")
    assert "<script>" not in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("de-DE,de;q=0.9,en;q=0.8", "de"), ("en-GB,en;q=0.9,de;q=0.5", "en"), ("fr,de;q=0.1", "de"),
     ("fr", "en"), ("DE", "de")],
)  # fmt: skip
def test_the_language_is_the_browsers(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language


@asynccontextmanager
async def served(visitor: str = "127.0.0.1") -> AsyncIterator[tuple[aiohttp.ClientSession, list[str]]]:
    pressed: list[str] = []
    page = Page(lambda: REACHED, lambda: pressed.append("search"), visitor)
    listening = socket.create_server(("127.0.0.1", 0))
    await page.start(listening)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listening.getsockname()[1]}") as session:
            yield session, pressed
    finally:
        await page.stop()


async def test_the_page_is_shown_in_the_language_that_was_chosen() -> None:
    async with served() as (session, _):
        async with session.get("/", headers={"Accept-Language": "de"}) as answer:
            assert "Alles ist eingerichtet" in await answer.text()
            assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        async with session.get("/?language=en", headers={"X-Ingress-Path": "/api/hassio_ingress/x"}) as answer:
            assert "Everything is set up" in await answer.text()
            assert "path=/api/hassio_ingress/x" in answer.headers["Set-Cookie"].lower()
        async with session.get("/live", headers={"Cookie": "smgw_network_language=de"}) as answer:
            assert "<html" not in (text := await answer.text())
            assert "Alles ist eingerichtet" in text


async def test_the_button_searches_again_with_the_pages_own_form_alone() -> None:
    async with served() as (session, pressed):
        async with session.get("/") as answer:
            found = re.search(r'name="token" value="([^"]+)"', await answer.text())
        assert found
        async with session.post("/search", data={"token": "guessed"}) as answer:
            assert answer.status == 403
            assert "Nothing was done" in await answer.text()
        assert pressed == []
        async with session.post("/search", data={"token": found[1]}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./")
        assert pressed == ["search"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("GET", "/search"), ("POST", "/"), ("PUT", "/")])
async def test_nothing_else_is_there(method: str, path: str) -> None:
    async with served() as (session, pressed):
        async with session.request(method, path) as answer:
            assert answer.status == 404
        assert pressed == []


async def test_only_the_ingress_may_come_in() -> None:
    async with served("172.30.32.2") as (session, _), session.get("/") as answer:
        assert answer.status == 403
        assert "10.11.120.2" not in await answer.text()
