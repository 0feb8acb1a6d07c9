"""What the gateway said of a login outlives a restart: what it is asked then, and what is in the file."""

import asyncio
import errno
import hashlib
import json
import logging
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from simulator.gateway import Simulator
from smgw_proxy_addon.auth import login_store
from smgw_proxy_addon.auth.gateway_login import PAUSES, REFUSALS, LoginStatus
from smgw_proxy_addon.auth.login_store import SUFFIX, LoginStore
from smgw_proxy_addon.config.accounts import AccountOutcomes, LoginOutcomes
from smgw_proxy_addon.config.options import Options, from_command_line
from smgw_proxy_addon.errors import GatewayLoginStoppedError
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.locales.explain import explain
from tests.auth.test_login_once import ACCOUNT, OTHER, PASSWORD, USER, Hurried, ask, logins, own
from tests.faults.scene import SwitchedFiles
from tests.rig import Rig, proxy_for
from tests.trust.test_store_faults import FailingFiles
from tests.waiting import until


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the medium all the time that it needs: each test looks at the file after a stop."""
    monkeypatch.setattr(login_store, "PATIENCE", 60)


REFUSED_EARLIER = "The login of account 1 was refused earlier; nothing is sent with it until"


@pytest.fixture
async def gateway() -> AsyncIterator[Simulator]:
    """Run a gateway with another password than the proxy's account."""
    async with Simulator(vendor="emh", user=USER, password="other") as sim:
        yield sim


TAKEN: Final = LoginOutcomes(taken=True)
STOPPED: Final = LoginOutcomes(refusals=REFUSALS)


def file_in(folder: Path) -> Path:
    (file,) = (folder / "certs").glob("*.logins")
    return file


def pasts_in(folder: Path) -> list[LoginOutcomes]:
    return [LoginOutcomes(**each) for each in json.loads(file_in(folder).read_bytes())["accounts"].values()]


def nothing_in(folder: Path) -> bool:
    return not [path for path in (folder / "certs").iterdir() if "logins" in path.name]


def statuses(rig: Rig) -> tuple[LoginStatus, ...]:
    assert rig.proxy.logins
    return rig.proxy.logins.statuses


async def stop(sim: Simulator, folder: Path, **options: Any) -> None:
    """Run a proxy until the gateway has refused its account for good."""
    async with proxy_for(sim, folder, **{"accounts": [ACCOUNT], **options}) as rig:
        for _ in range(2):
            assert (await ask(rig)).status_code == 502
        assert statuses(rig)[0] is LoginStatus.STOPPED


