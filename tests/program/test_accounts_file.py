"""The file of the accounts on the command line: read at the start, named in errors, never quoted."""

import json
from pathlib import Path

import httpx
import pytest

from simulator.gateway import Simulator
from tests.process import proxy_program, run_to_end

USER, PASSWORD = "user-of-mine", "hunter2-secret"
ACCOUNTS = json.dumps([{"username": USER, "password": PASSWORD}])


def write(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "accounts.json"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o644])
async def test_the_program_logs_in_with_the_accounts_of_the_file(tmp_path: Path, mode: int) -> None:
    options = ("--accounts", write(tmp_path, ACCOUNTS, mode), "--digest-algorithm", "sha-256", "--log-level", "debug")
    async with Simulator(user=USER, password=PASSWORD) as sim:
        async with (
            proxy_program(tmp_path, sim.authority, *options) as program,
            httpx.AsyncClient(trust_env=False, base_url=program.http) as client,
        ):
            assert (await client.get("/smgw/m2m", auth=httpx.DigestAuth(USER, "wrong"))).status_code == 401
            assert (await client.get("/smgw/m2m", auth=httpx.DigestAuth(USER, PASSWORD))).status_code == 307
            await program.wait_for("accepts the login of account 1")
            await program.stop()
        assert [record.login for record in sim.records] == ["none", "accepted"]
    written = program.output + "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "Option accounts: 1" in written
    assert "error=login_required (wrong)" in written
    assert ("warning: others on this computer may read the passwords" in written) is bool(mode & 0o077)
    assert not [secret for secret in (USER, PASSWORD) if secret in written]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not valid JSON"),
        (f'[{{"username": "{USER}", "password": {PASSWORD}}}]', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        (json.dumps({"username": USER, "password": PASSWORD}), "not a list"),
        (json.dumps([{"username": USER, "password": ""}]), "the password of entry 1 is empty"),
    ],
)
async def test_a_file_that_is_wrong_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    code, output = await run_to_end(tmp_path, "--accounts", write(tmp_path, text))
    assert (code, output.count("\n")) == (2, 1)
    assert "option --accounts: " in output
    assert problem in output
    assert not [secret for secret in (USER, PASSWORD) if secret in output]


@pytest.mark.parametrize(("path", "problem"), [("nowhere.json", "No such file"), (".", "Is a directory")])
async def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, path: str, problem: str) -> None:
    code, output = await run_to_end(tmp_path, "--accounts", path)
    assert (code, output.count("\n")) == (2, 1)
    assert f"option --accounts: {path} cannot be read ({problem}" in output
