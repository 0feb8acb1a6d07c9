"""The running proxy answers with a diagnosis if the token is that of its lock file."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smgw_proxy_addon.program.diagnosis_endpoint import DiagnosisEndpoint, request_diagnosis
from smgw_proxy_addon.program.instance_lock import InstanceError, InstanceLock


async def test_who_knows_the_token_is_answered(tmp_path: Path) -> None:
    async def diagnose(language: str) -> Sequence[dict[str, Any]]:
        return [{"language": language}]

    server = DiagnosisEndpoint(InstanceLock(tmp_path, "gw"), diagnose)
    assert await server.open()
    endpoint = await asyncio.to_thread(InstanceLock(tmp_path, "gw").read)
    assert endpoint
    assert await request_diagnosis(endpoint, "de", 5) == [{"language": "de"}]
    with pytest.raises(InstanceError):
        await request_diagnosis(f"{endpoint.split()[0]} GET / HTTP/1.1", "de", 5)
    await server.close()
    with pytest.raises(InstanceError):
        await request_diagnosis(endpoint, "de", 5)


async def test_closing_leaves_nobody_waiting(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def diagnose(_language: str) -> Sequence[dict[str, Any]]:
        begun.set()
        await asyncio.Event().wait()
        return []

    server = DiagnosisEndpoint(InstanceLock(tmp_path, "gw"), diagnose)
    await server.open()
    endpoint = await asyncio.to_thread(InstanceLock(tmp_path, "gw").read)
    assert endpoint
    asking = asyncio.create_task(request_diagnosis(endpoint, "en", 20))
    await begun.wait()
    await server.close()
    with pytest.raises(InstanceError):
        await asking
