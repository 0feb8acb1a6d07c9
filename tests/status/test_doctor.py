"""The doctor against real sockets: each fault gets its own cause, and an examination changes nothing."""

import asyncio
import io
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulator.certificates import CertificateOptions, make_identity
from simulator.gateway import Simulator
from smgw_proxy_addon.config.options import Options, from_command_line
from smgw_proxy_addon.gateway.tls import offers_brainpool
from smgw_proxy_addon.locales.explain import FINDINGS, explain_finding
from smgw_proxy_addon.program.background import gateway_doctor
from smgw_proxy_addon.program.cli import run_command
from smgw_proxy_addon.program.doctor_command import ReadOnlyStore, run_doctor
from smgw_proxy_addon.program.wiring import gateway_side
from smgw_proxy_addon.status.findings import Finding, Step
from smgw_proxy_addon.trust.policy import describe
from smgw_proxy_addon.trust.store import TrustStore
from tests import rig as rigs
from tests.rig import Rig, proxy_for

ILLEGAL_PARAMETER = bytes.fromhex("1503030002022f")
"""A fatal TLS alert, number 47 (RFC 5246 section 7.2)."""


def options_for(target: str, folder: Path, hasten: Mapping[str, Any] | None = None, **given: Any) -> Options:
    checked = from_command_line({"target": target, "cert_dir": str(folder / "certs"), "tls": rigs.tls, **given})
    return checked._replace(**(hasten or {}))


async def examine(options: Options, seconds: float = 20.0, *, brainpool: bool = True) -> dict[Step, Finding]:
    store = ReadOnlyStore(options.cert_dir, options.target.name, options.target.aliases)
    trust, pool = gateway_side(options, store)
    doctor = gateway_doctor(options, pool, trust, None, stores=False, brainpool=brainpool, answer_seconds=seconds)
    try:
        return {finding.step: finding for finding in await doctor.examine()}
    finally:
        await pool.close()


def fault(findings: Mapping[Step, Finding]) -> Finding:
    """Return the one step that failed, which has words in both languages."""
    (failed,) = [finding for finding in findings.values() if finding.ok is False]
    for language in ("en", "de"):
        words = explain_finding(failed.code, language, failed.facts)
        assert words.sentence
        assert words.remedy
        assert "{" not in words.sentence + words.remedy
    return failed


def codes(findings: Mapping[Step, Finding]) -> list[str]:
    return [finding.code for finding in findings.values()]


@asynccontextmanager
async def device(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """Run a device that is no gateway; yield its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def says(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()

    return talk


@contextmanager
def nobody_listens() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def packets_are_swallowed() -> Iterator[str]:
    """Yield an address whose queue of connections is full, so that the kernel drops every further SYN."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield f"127.0.0.1:{full.getsockname()[1]}"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("vendor", ["theben", "ppc", "emh"])
async def test_all_is_well(tmp_path: Path, vendor: str) -> None:
    async with Simulator(vendor=vendor) as sim:
        options = options_for(sim.authority, tmp_path)
        store = TrustStore(options.cert_dir, options.target.name)
        await asyncio.to_thread(store.learn, describe(sim.certificate_der), datetime.now(UTC))
        findings = await examine(options)
        assert codes(findings) == ["address_ok", "tcp_ok", "tls_ok", "certificate_ok", "http_ok"]
        assert all(finding.ok for finding in findings.values())
        for step in (Step.TCP, Step.TLS, Step.HTTP):
            assert (findings[step].seconds or 0) > 0
        assert len(sim.records) == 1
        assert not any(record.authorized for record in sim.records)


@pytest.mark.usefixtures("engine")
async def test_a_first_contact_is_told_and_not_made(tmp_path: Path) -> None:
    async with Simulator() as sim:
        findings = await examine(options_for(sim.authority, tmp_path))
        assert findings[Step.CERTIFICATE].code == "certificate_new"
        assert findings[Step.CERTIFICATE].ok is None
        assert sim.fingerprint in findings[Step.CERTIFICATE].facts["groups"].replace(" ", "")
        assert not (tmp_path / "certs").exists()


async def test_refused(tmp_path: Path) -> None:
    with nobody_listens() as target:
        found = fault(await examine(options_for(target, tmp_path)))
        assert (found.step, found.code) == (Step.TCP, "tcp_refused_port")


async def test_filtered(tmp_path: Path) -> None:
    with packets_are_swallowed() as target:
        findings = await examine(options_for(target, tmp_path, {"connect_timeout": 0.3}))
        assert (fault(findings).step, fault(findings).code) == (Step.TCP, "tcp_timeout")
        assert findings[Step.TLS].code == "not_tried"


async def test_an_unknown_name(tmp_path: Path) -> None:
    findings = await examine(options_for("gateway.invalid", tmp_path))
    assert (fault(findings).step, fault(findings).code) == (Step.NAME, "gateway_name_unknown")
    assert codes(findings)[1:] == ["address_not_known", *["not_tried"] * 4]


async def test_a_name(tmp_path: Path) -> None:
    async with Simulator() as sim:
        findings = await examine(options_for(f"localhost:{sim.port}", tmp_path))
        assert findings[Step.NAME].code == "name_ok"
        assert findings[Step.HTTP].code == "http_ok"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ILLEGAL_PARAMETER, "tls_illegal_parameter"),
        (bytes.fromhex("15030300020228"), "tls_no_common"),
        (bytes.fromhex("15030300020246"), "tls_version"),
        (bytes.fromhex("15030300020250"), "tls_internal_error"),
        (bytes.fromhex("15030300020231"), "tls_access_denied"),
        (bytes.fromhex("1503030002020a"), "tls_alert"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "tls_plain"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "tls_plain"),
        (b"", "tls_closed"),
    ],
)
async def test_a_handshake_that_fails(tmp_path: Path, answer: bytes, code: str) -> None:
    async with device(says(answer)) as target:
        findings = await examine(options_for(target, tmp_path))
        assert (fault(findings).step, fault(findings).code) == (Step.TLS, code)
        assert findings[Step.TCP].code == "tcp_ok"


