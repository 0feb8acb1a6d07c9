"""Libraries that Home Assistant's integrations use read their gateways through the app, two at once in each mode."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.container import rig
from tests.faults.scene import IN_BOTH_MODES, Mode, options_of

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]


def printed_by_two(app: rig.App, clients: str, script: str, where: str) -> list[dict[str, object]]:
    """Run a script of the image in two containers at once; return the JSON that each printed."""

    def run(_: int) -> dict[str, object]:
        beside = f"--network=ns:/run/netns/{app.network.app}"
        printed: dict[str, object] = json.loads(
            app.engine.run("--rm", beside, clients, script, where, rig.USER, rig.PASSWORD)
        )
        return printed

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


@IN_BOTH_MODES
@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "https://127.0.0.1"])
def test_py_ppc_smgw_reads_its_gateway(
    app: rig.App, ppc: rig.Gateway, clients: str, address: str, mode: Mode
) -> None:
    del ppc
    app.options = {"target": rig.PPC_GATEWAY, **options_of(mode, rig.USER, rig.PASSWORD)}
    app.start_and_wait()
    for meters in printed_by_two(app, clients, "read_ppc.py", f"{address}/cgi-bin/hanservice.cgi"):
        [values] = meters.values()
        assert isinstance(values, dict)
        assert set(values) == {"1-0:1.8.0", "1-0:2.8.0"}
        assert all(float(value) > 0 for value in values.values())


@IN_BOTH_MODES
def test_theben_conexa_smgw_reads_its_gateway(app: rig.App, clients: str, mode: Mode) -> None:
    app.options = {"target": rig.GATEWAY, **options_of(mode, rig.USER, rig.PASSWORD)}
    app.start_and_wait()
    for values in printed_by_two(app, clients, "read_theben.py", "127.0.0.1"):
        assert set(values) == {"0100010800ff", "0100020800ff"}
        assert all(float(str(value)) > 0 for value in values.values())
