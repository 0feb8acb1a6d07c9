"""Puts errors and findings into words: their texts in English or German, with the facts filled in.

Decides nothing about an error or a finding, and shows nothing but the facts that it carries.
"""

import re
import string
from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.errors import ProxyError
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.locales import Explanation, Language, Outcome, format_date, pick_language
from smgw_proxy_addon.locales.de import errors as german_errors
from smgw_proxy_addon.locales.de import findings as german_findings
from smgw_proxy_addon.locales.en import errors as english_errors
from smgw_proxy_addon.locales.en import findings as english_findings
from smgw_proxy_addon.text import printable

ERRORS: Final[Mapping[Language, Mapping[str, Explanation]]] = {"en": english_errors.WORDS, "de": german_errors.WORDS}
FINDINGS: Final[Mapping[Language, Mapping[str, Outcome]]] = {
    "en": english_findings.WORDS,
    "de": german_findings.WORDS,
}
_STEPS: Final[Mapping[Language, Mapping[str, str]]] = {"en": english_findings.STEPS, "de": german_findings.STEPS}

_FACT_LIMIT: Final = 200
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")


def explain(error: ProxyError, language: str) -> Explanation:
    """Return the words for an error; an unknown language is answered in English."""
    return explain_code(error.code, language, error.facts)


def explain_code(code: str, language: str, facts: Mapping[str, str]) -> Explanation:
    """Return the words for an error's code with the facts that are known; raises KeyError for an unknown code."""
    chosen = pick_language(language)
    words = ERRORS[chosen][code]
    shown = {name: format_date(printable(value, _FACT_LIMIT), chosen) for name, value in facts.items()}
    for name in ("pinned", "presented"):
        if _FINGERPRINT.fullmatch(shown.get(name, "")):
            shown[f"{name}_groups"] = grouped(shown[name].upper())
    return Explanation(_fill(words.title, shown), _fill(words.cause, shown), _fill(words.remedy, shown))


def explain_finding(code: str, language: str, facts: Mapping[str, str]) -> Outcome:
    """Return sentence and remedy for a step of the network diagnosis.

    An error that is known to clients has their words. In all others every fact that the text uses must be given.
    Raises KeyError for an unknown code or a missing fact.
    """
    chosen = pick_language(language)
    if code in ERRORS[chosen]:
        _, cause, remedy = explain_code(code, language, facts)
        return Outcome(cause, remedy)
    sentence, remedy = FINDINGS[chosen][code]
    shown = {name: format_date(printable(value), chosen) for name, value in facts.items()}
    return Outcome(sentence.format_map(shown), remedy.format_map(shown))


def name_step(step: str, language: str) -> str:
    """Return what people call a step of the network diagnosis."""
    return _STEPS[pick_language(language)][step]


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Keep each part in square brackets if all its facts are known, else leave it out."""

    def part(match: re.Match[str]) -> str:
        needed = [name for _, name, _, _ in string.Formatter().parse(match[1]) if name]
        return match[1].format_map(facts) if all(facts.get(name) for name in needed) else ""

    return _OPTIONAL.sub(part, text)
