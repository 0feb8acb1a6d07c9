"""The words of all languages: the same modules, keys and facts."""

import pkgutil
import string
from collections.abc import Iterator, Mapping
from importlib import import_module

import pytest

from smgw_proxy_addon.words import de, en

MODULES = sorted(module.name for module in pkgutil.iter_modules(en.__path__))


def texts(language: str, module: str) -> Mapping[str, object]:
    words = import_module(f"smgw_proxy_addon.words.{language}.{module}").WORDS
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
