"""The app's own start, as a process that begins as root."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from simulator.certificates import CertificateOptions, ClientCertificates, make_identity
from simulator.gateway import Simulator
from smgw_proxy_addon.auth.login_store import LoginStore
from smgw_proxy_addon.config.accounts import LoginOutcomes
from smgw_proxy_addon.config.options import from_command_line
from smgw_proxy_addon.program.run import EXIT_RESTART
from smgw_proxy_addon.server.certificate import ensure_self_signed
from tests.ports import free_port
from tests.suggested import THEBEN, write

START = """
# loaded late, which fails if this Python is in root's own folder
import concurrent.futures.thread, encodings.idna, importlib.readers
import smgw_proxy_addon.program.page_server
import sys
from pathlib import Path
import smgw_proxy_addon.__main__
from smgw_proxy_addon.program import addon, wiring
from smgw_proxy_addon.status import suggestions
root = Path(sys.argv[1])
suggestions.FILE = root / "share/smgw-proxy/gateways.json"
# ports, and folders below the root of the test, in place of the container's own
fixed = {"port": 0, "https_port": 0, "bind": ("127.0.0.1",), "cert_dir": root / "data/certs"}
fixed["status_port"] = int(sys.argv[2])
read = addon.from_file_text
def moved(text):
    checked = read(text)
    folders = {name: value and root / str(value).lstrip("/") for name, value in (
        ("log_dir", checked.log_dir), ("certfile", checked.certfile), ("keyfile", checked.keyfile),
        ("client_certfile", checked.client_certfile), ("client_keyfile", checked.client_keyfile)
    )}
    return checked._replace(**folders, **fixed)
addon.from_file_text = moved
wiring._RELOAD = 0.05
from smgw_proxy_addon.program.cli import reported
sys.exit(reported(lambda: addon.run_app(root, "nobody"), in_app=True))
"""


LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (INFO|WARNING|ERROR) ")
"""How each line of the log begins: time and level."""


@pytest.fixture
def root() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("the app begins as root")
    # Not in pytest's own folder: the next run of the same user takes everybody's right to enter that one away.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("data", "share", "ssl"):
            (folder / each).mkdir()
        yield folder


def configure(root: Path, **options: object) -> None:
    (root / "data/options.json").write_text(json.dumps(options))
    (root / "data/options.json").chmod(0o600)


class Running:
    """The process and what it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, words: str) -> None:
        """Read its log up to the line with these words."""
        if self.process.stderr is None:
            raise TypeError
        async with asyncio.timeout(30):
            while line := (await self.process.stderr.readline()).decode():
                self.text += line
                if words in line:
                    return
        raise AssertionError(f"{words!r} never came:\n{self.text}")

    def url(self, scheme: str) -> str:
        """The address of a listener."""
        return next(line.split()[-1] for line in self.text.splitlines() if f"Listening at {scheme}:" in line)


