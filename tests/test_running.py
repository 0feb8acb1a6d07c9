"""The mark of a running proxy: locked while it runs, of no meaning after it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smgw_proxy_addon.running import Contact, Desk, Mark, MarkError, ask

CONTACT = Contact(4711, "word")


def test_a_mark_is_there_until_it_is_cleared(tmp_path: Path) -> None:
    mark, other = Mark(tmp_path / "certs", "gw"), Mark(tmp_path / "certs", "gw")
    assert other.read() is None
    assert mark.set(CONTACT)
    assert other.read() == CONTACT
    assert not other.set(Contact(1, "another"))
    assert other.read() == CONTACT
    mark.clear()
    assert other.read() is None
    assert other.set(Contact(1, "another"))
    other.clear()


def test_another_gateway_has_another_mark(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "gw")
    assert mark.set(CONTACT)
    assert Mark(tmp_path, "gw:8443").read() is None
    mark.clear()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for attempt in (lambda: Mark(tmp_path / "file", "gw").set(CONTACT), Mark(tmp_path / "file", "gw").read):
        with pytest.raises(MarkError, match="cannot be used: "):
            attempt()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".running-gw").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MarkError):
        Mark(tmp_path, "gw").set(CONTACT)
    assert not (tmp_path / "elsewhere").exists()


async def test_the_desk_answers_who_knows_the_word(tmp_path: Path) -> None:
    async def answer(language: str) -> Sequence[dict[str, Any]]:
        return [{"language": language}]

    mark = Mark(tmp_path, "gw")
    desk = Desk(mark, answer)
    assert await desk.open()
    contact = await asyncio.to_thread(Mark(tmp_path, "gw").read)
    assert contact
    assert await ask(contact, "de", 5) == [{"language": "de"}]
    with pytest.raises(MarkError):
        await ask(Contact(contact.port, "GET / HTTP/1.1"), "de", 5)
    await desk.close()
    with pytest.raises(MarkError):
        await ask(contact, "de", 5)


async def test_a_desk_that_closes_leaves_nobody_waiting(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def answer(_language: str) -> Sequence[dict[str, Any]]:
        begun.set()
        await asyncio.Event().wait()
        return []

    desk = Desk(Mark(tmp_path, "gw"), answer)
    await desk.open()
    contact = await asyncio.to_thread(Mark(tmp_path, "gw").read)
    assert contact
    asking = asyncio.create_task(ask(contact, "en", 20))
    await begun.wait()
    await desk.close()
    with pytest.raises(MarkError):
        await asking
