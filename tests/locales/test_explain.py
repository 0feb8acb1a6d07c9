"""Every error has its words in both languages, and the client gets them in its language and form."""

import json
import re
import string
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon import errors
from smgw_proxy_addon.errors import CertificateChangedError, ProxyError
from smgw_proxy_addon.locales import Language, day
from smgw_proxy_addon.locales.explain import FACTS, TEXTS, body, choose_language, explain, wants_html

OLD = "0123456789abcdef" * 4
NEW = "fedcba9876543210" * 4
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHANGED = {
    "target": "10.11.120.2",
    "pinned": OLD,
    "presented": NEW,
    "pinned_not_before": "2025-03-01 00:00:00+00:00",
    "pinned_not_after": "2032-02-28 23:59:59+00:00",
    "presented_not_before": "2026-01-02 00:00:00+00:00",
    "presented_not_after": "2033-01-02 00:00:00+00:00",
    "presented_subject": "CN=ETHE0300186023.SMGW,O=SMGW,C=DE",
}
LANGUAGES: tuple[Language, ...] = ("en", "de")


def kinds(base: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield base
    for each in base.__subclasses__():
        yield from kinds(each)


ALL = sorted(
    {each for each in kinds() if each.__module__ == errors.__name__}, key=lambda each: (each.code, each.__name__)
)


def test_the_texts_are_those_of_the_errors() -> None:
    for words in TEXTS.values():
        assert set(words) == {each.code for each in ALL}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_words_with_all_and_without_any_facts(kind: type[ProxyError], language: Language) -> None:
    for facts in ({}, dict.fromkeys(FACTS, ""), {name: f"fact-{name}" for name in FACTS} | CHANGED):
        words = explain(kind(**facts), language)
        for text in (words.title, words.cause, words.remedy):
            assert text
            assert text.strip() == text
            assert not re.search(r"[\[\]{}]| [ .,:)]|\($", text)
        assert "." not in words.title
        assert words.cause[0].isupper()
        assert words.remedy[0].isupper()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fact_in_the_texts_is_documented_and_optional(language: Language) -> None:
    used = set()
    for words in TEXTS[language].values():
        for text in (words.title, words.cause, words.remedy):
            assert "{" not in re.sub(r"\[[^\[\]]*\]", "", text)
            used |= {name for _, name, _, _ in string.Formatter().parse(text) if name}
    assert {name.removesuffix("_groups") for name in used} == set(FACTS)


def test_the_german_texts_use_other_words_and_real_umlauts() -> None:
    for code, words in TEXTS["de"].items():
        assert words.title != TEXTS["en"][code].title
        text = f"{words.cause} {words.remedy}"
        assert not re.search(r"\b(fuer|ueber|pruefen|koennen|muessen|waehrend|Geraet|Zaehler)", text, re.IGNORECASE)
    assert "ü" in TEXTS["de"]["bad_request"].remedy


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_changed_certificate_is_explained_with_both_fingerprints_dates_and_what_to_do(language: Language) -> None:
    words = explain(CertificateChangedError(**CHANGED), language)
    assert "0123 4567 89AB CDEF 0123" in words.cause
    assert "FEDC BA98 7654 3210 FEDC" in words.cause
    for fact in CHANGED.keys() - {"pinned", "presented"}:
        assert day(CHANGED[fact], language) in words.cause
    assert {"de": "28.02.2032", "en": "28 Feb 2032"}[language] in words.cause
    assert "00:00" not in words.cause
    assert f"smgw-proxy trust accept --target 10.11.120.2 --fingerprint {NEW}\n" in words.remedy
    assert {"de": "Benutzeroberfläche öffnen → Zertifikat", "en": "Open Web UI → Certificate"}[
        language
    ] in words.remedy


def test_a_fingerprint_that_is_none_is_left_out() -> None:
    words = explain(CertificateChangedError(pinned="unknown", presented=NEW), "en")
    assert "Trusted so far" not in words.cause
    assert "Shown now" in words.cause


@pytest.mark.parametrize(("language", "word"), [("en", "password"), ("de", "Passwort")])
def test_a_close_without_an_answer_is_explained_as_a_wrong_password(language: str, word: str) -> None:
    words = explain(errors.SilentCloseError(), language)
    assert word in words.title
    assert "Theben" in words.cause
    assert "HAN" in words.remedy


def test_an_unknown_language_is_answered_in_english() -> None:
    assert explain(ProxyError(), "fr") == explain(ProxyError(), "en")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("en;q=0.5, de;q=0.51", "de"),
        ("fr, de;q=0.1", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("de;q=2, en;q=0.1", "en"),
        ("den", "en"),
        (";;,,=", "en"),
    ],
)
def test_the_language_follows_the_weights(header: str | None, language: str) -> None:
    assert choose_language(header) == language


@pytest.mark.parametrize(
    ("header", "html"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        (BROWSER, True),
        ("application/json, TEXT/HTML ; charset=utf-8 ; Q = 0.001", True),
        ("text/html;q=0", False),
        ("text/html;q=0.000", False),
        ("text/html;q=x", False),
        ("text/htmlx", False),
    ],
)
def test_only_who_names_html_gets_html(header: str | None, html: bool) -> None:
    assert wants_html(header) is html


def test_a_program_gets_json() -> None:
    kind, content = body(errors.RefusedError(target="10.11.120.2"), accept="*/*", accept_language="de")
    assert kind == "application/json"
    assert "Gerät".encode() in content
    answer = json.loads(content)
    assert list(answer) == ["error", "title", "cause", "remedy"]
    assert answer["error"] == "gateway_refused"
    assert answer["title"] == "Das Gateway lehnt die Verbindung ab"


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_browser_gets_one_self_contained_page(language: Language) -> None:
    error = CertificateChangedError(**CHANGED)
    kind, content = body(error, accept=BROWSER, accept_language=language)
    page = Page(content)
    words = explain(error, language)
    assert kind == "text/html; charset=utf-8"
    assert ("html", {"lang": language}) in page.tags
    assert any(attributes.get("name") == "viewport" for _, attributes in page.tags)
    assert not {"src", "href"} & {name for _, attributes in page.tags for name in attributes}
    assert b"url(" not in content
    assert b"prefers-color-scheme: dark" in content
    for text in (words.title, words.cause, words.remedy, error.code):
        assert text in page.text
    assert len(content) < 8000


def test_facts_are_text_and_nothing_else() -> None:
    hostile = '<script>alert("1")</script>&amp;{target}[x]$title\r\nSet-Cookie: a\ud800' + "x" * 10_000
    error = CertificateChangedError(presented_subject=hostile, target="10.11.120.2")
    _, content = body(error, accept="text/html", accept_language=None)
    page = Page(content)
    assert "script" not in {tag for tag, _ in page.tags}
    assert '<script>alert("1")</script>&amp;{target}[x]$title\\r\\nSet-Cookie: a\\ud800' in page.text
    assert len(content) < 8000


@given(
    st.sampled_from(ALL),
    st.dictionaries(st.sampled_from(sorted(FACTS)) | st.sampled_from(["other", "pinned_groups"]), st.text()),
    st.none() | st.text() | st.just(BROWSER),
    st.none() | st.text(alphabet="den;q=01.,-* "),
)
def test_no_header_and_no_fact_breaks_the_answer(
    kind: type[ProxyError], facts: dict[str, str], accept: str | None, language: str | None
) -> None:
    content_type, content = body(kind(**facts), accept=accept, accept_language=language)
    if content_type == "application/json":
        assert json.loads(content)["error"] == kind.code
    else:
        assert kind.code in Page(content).text
