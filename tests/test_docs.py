"""Holds DOCS.md against the program: its options, its error codes, and one language against the other.

And the links of all pages that people read against the tree.
"""

import re
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon.config.schema import APP_OPTIONS, Option
from tests.test_readme import ANSWERED, codes, rows

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = (ROOT / "DOCS.md").read_text(encoding="utf-8")
BLOCKS: Final = re.compile(r"(?ms)^```.*?^```$")
HEADING: Final = re.compile(r"(?m)^(#+) (.+)$")
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks/README.md"])
GERMAN_PAGES: Final = [page for page in PAGES if page.name.endswith(".de.md")]
_, ENGLISH, GERMAN = re.split(r"(?m)^(?=# )", DOCS)

HALVES: Final = {"en": ENGLISH, "de": GERMAN}
WORDS: Final = {
    "en": {"default": "Default", "allowed": "Allowed", "empty": "empty", "on": "on", "off": "off"},
    "de": {"default": "Vorgabe", "allowed": "Erlaubt", "empty": "leer", "on": "ein", "off": "aus"},
}
EACH: Final = pytest.mark.parametrize("language", HALVES)


def headings(text: str) -> list[tuple[str, str]]:
    """Return level and title of each heading."""
    return HEADING.findall(BLOCKS.sub("", text))


def option_sections(half: str) -> dict[str, str]:
    """Return the text below the heading of each option."""
    return dict(re.findall(r"(?ms)^### Option: `(\w+)`$(.+?)(?=^##|\Z)", half))


def anchors(text: str) -> list[str]:
    """Return the names that GitHub gives the headings."""
    titles = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for _, title in headings(text)]
    before = [titles[:index].count(title) for index, title in enumerate(titles)]
    return [f"{title}-{count}" if count else title for title, count in zip(titles, before, strict=True)]


def links(page: Path) -> list[tuple[Path, str]]:
    """Return path and anchor of each relative link."""
    found = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", BLOCKS.sub("", page.read_text(encoding="utf-8")))
    return [((page.parent / path).resolve() if path else page, anchor) for path, anchor in found]


def default(option: Option, words: dict[str, str]) -> str:
    """Write an option's default as the documentation has it."""
    match option.default:
        case bool():
            return words["on"] if option.default else words["off"]
        case None | ():
            return words["empty"]
    return f"`{option.default}`"


@EACH
@pytest.mark.parametrize("option", APP_OPTIONS, ids=lambda option: option.name)
def test_every_option_has_its_heading_default_and_range(option: Option, language: str) -> None:
    words = WORDS[language]
    section = option_sections(HALVES[language])[option.name]
    line = re.search(rf"(?m)^\*\*{words['default']}:\*\* (.+) · \*\*{words['allowed']}:\*\* (.+)$", section)
    assert line
    assert line[1] == default(option, words)
    bounds = [each for each in (option.low, option.high) if each is not None]
    for value in (*bounds, *option.choices):
        assert f"`{value}`" in line[2]
    if option.kind == "bool":
        assert {words["on"], words["off"]} <= set(line[2].split())
    assert section.replace(line[0], "").strip(), "says nothing but default and range"


@EACH
def test_no_other_option_is_documented(language: str) -> None:
    assert set(option_sections(HALVES[language])) <= {option.name for option in APP_OPTIONS}


@EACH
def test_every_error_code_has_cause_and_remedy(language: str) -> None:
    explained = [row for row in rows(HALVES[language]) if len(row) == 4 and re.fullmatch(r"`[a-z_]+`", row[0])]
    names = [row[0].strip("`") for row in explained]
    assert sorted(names) == sorted(set(codes()) - ANSWERED)
    assert all(cell for row in explained for cell in row)


def test_both_languages_say_the_same() -> None:
    english, german = headings(ENGLISH), headings(GERMAN)
    assert [level for level, _ in english] == [level for level, _ in german]
    assert list(option_sections(ENGLISH)) == list(option_sections(GERMAN))
    assert [len(row) for row in rows(ENGLISH)] == [len(row) for row in rows(GERMAN)]
    code, address = r"(?m)^\| `([a-z_]+)` \| (\d*)", r"https?://[\w.:%/?=-]+"
    for pattern in (code, address, r"(?ms)^```sh$.*?^```$", r"(?m)^(?:- |\d+\. )", r"`[a-z_]+_[a-z_]+`"):
        assert sorted(re.findall(pattern, ENGLISH)) == sorted(re.findall(pattern, GERMAN)), pattern


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        assert path.is_relative_to(ROOT)
        assert path.exists(), path
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{path}#{anchor}"


@pytest.mark.parametrize("page", GERMAN_PAGES, ids=lambda page: page.name)
def test_german_pages_link_to_german_pages(page: Path) -> None:
    originals = {each: each.with_name(each.name.replace(".de.md", ".md")) for each in GERMAN_PAGES}
    assert [path for path, _ in links(page) if path in originals.values()] == [originals[page]]


@EACH
def test_links_stay_in_their_language(language: str) -> None:
    half = HALVES[language]
    assert set(re.findall(r"\]\(#([^)]+)\)", half)) <= set(anchors(half))
