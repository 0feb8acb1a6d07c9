"""Login by certificate: what the gateway is shown, and what a client gets when it wants another one."""

import asyncio
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.certificates import CertificateOptions, ClientCertificates, Identity, make_identity
from simulator.gateway import Simulator
from smgw_proxy_addon.locales.explain import explain_finding
from smgw_proxy_addon.program.doctor_command import run_doctor
from smgw_proxy_addon.status.findings import Step
from tests.faults.scene import IN_BOTH_MODES, PASSWORD, USER, Mode, auth_of, options_of
from tests.rig import proxy_for
from tests.status.test_doctor import options_for

pytestmark = pytest.mark.usefixtures("engine")

PATH = "/json/metering/origin/"
KNOWN, UNKNOWN = (make_identity(CertificateOptions(common_name=name)) for name in ("known", "unknown"))


def gateway(*, demanded: bool) -> Simulator:
    trusted = ClientCertificates(trusted=KNOWN.certificate_pem.decode(), demanded=demanded)
    return Simulator(vendor="emh", user=USER, password=PASSWORD, client_certificates=trusted)


def files_of(identity: Identity, folder: Path) -> dict[str, Any]:
    """Write certificate and key; return the options that name them."""
    certfile, keyfile = folder / "login.pem", folder / "login.key"
    certfile.write_bytes(identity.certificate_pem)
    keyfile.write_bytes(identity.key_pem)
    return {"client_certfile": str(certfile), "client_keyfile": str(keyfile)}


def options_for_mode(mode: Mode) -> dict[str, Any]:
    return {"allow": ["127.0.0.1"], **options_of(mode, USER, PASSWORD)}


@IN_BOTH_MODES
@pytest.mark.parametrize("demanded", [True, False])
async def test_a_gateway_lets_the_proxy_s_certificate_in(tmp_path: Path, mode: Mode, demanded: bool) -> None:
    files = await asyncio.to_thread(files_of, KNOWN, tmp_path)
    async with (
        gateway(demanded=demanded) as sim,
        proxy_for(sim, tmp_path, **options_for_mode(mode), **files) as rig,
        httpx.AsyncClient(trust_env=False, timeout=30, auth=auth_of(mode)) as client,
    ):
        for _ in range(2):
            assert (await client.get(rig.http + PATH)).status_code == 200
        assert sim.journal.client_certificates == [KNOWN.fingerprint]
        assert {record.login for record in sim.records} == {"certificate"}
        found = {each.step: each for each in await rig.proxy.doctor.examine()}
        assert (found[Step.HTTP].ok, found[Step.HTTP].code) == (True, "http_certificate")


@IN_BOTH_MODES
@pytest.mark.parametrize("shown", [None, UNKNOWN])
async def test_a_gateway_that_wants_another_certificate_says_so(
    tmp_path: Path, mode: Mode, shown: Identity | None
) -> None:
    files = await asyncio.to_thread(files_of, shown, tmp_path) if shown else {}
    async with (
        gateway(demanded=True) as sim,
        proxy_for(sim, tmp_path, **options_for_mode(mode), **files) as rig,
        httpx.AsyncClient(trust_env=False, timeout=30, auth=auth_of(mode)) as client,
    ):
        answer = await client.get(rig.http + PATH)
        assert (answer.status_code, answer.json()["error"]) == (502, "gateway_wants_certificate")
        assert "client_certfile" in answer.text
        assert not [*rig.cert_dir.glob("*.json")], "a handshake that failed pins nothing"
        found = {each.step: each for each in await rig.proxy.doctor.examine()}
        assert (found[Step.TCP].ok, found[Step.TLS].code) == (True, "tls_client_certificate")
        assert "client_keyfile" in explain_finding(found[Step.TLS].code, "de", found[Step.TLS].facts).remedy


@pytest.mark.parametrize("shown", [True, False])
async def test_the_doctor_command_shows_the_certificate(tmp_path: Path, shown: bool) -> None:
    files = await asyncio.to_thread(files_of, KNOWN, tmp_path)
    async with gateway(demanded=True) as sim:
        options = options_for(sim.authority, tmp_path, **({**files, "allow": "127.0.0.1"} if shown else {}))
        out = io.StringIO()
        assert await asyncio.to_thread(run_doctor, options, "en", out) == (0 if shown else 1)
    assert ("It lets the proxy in by its certificate." in out.getvalue()) == shown