@asynccontextmanager
async def app(root: Path, status_port: int = 0, prepare: str = "true", **variables: str) -> AsyncIterator[Running]:
    """Run the app after the shell script ``prepare``, in the folder of the test; nobody else has its mounts."""
    # Coverage would be written as root and as nobody into the same folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")} | variables
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-ec", f'(cd "$0"\n{prepare})\nexec "$@"', str(root)),
        *(sys.executable, "-c", START, str(root), str(status_port)),
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_says_that_it_works_whatever_the_gateway_does(root: Path) -> None:
    port = free_port()
    configure(root, target="127.0.0.1:1")
    async with app(root, port) as running, httpx.AsyncClient(trust_env=False) as client:
        await running.until("Ready")
        answer = await client.get(f"http://127.0.0.1:{port}/health")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_what_smgw_network_has_left_in_its_log_folder_is_offered(root: Path) -> None:
    port = free_port()
    (root / "share/smgw-proxy").mkdir(mode=0o700)
    write(root / "share/smgw-proxy/gateways.json", THEBEN).chmod(0o600)
    configure(root, target="10.11.120.2")
    async with (
        app(root, port, SUPERVISOR_TOKEN="not-a-secret") as running,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await running.until("Ready")
        assert 'action="use"' in (await client.get(f"http://127.0.0.1:{port}/")).text
    assert "No log files" not in running.text


async def test_a_status_port_that_is_taken_is_one_clear_line(root: Path) -> None:
    configure(root, target="127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with app(root, taken.getsockname()[1]) as running:
            _, written = await running.process.communicate()
    assert running.process.returncode == 1
    (line,) = written.decode().splitlines()
    assert LINE.match(line)
    assert " ERROR   The proxy cannot start: cannot listen at " in line


async def test_it_serves_without_root_s_rights_from_its_own_folders(root: Path) -> None:
    async with Simulator() as sim:
        configure(root, target=sim.authority)
        async with app(root) as running:
            await running.until("Ready")
            status = await asyncio.to_thread(Path(f"/proc/{running.process.pid}/status").read_text)
            assert "Uid:\t65534\t65534\t65534\t65534" in status
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                for scheme in ("http", "https"):
                    assert (await client.get(running.url(scheme) + "/sim/status/200")).status_code == 200
            running.process.send_signal(signal.SIGTERM)
            assert await running.process.wait() == 0
        files = [*(root / "data/certs").iterdir(), *(root / "share/smgw-proxy").iterdir()]
        assert {path.stat().st_uid for path in files} == {65534}
        assert any(path.name.endswith("_proxy.log") for path in files)
        assert (root / "data/certs" / f"{sim.authority}.json").exists()


async def test_a_login_that_stays_stopped_is_read_without_root_s_rights(root: Path) -> None:
    account = {"username": "somebody", "password": "hunter2-secret"}
    configure(root, target="127.0.0.1:1", accounts=[account])
    given = {"target": "127.0.0.1:1", "cert_dir": str(root / "data/certs"), "accounts": [account]}
    (root / "data/certs").mkdir()
    memory = LoginStore(from_command_line(given))
    await memory.open()
    memory.save({1: LoginOutcomes(refusals=2)})
    await memory.close()
    (file,) = (root / "data/certs").iterdir()
    assert file.stat().st_uid == 0
    async with app(root) as running:
        await running.until("Ready")
    assert "The login of account 1 was refused earlier" in running.text
    assert file.stat().st_uid != 0


@pytest.mark.parametrize("mode", [0o755, 0o777])
async def test_a_log_folder_with_foreign_files_is_left_alone_and_the_proxy_serves(root: Path, mode: int) -> None:
    (root / "share/photos").mkdir()
    (root / "share/photos").chmod(mode)
    (root / "share/photos/cat.jpg").touch()
    configure(root, target="127.0.0.1:1", log_dir="/share/photos")
    async with app(root) as running:
        await running.until("Ready")
        (line,) = [each for each in running.text.splitlines() if "photos" in each and "Option log_dir" not in each]
        assert LINE.match(line)
        assert line.endswith(
            f" WARNING No log files until the next start: the folder {root}/share/photos holds something else "
            "('cat.jpg'); choose one that is empty or does not exist."
        )
        assert running.text.count("No log files") == 1
        assert (root / "share/photos").stat().st_uid == 0
        assert [path.name for path in (root / "share/photos").iterdir()] == ["cat.jpg"]


async def test_a_renewed_key_that_root_alone_may_read_ends_it_to_be_started_again(root: Path) -> None:
    certfile, keyfile = await asyncio.to_thread(ensure_self_signed, root / "ssl", ["localhost"])
    renewed = await asyncio.to_thread(ensure_self_signed, root / "ssl" / "new", ["localhost"])
    configure(root, target="127.0.0.1:1", certfile=certfile.name, keyfile=keyfile.name)
    async with app(root) as running:
        await running.until("Ready")
        for path in renewed:
            await asyncio.to_thread(path.replace, root / "ssl" / path.name)
        await running.until("starting again to read it")
        await running.process.communicate()
        assert running.process.returncode == EXIT_RESTART


async def test_options_of_another_version_are_warned_of_and_it_serves(root: Path) -> None:
    configure(root, target="127.0.0.1:1", max_connections=99, dropped=1)
    async with app(root, port := free_port()) as running, httpx.AsyncClient(trust_env=False) as client:
        await running.until("Ready")
        for words in ('WARNING Option "dropped": there is no', 'WARNING Option "max_connections": 99 is too large'):
            (line,) = [line for line in running.text.splitlines() if words in line]
            assert LINE.match(line)
        assert "Option max_connections: 1\n" in running.text
        bundle = (await client.get(f"http://127.0.0.1:{port}/bundle")).text
        assert bundle.count('Option "dropped"') == 2  # among the options, and in the log


FULL_DISK = """
cp data/options.json share
mount -t tmpfs -o size=64k tmpfs data
mv share/options.json data
cat /dev/zero >data/filler 2>/dev/null || true
"""


async def test_http_does_not_wait_for_room_on_the_disk_and_https_comes_with_it(root: Path) -> None:
    async with Simulator() as sim:
        configure(root, target=sim.authority)
        async with (
            app(root, prepare=FULL_DISK) as running,
            httpx.AsyncClient(verify=False, trust_env=False) as client,
        ):
            await running.until("Ready")
            (line,) = [each for each in running.text.splitlines() if " WARNING " in each]
            assert LINE.match(line)
            assert line.endswith(
                "No HTTPS for now: The certificate of the HTTPS listener cannot be stored in "
                f"{root}/data/certs: No space left on device; free some space there"
            )
            assert "Listening at https:" not in running.text
            answer = await client.get(running.url("http") + "/sim/status/200")
            assert (answer.status_code, answer.json()["error"]) == (502, "pin_not_written")
            inside = Path(f"/proc/{running.process.pid}/root{root}/data/filler")
            await asyncio.to_thread(inside.unlink)
            await running.until("Listening at https:")
            for scheme in ("https", "http"):
                assert (await client.get(running.url(scheme) + "/sim/status/200")).status_code == 200
            running.process.send_signal(signal.SIGTERM)
            assert await running.process.wait() == 0
        assert running.text.count("No HTTPS") == 1


READ_ONLY = "mount --bind data data; mount -o remount,bind,ro data"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (READ_ONLY, "Read-only file system; make its disk writable; a failing disk is often mounted read-only"),
        (
            "chmod 700 data",
            "Permission denied; give the program's user the right to enter it and to write there",
        ),
    ],
)
async def test_a_data_folder_that_is_of_no_use_is_named_with_the_remedy(root: Path, prepare: str, words: str) -> None:
    configure(root, target="127.0.0.1:1")
    async with app(root, prepare=prepare) as running:
        _, written = await running.process.communicate()
        assert running.process.returncode == 1
    (line,) = written.decode().splitlines()
    assert LINE.match(line)
    assert line.endswith(f" ERROR   The proxy cannot start: the folder {root}/data cannot be used: {words}")


