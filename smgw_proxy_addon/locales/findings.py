"""Puts the network diagnosis into words: codes and facts come from ``diagnosis`` and from the doctor.

A fact that a text needs is always given with its code.
"""

from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.locales import Language, Outcome, day, known
from smgw_proxy_addon.locales.de import findings as german
from smgw_proxy_addon.locales.en import findings as english
from smgw_proxy_addon.text import printable

TEXTS: Final[Mapping[Language, Mapping[str, Outcome]]] = {"en": english.WORDS, "de": german.WORDS}
_STEPS: Final[Mapping[Language, Mapping[str, str]]] = {"en": english.STEPS, "de": german.STEPS}


def tell(code: str, facts: Mapping[str, str], language: str) -> Outcome:
    """Return sentence and remedy; an unknown language is answered in English."""
    chosen = known(language)
    sentence, remedy = TEXTS[chosen][code]
    shown = {name: day(printable(value), chosen) for name, value in facts.items()}
    return Outcome(sentence.format_map(shown), remedy.format_map(shown))


def step_name(step: str, language: str) -> str:
    """Return what people call a step."""
    return _STEPS[known(language)][step]
