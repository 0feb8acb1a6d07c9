"""Faults of what the proxy keeps on disk: the pins and the log files."""

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Final

from smgw_proxy_addon.log_files import RETRY_SECONDS, FileLimits, LogFiles
from smgw_proxy_addon.logs import Logging
from tests.faults.scene import Cause, Got, Row, Scene
from tests.waiting import until

UNREADABLE: Final = Got(502, "pin_unreadable")
NOT_WRITTEN: Final = Got(502, "pin_not_written")
NO_DESCRIPTOR: Final = Got(503, "out_of_descriptors")
SHORTAGE: Final = ("Nothing more can be opened for now",)
NOT_STORED: Final = ("What the gateway showed could not be stored", "What the gateway shows can be stored again")


# The pins


def failing(step: str, code: int) -> Cause:
    """Let a step of every change of the pins fail."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        scene.files.failing[step] = code
        yield
        scene.files.failing.clear()

    return cause


def failing_later(step: str, code: int) -> Cause:
    """The same once there is a pin, in which something is worth noting at the next contact."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        await asyncio.to_thread(_forget_last_seen, scene.pin_file)
        await _new_connection(scene)
        scene.files.failing[step] = code
        yield
        scene.files.failing.clear()
        await _new_connection(scene)

    return cause


def _forget_last_seen(pin: Path) -> None:
    pin.write_text(pin.read_text().replace('"last_seen": "', '"last_seen": null, "was_seen": "'))


async def _new_connection(scene: Scene) -> None:
    scene.sim.close_connections()
    await scene.sim.wait_for_open(0)


def changed(damage: Callable[[Path], object]) -> Cause:
    """Damage the pin's file; then bring it back, as from a backup."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        kept = scene.folder / "backup"
        pin = scene.pin_file
        await asyncio.to_thread(pin.rename, kept)
        await asyncio.to_thread(damage, pin)
        yield
        if await asyncio.to_thread(pin.is_dir):
            await asyncio.to_thread(pin.rmdir)
        await asyncio.to_thread(kept.replace, pin)

    return cause


def _half(pin: Path) -> None:
    pin.write_bytes((pin.parents[1] / "backup").read_bytes()[:100])


def unreadable(code: int) -> Cause:
    """Let the system fail when the file is read, which it is after a change."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        scene.files.failing["read"] = code
        await asyncio.to_thread(os.utime, scene.pin_file, (1, 1))
        yield
        scene.files.failing.clear()

    return cause


@asynccontextmanager
async def deleted(scene: Scene) -> AsyncIterator[None]:
    """Delete the file alone, as ``trust forget`` does: the certificate is learnt again."""
    await asyncio.to_thread(scene.pin_file.unlink)
    yield


@asynccontextmanager
async def unmounted(scene: Scene) -> AsyncIterator[None]:
    """Take the whole folder away."""
    elsewhere = scene.folder / "unmounted"
    await asyncio.to_thread(scene.rig.cert_dir.rename, elsewhere)
    yield
    await asyncio.to_thread(elsewhere.rename, scene.rig.cert_dir)


# The log files


