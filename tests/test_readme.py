"""Holds both READMEs and the pages below ``docs/`` against the program: options, error codes, limits, the log's line,
dependencies, scripts, and one language against the other.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon.errors import ProxyError
from smgw_proxy_addon.logs import RequestRecord, request_line
from smgw_proxy_addon.server.limits import Limits

ROOT: Final = Path(__file__).parent.parent
LANGUAGES: Final = {"en": ".md", "de": ".de.md"}
EACH: Final = pytest.mark.parametrize("language", LANGUAGES)
PAGES: Final = (
    "README",
    *(f"docs/{name}" for name in ("development", "errors", "options", "security", "standalone")),
)
"""What there is in both languages."""
ANSWERED: Final = {"client_gone", "gateway_error"}
"""Codes that no person meets: the client has left, or a base class."""


def read(page: str, language: str) -> str:
    return (ROOT / f"{page}{LANGUAGES[language]}").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """Return the cells of every row of every table."""
    return [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]


def first_cells(page: str) -> str:
    return " ".join(row[0] for row in rows(page))


def table(page: str, *first_columns: str) -> list[list[str]]:
    """Return the rows of the table whose first column is called so."""
    lines = page.splitlines()
    start = next(
        at for at, line in enumerate(lines) if line.startswith(tuple(f"| {each} |" for each in first_columns))
    )
    end = next(at for at, line in enumerate([*lines[start:], ""], start) if not line.startswith("|"))
    return rows("\n".join(lines[start + 2 : end]))


def codes(base: type[ProxyError] = ProxyError) -> Iterator[str]:
    """Yield the code of an error and of all below it."""
    yield base.code
    for each in base.__subclasses__():
        yield from codes(each)


def test_the_readme_is_what_a_stranger_reads_first() -> None:
    german = [*ROOT.glob("*.de.md"), *ROOT.glob("docs/*.de.md")]
    assert sorted(str(path.relative_to(ROOT)).removesuffix(".de.md") for path in german) == sorted(PAGES)
    for language in LANGUAGES:
        readme = read("README", language)
        assert len(readme.splitlines()) <= 130
        for page in PAGES[1:]:
            assert f"]({page}{LANGUAGES[language]})" in readme


@EACH
def test_every_option_and_nothing_else_is_in_the_table(language: str) -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "smgw_proxy_addon", "run", "--help"], capture_output=True, check=True, text=True
    ).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]+", usage)) - {"--help"}
    options = first_cells(read("docs/options", language))
    assert set(re.findall(r"`(--?[a-z][a-z-]+)`", options)) == known


@EACH
def test_every_error_code_is_explained(language: str) -> None:
    explained = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", first_cells(read("docs/errors", language))))
    assert explained == set(codes()) - ANSWERED


@EACH
@pytest.mark.parametrize("page", PAGES)
def test_every_error_code_that_is_named_exists(page: str, language: str) -> None:
    named = set(re.findall(r"\b[45]\d\d `([a-z_]+)`", read(page, language)))
    assert named <= set(codes())


@EACH
def test_the_limits_are_those_of_the_program(language: str) -> None:
    values = [row[1] for row in table(read("docs/security", language), "limit", "Grenze")]
    told = [re.match(r"\d+", value) for value in values[: len(Limits())]]
    assert [float(each[0]) if each else None for each in told] == [float(each) for each in Limits()]


@EACH
def test_the_log_has_the_line_that_is_explained(language: str) -> None:
    page = read("docs/errors", language)
    record = RequestRecord("192.168.178.30", "POST", "/smgw/m2m/demo.sm/json", 200, 482, 0.0, 1.164, 0.31, False)
    assert f" INFO    {request_line(record)}\n" in page
    explained = [row[0].strip("`") for row in table(page, "part", "Teil")]
    with_all = RequestRecord("", "", "", 0, 0, 0, 0, 0, None, "code", shared="hit")
    assert explained == re.findall(r"(\w+)=", request_line(with_all))


@EACH
def test_the_dependencies_are_those_of_the_project(language: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = read("docs/development", language)
    for columns, needed in (
        (("needed to run", "zum Betrieb"), project["project"]["dependencies"]),
        (("needed to develop", "zur Entwicklung"), project["dependency-groups"]["dev"]),
    ):
        told = [name for row in table(page, *columns) for name in row[0].lower().split(", ")]
        assert sorted(told) == sorted(re.split(r"[<>=\[]", each)[0].lower() for each in needed)


@EACH
def test_every_script_is_explained(language: str) -> None:
    told = table(read("docs/development", language), "command", "Befehl")
    scripts = [f"script/{path.name}" for path in (ROOT / "script").iterdir() if not path.suffix and path.is_file()]
    assert sorted(re.split(r"[` ]", row[0])[1] for row in told) == sorted(scripts)


@EACH
@pytest.mark.parametrize("page", PAGES)
def test_what_is_named_exists(page: str, language: str) -> None:
    assert_paths_exist(read(page, language))


def test_what_contributors_are_told_of_exists() -> None:
    assert_paths_exist((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def assert_paths_exist(page: str) -> None:
    for path in re.findall(r"`((?:script|tests|simulator|smgw_proxy_addon|\.ci|\.github)/[\w./-]*)", page):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_say_the_same(page: str) -> None:
    english, german = read(page, "en"), read(page, "de")
    assert [len(row) for row in rows(english)] == [len(row) for row in rows(german)]
    # The status, of errors and limits.
    assert [row[1] for row in rows(english) if row[1].isdigit()] == [
        row[1] for row in rows(german) if row[1].isdigit()
    ]
    for pattern in (
        r"(?m)^#+ ",
        r"(?ms)^```ini.*?^```",
        r"(?m)^    script/.*",
        r"`--?[a-z-]+`",
        r"`[a-z]+(?:_[a-z]+)+`",
    ):
        assert re.findall(pattern, english) == re.findall(pattern, german), pattern
