import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.trust.pin_file import encode
from smgw_proxy_addon.trust.policy import Certificate, Origin, Pin, describe
from smgw_proxy_addon.trust.store import AcceptProblem, TrustCommandError, TrustStore
from tests.pins import ALIAS, GO_PIN, LATER, NAME, NEW, NOW, OLD, THIRD, UNSET, fact, names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "certs"


@pytest.fixture
def store(folder: Path) -> TrustStore:
    return TrustStore(folder, NAME, (ALIAS,))


# --- learning -------------------------------------------------------------------------------------------------


def test_the_first_certificate_is_learnt(store: TrustStore, folder: Path) -> None:
    assert store.load() is None
    assert not folder.exists()
    pin = store.learn(OLD, NOW + timedelta(microseconds=5))
    assert pin == Pin(OLD, NOW, NOW, Origin.FIRST_USE)
    assert store.load() == pin
    assert names(folder) == {"10.11.120.2.json"}


def test_a_second_certificate_is_not_learnt(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    assert store.learn(NEW, NOW).certificate == OLD


def test_no_time_is_stored_while_the_clock_is_unset(store: TrustStore) -> None:
    assert store.learn(OLD, UNSET) == Pin(OLD, None, None, Origin.FIRST_USE)


def test_only_the_owner_may_read(store: TrustStore, folder: Path) -> None:
    before = os.umask(0)
    try:
        store.learn(OLD, NOW)
    finally:
        os.umask(before)
    assert S_IMODE(folder.stat().st_mode) == 0o700
    assert {S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_command_of_root_leaves_files_that_the_service_can_read(store: TrustStore, folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12346)
    store.learn(OLD, NOW)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in folder.iterdir()} == {(12345, 12346)}


@pytest.mark.parametrize("name", ["", ".", "..", ".lock", "../x", "a/b", "/etc/x", "a\0b", "a\nb", "\ud800"])
def test_names_cannot_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        TrustStore(folder, name)
    with pytest.raises(ValueError, match="cannot name a file"):
        TrustStore(folder, NAME, (name,))


@pytest.mark.parametrize("name", ["gateway.local", "10.11.120.2:8443", "fe80::1%eth0", "[fe80::1%eth0]:444"])
def test_targets_are_names(folder: Path, name: str) -> None:
    store = TrustStore(folder, name)
    pin = store.learn(OLD, NOW)
    assert store.name == name
    assert names(folder) == {f"{name}.json"}
    assert TrustStore(folder, name).load() == pin


# --- two at once ----------------------------------------------------------------------------------------------


def test_threads_that_learn_at_once_end_in_one_pin(folder: Path) -> None:
    def learn(number: int) -> Pin:
        return TrustStore(folder, NAME).learn(describe(b"%d" % number), NOW)

    with ThreadPoolExecutor(8) as pool:
        pins = set(pool.map(learn, range(32)))
    assert pins == {TrustStore(folder, NAME).load()}


def learn_in_a_process(arguments: tuple[Path, int]) -> str:
    folder, number = arguments
    return TrustStore(folder, NAME).learn(describe(b"%d" % number), NOW).certificate.fingerprint


def test_processes_that_learn_at_once_end_in_one_pin(folder: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pins = set(pool.map(learn_in_a_process, [(folder, number) for number in range(32)], chunksize=1))
        pool.close()
        pool.join()
    stored = TrustStore(folder, NAME).load()
    assert stored
    assert pins == {stored.certificate.fingerprint}


# --- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [NAME, ALIAS])
def test_a_folder_of_the_go_proxy_works_as_it_is(store: TrustStore, folder: Path, name: str) -> None:
    folder.mkdir(mode=0o755)
    (folder / f"{name}.json").write_text(GO_PIN % OLD.fingerprint)
    pin = store.load()
    assert pin == Pin(
        Certificate(
            OLD.fingerprint,
            "CN=ETHE0300000000.SM,O=SMGW,C=DE",
            "CN=TEST.CA,O=SMGW,C=DE",
            datetime(2025, 3, 1, tzinfo=UTC),
            datetime(2032, 3, 1, 23, 59, 59, tzinfo=UTC),
        )
    )
    assert store.learn(NEW, NOW) == pin
    store.seen(OLD, NOW)
    assert store.load() == Pin(OLD, NOW, NOW)
    assert names(folder) == {"10.11.120.2.json"}


def test_the_own_name_goes_before_an_alias(store: TrustStore, folder: Path) -> None:
    store.learn(OLD, NOW)
    (folder / f"{ALIAS}.json").write_text(GO_PIN % NEW.fingerprint)
    assert store.learn(NEW, NOW).certificate == OLD


def test_an_unreadable_alias_is_an_error(store: TrustStore, folder: Path) -> None:
    folder.mkdir()
    (folder / f"{ALIAS}.json").touch()
    with pytest.raises(PinUnreadableError):
        store.learn(NEW, NOW)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.touch, "not a JSON text"),
        (Path.mkdir, "Is a directory"),
        (make_pipe, "not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "symbolic links"),
        (lambda path: path.write_bytes(encode(Pin(OLD)) + b" " * 2**20), "too large"),
        (lambda path: path.write_bytes(encode(Pin(OLD)).replace(b'pem": "', b'pem": "x')), "PEM"),
        (lambda path: path.write_text(GO_PIN % "12"), "64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_read_is_never_no_pin(store: TrustStore, folder: Path, make: object, problem: str) -> None:
    assert callable(make)
    folder.mkdir()
    path = folder / f"{NAME}.json"
    make(path)
    for read in (store.load, lambda: store.learn(NEW, NOW), lambda: store.accept(None, NOW)):
        with pytest.raises(PinUnreadableError) as raised:
            read()
        assert raised.value.facts["file"] == str(path)
        assert problem in fact(raised)
    assert names(folder) == {path.name}


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.text() | st.integers() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(json.loads(GO_PIN))) | st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_never_no_pin(tmp_path: Path, data: bytes) -> None:
    (tmp_path / f"{NAME}.json").write_bytes(data)
    with pytest.raises(PinUnreadableError):
        TrustStore(tmp_path, NAME).learn(NEW, NOW)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_pin_is_never_no_pin(tmp_path: Path, data: st.DataObject) -> None:
    whole = encode(Pin(OLD, NOW, NOW))
    (tmp_path / f"{NAME}.json").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 3))])
    with pytest.raises(PinUnreadableError):
        TrustStore(tmp_path, NAME).load()


