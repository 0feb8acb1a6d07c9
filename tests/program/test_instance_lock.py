"""The mark of a running proxy: locked while it runs, of no meaning after it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smgw_proxy_addon.program.instance_lock import Contact, Desk, HostMarks, Mark, MarkError, ask

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


def test_a_mark_of_the_host_is_found_under_each_spelling(tmp_path: Path) -> None:
    marks, other = HostMarks("localhost", 4711, tmp_path), HostMarks("127.0.0.1", 4711, tmp_path)
    addresses = asyncio.run(marks.resolve())
    assert "127.0.0.1" in addresses
    assert not other.held(["127.0.0.1"])
    assert marks.set(addresses)
    assert other.held(["127.0.0.1"])
    assert not other.set(["127.0.0.1"])
    assert not HostMarks("127.0.0.1", 4712, tmp_path).held(["127.0.0.1"])
    marks.clear()
    assert not other.held(["127.0.0.1"])
    assert not list(tmp_path.iterdir())


def test_a_mark_of_the_host_follows_no_link_and_does_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".smgw-proxy-10.0.0.1-443").symlink_to(tmp_path / "elsewhere")
    for folder in (tmp_path, tmp_path / "missing"):
        marks = HostMarks("10.0.0.1", 443, folder)
        assert marks.set(["10.0.0.1"])
        assert not marks.held(["10.0.0.1"])
        marks.clear()
    assert not (tmp_path / "elsewhere").exists()


async def test_a_name_without_an_address_has_no_mark(tmp_path: Path) -> None:
    assert await HostMarks("gateway.invalid", 443, tmp_path).resolve() == []


async def test_the_desk_answers_who_knows_the_word(tmp_path: Path) -> None:
    async def answer(language: str) -> Sequence[dict[str, Any]]:
        return [{"language": language}]

    mark = Mark(tmp_path, "gw")
    desk = Desk(mark, HostMarks("127.0.0.1", 4711, tmp_path), answer)
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

    desk = Desk(Mark(tmp_path, "gw"), HostMarks("127.0.0.1", 4711, tmp_path), answer)
    await desk.open()
    contact = await asyncio.to_thread(Mark(tmp_path, "gw").read)
    assert contact
    asking = asyncio.create_task(ask(contact, "en", 20))
    await begun.wait()
    await desk.close()
    with pytest.raises(MarkError):
        await asking
