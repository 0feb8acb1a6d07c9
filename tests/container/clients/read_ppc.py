"""Reads all meters of a PPC gateway with py-ppc-smgw, as the integration ha-ppc-smgw does; prints JSON.

Arguments: URL, user, password. Runs inside a container of its own.
"""

import asyncio
import json
import logging
import sys

import httpx
from py_ppc_smgw import PPCSMGWClient  # type: ignore[import-not-found]  # lives in this image only


async def read(url: str, user: str, password: str) -> dict[str, dict[str, str]]:
    """Return the values of each meter by their OBIS codes."""
    async with (
        httpx.AsyncClient(verify=False) as http,  # as the integration does
        PPCSMGWClient(url, user, password, http, logging.getLogger("client")) as gateway,
    ):
        return {
            meter.mid: {
                str(obis): reading.value for obis, reading in (await gateway.get_meter_reading(meter)).items()
            }
            for meter in await gateway.get_meters()
        }


sys.stdout.write(json.dumps(asyncio.run(read(*sys.argv[1:]))))
