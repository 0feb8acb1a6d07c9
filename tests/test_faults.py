"""The fault matrix: each fault in each mode, and its way back."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from simulator.certificates import CertificateOptions, Identity, make_identity
from simulator.gateway import Simulator
from simulator.messages import Received
from smgw_proxy_addon.program.wiring import GRACE
from tests.faults import ROWS, gateway_rows, mounted
from tests.faults.scene import IN_BOTH_MODES, Mode, Row, auth_of, flags_of, gateway_for, play
from tests.process import ROOT, proxy_program

BOUND = 2.0
"""Seconds in which the way back has to be found; with room for a busy machine."""


@pytest.fixture(scope="module")
def identity() -> Identity:
    return make_identity(CertificateOptions())


@pytest.mark.parametrize(
    ("row", "mode"),
    [pytest.param(row, mode, id=f"{row.name}-{mode.value}") for row in ROWS for mode in row.modes],
)
async def test_fault(tmp_path: Path, identity: Identity, row: Row, mode: Mode) -> None:
    outcome = await play(row, mode, tmp_path, identity)
    assert outcome.recovery < BOUND


@pytest.mark.parametrize("row", gateway_rows.CONNECTED, ids=lambda row: row.name)
async def test_fault_with_the_compatible_tls(
    tmp_path: Path, identity: Identity, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is above TLS does not know the engine: one mode is enough, and what happens on a connection, or to it.
    monkeypatch.setattr("tests.rig.tls", "compatible")
    outcome = await play(row, Mode.TRANSPARENT, tmp_path, identity)
    assert outcome.recovery < BOUND


def test_faults_of_real_disks(require: Callable[[str], None], tmp_path: Path) -> None:
    require("netns")
    program = ["unshare", "--mount", sys.executable, "-m", "tests.faults.mounted", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) == len(mounted.PLAYS)
    assert all(recovery < BOUND for _, recovery in seen.values()), seen


@IN_BOTH_MODES
async def test_sigterm_in_an_answer_that_never_ends(tmp_path: Path, mode: Mode) -> None:
    flags = flags_of(mode, tmp_path)
    async with gateway_for(mode) as sim:
        async with (
            proxy_program(tmp_path, sim.authority, *flags) as program,
            httpx.AsyncClient(trust_env=False, timeout=20, auth=auth_of(mode)) as client,
        ):
            assert (await client.get(f"{program.http}/sim/status/200")).status_code == 200
            sim.faults.set("stall-body")
            async with client.stream("GET", f"{program.http}/sim/bytes/100000") as answer:
                code, seconds = await program.stop()
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):  # not passed off as whole
                    await answer.aread()
            assert code == 0
            assert seconds < GRACE + BOUND
            assert "error=shutting_down" in program.output
            assert "Traceback" not in program.output
        sim.faults.clear()
        async with (
            proxy_program(tmp_path, sim.authority, *flags) as program,
            httpx.AsyncClient(trust_env=False, auth=auth_of(mode)) as client,
        ):
            assert (await client.get(f"{program.http}/sim/status/200")).status_code == 200
            assert "First contact" not in program.output
        assert sum(record.target == b"/sim/bytes/100000" for record in served(sim, mode)) == 1


@IN_BOTH_MODES
async def test_ten_restarts_in_a_row(tmp_path: Path, mode: Mode) -> None:
    log = tmp_path / "logs"
    flags = ("--log-dir", str(log), *flags_of(mode, tmp_path))
    async with (
        gateway_for(mode) as sim,
        # One client for all: with login once, it has the nonce of the proxy before.
        httpx.AsyncClient(trust_env=False, timeout=20, auth=auth_of(mode)) as client,
    ):
        for start in range(10):
            async with proxy_program(tmp_path, sim.authority, *flags) as program:
                answer = await client.get(f"{program.http}/sim/status/200?start={start}")
                assert answer.status_code == 200
                if start == 0:
                    await program.wait_for("First contact")
                code, _ = await program.stop(signal.SIGKILL if start % 2 else signal.SIGTERM)
                assert code == (-signal.SIGKILL if start % 2 else 0)
                assert program.output.count("First contact") == (start == 0)
        assert len(served(sim, mode)) == 10
        kept = {path.suffix: path for path in (tmp_path / "certs").glob("*") if path.name[0] != "."}
        assert kept.keys() == ({".json", ".logins"} if mode is Mode.LOGIN_ONCE else {".json"})
        assert sim.fingerprint in kept[".json"].read_text()
        lines = "".join(path.read_text() for path in sorted(log.iterdir()))
        assert lines.endswith("\n")
        assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", line) for line in lines.splitlines())
        # A killed program's last line may be missing, since lines are written by a thread; all others are there.
        assert len(re.findall(r"GET /sim/status/200\?start=\d 200 ", lines)) >= 5


def served(sim: Simulator, mode: Mode) -> list[Received]:
    """Return the requests at the gateway, but those that it only asked for the login."""
    return [record for record in sim.records if record.authorized or mode is Mode.TRANSPARENT]


def test_the_table_of_the_docs_has_every_fault() -> None:
    told = (ROOT / "docs" / "reliability.md").read_text()
    assert [row.name for row in ROWS if f"\n| {row.name} | " not in told] == []