async def test_a_restart_sends_nothing(gateway: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await stop(gateway, tmp_path)
    assert REFUSED_EARLIER not in caplog.text
    seen = len(gateway.records), gateway.connections
    for _ in range(3):
        caplog.clear()
        async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
            assert statuses(rig) == (LoginStatus.STOPPED,)
            assert (await ask(rig)).json()["error"] == "gateway_login_stopped"
        assert [each.levelno for each in caplog.records if REFUSED_EARLIER in each.message] == [logging.ERROR]
    assert (len(gateway.records), gateway.connections) == seen


@pytest.mark.parametrize(
    "change",
    [
        {"accounts": [{"username": USER, "password": "a new one"}]},
        {"accounts": [{"username": "somebody", "password": PASSWORD}]},
        {"accounts": [OTHER]},
        {"digest_algorithm": "md5"},
    ],
)
async def test_changed_options_start_fresh_and_the_old_entry_goes(
    gateway: Simulator, tmp_path: Path, change: dict[str, Any]
) -> None:
    await stop(gateway, tmp_path)
    async with proxy_for(gateway, tmp_path, **{"accounts": [ACCOUNT], **change}) as rig:
        assert statuses(rig) == (LoginStatus.UNKNOWN,)
        assert nothing_in(tmp_path)


async def test_without_accounts_nothing_stays(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    async with proxy_for(gateway, tmp_path):
        assert nothing_in(tmp_path)


async def test_another_gateway_starts_fresh(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    async with (
        Simulator(vendor="emh", user=USER, password=PASSWORD) as other,
        proxy_for(other, tmp_path, accounts=[ACCOUNT]) as rig,
    ):
        assert (await ask(rig)).status_code == 200
    certs = tmp_path / "certs"
    (certs / f"{gateway.authority}.logins").replace(certs / f"{other.authority}.logins")
    async with proxy_for(other.authority, tmp_path, accounts=[ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.UNKNOWN,), "the name of the file is not all"


async def test_each_account_has_its_own(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path, accounts=[ACCOUNT, OTHER])
    async with proxy_for(gateway, tmp_path, accounts=[OTHER, ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.UNKNOWN, LoginStatus.STOPPED)
        for _ in range(2):
            await ask(rig, auth=own(OTHER["username"], OTHER["password"]))
        assert statuses(rig) == (LoginStatus.STOPPED, LoginStatus.STOPPED)
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT, OTHER]) as rig:
        assert statuses(rig) == (LoginStatus.STOPPED, LoginStatus.STOPPED)
        assert rig.proxy.logins
        assert rig.proxy.logins.retry(0)
    async with proxy_for(gateway, tmp_path, accounts=[OTHER]) as rig:
        assert statuses(rig) == (LoginStatus.STOPPED,)


async def test_a_retry_survives_a_restart(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert rig.proxy.logins
        assert rig.proxy.logins.retry(0)
    assert nothing_in(tmp_path)
    gateway.login.password = PASSWORD
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.UNKNOWN,)
        assert (await ask(rig)).status_code == 200
    assert pasts_in(tmp_path) == [TAKEN]


async def test_a_retry_that_is_refused_stops_it_again(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert rig.proxy.logins
        assert rig.proxy.logins.retry(0)
        for _ in range(2):
            await ask(rig)
        assert statuses(rig) == (LoginStatus.STOPPED,)
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.STOPPED,)


async def test_the_file_tells_nothing_and_is_no_pin(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    file = file_in(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_bytes()
    for secret in (USER, PASSWORD, "user-of", "hunter2"):
        assert secret.encode() not in first
    for plain in (USER, PASSWORD, USER + PASSWORD, f"{USER}:{PASSWORD}"):
        for name in ("md5", "sha1", "sha256", "sha512"):
            assert hashlib.new(name, plain.encode()).hexdigest().encode() not in first
    assert [path.name for path in (tmp_path / "certs").glob("[!.]*.json")] == [f"{gateway.authority}.json"]

    file.unlink()
    await stop(gateway, tmp_path)
    again = json.loads(file.read_bytes())
    assert again["accounts"].keys() != json.loads(first)["accounts"].keys()
    assert again["salt"] != json.loads(first)["salt"], "a salt of its own"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"version": 1, "salt": 5, "accounts": {}}',
        b'{"version": 1, "salt": "00", "accounts": {}}',
        b'{"version": 1, "salt": "00000000000000000000000000000000", "accounts": ["00"]}',
        b'{"version": 1, "salt": "00000000000000000000000000000000", "accounts": {"00": "taken"}}',
        b'{"version": 1, "salt": "00000000000000000000000000000000", "accounts": {"00": {"taken": true}}}',
        b'{"version": 1, "salt": "%032d", "accounts": {"00": {"taken": true, "refusals": -1, "closed": 0}}}' % 0,
        b'{"version": 2, "salt": "00000000000000000000000000000000", "accounts": {}}',
        b" " * 1_100_000,
    ],
    ids=range(14),
)
async def test_a_broken_file_stops_nobody(
    gateway: Simulator, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "certs").mkdir()
    file = tmp_path / "certs" / f"{gateway.authority}.logins"
    file.write_bytes(content)
    gateway.login.password = PASSWORD
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.UNKNOWN,)
        assert (await ask(rig)).status_code == 200
    (line,) = [each.message for each in caplog.records if str(file) in each.message]
    assert "cannot be read (" in line
    assert line.endswith("the file is removed")
    assert pasts_in(tmp_path) == [TAKEN]


async def test_after_a_power_cut_a_password_that_was_right_is_given_time(tmp_path: Path) -> None:
    clock = Hurried()
    async with Simulator(vendor="theben", user=USER, password=PASSWORD) as sim:

        async def codes(rig: Rig, count: int) -> list[str]:
            return [(await ask(rig, "theben")).json()["error"] for _ in range(count)]

        async with proxy_for(sim, tmp_path, accounts=[ACCOUNT]) as rig:
            assert (await ask(rig, "theben")).status_code == 200
        sim.login.password = "not yet"  # it starts, too, and closes instead of answering
        async with proxy_for(sim, tmp_path, accounts=[ACCOUNT], clock=clock) as rig:
            assert statuses(rig) == (LoginStatus.UNKNOWN,), "it is not said before it is seen"
            assert await codes(rig, 3) == ["gateway_connection_lost"] * 2 + ["gateway_login_paused"]
            clock.ahead += 61
            assert await codes(rig, 2) == ["gateway_login_refused", "gateway_login_paused"]
            sim.login.password = PASSWORD
            clock.ahead += 301
            assert (await ask(rig, "theben")).status_code == 200
        assert pasts_in(tmp_path) == [TAKEN]

        sim.login.password = "not yet"
        changed = {"username": USER, "password": "another one"}
        async with proxy_for(sim, tmp_path, accounts=[changed]) as rig:
            assert nothing_in(tmp_path)
            answer = await ask(rig, "theben", auth=own(**changed))
            assert answer.json()["error"] == "gateway_login_refused", "that was another password"


@pytest.mark.parametrize(("vendor", "taken", "most"), [("theben", True, 4), ("theben", False, 2), ("emh", False, 2)])
async def test_restarts_give_no_new_chances(tmp_path: Path, vendor: str, taken: bool, most: int) -> None:
    clock = Hurried()
    async with Simulator(vendor=vendor, user=USER, password=PASSWORD) as sim:
        if taken:
            async with proxy_for(sim, tmp_path, accounts=[ACCOUNT]) as rig:
                assert (await ask(rig, vendor)).status_code == 200
        sim.login.password = "changed"
        for _ in range(most + 2):
            async with proxy_for(sim, tmp_path, accounts=[ACCOUNT], clock=clock) as rig:
                clock.ahead += max(PAUSES)
                assert (await ask(rig, vendor)).status_code == 502
        assert logins(sim).count("wrong") == most
        assert pasts_in(tmp_path)[0].refusals == REFUSALS


@pytest.mark.parametrize("taken", [True, False])
async def test_restarts_make_no_pause_shorter(tmp_path: Path, taken: bool, caplog: pytest.LogCaptureFixture) -> None:
    clock = Hurried()
    async with Simulator(vendor="theben", user=USER, password=PASSWORD) as sim:
        if taken:
            async with proxy_for(sim, tmp_path, accounts=[ACCOUNT]) as rig:
                assert (await ask(rig, "theben")).status_code == 200
        sim.login.password = "not yet"
        for _ in range(4):
            async with proxy_for(sim, tmp_path, accounts=[ACCOUNT], clock=clock) as rig:
                codes = [(await ask(rig, "theben")).json()["error"] for _ in range(3)]
                assert codes[-1] == "gateway_login_paused"
        assert logins(sim).count("wrong") == 1 + taken
        assert caplog.text.count("last login of account 1 before the start; nothing is sent with it for 60 s") == 3
        sim.login.password = PASSWORD
        async with proxy_for(sim, tmp_path, accounts=[ACCOUNT], clock=clock) as rig:
            clock.ahead += max(PAUSES)
            assert (await ask(rig, "theben")).status_code == 200
        assert pasts_in(tmp_path) == [TAKEN]


async def test_who_is_tried_again_begins_anew(gateway: Simulator, tmp_path: Path) -> None:
    gateway.login.password = PASSWORD
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert (await ask(rig)).status_code == 200
    gateway.login.password = "other"
    await stop(gateway, tmp_path)
    assert pasts_in(tmp_path) == [LoginOutcomes(taken=True, refusals=REFUSALS)]
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert rig.proxy.logins
        assert rig.proxy.logins.retry(0)
    assert nothing_in(tmp_path)


async def test_a_broken_file_is_replaced(gateway: Simulator, tmp_path: Path) -> None:
    await stop(gateway, tmp_path)
    file_in(tmp_path).write_bytes(file_in(tmp_path).read_bytes()[:-9])
    await stop(gateway, tmp_path)
    async with proxy_for(gateway, tmp_path, accounts=[ACCOUNT]) as rig:
        assert statuses(rig) == (LoginStatus.STOPPED,)


def options_in(folder: Path) -> Options:
    (folder / "certs").mkdir(exist_ok=True)
    return from_command_line({"cert_dir": str(folder / "certs"), "accounts": [ACCOUNT, OTHER]})


async def remember(folder: Path, pasts: AccountOutcomes) -> None:
    """Leave a file as a proxy does."""
    memory = LoginStore(options_in(folder))
    await memory.open()
    memory.save(pasts)
    await memory.close()


@pytest.mark.parametrize("step", ["create", "write", "sync", "replace"])
async def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory = LoginStore(options_in(tmp_path), FailingFiles(step, errno.ENOSPC))
    assert await memory.open() == {}
    memory.save({1: STOPPED})
    await memory.close()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "No space left on device" in record.message
    assert "make its folder writable" in record.message
    assert not list((tmp_path / "certs").iterdir())


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ({1: STOPPED, 2: TAKEN}, {2: TAKEN}, {}),
        ({1: STOPPED}, {1: TAKEN}, {}),
        ({1: TAKEN}, {1: LoginOutcomes(taken=True, refusals=REFUSALS)}, {}),
        ({1: STOPPED}, {1: STOPPED, 2: TAKEN}, {1: STOPPED}),
        ({1: TAKEN}, {1: LoginOutcomes(taken=True, closed=1)}, {1: TAKEN}),
        ({1: LoginOutcomes(taken=True, closed=1)}, {1: TAKEN}, {}),
    ],
    ids=["let go on", "taken again", "stopped", "one more", "in doubt", "in doubt no more"],
)
async def test_a_file_that_cannot_be_written_rather_goes_than_does_harm(
    tmp_path: Path, before: AccountOutcomes, after: AccountOutcomes, left: AccountOutcomes
) -> None:
    await remember(tmp_path, before)
    second = LoginStore(options_in(tmp_path), FailingFiles("write", errno.ENOSPC))
    assert await second.open() == before
    second.save(after)
    await second.close()
    assert await LoginStore(options_in(tmp_path)).open() == left


