"""Requests that two readers could understand differently, over real sockets: what the gateway gets of each.

One proxy and one gateway serve the whole table, so that each case also shows that the one before it left nothing
behind: every case ends with a request on another connection, and one on its own if that is still open.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import h11
import pytest
import pytest_asyncio

from simulator.gateway import Simulator
from simulator.messages import Received
from smgw_proxy_addon.server import connection
from tests.rig import Rig, proxy_for
from tests.smuggling_cases import REFUSED, TOO_LARGE, Case, Got, get
from tests.smuggling_passed import PASSED

CASES: Final = [
    *(Case(name, sent, (400,), (), closes=True) for name, sent in REFUSED.items()),
    *(Case(name, sent, (status,), (), closes=True) for name, (status, sent) in TOO_LARGE.items()),
    *PASSED,
]
ON_THIS_CONNECTION: Final = b"/sim/status/298"
ON_ANOTHER_CONNECTION: Final = b"/sim/status/299"
WAIT: Final = 1.0
SPLIT: Final = 2000
"""Bytes; a longer request would take too long byte by byte."""
TURNS: Final = 4
"""Of the loop, which carry one byte to the proxy's parser and its answer back."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_LINGER", 0.05)  # for bodies that never come
        async with proxy_for(sim, tmp_path_factory.mktemp("smuggling"), https_port="0") as running:
            yield running


class Talk:
    """A client's connection, which reads answers strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._inbox = asyncio.StreamReader()
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def begin(cls, rig: Rig, *, secure: bool) -> "Talk":
        if not secure:
            return cls(*await asyncio.open_connection("127.0.0.1", rig.port))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return cls(*await asyncio.open_connection("127.0.0.1", rig.https_port, ssl=context))

    async def send(self, request: bytes, *, split: bool = False) -> None:
        """Send at once or, with ``split``, byte by byte; the proxy may have closed before the end."""
        for piece in [request[at : at + 1] for at in range(len(request))] if split else [request]:
            if self._reading.done():
                return
            self._writer.write(piece)
            for _ in range(TURNS if split else 0):
                await asyncio.sleep(0)

    async def answer(self, *, has_body: bool = True) -> tuple[int, bytes] | None:
        """Read one answer: its status and its body. None if the connection ends instead."""
        async with asyncio.timeout(WAIT):
            try:
                lines = (await self._inbox.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                return None
            version, status, _ = lines[0].split(b" ", 2)
            assert version in (b"HTTP/1.1", b"HTTP/1.0")
            headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines[1:])]
            framing = [pair for pair in headers if pair[0] in (b"content-length", b"transfer-encoding")]
            if int(status) == 100:
                assert not framing
                return 100, b""
            ((name, length),) = framing
            assert name == b"content-length"
            return int(status), await self._inbox.readexactly(int(length)) if has_body else b""

    async def end(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._reading

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Read at all times: who writes to a closed connection may lose what it has not read yet."""
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self._inbox.feed_data(data)
        self._inbox.feed_eof()


async def converse(talk: Talk, case: Case, *, split: bool) -> list[int]:
    """Play a case; return the statuses that came, 0 for the end of the connection."""
    await talk.send(case.sent, split=split)
    statuses = []
    for expected in case.statuses:
        answer = await talk.answer(has_body=not case.heads)
        statuses.append(answer[0] if answer else 0)
        if answer is None or answer[0] != expected:
            break
    else:
        if case.closes:
            rest = await talk.answer()
            statuses.append(rest[0] if rest else 0)
        elif not case.leaves:
            await talk.send(get(target=ON_THIS_CONNECTION))
            rest = await talk.answer()
            assert rest == (298, b"status 298\n")
    return statuses


def strictly(received: Received, host: str) -> Got:
    """Read what the gateway received once more, with a strict reader, and without what every request has."""
    assert received.complete
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    reader.receive_data(received.raw_head)
    request = reader.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target) == (received.method, received.target)
    assert received.all_headers(b"host") == [host.encode()]
    framing = [(name.lower(), value) for name, value in received.headers if name.lower() in FRAMING]
    if not framing:
        assert received.body_size == 0
    elif framing[0][0] == b"content-length":
        assert int(framing[0][1]) == received.body_size
    assert len(framing) < 2
    return Got(
        received.method,
        received.target,
        tuple(pair for pair in received.headers if pair[0].lower() not in {b"host", *FRAMING}),
        FRAMING[framing[0][0]] if framing else "",
        received.body,
    )


FRAMING: Final = {b"content-length": "length", b"transfer-encoding": "chunked"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case", "secure", "split"),
    [
        pytest.param(case, secure, split, id=f"{case.name}-{way}")
        for way, secure, split in (("http", False, False), ("byte-by-byte", False, True), ("https", True, False))
        for case in CASES
        if not split or len(case.sent) < SPLIT
    ],
)
async def test_one_request_reaches_the_gateway_the_one_that_was_checked(
    sim: Simulator, rig: Rig, case: Case, secure: bool, split: bool, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(sim.records)
    talk = await Talk.begin(rig, secure=secure)
    try:
        statuses = await converse(talk, case, split=split)
    finally:
        await talk.end()
    other = await Talk.begin(rig, secure=secure)
    await other.send(get(target=ON_ANOTHER_CONNECTION))
    assert await other.answer() == (299, b"status 299\n")
    await other.end()
    assert not [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    ours = {ON_THIS_CONNECTION, ON_ANOTHER_CONNECTION}
    received = [strictly(each, sim.authority) for each in sim.records[before:] if each.target not in ours]
    expected = [*case.statuses, *([0] if case.closes else [])]
    if case.or_refused and statuses == [400]:
        assert received == []
        return
    assert (statuses, received) == (expected, list(case.received))


def test_the_table_is_large_and_its_names_are_distinct() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 150