@pytest.mark.usefixtures("engine")
async def test_a_gateway_that_refuses_the_handshake(tmp_path: Path) -> None:
    async with Simulator() as sim:
        sim.faults.set("refuse-handshake")
        assert fault(await examine(options_for(sim.authority, tmp_path))).code == "tls_no_common"


async def test_a_curve_that_was_not_offered(tmp_path: Path) -> None:
    # pytest runs with OpenSSL's own configuration, which offers no such curve.
    assert not offers_brainpool()
    async with Simulator(curve="brainpoolP256r1") as sim:
        findings = await examine(options_for(sim.authority, tmp_path, tls="openssl"), brainpool=offers_brainpool())
        assert (fault(findings).step, fault(findings).code) == (Step.TLS, "tls_curve")
        assert (await examine(options_for(sim.authority, tmp_path, tls="auto")))[Step.TLS].ok


def test_the_program_offers_the_curves() -> None:
    words = "from smgw_proxy_addon.gateway.tls import offers_brainpool; print(offers_brainpool())"
    # A measurement of coverage in that process would load OpenSSL before the program can choose its configuration.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    offered = subprocess.run(
        [sys.executable, "-c", f"import smgw_proxy_addon.__main__; {words}"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert offered.stdout == "True\n"


@pytest.mark.usefixtures("engine")
async def test_a_locked_gateway(tmp_path: Path) -> None:
    async with Simulator() as sim:
        sim.faults.set("locked")
        findings = await examine(options_for(sim.authority, tmp_path, {"connect_timeout": 0.3}))
        assert (fault(findings).step, fault(findings).code) == (Step.TLS, "tls_silent")
        assert findings[Step.TCP].ok


async def test_an_expired_certificate_is_a_warning(tmp_path: Path) -> None:
    old = CertificateOptions(not_before=datetime(2018, 1, 1, tzinfo=UTC), not_after=datetime(2025, 1, 1, tzinfo=UTC))
    async with Simulator(certificate=old) as sim:
        options = options_for(sim.authority, tmp_path)
        store = TrustStore(options.cert_dir, options.target.name)
        await asyncio.to_thread(store.learn, describe(sim.certificate_der), datetime.now(UTC))
        findings = await examine(options)
        assert findings[Step.CERTIFICATE].code == "certificate_expired"
        assert findings[Step.CERTIFICATE].facts["not_after"] == "2025-01-01"
        assert not any(finding.ok is False for finding in findings.values())


@pytest.mark.usefixtures("engine")
async def test_a_changed_certificate(tmp_path: Path) -> None:
    async with Simulator() as sim:
        options = options_for(sim.authority, tmp_path)
        store = TrustStore(options.cert_dir, options.target.name)
        await asyncio.to_thread(store.learn, describe(b"another"), datetime.now(UTC))
        findings = await examine(options)
        assert (fault(findings).step, fault(findings).code) == (Step.CERTIFICATE, "certificate_changed")
        remedy = explain_finding("certificate_changed", "en", fault(findings).facts).remedy
        assert f"smgw-proxy trust accept --target {sim.authority} --fingerprint {sim.fingerprint}\n" in remedy
        assert codes(findings)[1:3] == ["tcp_ok", "tls_ok"]
        assert sim.journal.heads == 0
        assert not (options.cert_dir / f"{options.target.name}.refused").exists()


@pytest.mark.usefixtures("engine")
async def test_another_certificate_than_the_configured(tmp_path: Path) -> None:
    async with Simulator() as sim:
        options = options_for(sim.authority, tmp_path, certificate_fingerprint="ab" * 32)
        assert fault(await examine(options)).code == "certificate_not_allowed"


async def test_an_unreadable_pin(tmp_path: Path) -> None:
    async with Simulator() as sim:
        options = options_for(sim.authority, tmp_path)
        options.cert_dir.mkdir()
        (options.cert_dir / f"{options.target.name}.json").write_text("{")
        findings = await examine(options)
        assert (fault(findings).step, fault(findings).code) == (Step.CERTIFICATE, "pin_unreadable")
        remedy = explain_finding("pin_unreadable", "en", fault(findings).facts).remedy
        assert f"smgw-proxy trust forget --target {sim.authority}" in remedy
        assert sim.connections == 0


async def test_an_emh_gateway_that_wants_another_host(tmp_path: Path) -> None:
    async with Simulator(vendor="emh") as sim:
        options = options_for(sim.authority, tmp_path, host_header="meter.example.org")
        found = fault(await examine(options))
        assert (found.step, found.code) == (Step.HTTP, "http_forbidden")
        assert "meter.example.org" in explain_finding(found.code, "en", found.facts).sentence
        assert "host_header" in explain_finding(found.code, "de", found.facts).remedy


@pytest.mark.parametrize("ends", [False, True])
async def test_an_emh_gateway_that_takes_smgw_local_only(tmp_path: Path, ends: bool) -> None:
    async with Simulator(vendor="emh", smgw_local_only=True) as sim:
        if ends:
            sim.faults.set("close-announced")
        found = fault(await examine(options_for(sim.authority, tmp_path)))
        assert (found.step, found.code) == (Step.HTTP, "http_smgw_local")
        assert sim.authority in explain_finding(found.code, "en", found.facts).sentence
        assert "host_header" in explain_finding(found.code, "de", found.facts).remedy
        assert [record.header(b"host") for record in sim.records].count(b"smgw.local") == 1
        assert codes(await examine(options_for(sim.authority, tmp_path, host_header="smgw.local")))[-1] == "http_ok"


async def test_a_device_that_refuses_smgw_local_too_is_no_gateway(tmp_path: Path) -> None:
    context = await asyncio.to_thread(make_identity(CertificateOptions()).server_context)
    async with device(says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), context) as target:
        assert fault(await examine(options_for(target, tmp_path))).code == "http_not_a_gateway"


