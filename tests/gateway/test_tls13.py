"""A gateway that speaks TLS 1.3: it is read, and what it says behind the handshake is understood."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.certificates import CertificateOptions, ClientCertificates, Identity, TlsOptions, make_identity
from simulator.gateway import VENDORS, Simulator
from smgw_proxy_addon.status.findings import Step
from tests.faults.scene import IN_BOTH_MODES, PASSWORD, USER, Mode, auth_of, options_of
from tests.gateway.test_compatible_tls import listening
from tests.rig import proxy_for
from tests.status.test_doctor import examine, fault, options_for

KNOWN, UNKNOWN = (make_identity(CertificateOptions(common_name=name)) for name in ("known", "unknown"))


@asynccontextmanager
async def refusing(clients: ClientCertificates | None) -> AsyncIterator[str]:
    """Run a gateway with TLS 1.3 alone that refuses each client, and says why in an alert; yield its address."""
    context = await asyncio.to_thread(KNOWN.server_context, clients, TlsOptions(versions="1.3"))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio's own TLS closes the connection without the alert.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while not reader.at_eof():
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
            except ssl.SSLError:
                break
        writer.write(outgoing.read())
        writer.close()
        await writer.wait_closed()

    async with listening(talk) as target:
        yield target


@pytest.mark.parametrize("tls_max", ["1.2", "1.3"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_todays_gateways_complete_whatever_is_offered(tmp_path: Path, vendor: str, tls_max: str) -> None:
    async with Simulator(vendor=vendor) as sim, proxy_for(sim, tmp_path, tls_max=tls_max) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{rig.http}/sim/status/200")).status_code == 200
        assert sim.handshakes == 1
        assert sim.connections == 1 + sim.journal.refused_hellos


async def test_a_gateway_with_tls_13_alone_is_read_and_its_connection_kept(tmp_path: Path) -> None:
    async with Simulator(tls="1.3") as sim, proxy_for(sim, tmp_path) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                assert len((await client.get(f"{rig.http}/sim/bytes/100000")).content) == 100_000
        assert sim.connections == 1


@pytest.mark.parametrize("given", [{"tls_max": "1.2"}, {"tls": "compatible"}])
async def test_a_gateway_with_tls_13_alone_to_which_it_is_not_offered(tmp_path: Path, given: dict[str, Any]) -> None:
    async with refusing(None) as target:
        found = fault(await examine(options_for(target, tmp_path, **given)))
        assert (found.step, found.code) == (Step.TLS, "tls_version")


def files_of(identity: Identity | None, folder: Path) -> dict[str, Any]:
    if identity is None:
        return {}
    (folder / "pem").write_bytes(identity.certificate_pem + identity.key_pem)
    return {"client_certfile": str(folder / "pem"), "client_keyfile": str(folder / "pem")}


@IN_BOTH_MODES
@pytest.mark.parametrize("shown", [None, UNKNOWN])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_gateway_that_wants_another_certificate_says_so_behind_the_handshake(
    tmp_path: Path, mode: Mode, shown: Identity | None, method: str
) -> None:
    files = await asyncio.to_thread(files_of, shown, tmp_path)
    options = {"allow": ["127.0.0.1"], **options_of(mode, USER, PASSWORD), **files}
    async with (
        refusing(ClientCertificates(trusted=KNOWN.certificate_pem.decode(), demanded=True)) as target,
        proxy_for(target, tmp_path, **options) as rig,
        httpx.AsyncClient(trust_env=False, auth=auth_of(mode)) as client,
    ):
        login = {"Authorization": 'Digest username="demo"'} if mode is Mode.TRANSPARENT else {}
        for _ in range(6):  # more than the wrong logins after which one is held back
            answer = await client.request(method, f"{rig.http}/", content=b"x" * 100_000, headers=login)
            assert (answer.status_code, answer.json()["error"]) == (502, "gateway_wants_certificate")
        found = {each.step: each for each in await rig.proxy.doctor.examine()}
        assert (found[Step.TCP].ok, found[Step.TLS].code) == (True, "tls_client_certificate")
