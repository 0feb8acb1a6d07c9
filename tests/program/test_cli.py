"""The program as a process: its flags, signals, exit codes, files and words."""

import asyncio
import fcntl
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from simulator.certificates import CertificateOptions, make_identity
from simulator.gateway import Simulator
from simulator.ppc import CGI
from smgw_proxy_addon import __version__
from tests.ports import free_port
from tests.process import ROOT, Program, module, proxy_program, run_to_end
from tests.rig import send, status_of
from tests.waiting import until

PASSWORD: Final = "correct horse battery staple"
LOGIN: Final = {"Authorization": 'Digest username="demo", nonce="n", uri="/", response="0123456789abcdef"'}


async def get(base: str, path: str = "/sim/status/200", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30, verify=False) as client:
        return await client.get(base + path, headers=headers)


def port_of(base: str) -> int:
    return int(base.rpartition(":")[2])


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def pin_file(folder: Path, sim: Simulator) -> Path:
    return folder / "certs" / f"{sim.authority}.json"


async def forget_connections(sim: Simulator) -> None:
    """Make the next request come with a handshake."""
    sim.close_connections()
    await sim.wait_for_open(0)


async def refused_as(base: str, code: str) -> httpx.Response:
    """Ask with a login, which must not leave the proxy."""
    answer = await get(base, **LOGIN)
    assert (answer.status_code, answer.json()["error"]) == (502, code)
    return answer


# Starting


def test_no_public_authority_is_loaded() -> None:
    program = "import smgw_proxy_addon.__main__, ssl; print(ssl.create_default_context().cert_store_stats()['x509'])"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT, timeout=30)
    assert ended.stdout == b"0\n"


@pytest.mark.parametrize("curve", ["P-256", "P-384", "brainpoolP256r1", "brainpoolP384r1"])
async def test_a_gateway_of_each_curve_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve: str
) -> None:
    # Only a process can show it: OpenSSL reads its configuration once, when it is first loaded. A measurement of
    # coverage in that process would load it before the program can choose one.
    for variable in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(variable, raising=False)
    async with Simulator(curve=curve) as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        assert sim.fingerprint in pin_file(tmp_path, sim).read_text()


@pytest.mark.parametrize("joined", [False, True], ids=["-target X", "-target=X"])
async def test_a_unit_of_the_go_proxy_works_as_it_is(tmp_path: Path, joined: bool) -> None:
    async with Simulator() as sim:
        flags = {
            "-target": sim.authority,
            "-port": "0",
            "-certdir": str(tmp_path / "pins"),
            "-logdir": str(tmp_path / "lines"),
            "-logfile": "meter.log",
        }
        pairs = flags.items()
        arguments = (
            [f"{flag}={value}" for flag, value in pairs] if joined else [part for pair in pairs for part in pair]
        )
        async with module("smgw_proxy_addon", tmp_path, *arguments) as program:
            await program.wait_for(" Ready\n")
            assert (await get(program.http)).status_code == 200
            assert (await program.stop())[0] == 0
        assert (tmp_path / "pins" / f"{sim.authority}.json").exists()
        (log,) = files_in(tmp_path / "lines")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_meter\.log", log.name)


async def test_the_first_lines_tell_what_runs_where_with_which_options(tmp_path: Path) -> None:
    async with Simulator() as sim:
        async with proxy_program(tmp_path, sim.authority, "--https-port", "0", "--read-timeout", "33") as program:
            assert (await get(program.https)).status_code == 200
            told = program.output
        for text in (
            f"smgw-proxy {__version__}, ",
            "Python 3.",
            "OpenSSL 3.",
            f"Option target: {sim.authority}",
            "Option read_timeout: 33",
            "Option host_header: not set",
            "Local addresses: localhost, ",
            "No certificate stored in certs",
            f"Forwarding to https://{sim.authority}",
        ):
            assert text in told
        async with proxy_program(tmp_path, sim.authority) as program:
            assert f"Stored certificate of {sim.authority}: {sim.fingerprint}, " in program.output
            assert "valid from 2025-03-01" in program.output
        pin_file(tmp_path, sim).write_bytes(b"{")
        async with proxy_program(tmp_path, sim.authority) as program:
            assert f"Stored certificate of {sim.authority} cannot be read: not a JSON text" in program.output


