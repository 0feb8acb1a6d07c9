"""The proxy as its own gateway, over a way that only the handshake shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from smgw_proxy_addon.status.findings import Step
from tests.faults.scene import IN_BOTH_MODES, PASSWORD, USER, Mode, auth_of, options_of
from tests.rig import proxy_for


@asynccontextmanager
async def published() -> AsyncIterator[tuple[str, list[int]]]:
    """Stand in for a port that a container publishes; yield its address, and a list that gets the port behind it."""
    behind: list[int] = []
    relays: set[asyncio.Task[None]] = set()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind[0])
        for one in (pour(reader, far_writer), pour(far_reader, writer)):
            relays.add(asyncio.create_task(one))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", behind
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*relays), 10)


@IN_BOTH_MODES
async def test_the_proxy_is_not_its_own_gateway_and_pins_nothing(tmp_path: Path, mode: Mode) -> None:
    async with (
        published() as (target, behind),
        proxy_for(target, tmp_path, https_port=0, **options_of(mode, USER, PASSWORD)) as rig,
        httpx.AsyncClient(trust_env=False, timeout=30, auth=auth_of(mode)) as client,
    ):
        assert rig.https_port
        behind.append(rig.https_port)
        answer = await client.get(rig.http)
        assert (answer.status_code, answer.json()["error"]) == (502, "target_is_proxy")
        assert rig.proxy.trust.refused is None
        found = {each.step: each for each in await rig.proxy.doctor.examine()}
        assert found[Step.CERTIFICATE].code == "target_is_proxy"
        assert found[Step.TLS].ok
        assert not [*rig.cert_dir.glob("*.json"), *rig.cert_dir.glob("*.refused")]
