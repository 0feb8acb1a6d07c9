"""The words of all languages: the same modules, keys and facts."""

import pkgutil
import string
from collections.abc import Iterator, Mapping
from importlib import import_module

import pytest

from smgw_proxy_addon.locales import Language, de, en, format_date

MODULES = sorted(module.name for module in pkgutil.iter_modules(en.__path__))


def texts(language: str, module: str) -> Mapping[str, object]:
    words = import_module(f"smgw_proxy_addon.locales.{language}.{module}").WORDS
    assert isinstance(words, Mapping)
    return words


def parts(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, tuple):
        yield from entry
    else:
        yield from (getattr(entry, name) for name in entry.__annotations__)


def facts(entry: object) -> set[str]:
    return {name for part in parts(entry) for _, name, _, _ in string.Formatter().parse(part) if name}


def test_the_languages_have_the_same_modules() -> None:
    assert sorted(module.name for module in pkgutil.iter_modules(de.__path__)) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_the_languages_say_the_same_with_the_same_facts(module: str) -> None:
    english, german = texts("en", module), texts("de", module)
    assert list(english) == list(german)
    assert {key for key in english if facts(english[key]) != facts(german[key])} == set()


@pytest.mark.parametrize(
    ("text", "language", "written"),
    [
        ("2032-02-28 23:59:59+00:00", "de", "28.02.2032"),
        ("2032-02-28 23:59:59+00:00", "en", "28 Feb 2032"),
        ("2032-02-08", "de", "08.02.2032"),
        ("2032-02-08", "en", "8 Feb 2032"),
        ("2026-11-22 06:45", "de", "22.11.2026 06:45"),
        ("2026-11-22 06:45", "en", "22 Nov 2026 06:45"),
        ("2026-13-01", "en", "2026-13-01"),
        ("10.11.120.2", "de", "10.11.120.2"),
        ("", "en", ""),
    ],
)
def test_dates_are_written_as_people_do(text: str, language: Language, written: str) -> None:
    assert format_date(text, language) == written
