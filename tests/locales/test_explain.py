"""Every error has its words in both languages, with the facts filled in."""

import re
import string
from collections.abc import Iterator
from copy import copy

import pytest

from smgw_proxy_addon import errors
from smgw_proxy_addon.errors import CertificateChangedError, ProxyError
from smgw_proxy_addon.gateway import connector  # noqa: F401 - has kinds of errors of its own
from smgw_proxy_addon.locales import Language, format_date
from smgw_proxy_addon.locales.explain import ERRORS, explain

OLD = "0123456789abcdef" * 4
NEW = "fedcba9876543210" * 4
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
FACTS = {
    "target": "the gateway's address as configured",
    "peer": "the address that the request came from",
    "host": "the name that the client used for the proxy",
    "limit": "the size that is allowed, in MB, without unit",
    "seconds": "how long was waited, without unit",
    "file": "the path of a stored certificate",
    "folder": "the path of the folder of stored certificates",
    "problem": "why a file cannot be read or written, as the system has it",
    "pinned": "SHA-256 fingerprint of the trusted or configured certificate, 64 hexadecimal digits",
    "presented": "SHA-256 fingerprint of the certificate that the gateway shows, 64 hexadecimal digits",
    "pinned_not_before": "start of validity of the trusted certificate",
    "pinned_not_after": "end of validity of the trusted certificate",
    "presented_not_before": "start of validity of the certificate that the gateway shows",
    "presented_not_after": "end of validity of the certificate that the gateway shows",
    "presented_subject": "subject of the certificate that the gateway shows",
}
"""The facts that the texts of errors can use; each may be missing, then the words around it are left out."""
LANGUAGES: tuple[Language, ...] = ("en", "de")


def kinds(base: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield base
    for each in base.__subclasses__():
        yield from kinds(each)


ALL = sorted(
    {each for each in kinds() if each.__module__ == errors.__name__}, key=lambda each: (each.code, each.__name__)
)


def test_the_texts_are_those_of_the_errors() -> None:
    for words in ERRORS.values():
        assert set(words) == {each.code for each in ALL}


def test_every_error_can_be_copied_for_another_client() -> None:
    for kind in kinds():
        copied = copy(kind("detail", target="gateway"))
        assert (type(copied), copied.detail, copied.facts) == (kind, "detail", {"target": "gateway"})


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
    for words in ERRORS[language].values():
        for text in (words.title, words.cause, words.remedy):
            assert "{" not in re.sub(r"\[[^\[\]]*\]", "", text)
            used |= {name for _, name, _, _ in string.Formatter().parse(text) if name}
    assert {name.removesuffix("_groups") for name in used} == set(FACTS)


def test_the_german_texts_use_other_words_and_real_umlauts() -> None:
    for code, words in ERRORS["de"].items():
        assert words.title != ERRORS["en"][code].title
        text = f"{words.cause} {words.remedy}"
        assert not re.search(r"\b(fuer|ueber|pruefen|koennen|muessen|waehrend|Geraet|Zaehler)", text, re.IGNORECASE)
    assert "ü" in ERRORS["de"]["bad_request"].remedy


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_changed_certificate_is_explained_with_both_fingerprints_dates_and_what_to_do(language: Language) -> None:
    words = explain(CertificateChangedError(**CHANGED), language)
    assert "0123 4567 89AB CDEF 0123" in words.cause
    assert "FEDC BA98 7654 3210 FEDC" in words.cause
    for fact in CHANGED.keys() - {"pinned", "presented"}:
        assert format_date(CHANGED[fact], language) in words.cause
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
