"""One play of one fault: the stage, the visit of a client, and what must be true at its end."""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from simulator.certificates import Identity
from simulator.gateway import Simulator
from smgw_proxy_addon.config.schema import APP_OPTIONS
from smgw_proxy_addon.errors import ABORT
from smgw_proxy_addon.files import Files
from smgw_proxy_addon.log_writer import LineFormatter
from smgw_proxy_addon.logs import log_request
from smgw_proxy_addon.status.notifications import UNREACHABLE
from smgw_proxy_addon.trust.store import TrustStore
from tests.faults.cable import Cable
from tests.rig import Rig, proxy_for

NAME: Final = "gateway.test"
"""What the gateway is called; ``Names`` knows its address."""

SHORT: Final = 0.6
"""Seconds that stand for the timeouts of a row that is about one."""

OUTAGE: Final = ("cannot be used for now", "can be used again")
"""What the log says at the start and at the end of a lasting fault of the gateway, or of the way to it."""

USER: Final = "demo"
PASSWORD: Final = "s3cr3t-password"

SECRETS: Final = ("0123456789abcdef", "s3cr3t-session", "s3cr3t-body", PASSWORD, "s3cr3t-nonce")
"""What clients send and no line of the log may hold: login, cookie, body, password, nonce."""

WRONG_LOGIN: Final = (
    'Digest username="demo", realm="gateway", nonce="s3cr3t-nonce", uri="/", response="0123456789abcdef"'
)


class Mode(Enum):
    """How the gateway's password is used."""

    TRANSPARENT = "transparent"
    LOGIN_ONCE = "login once"


IN_BOTH_MODES: Final = pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
"""For a test that is played in each mode, as its argument ``mode``."""


@dataclass(frozen=True)
class Request:
    """What the client asks for; ``login``: with an Authorization that the gateway is to judge."""

    method: str = "GET"
    path: str = "/sim/status/200"
    body: bytes = b""
    login: bool = False


@dataclass(frozen=True)
class Got:
    """What the client got; ``code`` is the error's in the log; not ``whole``: it was told that a part is missing."""

    status: int = 200
    code: str | None = None
    whole: bool = True

    def __str__(self) -> str:
        if self.status == ABORT:
            return f"closed, `{self.code}`"
        text = f"{self.status}" + (f" `{self.code}`" if self.code else "")
        return text if self.whole else f"{text}, broken off"


class SwitchedFiles(Files):
    """The folder of the pins; ``failing`` maps steps to the errno with which they fail."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}

    def _do(self, step: str) -> None:
        if code := self.failing.get(step):
            raise OSError(code, os.strerror(code))

    def read(self, path: Path) -> bytes:
        self._do("read")
        return super().read(path)

    def make_folder(self, path: Path) -> None:
        self._do("create")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._do("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._do("write")
        super().write(descriptor, data)

    def sync_folder(self, path: Path) -> None:
        self._do("sync_folder")
        super().sync_folder(path)

    def remove(self, path: Path) -> None:
        self._do("remove")
        super().remove(path)


class Names:
    """The name server of a loop: ``NAME`` has ``address``, none (None), or gets no answer (``silent``)."""

    def __init__(self) -> None:
        self.address: str | None = "127.0.0.1"
        self.silent = False
        loop = asyncio.get_running_loop()
        self._ask = loop.getaddrinfo
        loop.getaddrinfo = self._answer  # type: ignore[method-assign]  # /etc/hosts is not ours to change

    async def _answer(self, host: Any, port: Any, **kind: Any) -> list[Any]:
        if host not in (NAME, NAME.encode()):
            return await self._ask(host, port, **kind)
        if self.silent:
            await asyncio.Event().wait()
        if self.address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, port))]


class Lines(logging.Handler):
    """Keeps the lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))

    def count(self, text: str) -> int:
        """Tell how many lines hold a text."""
        return sum(text in line for line in self.kept)


@dataclass
class Scene:
    """The stage. ``asked`` counts the visits: each has a target of its own, by which the gateway knows it."""

    sim: Simulator
    cable: Cable
    names: Names
    rig: Rig
    folder: Path
    files: SwitchedFiles
    client: httpx.AsyncClient
    mode: Mode
    lines: Lines
    asked: int = 0
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def store(self) -> TrustStore:
        """The pins, as another process sees them."""
        return TrustStore(self.rig.cert_dir, f"{NAME}:{self.cable.port}")

    @property
    def pin_file(self) -> Path:
        """The pin's file."""
        return self.rig.cert_dir / f"{NAME}:{self.cable.port}.json"

    async def visit(self, request: Request) -> Got:
        """Ask once, as a client with secrets that gives up after ten seconds."""
        self.asked += 1
        url = f"{self.rig.http}{request.path}{'&' if '?' in request.path else '?'}visit={self.asked}"
        headers = {"Cookie": "session=s3cr3t-session"}
        if request.login and self.mode is Mode.TRANSPARENT:
            headers["Authorization"] = WRONG_LOGIN
        self.reported.clear()
        status, whole, code = ABORT, False, None
        try:
            async with self.client.stream(request.method, url, content=request.body, headers=headers) as answer:
                status = answer.status_code
                body = await answer.aread()
            whole = True
            if answer.headers.get("server") == "smgw-proxy":
                code = json.loads(body).get("error")
        except (httpx.RemoteProtocolError, httpx.ReadError):
            pass
        # The line of a request is written when its answer has ended, which may be after the client has seen it.
        async with asyncio.timeout(5):
            await self.reported.wait()
        reported = self.rig.reports[-1].code
        assert code in (None, reported)
        return Got(status, reported, whole or status == ABORT)

    def sent(self, visit: int) -> int:
        """Tell how many times the gateway got the request of a visit; those that it only challenged do not count."""
        of_it = [record for record in self.sim.records if record.target.endswith(b"visit=%d" % visit)]
        return sum(record.authorized for record in of_it) if self.mode is Mode.LOGIN_ONCE else len(of_it)


