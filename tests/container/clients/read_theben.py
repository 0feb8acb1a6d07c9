"""Reads a Theben gateway with theben-conexa-smgw, as Home Assistant's integration theben_conexa does; prints JSON.

Arguments: host, user, password; the library always takes port 443. Runs inside a container of its own.
"""

import __future__

import asyncio
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp


def library() -> Any:
    """Import the library's only module, unchanged; its annotations become strings, as if this were Python 3.14."""
    found = find_spec("theben_conexa_smgw")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).with_name("smgw.py")
    code = compile(path.read_bytes(), path, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    module = sys.modules["smgw"] = ModuleType("smgw")
    exec(code, module.__dict__)
    return module


async def read(host: str, user: str, password: str) -> dict[str, str]:
    """Return the latest values by their OBIS codes."""
    smgw = library()
    await smgw.checkNetworkConnection(host)
    async with aiohttp.ClientSession() as session:
        gateway = await smgw.ConexaSMGW.create(session, host, user, password)
        return {obis: value.value for obis, value in (await gateway.getLatestValues()).items()}


sys.stdout.write(json.dumps(asyncio.run(read(*sys.argv[1:]))))
