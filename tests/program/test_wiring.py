"""The running proxy as a whole: its listeners and their certificate."""

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path

import httpx
import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.program import wiring
from smgw_proxy_addon.server.certificate import ensure_self_signed
from tests.rig import proxy_for


async def shown_at(port: int) -> str:
    context = ssl._create_unverified_context()  # noqa: SLF001 - a certificate that nobody has signed
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(der).hexdigest()


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(10):
        while words not in caplog.text:  # noqa: ASYNC110 - a log line is a plain call, there is nothing to wait for
            await asyncio.sleep(0.01)


async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wiring, "_RELOAD", 0.02)
    caplog.set_level(logging.INFO)
    renewed = await asyncio.to_thread(ensure_self_signed, tmp_path / "renewed", ["localhost"])
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        port = rig.https_port or 0
        before = await shown_at(port)
        for new in renewed:
            await asyncio.to_thread(new.replace, rig.cert_dir / new.name)
        await logged(caplog, "was read again")
        after = await shown_at(port)
        assert after != before
        await asyncio.to_thread((rig.cert_dir / "listener.key").write_text, "broken")
        await logged(caplog, "stays as it was")
        assert await shown_at(port) == after
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            assert (await client.get(rig.https + "/sim/status/200")).status_code == 200


async def test_ipv4_and_ipv6_clients_are_served_at_one_port(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, bind=None) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            for host in ("127.0.0.1", "[::1]"):
                assert (await client.get(f"http://{host}:{rig.port}/sim/status/200")).status_code == 200
        assert [report.client for report in rig.reports] == ["127.0.0.1", "::1"]


async def test_each_address_that_the_user_names_is_listened_at(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, bind=["::1"]) as rig,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        assert (await client.get(f"http://[::1]:{rig.port}/sim/status/200")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await client.get(rig.http)


async def test_many_listeners_share_one_connection_to_the_gateway(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            for base in (rig.http, rig.https, rig.http):
                assert (await client.get(base + "/sim/status/200")).status_code == 200
        assert sim.connections == 1