class LogStage:
    """The program's log with files in ``folder``: how they are opened, and how time passes, is the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opens: Callable[[Path, int, int], int] = os.open
        self.ahead = 0.0
        self.console = StringIO()
        self.logging = Logging("info", self.console)
        self.files = LogFiles(
            folder,
            "smgw-proxy.log",
            FileLimits(timedelta(hours=24), timedelta(days=7), 1_000_000, 10_000_000),
            report=self.logging.report,
            monotonic=lambda: self.ahead,
            open_file=self._open,
        )
        self.logging.add_files(self.files)

    def _open(self, path: Path, flags: int, mode: int) -> int:
        return self.opens(path, flags, mode)

    def text(self) -> str:
        """Return what is in the files."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def log_files(damage: Callable[[LogStage], object], repair: Callable[[LogStage], object], *, lasting: bool) -> Cause:
    """Let the log files fail. ``lasting``: they do until repaired, which is found at the next try."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        logs = await asyncio.to_thread(LogStage, scene.folder / "share" / "logs")
        logger = logging.getLogger("smgw_proxy_addon.test")
        try:
            logger.info("Before")
            await until(lambda: "Before" in logs.text())
            await asyncio.to_thread(damage, logs)
            yield
            logger.info("Meanwhile")
            if lasting:
                await until(lambda: "No log files for now" in logs.console.getvalue())
            await asyncio.to_thread(repair, logs)
            logs.ahead += RETRY_SECONDS
            logger.info("Afterwards")
            await until(lambda: "Afterwards" in logs.text())
        finally:
            await asyncio.to_thread(logs.logging.close)
        told = logs.console.getvalue()
        for line in ("No log files for now", "Log files are written again"):
            assert told.count(line) == lasting, told
        assert "Meanwhile" in told
        # What was written before is lost only where somebody deleted it.
        assert "Afterwards" in await asyncio.to_thread(logs.text)

    return cause


def _fail_with(code: int) -> Callable[[LogStage], None]:
    """Let nothing be opened any more; the file that is open was moved away."""

    def fail(_path: Path, _flags: int, _mode: int) -> int:
        raise OSError(code, os.strerror(code))

    def damage(logs: LogStage) -> None:
        logs.opens = fail
        _move_away(logs)

    return damage


def _fill(logs: LogStage) -> None:
    """Let every write fail with ENOSPC."""
    logs.opens = lambda _path, _flags, _mode: os.open("/dev/full", os.O_WRONLY)
    _move_away(logs)


def _move_away(logs: LogStage) -> None:
    for path in logs.folder.glob("*.log"):
        path.rename(path.with_suffix(".old"))


def _open_again(logs: LogStage) -> None:
    logs.opens = os.open


def _unmount(logs: LogStage) -> None:
    logs.folder.parent.rename(logs.folder.parent.with_name("elsewhere"))
    logs.folder.parent.write_text("not a folder")


def _mount(logs: LogStage) -> None:
    logs.folder.parent.unlink()
    logs.folder.parent.with_name("elsewhere").rename(logs.folder.parent)


def _delete(logs: LogStage) -> None:
    shutil.rmtree(logs.folder)


def _rename(logs: LogStage) -> None:
    logs.folder.rename(logs.folder.with_name("renamed"))


def _nothing(_logs: LogStage) -> None:
    """Repair nothing: the proxy has found a way."""


# Rows

ROWS: Final = [
    Row("First contact: disk full", failing("write", errno.ENOSPC), NOT_WRITTEN, visits=2, sent=0, first=True),
    Row("First contact: /data read-only", failing("create", errno.EROFS), NOT_WRITTEN, visits=2, sent=0, first=True),
    Row("Disk full", failing_later("write", errno.ENOSPC), Got(), visits=2, lines=NOT_STORED),
    Row("/data read-only", failing_later("create", errno.EROFS), Got(), visits=2, lines=NOT_STORED),
    Row("/data unmounted", unmounted, UNREADABLE, visits=2, sent=0, fresh=True),
    Row("Pin file cut in half", changed(_half), UNREADABLE, visits=2, sent=0, fresh=True),
    Row("Pin file emptied", changed(Path.touch), UNREADABLE, visits=2, sent=0, fresh=True),
    Row("Pin file replaced by a folder", changed(Path.mkdir), UNREADABLE, visits=2, sent=0, fresh=True),
    Row(
        "Pin file replaced by a link",
        changed(lambda pin: pin.symlink_to("/dev/zero")),
        UNREADABLE,
        visits=2,
        sent=0,
        fresh=True,
    ),
    Row("Pin file unreadable (I/O error)", unreadable(errno.EIO), UNREADABLE, visits=2, sent=0, fresh=True),
    Row(
        "First contact: no descriptor left",
        failing("create", errno.EMFILE),
        NO_DESCRIPTOR,
        visits=2,
        sent=0,
        first=True,
        lines=SHORTAGE,
    ),
    *(
        Row(name, unreadable(code), NO_DESCRIPTOR, visits=2, sent=0, fresh=True, lines=SHORTAGE)
        for name, code in (
            ("No descriptor left for the pin file", errno.EMFILE),
            ("No descriptor left in the computer", errno.ENFILE),
        )
    ),
    Row("Pin file deleted", deleted, Got(), fresh=True),
    Row("Log files: disk full", log_files(_fill, _open_again, lasting=True), Got(), visits=2),
    Row("Log files: read-only", log_files(_fail_with(errno.EROFS), _open_again, lasting=True), Got(), visits=2),
    Row("Log files: I/O error", log_files(_fail_with(errno.EIO), _open_again, lasting=True), Got(), visits=2),
    Row("Log files: /share unmounted", log_files(_unmount, _mount, lasting=True), Got(), visits=2),
    Row("Log files: folder deleted", log_files(_delete, _nothing, lasting=False), Got(), visits=2),
    Row("Log files: folder renamed", log_files(_rename, _nothing, lasting=False), Got(), visits=2),
]
