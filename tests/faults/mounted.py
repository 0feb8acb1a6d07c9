"""Faults of real file systems: ``unshare --mount python -m tests.faults.mounted FOLDER``, as root.

Mounts are made in a mount namespace of this process, so that nothing is left when it ends. Prints one line of JSON:
what the client got and how long the way back took, by row and mode.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from simulator.certificates import CertificateOptions, make_identity
from tests.faults.disk_rows import NOT_STORED, NOT_WRITTEN, UNREADABLE, LogStage, failing_later, log_files
from tests.faults.login_memory_rows import CHANGED, REFUSED, STOPPED, TAKEN, retrying, stopping
from tests.faults.scene import Cause, Got, Mode, Request, Row, Scene, play

SIZE: Final = "200k"


def mount(*words: str) -> None:
    """Run ``mount``."""
    subprocess.run(["mount", *words], check=True)


def umount(folder: Path) -> None:
    """Take a mount away, also one with open files."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def small(folder: Path) -> None:
    """Mount a small disk."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))


def fill(folder: Path) -> None:
    """Leave no byte on a disk."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError:
            return


def free(folder: Path) -> None:
    """Take away what fills it."""
    (folder / "filler").unlink()


def pins(damage: Callable[[Path], None], repair: Callable[[Path], None], *, later: bool) -> Cause:
    """Let the disk with the pins fail; ``later``: when there is a pin, in which something is worth noting."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        folder = scene.rig.cert_dir
        if not later:
            await asyncio.to_thread(small, folder)
        async with failing_later("nothing", 0)(scene) if later else _nothing():
            await asyncio.to_thread(damage, folder)
            yield
            await asyncio.to_thread(repair, folder)

    return cause


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


def read_only(folder: Path) -> None:
    """Mount the same again, read-only."""
    mount("--bind", str(folder), str(folder))
    mount("-o", "remount,bind,ro", str(folder))


def hide(folder: Path) -> None:
    """Put an empty disk in the place of the folder that holds this one."""
    mount("-t", "tmpfs", "tmpfs", str(folder.parent))


@asynccontextmanager
async def stopped_on_a_full_disk(scene: Scene) -> AsyncIterator[None]:
    """Let the account be stopped when the disk with the pins, which has been so small from the start, is full."""
    folder = scene.rig.cert_dir
    await asyncio.to_thread(small, folder)
    assert await scene.visit(Request()) == Got()
    # The old file is given up for the new one, and there is room for that.
    async with stopping(lambda _: fill(folder), lambda _: free(folder), left=STOPPED)(scene):
        yield


def logs_on_a_small_disk(logs: LogStage) -> None:
    """Put the log files on a disk without room."""
    small(logs.folder)
    fill(logs.folder)


def logs_on_a_read_only_disk(logs: LogStage) -> None:
    """Mount the disk with the log files again, read-only; an open file would still be written by its old mount."""
    read_only(logs.folder.parent)
    logs.files.close()


ROWS: Final = [
    Row("First contact: disk full (tmpfs)", pins(fill, free, later=False), NOT_WRITTEN, visits=2, sent=0, first=True),
    Row(
        "First contact: /data read-only (bind mount)",
        pins(read_only, umount, later=False),
        NOT_WRITTEN,
        visits=2,
        sent=0,
        first=True,
    ),
    Row("/data read-only (bind mount)", pins(read_only, umount, later=True), Got(), visits=2, lines=NOT_STORED),
    Row(
        "/data hidden by an empty disk",
        pins(
            hide,
            lambda folder: umount(folder.parent),
            later=True,
        ),
        UNREADABLE,
        visits=2,
        sent=0,
    ),
    Row(
        "Log files: disk full (tmpfs)",
        log_files(logs_on_a_small_disk, lambda logs: free(logs.folder), lasting=True),
        Got(),
        visits=2,
    ),
    Row(
        "Log files: /share read-only (bind mount)",
        log_files(
            logs_on_a_read_only_disk,
            lambda logs: umount(logs.folder.parent),
            lasting=True,
        ),
        Got(),
        visits=2,
    ),
    Row(
        "Log files: /share unmounted, another disk in its place",
        log_files(lambda logs: small(logs.folder.parent), lambda logs: umount(logs.folder.parent), lasting=False),
        Got(),
        visits=2,
    ),
    *(
        replace(row, modes=(Mode.LOGIN_ONCE,), visits=2)
        for row in (
            Row("An account is stopped: disk full (tmpfs)", stopped_on_a_full_disk, REFUSED, first=True),
            Row(
                "An account is stopped: /data read-only (bind mount)",
                stopping(
                    lambda scene: read_only(scene.rig.cert_dir),
                    lambda scene: umount(scene.rig.cert_dir),
                    left=TAKEN,
                ),
                REFUSED,
                lines=CHANGED,
            ),
            Row(
                "An account is tried again: /data read-only (bind mount)",
                retrying(lambda scene: read_only(scene.rig.cert_dir), lambda scene: umount(scene.rig.cert_dir)),
                Got(),
                lines=CHANGED,
            ),
            Row(
                "An account is tried again: /data hidden by an empty disk",
                retrying(lambda scene: hide(scene.rig.cert_dir), lambda scene: umount(scene.rig.cert_dir.parent)),
                UNREADABLE,
                sent=0,
                lines=CHANGED,
            ),
        )
    ),
]


PLAYS: Final = [(row, mode) for row in ROWS for mode in row.modes]


def main(folder: Path) -> None:
    """Play all rows."""
    identity = make_identity(CertificateOptions())
    seen = {}
    for number, (row, mode) in enumerate(PLAYS):
        stage = folder / str(number)
        stage.mkdir()
        outcome = asyncio.run(play(row, mode, stage, identity))
        seen[f"{row.name}, {mode.value}"] = [str(outcome.got), outcome.recovery]
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