def test_a_folder_that_is_a_file_is_an_error(store: TrustStore, folder: Path) -> None:
    folder.touch()
    with pytest.raises(PinUnreadableError, match="Not a directory"):
        store.load()
    with pytest.raises(PinNotWrittenError):
        store.forget()


def test_a_link_to_a_missing_folder_is_not_replaced(store: TrustStore, folder: Path, tmp_path: Path) -> None:
    folder.symlink_to(tmp_path / "unplugged")
    with pytest.raises(PinNotWrittenError):
        store.learn(OLD, NOW)
    assert not (tmp_path / "unplugged").exists()


# --- seen again -----------------------------------------------------------------------------------------------


def test_last_seen_is_written_once_an_hour(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    before = store.signature()
    store.seen(OLD, NOW + timedelta(minutes=59))
    store.seen(OLD, UNSET)
    assert store.signature() == before
    store.seen(OLD, LATER)
    assert store.load() == Pin(OLD, NOW, LATER, Origin.FIRST_USE)


def test_another_certificate_is_not_noted(store: TrustStore, folder: Path) -> None:
    store.seen(OLD, NOW)
    assert not folder.exists()
    pin = store.learn(OLD, NOW)
    store.seen(NEW, LATER)
    assert store.load() == pin


def test_a_pin_that_changes_while_it_is_noted_stays(folder: Path, store: TrustStore) -> None:
    class ForgottenMeanwhile(Files):
        def create(self, path: Path) -> int:
            for other in folder.glob("*.json"):
                other.unlink()
            return super().create(path)

    store.learn(OLD, NOW)
    (folder / ".lock").unlink()
    TrustStore(folder, NAME, files=ForgottenMeanwhile()).seen(OLD, LATER)
    assert store.load() is None


# --- refused, accepted, forgotten -----------------------------------------------------------------------------


def test_the_last_refused_certificate_is_kept(store: TrustStore) -> None:
    pin = store.learn(OLD, NOW)
    assert store.refused() is None
    store.refuse(THIRD, NOW)
    store.refuse(NEW, NOW)
    store.refuse(NEW, LATER)
    assert store.refused() == Pin(NEW, NOW, LATER)
    assert store.load() == pin


def test_a_refused_certificate_is_written_once_an_hour(store: TrustStore, folder: Path) -> None:
    store.refuse(NEW, NOW)
    before = (folder / "10.11.120.2.refused").stat()
    store.refuse(NEW, NOW + timedelta(minutes=59))
    assert (folder / "10.11.120.2.refused").stat() == before


def test_a_damaged_refused_certificate_is_replaced(store: TrustStore, folder: Path) -> None:
    store.refuse(NEW, NOW)
    (folder / "10.11.120.2.refused").write_text("{")
    assert store.refused() is None
    store.refuse(NEW, NOW)
    assert store.refused() == Pin(NEW, NOW, NOW)


@pytest.mark.parametrize("fingerprint", [None, NEW.fingerprint, NEW.fingerprint.upper()])
def test_the_refused_certificate_can_be_accepted(store: TrustStore, fingerprint: str | None) -> None:
    store.learn(OLD, NOW)
    store.refuse(NEW, LATER)
    before = store.signature()
    pin = store.accept(fingerprint, LATER + timedelta(days=1))
    assert pin == store.load() == Pin(NEW, LATER, LATER, Origin.ACCEPTED)
    assert store.refused() is None
    assert store.signature() != before


def test_a_certificate_refused_with_an_unset_clock_gets_its_time(store: TrustStore) -> None:
    store.refuse(NEW, UNSET)
    assert store.accept(None, NOW) == Pin(NEW, NOW, NOW, Origin.ACCEPTED)


@pytest.mark.parametrize(
    ("pinned", "refused", "asked", "problem"),
    [
        (None, None, None, AcceptProblem.NOTHING_REFUSED),
        (OLD, None, None, AcceptProblem.NOTHING_REFUSED),
        (OLD, None, NEW, AcceptProblem.NOTHING_REFUSED),
        (OLD, None, OLD, AcceptProblem.ALREADY_TRUSTED),
        (OLD, NEW, OLD, AcceptProblem.ALREADY_TRUSTED),
        (OLD, OLD, None, AcceptProblem.ALREADY_TRUSTED),
        (OLD, NEW, THIRD, AcceptProblem.OTHER_REFUSED),
        (None, NEW, THIRD, AcceptProblem.OTHER_REFUSED),
    ],
)
def test_what_cannot_be_accepted(
    store: TrustStore,
    folder: Path,
    pinned: Certificate | None,
    refused: Certificate | None,
    asked: Certificate | None,
    problem: AcceptProblem,
) -> None:
    if pinned:
        store.learn(pinned, NOW)
    if refused:
        store.refuse(refused, NOW)
    before = (folder.exists(), store.load(), store.refused())
    with pytest.raises(TrustCommandError, match=problem.value) as raised:
        store.accept(asked.fingerprint if asked else None, NOW)
    assert raised.value.problem is problem
    assert raised.value.asked == (asked.fingerprint if asked else None)
    assert raised.value.refused == (refused.fingerprint if refused else None)
    assert (folder.exists(), store.load(), store.refused()) == before


def test_forgetting_removes_all(store: TrustStore, folder: Path) -> None:
    assert not store.forget()
    assert not folder.exists()
    store.learn(OLD, NOW)
    store.refuse(NEW, NOW)
    (folder / f"{ALIAS}.json").write_text("{")
    assert store.forget()
    assert names(folder) == set()
    assert store.learn(NEW, NOW).certificate == NEW


def test_a_damaged_pin_can_be_forgotten(store: TrustStore, folder: Path) -> None:
    folder.mkdir()
    (folder / f"{NAME}.json").symlink_to("nowhere")
    assert store.forget()
    assert store.load() is None


def test_a_signature_tells_every_change(store: TrustStore, folder: Path) -> None:
    signatures = [store.signature()]
    for change in (
        lambda: store.learn(OLD, NOW),
        lambda: store.seen(OLD, LATER),
        (folder / f"{ALIAS}.json").touch,
        store.forget,
    ):
        change()
        signatures.append(store.signature())
    assert len(set(signatures[:4])) == 4
    assert signatures[4] == signatures[0]
