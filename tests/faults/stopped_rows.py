"""Faults of the file that keeps which accounts the gateway has refused, while one is stopped or tried again.

Only login once has such accounts. Whatever is wrong with the file, it never stops an account by itself, the log says
so, and it is right again once it can be.
"""

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon import stopped_logins
from smgw_proxy_addon.options import from_command_line
from tests.faults.disk_rows import UNREADABLE, until
from tests.faults.scene import PASSWORD, USER, Cause, Got, Mode, Request, Row, Scene, options_of

REFUSED: Final = Got(502, "gateway_login_refused")
SOON: Final = 0.05
"""Seconds that stand for those between two tries to change the file."""

CHANGED: Final = (".stopped cannot be changed", ".stopped can be changed again")

Act = Callable[[Scene], object]
"""What is done to the file, or to what it lies on; run in executor."""


def file_of(scene: Scene) -> Path:
    """Return the file."""
    return scene.pin_file.with_suffix(".stopped")


def kept(scene: Scene) -> int:
    """Tell how many accounts the file names. Changes nothing, as a start does to a file that is broken."""
    try:
        return len(json.loads(file_of(scene).read_bytes())["refused"])
    except (OSError, ValueError):
        return 0


async def next_start(scene: Scene) -> frozenset[int]:
    """Tell which accounts would be stopped if the proxy was started now; the file must be what it should be."""
    given = {"target": scene.store.name, "cert_dir": str(scene.rig.cert_dir)}
    options = from_command_line({**given, **options_of(scene.mode, USER, PASSWORD)})
    return await stopped_logins.StoppedLogins(options).open()


def stopping(damage: Act, repair: Act, *, lost: bool = True) -> Cause:
    """Let the account be stopped while the file is damaged; ``lost``: until repaired, it cannot be written."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stopped_logins, "RETRY", SOON)
            await asyncio.to_thread(damage, scene)
            scene.sim.login.password = "another"
            yield
            if lost:
                await _said(scene, CHANGED[0])
                assert not await asyncio.to_thread(kept, scene)
            await asyncio.to_thread(repair, scene)
            await _written(scene, 1)
            if lost:
                await _said(scene, CHANGED[1])
            assert await next_start(scene) == {1}
            scene.sim.login.password = PASSWORD
            _retry(scene)
            await _written(scene, 0)

    return cause


def retrying(damage: Act, repair: Act) -> Cause:
    """Let a person have the stopped account tried again while the file cannot be changed."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stopped_logins, "RETRY", SOON)
            scene.sim.login.password = "another"
            for _ in range(2):
                await scene.visit(Request())
            await _written(scene, 1)
            await asyncio.to_thread(damage, scene)
            scene.sim.login.password = PASSWORD
            _retry(scene)
            await _said(scene, CHANGED[0])
            yield
            await asyncio.to_thread(repair, scene)
            await _said(scene, CHANGED[1])
            assert not await asyncio.to_thread(kept, scene)

    return cause


def _retry(scene: Scene) -> None:
    assert scene.rig.proxy.logins
    assert scene.rig.proxy.logins.retry(0)


async def _said(scene: Scene, text: str) -> None:
    await asyncio.to_thread(until, lambda: scene.lines.count(text) > 0)


async def _written(scene: Scene, accounts: int) -> None:
    """Wait until the file names so many."""
    await asyncio.to_thread(until, lambda: kept(scene) == accounts)


def _fail(step: str, code: int) -> Act:
    return lambda scene: scene.files.failing.update({step: code})


def _work(scene: Scene) -> None:
    scene.files.failing.clear()


def _hide(scene: Scene) -> None:
    scene.rig.cert_dir.rename(scene.folder / "hidden")


def _show(scene: Scene) -> None:
    (scene.folder / "hidden").rename(scene.rig.cert_dir)


ROWS: Final = [
    replace(row, modes=(Mode.LOGIN_ONCE,), visits=2)
    for row in (
        Row(
            "An account is stopped: disk full",
            stopping(_fail("write", errno.ENOSPC), _work),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: /data read-only",
            stopping(_fail("create", errno.EROFS), _work),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: its file replaced by a folder",
            stopping(lambda scene: file_of(scene).mkdir(), lambda scene: file_of(scene).rmdir()),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: its file damaged",
            stopping(lambda scene: file_of(scene).write_bytes(b"{"), lambda _scene: None, lost=False),
            REFUSED,
        ),
        Row(
            "An account is tried again: /data read-only",
            retrying(_fail("remove", errno.EROFS), _work),
            Got(),
            lines=CHANGED,
        ),
        Row("An account is tried again: /data unmounted", retrying(_hide, _show), UNREADABLE, sent=0, lines=CHANGED),
    )
]