Cause = Callable[[Scene], AbstractAsyncContextManager[None]]
"""Something that is wrong inside the context, and no longer after it."""


@dataclass(frozen=True)
class Row:
    """One fault.

    ``visits`` are made while it lasts, each must get ``got``, and reach the gateway ``sent`` times at most.
    ``first``: the gateway was never reached before. ``fresh``: on a new connection. ``lines`` are texts of which
    the log must have exactly one line each; those of an outage are known. ``short``: with short timeouts.
    """

    name: str
    cause: Cause
    got: Got
    request: Request = Request()
    visits: int = 1
    sent: int = 1
    first: bool = False
    fresh: bool = False
    short: bool = False
    lines: tuple[str, ...] = ()
    login_once: Got | None = None
    """Where it differs from ``got``."""
    modes: tuple[Mode, ...] = tuple(Mode)
    """In which it can happen."""


@dataclass(frozen=True)
class Outcome:
    """What was seen: what the client got, and how long the way back took after the cause was gone."""

    got: Got
    recovery: float


@asynccontextmanager
async def stage(row: Row, mode: Mode, folder: Path, identity: Identity, lines: Lines) -> AsyncIterator[Scene]:
    """Set up gateway, cable, proxy and client."""
    names, files = Names(), SwitchedFiles()
    sim = gateway_for(mode)
    await sim.start()
    try:
        await sim.use_identity(identity)
        async with Cable((sim.host, sim.port)) as cable:
            hasten = {"connect_timeout": SHORT, "read_timeout": SHORT} if row.short else None
            async with (
                proxy_for(
                    f"{NAME}:{cable.port}",
                    folder,
                    files=files,
                    hasten=hasten,
                    host_header=sim.authority,
                    **options_of(mode, USER, PASSWORD),
                ) as rig,
                httpx.AsyncClient(trust_env=False, timeout=10, auth=auth_of(mode)) as client,
            ):
                scene = Scene(sim, cable, names, rig, folder, files, client, mode, lines)
                rig.listen(log_request)
                rig.listen(lambda _record: scene.reported.set())
                yield scene
    finally:
        await sim.stop()


def known(mode: Mode) -> bool:
    """Tell whether the proxy knows a mode."""
    return mode is Mode.TRANSPARENT or any(option.name == "accounts" for option in APP_OPTIONS)


def options_of(mode: Mode, user: str, password: str) -> dict[str, Any]:
    """Return the proxy's options for a mode."""
    return {"accounts": [{"username": user, "password": password}]} if mode is Mode.LOGIN_ONCE else {}


def flags_of(mode: Mode, folder: Path) -> tuple[str, ...]:
    """Return the same for the program, with the one account; its file is made in ``folder``."""
    if mode is Mode.TRANSPARENT:
        return ()
    file = folder / "accounts.json"
    file.write_text(json.dumps(options_of(mode, USER, PASSWORD)["accounts"]))
    file.chmod(0o600)
    return ("--accounts", str(file))


def gateway_for(mode: Mode) -> Simulator:
    """Make a gateway that asks for the account's login, or for none: in transparent mode that is the client's."""
    return Simulator(vendor="emh", user=USER, password=PASSWORD, protect_all=mode is Mode.LOGIN_ONCE)


def auth_of(mode: Mode) -> httpx.Auth | None:
    """Return the login of a client at the proxy."""
    return httpx.DigestAuth(USER, PASSWORD) if mode is Mode.LOGIN_ONCE else None


async def play(row: Row, mode: Mode, folder: Path, identity: Identity) -> Outcome:
    """Play a fault and check what must be true of each; AssertionError says what is not."""
    lines, logger = Lines(), logging.getLogger("smgw_proxy_addon")
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    try:
        async with stage(row, mode, folder, identity, lines) as scene:
            return await _act(row, scene)
    finally:
        logger.removeHandler(lines)
        logger.setLevel(logging.NOTSET)


async def _act(row: Row, scene: Scene) -> Outcome:
    expected = row.login_once if row.login_once and scene.mode is Mode.LOGIN_ONCE else row.got
    pin = None
    if not row.first:
        assert await scene.visit(Request()) == Got()
        pin = await asyncio.to_thread(scene.store.load)
        assert pin
        if row.fresh:
            scene.sim.close_connections()
            await scene.sim.wait_for_open(0)
    began = scene.asked
    async with row.cause(scene):
        for _ in range(row.visits):
            got = await scene.visit(row.request)
            assert got == expected, f"got {got}, expected {expected}"
    gone = time.monotonic()
    got = await scene.visit(Request())
    recovery = time.monotonic() - gone
    assert got == Got(), f"got {got} when the cause was gone"
    for visit in range(began + 1, began + 1 + row.visits):
        assert scene.sent(visit) <= row.sent, f"reached the gateway {scene.sent(visit)} times"
    after = await asyncio.to_thread(scene.store.load)
    assert after
    assert pin is None or after.certificate == pin.certificate, "the pin is another one"
    _check_lines(row, expected, scene.lines)
    return Outcome(expected, recovery)


def _check_lines(row: Row, expected: Got, lines: Lines) -> None:
    text = "\n".join(lines.kept)
    for secret in SECRETS:
        assert secret not in text, f"{secret} is in the log"
    assert "Traceback" not in text, text
    assert "please report it" not in text, text
    for each in (*row.lines, *(OUTAGE if expected.code in UNREACHABLE else ())):
        assert lines.count(each) == 1, f"{lines.count(each)} lines with {each!r}:\n{text}"