class RoomForOne(Files):
    """A medium that has room for one file."""

    def create(self, path: Path) -> int:
        if list(path.parent.iterdir()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().create(path)


async def test_where_there_is_room_for_one_file_it_is_the_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for past in (TAKEN, STOPPED, TAKEN):
        memory = LoginStore(options_in(tmp_path), RoomForOne())
        await memory.open()
        memory.save({1: past})
        await memory.close()
        assert pasts_in(tmp_path) == [past]
    assert not caplog.records


async def test_what_may_not_last_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_store, "RETRY", 0.05)
    files = SwitchedFiles()
    files.failing["sync_folder"] = errno.EIO
    memory = LoginStore(options_in(tmp_path), files)
    await memory.open()
    memory.save({1: STOPPED})
    await until(lambda: len(caplog.records) == 1)
    memory.save({})  # a person lets it be tried again
    await until(lambda: nothing_in(tmp_path))
    files.failing.clear()
    await until(lambda: len(caplog.records) == 2)
    await memory.close()
    assert await LoginStore(options_in(tmp_path)).open() == {}
    first, last = (record.message for record in caplog.records)
    assert "cannot be changed (Input/output error)" in first
    assert last.endswith(".logins can be changed again")


async def test_what_a_killed_run_has_begun_is_removed(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    memory = LoginStore(options)
    (options.cert_dir / f".{options.target.name}.{SUFFIX}.new").write_bytes(b"{")
    assert await memory.open() == {}
    await memory.close()
    assert not list((tmp_path / "certs").iterdir())


async def test_former_accounts_that_cannot_be_dropped_cost_the_others_nothing(tmp_path: Path) -> None:
    await remember(tmp_path, {1: STOPPED, 2: TAKEN})
    given = {"cert_dir": str(tmp_path / "certs"), "accounts": [ACCOUNT]}
    second = LoginStore(from_command_line(given), FailingFiles("write", errno.ENOSPC))
    assert await second.open() == {1: STOPPED}
    await second.close()
    assert await LoginStore(from_command_line(given)).open() == {1: STOPPED}
    assert pasts_in(tmp_path) == [STOPPED]


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_remedy_names_the_file(language: str) -> None:
    assert SUFFIX in explain(GatewayLoginStoppedError(), language).remedy


async def test_a_file_that_may_not_be_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await remember(tmp_path, {1: STOPPED})
    second = LoginStore(options_in(tmp_path), FailingFiles("remove", errno.EROFS))
    assert await second.open() == {1: STOPPED}
    second.save({})
    await second.close()
    assert "cannot be changed (Read-only file system)" in caplog.text


async def test_a_file_that_could_not_be_read_stops_nobody_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await remember(tmp_path, {1: STOPPED})
    second = LoginStore(options_in(tmp_path), FailingFiles("read", errno.EIO))
    assert await second.open() == {}
    assert "cannot be read (Input/output error)" in caplog.text
    await second.close()
    assert await LoginStore(options_in(tmp_path)).open() == {}, "it may have been accepted since"


async def test_what_changes_while_it_is_written_is_written_after(tmp_path: Path) -> None:
    memory = LoginStore(options_in(tmp_path))
    await memory.open()
    memory.save({1: STOPPED})
    await asyncio.sleep(0)
    memory.save({1: STOPPED, 2: TAKEN})
    memory.save({2: TAKEN})
    await memory.close()
    assert await LoginStore(options_in(tmp_path)).open() == {2: TAKEN}


async def test_a_folder_that_vanishes_is_not_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = LoginStore(options_in(tmp_path))
    await memory.open()
    (tmp_path / "certs").rmdir()
    memory.save({1: STOPPED})
    await memory.close()
    assert "cannot be changed (No such file or directory)" in caplog.text
    assert not (tmp_path / "certs").exists(), "the pins would be taken for forgotten"
