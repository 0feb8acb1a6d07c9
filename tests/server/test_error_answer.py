"""A client gets an error in its language and form."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon import errors
from smgw_proxy_addon.errors import CertificateChangedError, ProxyError
from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.explain import explain
from smgw_proxy_addon.server.error_answer import body, choose_language, wants_html
from tests.locales.test_explain import ALL, CHANGED, FACTS, LANGUAGES

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


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