async def test_a_data_folder_that_became_read_only_stops_neither_http_nor_https(root: Path) -> None:
    configure(root, target="127.0.0.1:1")
    async with app(root) as running:
        await running.until("Ready")
    async with app(root, prepare=READ_ONLY) as running:
        await running.until("Ready")
        assert "Listening at https:" in running.text


async def test_the_login_certificate_that_root_alone_may_read_is_shown_to_the_gateway(root: Path) -> None:
    known = make_identity(CertificateOptions(common_name="known"))
    for name, content in (("login.pem", known.certificate_pem), ("login.key", known.key_pem)):
        (root / "ssl" / name).write_bytes(content)
        (root / "ssl" / name).chmod(0o600)
    trusted = ClientCertificates(trusted=known.certificate_pem.decode(), demanded=True)
    async with Simulator(vendor="emh", client_certificates=trusted) as sim:
        names = {"client_certfile": "login.pem", "client_keyfile": "login.key"}
        configure(root, target=sim.authority, allow=["127.0.0.1"], **names)
        async with app(root) as running:
            await running.until("Ready")
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(running.url("http"))).status_code == 200
    assert sim.journal.client_certificates == [known.fingerprint]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"target": "10.11.120.2", "allow": ["home"]}', "allow"),
        ("{}", "target"),
        ("{", "JSON"),
        (None, "options.json"),
    ],
)
async def test_bad_options_end_it_with_one_line_and_exit_code_2(root: Path, text: str | None, words: str) -> None:
    if text is not None:
        (root / "data/options.json").write_text(text)
    async with app(root) as running:
        _, written = await running.process.communicate()
        assert running.process.returncode == 2
        (line,) = written.decode().splitlines()
        assert LINE.match(line)
        assert words in line
