"""The pin against a real gateway in TLS: nothing of a request is sent before the certificate was compared."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from simulator.certificates import CertificateOptions
from simulator.gateway import Simulator
from smgw_proxy_addon.errors import CertificateChangedError
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.trust.pinning import GatewayTrust
from smgw_proxy_addon.trust.policy import describe
from smgw_proxy_addon.trust.store import TrustStore
from tests.rig import Rig, proxy_for

pytestmark = pytest.mark.usefixtures("engine")

LOGIN = httpx.DigestAuth("demo", "gateway")
WITH_LOGIN = {"Authorization": 'Digest username="demo", nonce="n", uri="/", response="secret"'}


async def get(rig: Rig, path: str = "/sim/status/200", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(rig.http + path, headers=headers)


def pin_file(rig: Rig, sim: Simulator) -> Path:
    return rig.cert_dir / f"{sim.authority}.json"


def stored(rig: Rig, sim: Simulator) -> str:
    return str(json.loads(pin_file(rig, sim).read_text())["fingerprint"])


async def test_the_first_certificate_is_stored_before_the_request_leaves(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        assert (await get(rig)).status_code == 200
        assert stored(rig, sim) == sim.fingerprint
        assert pin_file(rig, sim).stat().st_mode & 0o777 == 0o600


async def test_a_changed_certificate_is_refused_in_plain_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        trusted = sim.fingerprint
        presented = await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        caplog.clear()
        answers = [await get(rig, **WITH_LOGIN) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [502, 502, 502]
        told = answers[0].json()
        assert told["error"] == "certificate_changed"
        words = json.dumps(told).replace(" ", "").lower()
        assert trusted in words
        assert presented in words
        assert "2032" in words  # the dates
        assert "trustaccept" in words
        assert len(sim.records) == 1
        assert stored(rig, sim) == trusted
        assert len([record for record in caplog.records if presented in record.getMessage()]) == 1


async def test_twenty_parallel_requests_leave_nothing_at_a_swapped_gateway(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, max_connections="8") as rig:
        await get(rig)
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        answers = await asyncio.gather(*(get(rig, **WITH_LOGIN) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {502}
        assert len(sim.records) == 1
        assert sim.journal.heads == 1


async def test_a_kept_connection_stays_with_the_gateway_it_was_made_to(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        await sim.rotate_certificate()
        # The kept connection was made with the trusted certificate and stays in use.
        assert (await get(rig)).status_code == 200
        sim.close_connections()
        await sim.wait_for_open(0)
        assert (await get(rig, **WITH_LOGIN)).status_code == 502
        assert len(sim.records) == 2
        assert not any(record.authorized for record in sim.records)


async def test_a_swap_between_two_handshakes_is_noticed(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, max_connections="2") as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        first = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        await sim.rotate_certificate()
        assert (await get(rig, **WITH_LOGIN)).status_code == 502
        gate.set()
        assert (await first).status_code == 200
        assert len(sim.records) == 1


async def test_the_trusted_certificate_shown_again_is_served_again(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        trusted = sim.identity
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        assert (await get(rig)).status_code == 502
        await sim.use_identity(trusted)
        assert (await get(rig)).status_code == 200


async def test_accepting_the_refused_certificate_is_noticed_by_the_running_proxy(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        presented = await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        assert (await get(rig)).status_code == 502
        store = TrustStore(rig.cert_dir, sim.authority)
        await asyncio.to_thread(store.accept, presented, datetime.now(UTC))
        assert (await get(rig)).status_code == 200
        assert stored(rig, sim) == presented


async def test_a_connection_of_a_certificate_no_longer_trusted_is_not_used_again(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        pin = json.loads(pin_file(rig, sim).read_text())
        pin |= {"fingerprint": "ab" * 32, "pem": None}
        pin_file(rig, sim).write_text(json.dumps(pin))
        assert (await get(rig, **WITH_LOGIN)).status_code == 502
        assert len(sim.records) == 1


async def test_a_pin_of_the_go_proxy_is_honoured(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        rig.cert_dir.mkdir(exist_ok=True)
        go_pin = {
            "fingerprint": "cd" * 32,
            "subject": "CN=ETHE0300186023.SMGW,O=SMGW,C=DE",
            "issuer": "CN=SMGW.CA,O=SM-Test-PKI-DE,C=DE",
            "not_before": "2025-03-01 00:00:00 +0000 UTC",
            "not_after": "2032-03-01 23:59:59 +0000 UTC",
            "dns_names": None,
        }
        pin_file(rig, sim).write_text(json.dumps(go_pin, indent=2))
        assert (await get(rig)).status_code == 502
        pin_file(rig, sim).write_text(json.dumps(go_pin | {"fingerprint": sim.fingerprint}, indent=2))
        assert (await get(rig)).status_code == 200
        completed = json.loads(pin_file(rig, sim).read_text())
        assert completed["pem"].startswith("-----BEGIN CERTIFICATE-----")
        assert completed["fingerprint"] == sim.fingerprint


@pytest.mark.parametrize("damage", ["", "{", '{"fingerprint": "12"}', "[]"])
async def test_a_damaged_pin_stops_forwarding_and_is_never_replaced(tmp_path: Path, damage: str) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        whole = pin_file(rig, sim).read_text()
        pin_file(rig, sim).write_text(damage)
        answer = await get(rig, **WITH_LOGIN)
        assert (answer.status_code, answer.json()["error"]) == (502, "pin_unreadable")
        assert pin_file(rig, sim).read_text() == damage
        assert len(sim.records) == 1
        pin_file(rig, sim).write_text(whole)
        assert (await get(rig)).status_code == 200


async def test_a_pin_that_cannot_be_written_forwards_nothing(tmp_path: Path) -> None:
    (tmp_path / "certs").write_text("a file where the folder should be")
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await get(rig, **WITH_LOGIN)
        assert answer.status_code == 502
        assert answer.json()["error"] in {"pin_not_written", "pin_unreadable"}
        assert sim.journal.heads == 0


class FullDisk(Files):
    """A disk on which nothing more can be written."""

    def write(self, descriptor: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")


async def test_a_full_disk_forwards_nothing_until_there_is_room(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, files=FullDisk()) as rig:
        answer = await get(rig, **WITH_LOGIN)
        assert (answer.status_code, answer.json()["error"]) == (502, "pin_not_written")
        assert sim.journal.heads == 0
        assert not pin_file(rig, sim).exists()


async def test_two_first_connections_at_once_end_in_one_pin(tmp_path: Path) -> None:
    async with Simulator(handshake_delay=0.1) as sim, proxy_for(sim, tmp_path, max_connections="8") as rig:
        answers = await asyncio.gather(*(get(rig) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert stored(rig, sim) == sim.fingerprint


def trust_of(folder: Path) -> GatewayTrust:
    return GatewayTrust(
        TrustStore(folder, "gw"), configured=None, target="gw", now=lambda: datetime(2026, 11, 1, tzinfo=UTC)
    )


async def test_of_two_certificates_at_first_contact_the_first_handshake_wins(tmp_path: Path) -> None:
    trust = trust_of(tmp_path)
    first, second = await asyncio.gather(trust.settle(b"first"), trust.settle(b"second"), return_exceptions=True)
    assert first == describe(b"first")
    assert isinstance(second, CertificateChangedError)
    with pytest.raises(CertificateChangedError):
        await trust.settle(b"second")


async def test_of_two_programs_at_first_contact_the_first_on_disk_wins(tmp_path: Path) -> None:
    ours, theirs = trust_of(tmp_path), trust_of(tmp_path)
    await theirs.settle(b"second")
    for _ in range(2):
        with pytest.raises(CertificateChangedError):
            await ours.settle(b"first")


async def test_a_configured_fingerprint_accepts_only_that_certificate_and_learns_nothing(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path / "right", certificate_fingerprint=sim.fingerprint) as right,
        proxy_for(sim, tmp_path / "wrong", certificate_fingerprint="ab" * 32) as wrong,
    ):
        assert (await get(right)).status_code == 200
        assert not pin_file(right, sim).exists()
        answer = await get(wrong, **WITH_LOGIN)
        assert (answer.status_code, answer.json()["error"]) == (502, "certificate_not_allowed")
        assert "ab" * 32 in json.dumps(answer.json()).replace(" ", "").lower()
        assert not pin_file(wrong, sim).exists()
        assert len(sim.records) == 1


async def test_an_expired_certificate_is_served_and_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = CertificateOptions(
        not_before=datetime(2018, 1, 1, tzinfo=UTC), not_after=datetime(2025, 1, 1, tzinfo=UTC), curve="P-384"
    )
    async with Simulator(certificate=old) as sim, proxy_for(sim, tmp_path) as rig:
        caplog.set_level(logging.WARNING)
        for _ in range(2):
            assert (await get(rig)).status_code == 200
            sim.close_connections()
            await sim.wait_for_open(0)
        assert len([record for record in caplog.records if "is trusted, but expired" in record.getMessage()]) == 1


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "RSA"])
async def test_each_kind_of_key_connects(tmp_path: Path, curve: str, engine: str) -> None:
    # TR-03116-3 does not allow P-521, which OpenSSL offers.
    fine = engine == "openssl" or curve != "P-521"
    async with Simulator(curve=curve) as sim, proxy_for(sim, tmp_path) as rig:
        assert (await get(rig)).status_code == (200 if fine else 502)


class LaterFullDisk(Files):
    """A disk that is full while ``full`` is set."""

    full = False

    def write(self, descriptor: int, data: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(descriptor, data)


async def test_a_disk_that_fills_up_later_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = LaterFullDisk()
    async with Simulator() as sim, proxy_for(sim, tmp_path, files=disk) as rig:
        await get(rig)
        # A pin as the Go proxy writes it, without pem and last_seen: the next contact adds them.
        pin = json.loads(pin_file(rig, sim).read_text())
        pin_file(rig, sim).write_text(json.dumps(pin | {"pem": None, "last_seen": None}))
        disk.full = True
        for _ in range(2):
            sim.close_connections()
            await sim.wait_for_open(0)
            assert (await get(rig)).status_code == 200
        assert caplog.text.count("What the gateway showed could not be stored: ") == 1
        disk.full = False
        for _ in range(2):
            sim.close_connections()
            await sim.wait_for_open(0)
            assert (await get(rig)).status_code == 200
        assert caplog.text.count("What the gateway shows can be stored again") == 1

        disk.full = True
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        for _ in range(2):
            assert (await get(rig)).json()["error"] == "certificate_changed"
        assert caplog.text.count("What the gateway showed could not be stored: ") == 2


async def test_a_folder_that_vanishes_is_no_reason_to_learn_again(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        rig.cert_dir.rename(tmp_path / "unmounted")
        await sim.rotate_certificate()
        sim.close_connections()
        await sim.wait_for_open(0)
        answer = await get(rig, **WITH_LOGIN)
        assert (answer.status_code, answer.json()["error"]) == (502, "pin_unreadable")
        assert len(sim.records) == 1
        (tmp_path / "unmounted").rename(rig.cert_dir)
        assert (await get(rig)).json()["error"] == "certificate_changed"


async def test_a_pin_that_changes_between_handshake_and_request_is_compared_again(tmp_path: Path) -> None:
    trust = trust_of(tmp_path)
    await trust.settle(b"first")
    store = TrustStore(tmp_path, "gw")
    await asyncio.to_thread(store.refuse, describe(b"second"), datetime(2026, 11, 2, tzinfo=UTC))
    await asyncio.to_thread(store.accept, None, datetime(2026, 11, 2, tzinfo=UTC))
    await trust.refresh()
    with pytest.raises(CertificateChangedError):
        await trust.settle(b"first")