async def test_bad_options_are_named_in_one_line(tmp_path: Path) -> None:
    wrong = {
        ("--max-connections", "9"): "--max-connections: 9 is too large; allowed: a whole number from 1 to 8",
        ("--target", "http://10.11.120.2"): "--target: a gateway speaks HTTPS only",
        ("--port=http",): "--port: ",
        ("--colour", "red"): "--colour",
        ("trust", "accept", "--target", "a b"): "--target: ",
    }
    ends = await asyncio.gather(*(run_to_end(tmp_path, *arguments) for arguments in wrong))
    for (code, output), words in zip(ends, wrong.values(), strict=True):
        assert code == 2, output
        assert output.startswith("smgw-proxy: ")
        assert words in output
        assert output.count("\n") == 1
    assert not files_in(tmp_path)


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = await run_to_end(tmp_path, "--port", port, "--bind", "127.0.0.1")
    assert code == 1
    assert output.count("\n") == 1
    assert f"port {port}: another program uses it already" in output


async def test_a_target_that_is_the_proxy_itself_is_said_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    code, output = await run_to_end(
        tmp_path, "--port", str(port), "--bind", "127.0.0.1", "--target", f"127.0.0.1:{port}"
    )
    assert code == 2
    assert output.startswith(f'smgw-proxy: option --target: "127.0.0.1:{port}" is where this proxy itself listens; ')
    assert output.count("\n") == 1


async def test_a_certificate_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "certs").write_text("a file where the folder should be")
    code, output = await run_to_end(tmp_path, "--port", "0", "--https-port", "0", "--bind", "127.0.0.1")
    assert code == 1
    assert len(output.splitlines()) == 1
    assert output.startswith("smgw-proxy: ")
    assert "certs" in output
    assert "Traceback" not in output
    # Without HTTPS it is needed at the first contact only: nothing is forwarded then.
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        answer = await get(program.http, **LOGIN)
        assert answer.status_code == 502
        assert answer.json()["error"] in {"pin_not_written", "pin_unreadable"}
        assert sim.journal.heads == 0
        assert (await program.stop())[0] == 0
    assert "Traceback" not in program.output


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_proxy_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        code, seconds = await program.stop(number)
        assert code == 0
        assert seconds < 3.5  # nowhere near the grace for running requests
        assert program.lines[-1].endswith(" Stopped\n")
        await sim.wait_for_open(0)
    assert "Traceback" not in program.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_running_request_is_finished_and_no_new_one_taken(tmp_path: Path, number: signal.Signals) -> None:
    gate = asyncio.Event()
    async with (
        Simulator() as sim,
        proxy_program(tmp_path, sim.authority, "--max-connections", "2") as program,
        httpx.AsyncClient(trust_env=False, timeout=30) as other,
    ):
        assert (await other.get(program.http + "/sim/status/200")).status_code == 200
        sim.faults.set("slow", gate=gate)
        running = asyncio.create_task(get(program.http, "/sim/bytes/100000"))
        await sim.wait_for_heads(2)
        program.send(number)
        await program.wait_for(" Stopping\n")
        late = await other.get(program.http + "/sim/status/200")
        assert (late.status_code, late.json()["error"]) == (503, "shutting_down")
        with pytest.raises(httpx.TransportError):
            await get(program.http)
        gate.set()
        assert len((await running).content) == 100000
        assert await program.end() == 0
        assert len(sim.records) == 2
    assert "Traceback" not in program.output


