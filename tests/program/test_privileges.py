import os
import subprocess
import sys
from pathlib import Path

import pytest

from smgw_proxy_addon.program.privileges import PrivilegeError, User

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")

NOBODY = User(65534, 65534)


def take(folder: Path, below: Path) -> None:
    NOBODY.take_over(folder, below, lambda name: name.endswith("_proxy.log"), 0o750)


def owners(*paths: Path) -> set[int]:
    return {path.lstat().st_uid for path in paths}


def test_a_missing_folder_is_made_and_owned(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "smgw"
    take(folder, tmp_path)
    assert owners(folder, folder.parent) == {65534}
    assert folder.stat().st_mode & 0o777 == 0o750
    assert owners(tmp_path) == {0}


def test_a_folder_with_our_files_alone_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "a_proxy.log"
    log.touch()
    take(folder, tmp_path)
    assert owners(folder, log) == {65534}
    take(folder, tmp_path)


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a_proxy.log").touch()
    (folder / "cat.jpg").touch()
    with pytest.raises(PrivilegeError, match=r"cat\.jpg"):
        take(folder, tmp_path)
    assert owners(folder, *folder.iterdir()) == {0}


@pytest.mark.parametrize("kind", ["link", "folder", "second name"])
def test_what_only_has_the_name_of_our_files_is_not_given_away(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    folder = tmp_path / "logs"
    folder.mkdir()
    entry = folder / "x_proxy.log"
    match kind:
        case "link":
            entry.symlink_to(secret)
        case "folder":
            entry.mkdir()
        case _:
            entry.hardlink_to(secret)
    with pytest.raises(PrivilegeError):
        take(folder, tmp_path)
    assert owners(secret, entry, folder) == {0}


def test_no_link_is_followed_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrivilegeError):
        take(tmp_path / "logs", tmp_path)
    with pytest.raises(PrivilegeError):
        take(tmp_path / "logs" / "deeper", tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_missing_parent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PrivilegeError, match="No such file"):
        take(tmp_path / "share" / "logs", tmp_path / "share")


def test_an_unknown_user_is_an_error() -> None:
    with pytest.raises(PrivilegeError, match="no-such-user"):
        User.named("no-such-user")


def test_root_cannot_be_had_back() -> None:
    program = """
import os
from smgw_proxy_addon.program.privileges import User
User.named("nobody").become()
print(os.getresuid(), os.getresgid(), os.getgroups())
for back in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: open("/etc/shadow")):
    try:
        back()
        print("back")
    except PermissionError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ids = f"({NOBODY.uid}, {NOBODY.uid}, {NOBODY.uid})"
    assert done.stdout.strip() == f"{ids} {ids} []"