@pytest.mark.parametrize(
    ("kind", "code"), [("drop", "http_closed"), ("reset", "http_closed"), ("garbage", "gateway_bad_answer")]
)
async def test_a_gateway_that_gives_no_answer(tmp_path: Path, kind: str, code: str) -> None:
    async with Simulator() as sim:
        sim.faults.set(kind)
        findings = await examine(options_for(sim.authority, tmp_path))
        assert (fault(findings).step, fault(findings).code) == (Step.HTTP, code)
        assert findings[Step.TLS].ok


async def test_a_gateway_that_takes_too_long(tmp_path: Path) -> None:
    async with Simulator() as sim:
        sim.faults.set("stall")
        found = fault(await examine(options_for(sim.authority, tmp_path), seconds=0.3))
        assert found.code == "http_silent"
        assert "0.3" in explain_finding(found.code, "en", found.facts).sentence


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "http_not_a_gateway"),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", "http_other_login"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "http_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "gateway_answer_truncated"),
    ],
)
async def test_a_device_that_is_no_gateway(tmp_path: Path, answer: bytes, code: str) -> None:
    async with Simulator(certificate=CertificateOptions(common_name="fritz.box")) as sim:
        context = await asyncio.to_thread(sim.identity.server_context)
    async with device(says(answer), context) as target:
        assert fault(await examine(options_for(target, tmp_path))).code == code


def test_every_outcome_has_words_in_both_languages() -> None:
    assert set(FINDINGS["en"]) == set(FINDINGS["de"])
    for code, words in FINDINGS["en"].items():
        assert bool(words.remedy) == bool(FINDINGS["de"][code].remedy), code


# Beside a running proxy


async def get(rig: Rig) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(f"{rig.http}/sim/status/200")


