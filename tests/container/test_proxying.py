"""The app does its work: it proxies, remembers, logs, and takes its options."""

import base64
import hashlib
import json
import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulator.certificates import CertificateOptions, make_identity
from tests.container import rig

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LOG_NAME = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}_proxy\.log")
HTTP = "http://127.0.0.1:8080"
HTTPS = "https://127.0.0.1"


def log_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.mark.parametrize("address", [HTTP, HTTPS])
def test_curl_reads_the_gateway_with_a_digest_login(app: rig.App, address: str) -> None:
    app.start_and_wait()
    question = ("--json", '{"method": "user-info"}')
    answer = app.curl(f"{address}/smgw/m2m/{rig.USER}.sm/json", "--insecure", "--fail", *question)
    assert answer.returncode == 0, answer.stderr + app.log()
    assert json.loads(answer.stdout)["user-info"]["usage-points"]


def test_the_certificate_learnt_is_kept_in_data_for_the_next_container(app: rig.App, theben: rig.Gateway) -> None:
    app.start_and_wait()
    app.curl(f"{HTTP}/smgw/m2m")
    learnt = theben.ask("/state")["fingerprint"]
    [pin] = (app.data / "certs").glob("10.11.120.2.json")
    assert json.loads(pin.read_text())["fingerprint"] == learnt
    app.stop()

    theben.ask("/rotate")
    requests = theben.ask("/state")["requests"]
    app.start_and_wait()
    answer = app.curl(f"{HTTP}/smgw/m2m", "--write-out", "\n%{http_code}")
    assert answer.stdout.splitlines()[-1] == "502"
    assert json.loads(pin.read_text())["fingerprint"] == learnt
    assert theben.ask("/state")["requests"] == requests


def test_the_program_is_not_root_and_owns_its_folders(app: rig.App) -> None:
    app.start_and_wait()
    app.curl(f"{HTTP}/smgw/m2m")
    status = app.execute("cat", f"/proc/{app.program()}/status")
    assert re.search(r"^Uid:(\s+8443){4}$", status, re.MULTILINE)
    assert re.search(r"^Gid:(\s+8443){4}$", status, re.MULTILINE)
    assert re.search(r"^Groups:\s*$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0{16}$", status, re.MULTILINE)
    kept = [path for path in (app.data / "certs").rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert path.stat().st_uid == 8443
        if path.suffix != ".crt":  # the listener's own certificate is no secret
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_log_files_lie_in_share_with_local_time(app: rig.App) -> None:
    app.start_and_wait()
    app.curl(f"{HTTP}/smgw/m2m")
    app.stop()
    [file] = log_files(app.share / "smgw-proxy")
    assert LOG_NAME.fullmatch(file.name)
    lines = file.read_text().splitlines()
    assert any("/smgw/m2m" in line for line in lines)
    assert all(rig.UTC_OFFSET in line for line in lines)
    assert any(rig.UTC_OFFSET in line for line in app.log().splitlines())
    assert rig.PASSWORD not in app.log() + file.read_text()


def test_options_of_the_log_take_effect(app: rig.App) -> None:
    app.options = {"target": rig.GATEWAY, "log_dir": "/share/elsewhere", "log_file": "mine.log", "log_level": "debug"}
    app.start_and_wait()
    app.stop()
    assert not (app.share / "smgw-proxy").exists()
    [file] = log_files(app.share / "elsewhere")
    assert file.name.endswith("_mine.log")


def test_the_host_header_of_the_options_is_sent(app: rig.App, theben: rig.Gateway) -> None:
    app.options = {"target": rig.GATEWAY, "host_header": "smgw.local"}
    app.start_and_wait()
    app.curl(f"{HTTP}/smgw/m2m")
    last = theben.ask("/records")[-1]
    assert {name.lower(): value for name, value in last["headers"]}["host"] == "smgw.local"


def test_only_the_certificate_of_the_options_is_trusted(app: rig.App, theben: rig.Gateway) -> None:
    app.options = {"target": rig.GATEWAY, "certificate_fingerprint": "ab" * 32}
    app.start_and_wait()
    requests = theben.ask("/state")["requests"]
    answer = app.curl(f"{HTTP}/smgw/m2m", "--write-out", "\n%{http_code}")
    assert answer.stdout.splitlines()[-1] == "502"
    assert theben.ask("/state")["requests"] == requests


def test_a_key_that_only_root_can_read_serves_https(app: rig.App) -> None:
    identity = make_identity(CertificateOptions(curve="P-256", common_name="smgw.example"))
    (app.ssl / "full.pem").write_bytes(identity.certificate_pem)
    (app.ssl / "key.pem").write_bytes(identity.key_pem)
    (app.ssl / "key.pem").chmod(0o600)
    app.options = {"target": rig.GATEWAY, "certfile": "full.pem", "keyfile": "key.pem"}
    app.start_and_wait()
    public_key = identity.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(public_key).digest()).decode()
    answer = app.curl(f"{HTTPS}/smgw/m2m", "--insecure", "--pinnedpubkey", f"sha256//{pin}")
    assert answer.returncode == 0, answer.stderr
