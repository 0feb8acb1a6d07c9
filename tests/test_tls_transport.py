"""TLS to the gateway reads the same, however its bytes are cut."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from simulator.certificates import CertificateOptions, make_identity
from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.tls import client_context
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.tls_transport import TlsTransport


class Above(asyncio.Protocol):
    """The protocol that uses TLS; records what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(type(exc).__name__)


class Below(asyncio.Transport):
    """The transport of a socket that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        self.reading = asyncio.Event()
        self.reading.set()

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)


SPOKEN: Final[dict[str, tuple[Callable[[], ssl.SSLContext | CompatibleContext], ssl.TLSVersion]]] = {
    "OpenSSL, TLS 1.2": (client_context, ssl.TLSVersion.TLSv1_2),
    "OpenSSL, TLS 1.3": (client_context, ssl.TLSVersion.TLSv1_3),
    "compatible": (CompatibleContext, ssl.TLSVersion.TLSv1_3),
}
"""The context of the proxy, and the newest version of TLS that the gateway speaks."""


class Wire:
    """A TLS connection to a gateway; what the gateway sends arrives in pieces of ``size`` bytes."""

    def __init__(self, spoken: str, size: int, folder: Path, protocol: asyncio.Protocol | None = None) -> None:
        self._size = size
        make_context, newest = SPOKEN[spoken]
        identity = make_identity(CertificateOptions(common_name="x"))
        (folder / "pem").write_bytes(identity.certificate_pem + identity.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = newest
        context.load_cert_chain(folder / "pem")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.gateway = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.above, self.below = Above(), Below()
        self.tls = transport_of(make_context(), protocol or self.above)
        self.tls.connection_made(self.below)

    async def shake_hands(self, turns: int = 2) -> None:
        """Let each side answer the other one so many times; the second time ends the handshake."""
        await asyncio.sleep(0)
        for _ in range(turns):
            await self.below.reading.wait()
            self.take()
            with suppress(ssl.SSLWantReadError):
                self.gateway.do_handshake()
            for piece in self._pieces(self._outgoing.read()):
                await self.below.reading.wait()
                self.tls.data_received(piece)
        await self.below.reading.wait()

    def take(self) -> None:
        """Give the gateway what was sent to it."""
        self._incoming.write(self.below.sent)
        self.below.sent = b""

    def deliver(self, more: bytes = b"") -> None:
        """Give the proxy what the gateway has sent, after the handshake."""
        for piece in self._pieces(self._outgoing.read() + more):
            self.tls.data_received(piece)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        return (data[at : at + self._size] for at in range(0, len(data), self._size))


def transport_of(context: ssl.SSLContext | CompatibleContext, protocol: asyncio.Protocol) -> TlsTransport:
    kind = TlsTransport if isinstance(context, ssl.SSLContext) else context.transport_class
    return kind(context, None, protocol)


@pytest.fixture(params=SPOKEN)
def spoken(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[1, 7, 100_000])
async def wire(request: pytest.FixtureRequest, spoken: str, tmp_path: Path) -> Wire:
    made = Wire(spoken, request.param, tmp_path)
    await made.shake_hands()
    return made


def pieces(told: list[object]) -> Iterator[bytes]:
    return (each for each in told if isinstance(each, bytes))


async def test_bytes_and_close_notify_arrive_in_their_order(wire: Wire) -> None:
    await wire.tls.handshake
    wire.tls.write(b"request")
    wire.take()
    assert wire.gateway.read(100) == b"request"
    wire.gateway.write(b"x" * 40_000)
    with pytest.raises(ssl.SSLWantReadError):
        wire.gateway.unwrap()
    wire.deliver()
    assert b"".join(pieces(wire.above.told)) == b"x" * 40_000
    assert (wire.above.told[0], wire.above.told[-1]) == ("made", "eof")
    assert wire.below.ended == "closed"
    wire.take()
    wire.gateway.unwrap()  # it got close_notify, too


async def test_closing_waits_for_close_notify_and_passes_nothing_on(wire: Wire) -> None:
    wire.tls.close()
    wire.gateway.write(b"late")
    wire.deliver()
    assert (wire.above.told, wire.below.ended) == (["made"], "")
    wire.take()
    wire.gateway.unwrap()
    wire.deliver()
    assert (wire.above.told, wire.below.ended) == (["made"], "closed")


async def test_a_record_that_was_changed_ends_the_connection(wire: Wire) -> None:
    wire.deliver(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert wire.below.ended == "aborted"
    wire.tls.connection_lost(None)
    assert wire.above.told == ["made", "SSLError"]


async def test_bytes_that_are_no_tls_fail_the_handshake(spoken: str) -> None:
    above, below = Above(), Below()
    tls = transport_of(SPOKEN[spoken][0](), above)
    tls.connection_made(below)
    await asyncio.sleep(0)
    await below.reading.wait()
    tls.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        await tls.handshake
    tls.connection_lost(None)
    assert (above.told, below.ended) == ([], "aborted")


# In TLS 1.3 the gateway speaks once: there is no half.
@pytest.mark.parametrize("spoken", ["OpenSSL, TLS 1.2", "compatible"])
async def test_a_handshake_that_nobody_waits_for_any_more_passes_nothing_on(tmp_path: Path, spoken: str) -> None:
    wire = Wire(spoken, 100_000, tmp_path)
    await wire.shake_hands(turns=1)
    wire.tls.handshake.cancel()
    wire.take()
    wire.gateway.do_handshake()
    wire.gateway.write(b"late")
    wire.deliver()
    wire.tls.eof_received()
    wire.tls.connection_lost(None)
    assert wire.above.told == []


# With the connection above it


@pytest.fixture
async def connection() -> Connection:
    return Connection(read_timeout=5, clock=time.monotonic)


@pytest.fixture
async def kept(spoken: str, tmp_path: Path, connection: Connection) -> Wire:
    """A wire below the connection."""
    made = Wire(spoken, 100_000, tmp_path, connection)
    await made.shake_hands()
    return made


async def answer_and_close(kept: Wire) -> None:
    """Have an answer and close_notify arrive in one piece, as a callback of the event loop."""
    kept.take()
    kept.gateway.read(4096)
    kept.gateway.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    with suppress(ssl.SSLWantReadError):
        kept.gateway.unwrap()
    asyncio.get_running_loop().call_soon(kept.deliver)
    await asyncio.sleep(0)


def post(body: bytes) -> GatewayRequest:
    return GatewayRequest(b"POST", b"/", [], body, chunked=False, has_login=False)


async def test_an_end_behind_an_answer_is_known_when_its_task_goes_on(connection: Connection, kept: Wire) -> None:
    async def ask() -> tuple[int, bool, bool]:
        answer = await connection.exchange(post(b""))
        return answer.status, connection.reusable, connection.closed_after is not None

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    await answer_and_close(kept)
    assert await asking == (401, False, True)


async def test_an_answer_before_the_gateway_has_taken_the_request(connection: Connection, kept: Wire) -> None:
    kept.tls.pause_writing()
    asking = asyncio.create_task(connection.exchange(post(b"x" * 1000)))
    await asyncio.sleep(0)
    await answer_and_close(kept)
    assert (await asking).status == 401
    assert not connection.reusable


async def test_a_close_that_is_cancelled_leaves_no_connection(connection: Connection, kept: Wire) -> None:
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    assert kept.below.ended == ""
    closing.cancel()
    await asyncio.wait({closing})
    assert kept.below.ended == "aborted"