async def test_a_hanging_request_gets_its_grace_and_no_more(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        sim.faults.set("stall")
        hanging = asyncio.create_task(get(program.http))
        await sim.wait_for_heads(1)
        code, seconds = await program.stop()
        assert code == 0
        assert 3.5 < seconds < 6.5
        answer = await hanging
        assert (answer.status_code, answer.json()["error"]) == (503, "shutting_down")
        await sim.wait_for_open(0)
    assert "Traceback" not in program.output


# Trust


async def trust(folder: Path, sim: Simulator, *arguments: str) -> tuple[int, str]:
    """Run ``trust``; fingerprints come without their spaces."""
    code, output = await run_to_end(folder, "trust", *arguments, "--target", sim.authority)
    return code, re.sub(r"\s", "", output)


async def test_a_new_certificate_is_accepted_while_the_proxy_runs(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        old = sim.fingerprint
        new = await sim.rotate_certificate()
        await forget_connections(sim)
        for _ in range(2):
            await refused_as(program.http, "certificate_changed")
        assert len(sim.records) == 1
        code, output = await trust(tmp_path, sim, "show")
        assert code == 0
        assert "refused" in output
        code, _ = await trust(tmp_path, sim, "accept", "--fingerprint", "ab" * 32)
        assert code == 1
        await refused_as(program.http, "certificate_changed")
        code, output = await trust(tmp_path, sim, "accept")
        assert code == 0
        assert new in output
        assert old in output
        assert (await get(program.http)).status_code == 200
        await program.stop()
        assert program.output.count(new) == 1  # once per change, not once per request


async def test_a_forgotten_certificate_is_learnt_again(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        new = await sim.rotate_certificate()
        assert (await trust(tmp_path, sim, "forget"))[0] == 0
        assert (await get(program.http)).status_code == 200
        assert new in pin_file(tmp_path, sim).read_text()
        await program.wait_until(lambda: program.output.count("First contact") == 2)


async def test_a_damaged_pin_stops_forwarding_until_it_is_repaired(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        pin = pin_file(tmp_path, sim)
        whole = pin.read_bytes()
        pin.write_bytes(whole[:100])
        await refused_as(program.http, "pin_unreadable")
        assert pin.read_bytes() == whole[:100]
        code, _ = await trust(tmp_path, sim, "show")
        assert code == 1
        pin.write_bytes(whole)
        assert (await get(program.http)).status_code == 200
        assert len(sim.records) == 2
        assert "Traceback" not in program.output


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_a_folder_of_the_go_proxy_works_as_it_is(tmp_path: Path, right: bool) -> None:
    async with Simulator() as sim:
        written = {
            "fingerprint": sim.fingerprint if right else "cd" * 32,
            "subject": "CN=ETHE0300186023.SMGW,O=SMGW,C=DE",
            "issuer": "CN=SMGW.CA,O=SM-Test-PKI-DE,C=DE",
            "not_before": "2025-03-01 00:00:00 +0000 UTC",
            "not_after": "2032-03-01 23:59:59 +0000 UTC",
            "dns_names": None,
        }
        pin = pin_file(tmp_path, sim)
        pin.parent.mkdir()
        pin.write_text(json.dumps(written, indent=2))
        pin.chmod(0o644)
        async with proxy_program(tmp_path, sim.authority) as program:
            assert f"Stored certificate of {sim.authority}: {written['fingerprint']}" in program.output
            if right:
                assert (await get(program.http)).status_code == 200
                assert pin.stat().st_mode & 0o777 == 0o600
            else:
                await refused_as(program.http, "certificate_changed")
                assert sim.journal.heads == 0
                assert json.loads(pin.read_text()) == written
            assert "First contact" not in program.output


async def test_after_a_kill_the_pin_holds_and_the_log_goes_on(tmp_path: Path) -> None:
    async with Simulator() as sim:
        async with proxy_program(tmp_path, sim.authority) as program:
            assert (await get(program.http)).status_code == 200
            (log,) = files_in(tmp_path / "logs")
            await until(lambda: " GET /sim/status/200 200 " in log.read_text())
            sim.faults.set("stall", times=1)
            hanging = asyncio.create_task(get(program.http))
            await sim.wait_for_heads(2)
            assert (await program.stop(signal.SIGKILL))[0] == -signal.SIGKILL
            with pytest.raises(httpx.TransportError):
                await hanging
        pin = pin_file(tmp_path, sim).read_text()
        (log,) = files_in(tmp_path / "logs")
        before = log.read_text()
        async with proxy_program(tmp_path, sim.authority) as program:
            assert (await get(program.http)).status_code == 200
            assert (await program.stop())[0] == 0
        after = log.read_text()
        assert files_in(tmp_path / "logs") == [log]
        assert after.startswith(before)
        assert after.removeprefix(before) == program.output
        assert "First contact" not in program.output
        assert json.loads(pin_file(tmp_path, sim).read_text())["fingerprint"] == json.loads(pin)["fingerprint"]


# The log


REQUEST_LINE: Final = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (?P<level>\w+) +"
    r"(?P<client>\S+) (?P<method>\S+) (?P<target>\S+) (?P<status>\d{3}|closed) bytes=(?P<bytes>\d+) "
    r"waiting=(?P<waiting>\d+)ms connecting=(?P<connecting>\d+)ms answering=(?P<answering>\d+)ms "
    r"connection=(?P<connection>new|reused|-)(?: error=(?P<error>\w+)(?: \(.*\))?)?"
)


def request_lines(text: str) -> list[re.Match[str]]:
    return [found for line in text.splitlines() if (found := REQUEST_LINE.fullmatch(line))]


async def test_each_request_has_its_line(tmp_path: Path) -> None:
    async with (
        Simulator(handshake_delay=0.2, request_delay=0.02) as sim,
        proxy_program(tmp_path, sim.authority) as program,
    ):
        await get(program.http, "/sim/bytes/12345?a=%7E")
        await get(program.http, "/sim/status/404")
        with pytest.raises(httpx.RemoteProtocolError):
            await get(program.http, "/", **LOGIN)
        await program.stop()
    first, second, third = request_lines(program.output)
    assert first["client"] == "127.0.0.1"
    assert (first["level"], first["method"], first["target"]) == ("INFO", "GET", "/sim/bytes/12345?a=%7E")
    assert (first["status"], first["bytes"], first["connection"]) == ("200", "12345", "new")
    assert int(first["connecting"]) >= 200
    assert int(first["answering"]) >= 20
    assert (second["status"], second["connection"]) == ("404", "reused")
    assert int(second["connecting"]) < int(first["connecting"])
    assert (third["level"], third["status"]) == ("WARNING", "closed")
    assert third["error"] == "gateway_closed_without_answer"


@pytest.mark.parametrize("further", [(), ("--log-level", "debug", "--log-bodies")], ids=["usual", "everything"])
async def test_no_secret_is_written_anywhere(tmp_path: Path, further: tuple[str, ...]) -> None:
    async with Simulator(vendor="ppc", password=PASSWORD) as sim:
        async with proxy_program(tmp_path, sim.authority, *further) as program:
            login = httpx.DigestAuth(sim.user, sim.password)
            async with httpx.AsyncClient(auth=login, trust_env=False, timeout=30) as client:
                url = program.http + CGI.decode()
                page = (await client.get(url)).text
                token = page.partition('name="tkn" value="')[2][:64]
                for target in (url, f"{url}?tkn={token}"):
                    form = {"tkn": token, "action": "meterform", "password": PASSWORD}
                    assert (await client.post(target, data=form)).status_code == 200
                cookie = client.cookies["session"]
            await program.stop()
        secrets = {PASSWORD, PASSWORD.replace(" ", "+"), PASSWORD.replace(" ", "%20"), token, cookie}
        for record in sim.records:
            for value in record.all_headers(b"authorization"):
                parts = re.findall(r'(?:response|nonce|cnonce)="([^"]+)"', value.decode())
                secrets |= {value.decode(), *parts}
        assert len(secrets) > 10
        written = program.output + "".join(file.read_text() for file in files_in(tmp_path))
        assert " First contact " in written
        assert len(request_lines(program.output)) == len(sim.records)
        assert [secret for secret in secrets if secret in written] == []


async def test_the_log_file_holds_what_the_console_shows(tmp_path: Path) -> None:
    async with Simulator() as sim:
        async with proxy_program(tmp_path, sim.authority) as program:
            assert (await get(program.http)).status_code == 200
            await program.stop()
        (log,) = files_in(tmp_path / "logs")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_proxy\.log", log.name)
        assert log.read_text() == program.output


# Malformed input


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="echo-marker").do_handshake()
    return outgoing.read()


MALFORMED: Final = {
    "garbage": b"\x00\x01echo-marker<script>\x1b[31m\xff\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "wrong version": b"GET /echo-marker HTTP/9.9\r\nHost: x\r\n\r\n",
    "a space in a name": b"GET / HTTP/1.1\r\nHost: x\r\necho-marker : 1\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: x\r\necho-marker\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\nHost: x\r\nX: echo-marker\x00\x1b[31m\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\necho-marker",
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\necho-marker"
    ),
    "a bad length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: echo-marker\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\necho-marker\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: echo-marker\r\n\r\n",
    "a giant header": b"GET / HTTP/1.1\r\nHost: x\r\nX-Echo: " + b"echo-marker" * 20_000 + b"\r\n\r\n",
    "a giant line": b"GET /" + b"echo-marker" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": client_hello(),
}


async def refuse_all(program: Program) -> dict[str, bytes]:
    return {name: await send(port_of(program.http), request) for name, request in MALFORMED.items()}


async def test_malformed_requests_are_answered_without_an_echo(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority, "--https-port", "0") as program:
        answers = await refuse_all(program)
        expected = {"a giant header": 431, "a giant line": 414}
        assert {name: status_of(answer) for name, answer in answers.items()} == dict.fromkeys(
            MALFORMED, 400
        ) | expected
        answers["no TLS"] = await send(port_of(program.https), MALFORMED["no host"])
        assert status_of(answers["no TLS"]) == 400
        assert sim.connections == 0
        assert (await get(program.http)).status_code == 200
        assert (await get(program.https)).status_code == 200
        await program.stop()
    written = program.output + b"".join(answers.values()).decode()
    assert "Traceback" not in written
    for echo in ("echo-marker", "<script>", "\x1b", "HTTP/9.9"):
        assert echo not in written
    assert len(request_lines(program.output)) == len(MALFORMED) + 3
    assert program.output.count(" 400 ") == len(MALFORMED) + 1 - len(expected)


async def test_a_certificate_that_is_missing_is_a_bad_option(tmp_path: Path) -> None:
    code, output = await run_to_end(
        tmp_path, "--port", "0", "--https-port", "0", "--certfile", "absent.pem", "--keyfile", "absent.pem"
    )
    assert (code, output.count("\n")) == (2, 1)
    assert output.startswith("smgw-proxy: option --certfile: absent.pem does not exist")


async def test_a_client_certificate_that_cannot_be_used_is_a_bad_option(tmp_path: Path) -> None:
    one, other = (make_identity(CertificateOptions(common_name=name)) for name in ("one", "other"))
    key = serialization.load_pem_private_key(one.key_pem, None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    files = {
        "cert.pem": one.certificate_pem,
        "other.key": other.key_pem,
        "locked.key": key.private_bytes(*form, serialization.BestAvailableEncryption(b"secret")),
        "broken.key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    wrong = {
        ("absent.pem", "other.key"): "absent.pem does not exist",
        ("cert.pem", "other.key"): "other.key is not the key of cert.pem",
        ("cert.pem", "locked.key"): "locked.key is encrypted",
        ("cert.pem", "broken.key"): "cert.pem with broken.key cannot be used",
        ("cert.pem", "cert.pem"): "cert.pem holds no key in PEM form",
    }
    for (certfile, keyfile), words in wrong.items():
        pair = ("--client-certfile", certfile, "--client-keyfile", keyfile)
        for command in (("run", "--port", "0", "--allow", "127.0.0.1"), ("doctor",)):
            code, output = await run_to_end(tmp_path, *command, *pair)
            assert (code, output.count("\n")) == (2, 1)
            assert output.startswith(f"smgw-proxy: option --client-certfile: {words}")
    code, output = await run_to_end(tmp_path, "--port", "0", *pair)
    assert code == 2
    assert "whoever may reach the proxy acts with this certificate" in output


async def test_a_stop_waits_for_no_file_operation(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_program(tmp_path, sim.authority) as program:
        assert (await get(program.http)).status_code == 200
        lock = await asyncio.to_thread((tmp_path / "certs" / ".lock").open, "w")
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # as a program does that hangs on a network share
        assert (await trust(tmp_path, sim, "show"))[0] == 0
        pin_file(tmp_path, sim).unlink()
        stuck = asyncio.create_task(get(program.http))
        await sim.wait_until(lambda: sim.handshakes >= 2)
        code, seconds = await program.stop()
        assert (code, seconds < 8) == (0, True)
        assert (await stuck).status_code in {502, 503}
        assert sim.journal.heads == 1
        lock.close()


@pytest.mark.parametrize("taken", ["127.0.0.1", "::", "::1"])
async def test_a_port_that_is_taken_on_one_side_alone_is_not_shared(tmp_path: Path, taken: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.create_server((taken, 0), family=family) as other:
        port = str(other.getsockname()[1])
        code, output = await run_to_end(tmp_path, "--port", port)
    assert (code, output.count("\n")) == (1, 1)
    assert "another program uses it already" in output


def test_nothing_is_loaded_that_only_some_need() -> None:
    code = (
        "import sys, smgw_proxy_addon.program.cli, smgw_proxy_addon.program.status_page as _; "
        "print({'aiohttp', 'jinja2', 'cryptography', 'shutil', 'tlslite', 'smgw_proxy_addon.status.doctor'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"
