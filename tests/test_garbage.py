"""A connection that failed leaves nothing that only the garbage collector would find.

OpenSSL keeps some 40 kB for each TLS connection. The collector counts objects, not bytes: a gateway that is away for
a night, or somebody who looks at the HTTPS port again and again, would cost many megabytes.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.tls_transport import TlsTransport
from tests.faults.cable import Cable, Cut, End
from tests.rig import proxy_for
from tests.waiting import until

FAILURES: Final = 5
ENOUGH: Final = 20
HALF_A_HANDSHAKE: Final = 300
FIRST_BYTES: Final = b"\x16\x03\x01"
"""Of a client's TLS handshake."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(kind: type) -> int:
    """Count the objects of a kind that are in memory, in use or not."""
    return sum(isinstance(each, kind) for each in gc.get_objects())


async def gone(*kinds: type) -> bool:
    """Tell whether all of these kinds are gone, once the event loop has had its turns."""
    for _ in range(100):
        if not any(map(alive, kinds)):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("after", [0, HALF_A_HANDSHAKE])
@pytest.mark.parametrize("end", list(End))
async def test_a_handshake_with_the_gateway_that_fails(tmp_path: Path, end: End, after: int) -> None:
    async with (
        Simulator() as sim,
        Cable((sim.host, sim.port)) as cable,
        proxy_for(f"127.0.0.1:{cable.port}", tmp_path, hasten={"connect_timeout": 0.3}) as rig,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        cable.cut = Cut(end, after)
        for _ in range(FAILURES):
            assert (await client.get(f"{rig.http}/sim/status/200")).status_code in (502, 504)
        assert await gone(TlsTransport)


@pytest.mark.usefixtures("engine")
async def test_a_connection_that_the_gateway_closes(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, httpx.AsyncClient(trust_env=False) as client:
        for _ in range(FAILURES):
            await client.get(f"{rig.http}/sim/status/200")
            sim.close_connections()
            await sim.wait_for_open(0)
        assert await gone(TlsTransport)


@pytest.mark.usefixtures("engine")
async def test_a_certificate_that_is_refused(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig, httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{rig.http}/sim/status/200")
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        for _ in range(FAILURES):
            answer = await client.get(f"{rig.http}/sim/status/200")
            assert answer.json()["error"] == "certificate_changed"
        assert await gone(TlsTransport)


@pytest.mark.parametrize("hello", [b"", FIRST_BYTES, b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_client_that_leaves_in_its_handshake(tmp_path: Path, hello: bytes) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        for _ in range(FAILURES):
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.https_port)
            writer.write(hello)
            writer.write_eof()
            with suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        assert await gone(TlsTransport, ClientConnection)


async def test_a_client_that_has_to_leave_in_its_handshake(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0, limits=Limits(per_address=2)) as rig:
        there, counts = [], rig.proxy.acceptor.counts
        for number in range(2 + FAILURES):
            there.append(await asyncio.open_connection("127.0.0.1", rig.https_port))
            there[-1][1].write(FIRST_BYTES)
            await until(lambda: counts.open + counts.displaced > number)  # noqa: B023 - called at once
            await until(lambda: alive(TlsTransport) == counts.open)
        for reader, _ in there[:FAILURES]:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert counts.displaced == FAILURES
        assert "A fault of the proxy itself" not in caplog.text
        for _, writer in there:
            writer.close()


async def test_a_client_that_says_nothing_costs_no_state_of_tls(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port=0) as rig:
        there = [
            await asyncio.open_connection("127.0.0.1", port)
            for port in (rig.port, rig.https_port)
            for _ in range(FAILURES)
        ]
        async with asyncio.timeout(ENOUGH):
            while rig.proxy.acceptor.counts.open < len(there):  # noqa: ASYNC110 - counting has no listeners
                await asyncio.sleep(0.01)
        assert alive(TlsTransport) == 0
        for _, writer in there:
            writer.close()
        assert await gone(ClientConnection)
