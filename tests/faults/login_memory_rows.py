"""Faults of the file that keeps what the gateway said of the accounts, while one is stopped or tried again.

Only login once has such accounts. Whatever is wrong with the file, it never stops an account by itself, the log says
so, and it is right again once it can be.
"""

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from smgw_proxy_addon.auth import login_store
from smgw_proxy_addon.auth.gateway_login import REFUSALS
from smgw_proxy_addon.config.accounts import AccountOutcomes, LoginOutcomes
from smgw_proxy_addon.config.options import from_command_line
from tests.faults.disk_rows import UNREADABLE
from tests.faults.scene import PASSWORD, USER, Cause, Got, Mode, Request, Row, Scene, options_of
from tests.waiting import until

REFUSED: Final = Got(502, "gateway_login_refused")
SOON: Final = 0.05
"""Seconds that stand for those between two tries to change the file."""

CHANGED: Final = (".logins cannot be changed", ".logins can be changed again")

TAKEN: Final = LoginOutcomes(taken=True)
STOPPED: Final = LoginOutcomes(taken=True, refusals=REFUSALS)

Act = Callable[[Scene], object]
"""What is done to the file, or to what it lies on; run in executor."""


def file_of(scene: Scene) -> Path:
    """Return the file."""
    return scene.pin_file.with_suffix(".logins")


def kept(scene: Scene) -> LoginOutcomes | None:
    """Tell what the file says of the account. Changes nothing, as a start does to a file that is broken."""
    try:
        (past,) = json.loads(file_of(scene).read_bytes())["accounts"].values()
    except (OSError, ValueError):
        return None
    return LoginOutcomes(**past)


async def next_start(scene: Scene) -> AccountOutcomes:
    """Tell what would be known if the proxy was started now; the file must be what it should be."""
    given = {"target": scene.store.name, "cert_dir": str(scene.rig.cert_dir)}
    options = from_command_line({**given, **options_of(scene.mode, USER, PASSWORD)})
    return await login_store.LoginStore(options).open()


def stopping(damage: Act, repair: Act, *, left: LoginOutcomes | None = None) -> Cause:
    """Let the account be stopped while the file is damaged; ``left`` is what it says then, until repaired."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(login_store, "RETRY", SOON)
            await _written(scene, TAKEN)
            await asyncio.to_thread(damage, scene)
            scene.sim.login.password = "another"
            yield
            await _written(scene, left)
            if left != STOPPED:
                await _said(scene, CHANGED[0])
            await asyncio.to_thread(repair, scene)
            await _written(scene, STOPPED)
            if left != STOPPED:
                await _said(scene, CHANGED[1])
            assert await next_start(scene) == {1: STOPPED}
            scene.sim.login.password = PASSWORD
            _retry(scene)
            await _written(scene, None)

    return cause


def retrying(damage: Act, repair: Act) -> Cause:
    """Let a person have the stopped account tried again while the file cannot be changed."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(login_store, "RETRY", SOON)
            scene.sim.login.password = "another"
            for _ in range(2):
                await scene.visit(Request())
            await _written(scene, STOPPED)
            await asyncio.to_thread(damage, scene)
            scene.sim.login.password = PASSWORD
            _retry(scene)
            await _said(scene, CHANGED[0])
            yield
            await asyncio.to_thread(repair, scene)
            await _said(scene, CHANGED[1])
            assert await asyncio.to_thread(kept, scene) != STOPPED

    return cause


def _retry(scene: Scene) -> None:
    assert scene.rig.proxy.logins
    assert scene.rig.proxy.logins.retry(0)


async def _said(scene: Scene, text: str) -> None:
    await until(lambda: scene.lines.count(text) > 0)


async def _written(scene: Scene, past: LoginOutcomes | None) -> None:
    """Wait until the file says that of the account."""
    await until(lambda: kept(scene) == past)


def _fail(code: int, *steps: str) -> Act:
    return lambda scene: scene.files.failing.update(dict.fromkeys(steps, code))


def _work(scene: Scene) -> None:
    scene.files.failing.clear()


def _become_a_folder(scene: Scene) -> None:
    file_of(scene).unlink()
    file_of(scene).mkdir()


def _hide(scene: Scene) -> None:
    scene.rig.cert_dir.rename(scene.folder / "hidden")
    time.sleep(0.06)  # the pin is looked at again after 50 ms


def _show(scene: Scene) -> None:
    (scene.folder / "hidden").rename(scene.rig.cert_dir)


ROWS: Final = [
    replace(row, modes=(Mode.LOGIN_ONCE,), visits=2)
    for row in (
        Row(
            "An account is stopped: disk full",
            stopping(_fail(errno.ENOSPC, "write"), _work),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: /data read-only",
            stopping(_fail(errno.EROFS, "create", "remove"), _work, left=TAKEN),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: its file replaced by a folder",
            stopping(_become_a_folder, lambda scene: file_of(scene).rmdir()),
            REFUSED,
            lines=CHANGED,
        ),
        Row(
            "An account is stopped: its file damaged",
            stopping(lambda scene: file_of(scene).write_bytes(b"{"), lambda _scene: None, left=STOPPED),
            REFUSED,
        ),
        Row(
            "An account is tried again: /data read-only",
            retrying(_fail(errno.EROFS, "create", "remove"), _work),
            Got(),
            lines=CHANGED,
        ),
        Row("An account is tried again: /data unmounted", retrying(_hide, _show), UNREADABLE, sent=0, lines=CHANGED),
    )
]
