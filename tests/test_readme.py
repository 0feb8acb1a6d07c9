"""Holds both READMEs against the program: its options, its error codes, its scripts, and each other."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon.errors import ProxyError

ROOT: Final = Path(__file__).parent.parent
ENGLISH: Final = (ROOT / "README.md").read_text(encoding="utf-8")
GERMAN: Final = (ROOT / "README.de.md").read_text(encoding="utf-8")
ANSWERED: Final = {"client_gone", "gateway_error"}
"""Codes that no person meets: the client has left, or a base class."""


def rows(readme: str) -> list[list[str]]:
    """Return the cells of every row of every table."""
    return [line.strip("| ").split(" | ") for line in readme.splitlines() if line.startswith("| ")]


def codes(base: type[ProxyError] = ProxyError) -> Iterator[str]:
    """Yield the code of an error and of all below it."""
    yield base.code
    for each in base.__subclasses__():
        yield from codes(each)


@pytest.mark.parametrize("readme", [ENGLISH, GERMAN], ids=["en", "de"])
def test_every_option_and_nothing_else_is_in_the_table(readme: str) -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "smgw_proxy_addon", "run", "--help"], capture_output=True, check=True, text=True
    ).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]+", usage)) - {"--help"}
    first_cells = " ".join(row[0] for row in rows(readme))
    assert set(re.findall(r"`(--?[a-z][a-z-]+)`", first_cells)) == known


@pytest.mark.parametrize("readme", [ENGLISH, GERMAN], ids=["en", "de"])
def test_every_error_code_is_explained(readme: str) -> None:
    explained = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", " ".join(row[0] for row in rows(readme))))
    assert explained - {"theben_conexa"} == set(codes()) - ANSWERED


@pytest.mark.parametrize("readme", [ENGLISH, GERMAN], ids=["en", "de"])
def test_what_is_named_exists(readme: str) -> None:
    for path in re.findall(r"`((?:script|tests|simulator|smgw_proxy_addon|\.ci)/[\w./-]*)", readme):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme):
        assert (ROOT / link.partition("#")[0]).exists(), link


def test_both_languages_say_the_same() -> None:
    english, german = rows(ENGLISH), rows(GERMAN)
    assert [len(row) for row in english] == [len(row) for row in german]
    for pattern in (r"(?m)^#+ ", r"(?ms)^```ini.*?^```", r"(?m)^    script/.*", r"`--?[a-z-]+`"):
        assert re.findall(pattern, ENGLISH) == re.findall(pattern, GERMAN)