async def test_the_running_proxys_doctor_uses_the_kept_connection(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        checks = await rig.proxy.doctor.diagnose("en")
        assert [check.ok for check in checks] == [True] * 5
        assert sim.connections == 1


@pytest.mark.parametrize("by_command", [False, True])
async def test_the_running_proxys_doctor_trusts_nobody(tmp_path: Path, by_command: bool) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        options = options_for(sim.authority, tmp_path)
        if by_command:
            _, text = await asyncio.to_thread(command, options)
        else:
            checks = await rig.proxy.doctor.diagnose("en")
            assert [check.ok for check in checks] == [True, True, True, None, None]
            text = checks[3].sentence
        assert sim.fingerprint in "".join(text.split()).replace("(", " ").replace(":", " ").split()
        assert (await asyncio.to_thread(TrustStore(options.cert_dir, options.target.name).load)) is None
        assert sim.journal.heads == 0
        await sim.wait_for_open(0)
        # Clients make the first contact.
        assert (await get(rig)).status_code == 200
        checks = await rig.proxy.doctor.diagnose("en")
        assert all(check.ok for check in checks)


async def test_an_app_without_its_supervisor_is_still_an_app(tmp_path: Path) -> None:
    options = options_for("127.99.0.1", tmp_path)._replace(cert_dir=Path("/data/certs"))
    trust, pool = gateway_side(options, ReadOnlyStore(options.cert_dir, "gw"))
    findings = await gateway_doctor(options, pool, trust, None, stores=False).examine()
    # Its interfaces are not those of the computer, so nothing is said of them.
    assert findings[0].code == "address_not_known"


async def test_the_running_proxys_doctor_waits_for_its_turn(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        gate = asyncio.Event()
        sim.faults.set("slow", gate=gate, times=1)
        slow = asyncio.create_task(get(rig))
        await sim.wait_for_heads(1)
        diagnosis = asyncio.create_task(rig.proxy.doctor.diagnose("en"))
        finished, _ = await asyncio.wait({diagnosis}, timeout=0.2)
        assert not finished
        gate.set()
        await slow
        assert all(check.ok for check in await diagnosis)
        assert sim.connections == 1


async def test_a_kept_connection_that_died_is_replaced(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        sim.faults.set("drop-kept", times=1)
        checks = await rig.proxy.doctor.diagnose("en")
        assert all(check.ok for check in checks)
        assert sim.connections == 2


def command(options: Options, language: str = "en") -> tuple[int, str]:
    out = io.StringIO()
    return run_doctor(options, language, out), out.getvalue()


async def test_the_command_asks_the_running_proxy(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await get(rig)
        options = options_for(sim.authority, tmp_path)
        code, text = await asyncio.to_thread(command, options)
        assert code == 0
        assert "no second one was opened" in text
        assert text.endswith("All is well.\n")
        assert sim.connections == 1
        lock = options.cert_dir / f".running-{options.target.name}"
        assert lock.read_text().split()[1] not in text
        assert lock.stat().st_mode & 0o777 == 0o600
    # Stopped, the proxy is not asked any more.
    code, text = await asyncio.to_thread(command, options)
    assert code == 1
    assert "FAILED    Connection" in text


async def test_a_running_proxy_that_cannot_be_asked_ends_the_command(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path):
        options = options_for(sim.authority, tmp_path)
        lock = options.cert_dir / f".running-{options.target.name}"
        port = lock.read_text().split()[0]
        for line in (f"{port} wrong", '{"port": 1, "token": "of an earlier version"}', ""):
            lock.write_text(line)
            code, text = await asyncio.to_thread(command, options)
            assert (code, sim.connections) == (1, 0)
            assert text == "smgw-proxy: A proxy runs for this gateway, but it does not answer.\n"


async def test_a_second_proxy_for_the_same_gateway_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path), proxy_for(sim, tmp_path):
        assert "Another smgw-proxy on this computer" in caplog.text


@pytest.mark.parametrize(("language", "words"), [("en", "What to do: "), ("de", "Zu tun: ")])
def test_the_command_says_what_to_do(tmp_path: Path, language: str, words: str) -> None:
    with nobody_listens() as target:
        code, text = command(options_for(target, tmp_path), language)
    assert code == 1
    assert words in text
    assert max(map(len, text.splitlines())) <= 100
    assert not (tmp_path / "certs").exists()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LANG": "de_DE.UTF-8"}, "Netzwerkadresse"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "Network address"),
        ({"LANG": ""}, "Network address"),
    ],
)
def test_the_command_speaks_the_terminals_language(
    tmp_path: Path,
    environment: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with nobody_listens() as target:
        assert run_command(["doctor", "--target", target, "--cert-dir", str(tmp_path)]) == 1
    assert words in capsys.readouterr().out


def test_the_command_refuses_options_that_it_does_not_need(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_command(["doctor", "--port", "8080"])
    assert "--port" in capsys.readouterr().err
