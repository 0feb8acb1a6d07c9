"""Holds ``docs/architecture.md`` against the tree: its drawing, its rooms, and every path that it names."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.test_layers import ORDER, PACKAGE
from tests.test_readme import rows

ROOT: Final = Path(__file__).parent.parent
TEXT: Final = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PATH: Final = re.compile(r"`([\w.]+(?:/[\w.]*)+|\w+\.(?:py|md|cnf|toml))`")

AWAITED: Final[set[str]] = set()


def section(title: str) -> str:
    return re.split(r"(?m)^## ", TEXT.partition(f"\n## {title}\n")[2])[0]


def exists(path: str) -> bool:
    return (ROOT / PACKAGE / path).exists() or (ROOT / path).exists()


def test_every_path_exists() -> None:
    paths = set(PATH.findall(TEXT))
    assert len(paths) > 60
    assert {path for path in paths if not exists(path)} == AWAITED


def test_the_drawing_is_the_order_of_the_imports() -> None:
    drawing = re.findall(r"(?ms)^```\n(.*?)^```", TEXT)[0]
    drawn = [tuple(re.findall(r"[a-z]+", line)) for line in drawing.splitlines()]
    assert [line for line in drawn if line] == list(ORDER)


def test_every_room_has_its_line() -> None:
    lines = rows(section("The rooms"))[1:]
    assert [line[0].strip("`/") for line in lines] == [room for level in ORDER for room in level]
    for room, _, first in lines:
        for path in PATH.findall(first):
            assert room == "root" or path.startswith(room.strip("`")), path


@pytest.mark.parametrize("title", ["One request, transparent", "The same request, login once", "Where to look for"])
def test_every_step_and_question_names_its_file(title: str) -> None:
    lines = rows(section(title))[1:]
    assert len(lines) > 5
    for line in lines:
        assert PATH.search(line[-1]), line[0]


def test_every_room_has_a_part_in_the_walks() -> None:
    walks = section("One request, transparent") + section("The same request, login once")
    walked = {path.partition("/")[0] for path in PATH.findall(walks)}
    assert {room for level in ORDER for room in level} - walked == {"root", "locales", "config"}
