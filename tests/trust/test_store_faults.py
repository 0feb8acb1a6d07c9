import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.trust.policy import Pin, describe
from smgw_proxy_addon.trust.store import TrustStore
from tests.pins import ALIAS, GO_PIN, LATER, NAME, NEW, NOW, OLD, fact, names

STEPS = ["create", "write", "sync", "replace", "sync_folder"]


class FailingFiles(Files):
    """One step fails, as on a full, broken or read-only disk."""

    def __init__(self, step: str, code: int) -> None:
        self._step = step
        self._code = code

    def _do(self, step: str) -> None:
        if step == self._step:
            raise OSError(self._code, os.strerror(self._code))

    def read(self, path: Path) -> bytes:
        self._do("read")
        return super().read(path)

    def make_folder(self, path: Path) -> None:
        self._do("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        if path.name != ".lock":
            self._do("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data[: len(data) // 2])
        self._do("write")
        super().write(descriptor, data[len(data) // 2 :])

    def sync(self, descriptor: int) -> None:
        self._do("sync")
        super().sync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._do("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._do("remove")
        super().remove(path)

    def sync_folder(self, path: Path) -> None:
        self._do("sync_folder")
        super().sync_folder(path)


class DyingFiles(Files):
    """The process is killed before the step with this number; a write counts as two steps."""

    def __init__(self, death: int) -> None:
        self._left = death

    def _do(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def make_folder(self, path: Path) -> None:
        self._do()
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._do()
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._do()
        super().write(descriptor, data[: len(data) // 2])
        self._do()
        super().write(descriptor, data[len(data) // 2 :])

    def sync(self, descriptor: int) -> None:
        self._do()
        super().sync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._do()
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._do()
        super().remove(path)

    def sync_folder(self, path: Path) -> None:
        self._do()
        super().sync_folder(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certs"


@pytest.fixture
def store(folder: Path) -> TrustStore:
    return TrustStore(folder, NAME, (ALIAS,))


# --- faults of a write ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("step", [*STEPS, "make_folder"])
def test_a_first_pin_that_cannot_be_written(folder: Path, step: str, code: int) -> None:
    with pytest.raises(PinNotWrittenError) as raised:
        TrustStore(folder, NAME, files=FailingFiles(step, code)).learn(OLD, NOW)
    assert raised.value.facts == {"folder": str(folder), "problem": os.strerror(code)}
    stored = TrustStore(folder, NAME).load()
    if step == "sync_folder":  # stored, but perhaps lost by a power cut
        assert stored is None or stored.certificate == OLD
    else:
        assert stored is None
        assert not folder.exists() or names(folder) == set()


@pytest.mark.parametrize("step", [*STEPS, "remove"])
def test_a_change_that_cannot_be_written_leaves_a_pin(store: TrustStore, folder: Path, step: str) -> None:
    store.learn(OLD, NOW)
    store.refuse(NEW, NOW)
    with pytest.raises(PinNotWrittenError):
        TrustStore(folder, NAME, files=FailingFiles(step, errno.ENOSPC)).accept(None, NOW)
    stored = store.load()
    assert stored
    assert stored.certificate == (NEW if step == "sync_folder" else OLD)
    assert names(folder) == {"10.11.120.2.json", "10.11.120.2.refused"}


def test_a_draft_that_cannot_be_removed_is_removed_by_the_next_write(folder: Path, store: TrustStore) -> None:
    class FullAndStuck(FailingFiles):
        def remove(self, path: Path) -> None:
            if path.exists():
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(PinNotWrittenError) as raised:
        TrustStore(folder, NAME, files=FullAndStuck("write", errno.ENOSPC)).learn(OLD, NOW)
    assert fact(raised) == os.strerror(errno.ENOSPC)
    assert names(folder) == {".10.11.120.2.json.new"}
    store.learn(NEW, NOW)
    assert names(folder) == {"10.11.120.2.json"}


def test_a_share_that_cannot_sync_folders_will_do(folder: Path) -> None:
    class Share(Files):
        def sync(self, descriptor: int) -> None:
            if os.fstat(descriptor).st_mode & 0o040000:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    pin = TrustStore(folder, NAME, files=Share()).learn(OLD, NOW)
    assert TrustStore(folder, NAME).load() == pin


def test_a_certificate_too_large_to_be_read_again_is_not_written(store: TrustStore, folder: Path) -> None:
    with pytest.raises(PinNotWrittenError, match="File too large"):
        store.learn(describe(b"x" * 2**20), NOW)
    assert names(folder) == set()


def test_an_error_without_a_number_has_words(folder: Path) -> None:
    class Odd(Files):
        def create(self, path: Path) -> int:
            raise OSError(f"no room for {path.name}")

    with pytest.raises(PinNotWrittenError) as raised:
        TrustStore(folder, NAME, files=Odd()).learn(OLD, NOW)
    assert fact(raised) == "no room for .lock"


def test_a_note_that_cannot_be_written_leaves_the_pin(store: TrustStore, folder: Path) -> None:
    pin = store.learn(OLD, NOW)
    with pytest.raises(PinNotWrittenError):
        TrustStore(folder, NAME, files=FailingFiles("write", errno.ENOSPC)).seen(OLD, LATER)
    assert store.load() == pin


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_folder_that_cannot_be_read_is_an_error(folder: Path, code: int) -> None:
    store = TrustStore(folder, NAME, files=FailingFiles("read", code))
    with pytest.raises(PinUnreadableError) as raised:
        store.load()
    assert fact(raised) == os.strerror(code)


# --- killed at every step -------------------------------------------------------------------------------------


def killed_at_every_step(folder: Path, action: str) -> str:
    """Return one letter per run for what is stored afterwards (old, new, -): killed before step 1, 2…, never."""
    program = [sys.executable, __file__, str(folder), action]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def test_a_killed_first_pin_is_missing_or_whole(folder: Path) -> None:
    states = killed_at_every_step(folder, "learn")
    assert states.strip("-").strip("n") == ""
    assert states.startswith("------")
    assert states.endswith("nn")


@pytest.mark.parametrize("name", [NAME, ALIAS])
def test_a_killed_change_leaves_the_old_or_the_new_pin(folder: Path, store: TrustStore, name: str) -> None:
    store.refuse(NEW, NOW)
    (folder / f"{name}.json").write_text(GO_PIN % OLD.fingerprint)
    states = killed_at_every_step(folder, "accept")
    assert states.lstrip("o").strip("n") == ""
    assert states.startswith("ooooo")
    assert states.endswith("nn")


@pytest.mark.parametrize("name", [NAME, ALIAS])
def test_a_killed_note_leaves_the_pin(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / f"{name}.json").write_text(GO_PIN % OLD.fingerprint)
    states = killed_at_every_step(folder, "seen")
    assert len(states) > 5
    assert states.strip("o") == ""
    assert TrustStore(folder, NAME).load() == Pin(OLD, NOW, NOW)


def test_a_killed_forget_never_falls_back_to_an_older_pin(folder: Path, store: TrustStore) -> None:
    store.learn(NEW, NOW)
    (folder / f"{ALIAS}.json").write_text(GO_PIN % OLD.fingerprint)
    states = killed_at_every_step(folder, "forget")
    assert states.strip("n").strip("-") == ""
    assert states.endswith("-")


def test_what_a_killed_process_left_is_cleaned_by_the_next_write(folder: Path, store: TrustStore) -> None:
    folder.mkdir()
    draft = folder / ".10.11.120.2.json.new"
    draft.write_text("{")
    assert store.load() is None
    store.learn(OLD, NOW)
    assert not draft.exists()


def kill_at_every_step(folder: Path, action: str) -> None:
    # In a process without threads, which may fork.
    letters = {None: "-", OLD.fingerprint: "o", NEW.fingerprint: "n"}
    before = {path: path.read_bytes() for path in folder.glob("*")}
    for death in range(1, 100):
        for path in folder.glob("*"):
            path.unlink()
        for path, data in before.items():
            path.write_bytes(data)
        if (child := os.fork()) == 0:
            act(TrustStore(folder, NAME, (ALIAS,), DyingFiles(death)), action)
        status = os.waitpid(child, 0)[1]
        pin = TrustStore(folder, NAME, (ALIAS,)).load()
        sys.stdout.write(letters[pin.certificate.fingerprint if pin else None])
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))
        assert os.WTERMSIG(status) == signal.SIGKILL
    sys.exit("the action never ends")


def act(store: TrustStore, action: str) -> NoReturn:
    try:
        match action:
            case "learn":
                store.learn(NEW, NOW)
            case "accept":
                store.accept(None, NOW)
            case "seen":
                store.seen(OLD, NOW)
            case "forget":
                store.forget()
        os._exit(0)
    finally:
        os._exit(1)


if __name__ == "__main__":
    kill_at_every_step(Path(sys.argv[1]), sys.argv[2])
