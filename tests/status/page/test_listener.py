"""The status page's port: what is answered without aiohttp, and what is handed to it."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from smgw_proxy_addon.status.page import listener
from smgw_proxy_addon.status.page.listener import StatusListener
from smgw_proxy_addon.status.page.security import Guard
from smgw_proxy_addon.status.page.server import StatusServer
from tests.rig import send
from tests.status_rig import status_for

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = HEALTH[:-2] + b"Connection: close\r\n\r\n"


async def test_health_closes_its_connection_and_has_no_body_for_head(tmp_path: Path) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status:
        head, _, body = (await send(status.port, HEALTH)).partition(b"\r\n\r\n")
        only_head = await send(status.port, LAST.replace(b"GET", b"HEAD"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"status": "ok"' in body
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in only_head
    assert only_head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (HEALTH + LAST, [200, 200]),
        (LAST.replace(b"/health", b"/healthy"), [404]),
        (LAST.replace(b"localhost", b"evil.example"), [403]),
        (LAST.replace(b"Host:", b"Ho st:"), [400]),
    ],
)
async def test_all_but_one_good_request_for_health_is_the_page_s(
    tmp_path: Path, sent: bytes, statuses: list[int]
) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status:
        answer = await send(status.port, sent)
    assert [int(each[2:5]) for each in answer.split(b"HTTP/1.")[1:]] == statuses


@pytest.mark.parametrize("first", [4, 30])
async def test_a_request_that_comes_in_pieces_is_answered(tmp_path: Path, first: int) -> None:
    async with status_for("127.0.0.1:1", tmp_path) as status:
        reader, writer = await asyncio.open_connection("127.0.0.1", status.port)
        writer.write(LAST[:first])
        await send(status.port, HEALTH)  # by now the first piece has come in
        writer.write(LAST[first:])
        assert b'"status": "ok"' in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_a_silent_connection_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SILENCE", 0.01)
    async with status_for("127.0.0.1:1", tmp_path) as status:
        assert await send(status.port, b"") == b""


async def test_a_page_that_could_not_be_loaded_is_loaded_by_the_next_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    problems = [ImportError("Too many open files")]
    async with status_for("127.0.0.1:1", tmp_path) as status:

        async def make_server() -> StatusServer:
            if problems:
                raise problems.pop()
            return await status.make_server()

        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        fragile = StatusListener(Guard(ingress=False), status.reader, make_server)
        await fragile.start([listening])
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                with pytest.raises(httpx.HTTPError):
                    await client.get("/")
                assert (await client.get("/")).status_code == 200
        finally:
            await fragile.stop()
    assert "Too many open files" in caplog.text
