"""Reads a Theben gateway with theben-conexa-smgw, as Home Assistant's integration theben_conexa does; prints JSON.

Arguments: host, user, password. Runs inside a container of its own.
"""

import __future__

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp


def library() -> dict[str, Any]:
    """Load the library's module, unmodified, with annotations that are not evaluated."""
    package = importlib.util.find_spec("theben_conexa_smgw")
    assert package
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "smgw.py"
    flags = __future__.annotations.compiler_flag
    names: dict[str, Any] = {"__name__": "smgw"}
    sys.modules["smgw"] = type(sys)("smgw")  # dataclasses look their module up
    exec(compile(path.read_text(), path, "exec", flags=flags), names)
    return names


async def read(host: str, user: str, password: str) -> object:
    """Return what the integration shows."""
    names = library()
    await names["checkNetworkConnection"](host)
    async with aiohttp.ClientSession() as session:
        gateway = await names["ConexaSMGW"].create(session, host, user, password)
        return await gateway.getLatestValues()


sys.stdout.write(json.dumps(asyncio.run(read(*sys.argv[1:])), default=str))
