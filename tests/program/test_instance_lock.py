"""The lock file of a running proxy: locked while it runs, without meaning after it."""

from pathlib import Path

import pytest

from smgw_proxy_addon.program.instance_lock import InstanceError, InstanceLock

ENDPOINT = "4711 token"


def test_the_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    lock, other = InstanceLock(tmp_path / "certs", "gw"), InstanceLock(tmp_path / "certs", "gw")
    assert other.read() is None
    assert lock.acquire(ENDPOINT)
    assert other.read() == ENDPOINT
    assert not other.acquire("1 another")
    assert other.read() == ENDPOINT
    lock.release()
    assert other.read() is None
    assert other.acquire("1 another")
    other.release()


def test_another_gateway_has_another_lock(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path, "gw")
    assert lock.acquire(ENDPOINT)
    assert InstanceLock(tmp_path, "gw:8443").read() is None
    lock.release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock = InstanceLock(tmp_path / "file", "gw")
    for attempt in (lambda: lock.acquire(ENDPOINT), lock.read):
        with pytest.raises(InstanceError, match="cannot be used: "):
            attempt()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".running-gw").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstanceError):
        InstanceLock(tmp_path, "gw").acquire(ENDPOINT)
    assert not (tmp_path / "elsewhere").exists()
