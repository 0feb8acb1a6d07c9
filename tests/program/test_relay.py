"""A target behind a relay: connections go there, and all that names the gateway stays the gateway's own."""

from pathlib import Path

import httpx

from simulator.gateway import Simulator
from tests.rig import proxy_for

OWN = "10.11.120.2"


async def test_pin_and_host_are_the_gateway_s_own(tmp_path: Path) -> None:
    login = httpx.DigestAuth("demo", "gateway")
    async with (
        Simulator(vendor="emh", allowed_hosts=(OWN,)) as sim,
        proxy_for(f"{OWN} via {sim.authority}", tmp_path) as rig,
        httpx.AsyncClient(trust_env=False, auth=login) as client,
    ):
        # The gateway answers 403 to any Host header but its own.
        assert (await client.get(rig.http + "/json/metering/origin/")).status_code == 200
        assert [path.name for path in rig.cert_dir.glob("*.json")] == [f"{OWN}.json"]
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        # By another relay the certificate is compared with the same pin.
        moved = f"{OWN} via localhost:{sim.authority.rpartition(':')[2]}"
        async with proxy_for(moved, tmp_path) as other:
            refused = await client.get(other.http + "/json/metering/origin/")
            assert (refused.status_code, "certificate_changed" in refused.text) == (502, True)
