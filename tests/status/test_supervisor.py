"""Home Assistant's APIs, replaced by a real HTTP server: what it gets, and that no request waits for it."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from simulator.certificates import CertificateOptions
from simulator.gateway import Simulator
from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.auth.gateway_login import GatewayLogin
from smgw_proxy_addon.config.accounts import LoginOutcomes
from smgw_proxy_addon.config.options import from_app
from smgw_proxy_addon.errors import ProxyError
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.background import Background
from smgw_proxy_addon.program.environment import Environment
from smgw_proxy_addon.program.wiring import gateway_side
from smgw_proxy_addon.proxy.source import Transparent
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.status.notifications import Cause
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.store import TrustStore
from tests.faults.scene import IN_BOTH_MODES, PASSWORD, USER, Mode, auth_of, gateway_for, options_of
from tests.rig import proxy_for

TOKEN = "a-token-of-the-supervisor"
NETWORK = {
    "interfaces": [
        {
            "interface": "end0",
            "type": "ethernet",
            "enabled": True,
            "connected": True,
            "primary": True,
            "ipv4": {
                "method": "auto",
                "address": ["192.168.1.50/24"],
                "nameservers": ["192.168.1.1"],
                "gateway": "192.168.1.1",
                "ready": True,
            },
            "ipv6": {"method": "auto", "address": ["fe80::1/64"], "nameservers": [], "gateway": None, "ready": True},
            "wifi": None,
        },
        {"interface": "enx1", "enabled": True, "connected": False, "primary": False, "ipv4": None, "ipv6": None},
    ],
    "docker": {"interface": "hassio", "address": "172.30.32.0/23"},
}


@dataclass
class StandIn:
    """A Supervisor that records the notifications, and keeps the app's options."""

    url: str = ""
    language: str = "de"
    slug: str = "local_smgw_proxy"
    ports: dict[str, int | None] | None = None
    options: dict[str, Any] | None = None
    restarts: int = 0
    users: object = None
    """What Home Assistant answers to ``config/auth/list``."""
    sockets: int = 0
    """WebSockets that were opened."""
    broken: tuple[str, ...] = ()
    """Paths that do not work."""
    works: bool = True
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, no request is answered."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """The verb and the cause of each notification."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    notified: asyncio.Event = field(default_factory=asyncio.Event)

    async def _list_users(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "auth_required"})
        if await socket.receive_json() != {"type": "auth", "access_token": TOKEN} or self.users == "refused":
            await socket.send_json({"type": "auth_invalid"})
        else:
            await socket.send_json({"type": "auth_ok"})
            assert await socket.receive_json() == {"id": 1, "type": "config/auth/list"}
            await socket.send_json({"id": 1, "type": "result", "success": True, "result": self.users})
        await socket.close()
        return socket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        await self.answers.wait()
        allowed = request.headers["Authorization"] == f"Bearer {TOKEN}"
        self.sockets += request.path == "/core/websocket"
        if not allowed or not self.works or request.path in self.broken:
            return web.Response(status=502 if allowed else 401, text="Bad Gateway")
        match request.path:
            case "/network/info":
                return web.json_response({"result": "ok", "data": NETWORK})
            case "/addons/self/info":
                data = {"slug": self.slug, "network": self.ports, "options": self.options}
                return web.json_response({"result": "ok", "data": data})
            case "/addons/self/options" | "/addons/self/restart" | "/core/websocket":
                answer = self._list_users if request.path == "/core/websocket" else self._change
                return await answer(request)
            case "/core/api/config":
                return web.json_response({"language": self.language})
        body = await request.json()
        self.calls.append((request.path.rpartition("/")[2], body["notification_id"].removeprefix("smgw_proxy_")))
        self.bodies.append(body)
        self.notified.set()
        return web.json_response([])

    async def _change(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/options"):
            self.options = (await request.json())["options"]
        else:
            self.restarts += 1
        return web.json_response({"result": "ok", "data": {}})

    def taken(self) -> list[tuple[str, str]]:
        """Return the notifications since the last call."""
        calls, self.calls = self.calls, []
        return calls


@asynccontextmanager
async def stand_in(*, hangs: bool = False) -> AsyncIterator[StandIn]:
    made = StandIn()
    if not hangs:
        made.answers.set()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]  # BaseRequest
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = site.name
    try:
        yield made
    finally:
        made.answers.set()
        await runner.cleanup()


@asynccontextmanager
async def client(url: str, *, token: str = TOKEN, seconds: float = 5.0) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(token, url, seconds)
    try:
        yield supervisor
    finally:
        await supervisor.close()


async def test_the_hosts_interfaces_are_read() -> None:
    async with stand_in() as told, client(told.url) as supervisor:
        interfaces = await supervisor.fetch_interfaces()
        assert interfaces is not None
        first, second = interfaces
        assert (first.name, first.up, first.primary) == ("end0", True, True)
        assert first.addresses == (ipaddress.ip_interface("192.168.1.50/24"), ipaddress.ip_interface("fe80::1/64"))
        assert (first.gateway, first.nameservers) == ("192.168.1.1", ("192.168.1.1",))
        assert (second.name, second.up, second.addresses) == ("enx1", False, ())


async def test_page_and_language_are_read() -> None:
    async with stand_in() as told, client(told.url) as supervisor:
        assert await supervisor.fetch_page_path() == "/app/local_smgw_proxy"
        assert await supervisor.fetch_language() == "de"
        told.slug = "x](http://evil.example)"
        assert await supervisor.fetch_page_path() is None


async def test_one_option_is_changed_and_the_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    accounts = [{"username": "demo", "password": "s3cr3t"}]
    caplog.set_level("DEBUG")
    async with stand_in() as told, client(told.url) as supervisor:
        assert not await supervisor.change_option("host_header", "smgw.local"), "the others would be lost"
        told.options = {"target": "10.11.120.2", "accounts": accounts}
        assert await supervisor.change_option("host_header", "smgw.local")
        assert told.options == {"target": "10.11.120.2", "accounts": accounts, "host_header": "smgw.local"}
        told.broken = ("/addons/self/options", "/addons/self/restart")
        assert not await supervisor.change_option("target", "192.168.1.200")
        assert not await supervisor.restart()
        assert told.options["target"] == "10.11.120.2"
        told.broken = ()
        assert await supervisor.restart()
        assert told.restarts == 1
    assert "s3cr3t" not in caplog.text


async def test_without_a_supervisor_there_is_silence(caplog: pytest.LogCaptureFixture) -> None:
    async with stand_in() as told:
        url = told.url
        async with client(url, token="wrong") as supervisor:
            assert await supervisor.fetch_interfaces() is None
            assert not await supervisor.notify("x", None)
    async with client(url) as supervisor:
        assert await supervisor.fetch_interfaces() is None
        assert await supervisor.fetch_language() is None
    async with stand_in(hangs=True) as told, client(told.url, seconds=0.1) as supervisor:
        assert await supervisor.fetch_interfaces() is None
    assert not [record for record in caplog.records if record.name.startswith("smgw_proxy_addon")]


async def test_the_doctor_in_the_app_tells_the_fields_of_the_dialog(tmp_path: Path) -> None:
    async with stand_in() as told, client(told.url) as supervisor:
        options = from_app({"target": "127.99.0.1"})
        trust, pool = gateway_side(options, TrustStore(tmp_path, "gw"))
        environment = Environment(lambda _record: None, supervisor)
        doctor = Background(options, pool, trust, environment, access=Access()).doctor
        checks = await doctor.diagnose("de")
        remedy = checks[0].remedy
        assert [check.ok for check in checks[:2]] == [None, False]  # refused: somebody is there all the same
        assert "Einstellungen → System → Netzwerk" in remedy
        assert "end0 → IPv4" in remedy
        assert (
            "ha network update end0 --ipv4-method static --ipv4-address 192.168.1.50/24 "
            "--ipv4-address 127.99.0.12/24 --ipv4-gateway 192.168.1.1 --ipv4-nameserver 192.168.1.1"
        ) in remedy
        assert "Gateway-Adresse 127.99.0.1 " in remedy


@dataclass
class Day:
    """A simulated day: the test sets the clock, the gateway is the simulator."""

    sim: Simulator
    told: StandIn
    supervisor: Supervisor
    folder: Path
    mode: Mode = Mode.TRANSPARENT
    now: datetime = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    log_failure: str | None = None

    def __post_init__(self) -> None:
        options = from_app({"target": self.sim.authority})._replace(cert_dir=self.folder)
        self.store = TrustStore(self.folder, options.target.name)
        trust, self.pool = gateway_side(options, self.store)
        self.logins: GatewayLogins | None = None
        if self.mode is Mode.LOGIN_ONCE:
            login = GatewayLogin(USER, PASSWORD, random=bytes)
            source = Transparent(self.pool, time.monotonic)
            self.logins = GatewayLogins(source, [login], time.monotonic, lambda _pasts: None)
        self.background = Background(
            options,
            self.pool,
            trust,
            Environment(lambda _record: None, self.supervisor, lambda: self.log_failure),
            access=Access(),
            logins=self.logins,
            now=lambda: self.now,
        )

    async def asks(self, minutes: float = 15) -> list[tuple[str, str]]:
        """Let time pass, then send a request; return the notifications that it caused."""
        self.now += timedelta(minutes=minutes)
        code = None
        self.sim.close_connections()
        await self.sim.wait_for_open(0)
        try:
            async with self.pool.lease(asyncio.get_running_loop().create_future()) as lease:
                lease.connection.abort()
        except ProxyError as error:
            code = error.code
        reused = None if code else False
        self.background.note(RequestRecord("127.0.0.1", "GET", "/", 200, 0, 0, 0, 0, reused, code))
        return await self.updates()

    async def updates(self) -> list[tuple[str, str]]:
        """Update the notifier; return the notifications."""
        assert self.background.notifier
        await self.background.notifier.update()
        return self.told.taken()

    def fails(self) -> str:
        """Let something fail that needs no request; return the name of its cause."""
        if self.logins:
            self.logins.restore({1: LoginOutcomes(refusals=2)})
            return "login_stopped"
        self.log_failure = "No log files for now."
        return "log_folder"

    async def trusts(self) -> None:
        """Accept the certificate that was refused last, as the page and the command do."""
        await asyncio.to_thread(self.store.accept, None, datetime.now(UTC))


@asynccontextmanager
async def day(folder: Path, mode: Mode = Mode.TRANSPARENT) -> AsyncIterator[Day]:
    certificate = CertificateOptions(not_after=datetime(2027, 6, 1, tzinfo=UTC))
    async with (
        Simulator(certificate=certificate) as sim,
        stand_in() as told,
        client(told.url) as supervisor,
    ):
        played = Day(sim, told, supervisor, folder, mode)
        yield played
        await played.pool.close()


async def test_a_day_is_told_exactly(tmp_path: Path) -> None:
    async with day(tmp_path) as played:
        # What an earlier run may have left is taken away, once it is known to be over.
        assert await played.updates() == [
            ("dismiss", "log_folder"),
            ("dismiss", "login_stopped"),
            ("dismiss", "login_held_back"),
        ]
        assert await played.asks() == [
            ("dismiss", "certificate_changed"),
            ("dismiss", "certificate_expires"),
            ("dismiss", "gateway_unreachable"),
        ]
        assert await played.asks() == []

        played.sim.faults.set("refuse-handshake")
        assert [await played.asks() for _ in range(2)] == [[], []]
        assert await played.asks() == [("create", "gateway_unreachable")]
        assert "06:45" in played.told.bodies[-1]["message"]
        assert [await played.asks() for _ in range(3)] == [[], [], []]
        played.sim.faults.clear()
        assert await played.asks() == [("dismiss", "gateway_unreachable")]

        first = await played.sim.rotate_certificate()
        assert await played.asks() == [("create", "certificate_changed")]
        assert first[:4] in played.told.bodies[-1]["message"]
        assert played.told.bodies[-1]["message"].endswith("](/app/local_smgw_proxy)")
        assert [await played.asks() for _ in range(3)] == [[], [], []]
        await played.sim.rotate_certificate()
        assert await played.asks() == [("create", "certificate_changed")]  # in the place of the first
        await played.trusts()
        assert await played.asks() == [("dismiss", "certificate_changed")]

        played.log_failure = "No log files for now (/share/logs)."
        assert await played.updates() == [("create", "log_folder")]
        assert await played.updates() == []
        played.log_failure = None
        assert await played.updates() == [("dismiss", "log_folder")]

        played.now = datetime(2027, 5, 20, 6, 0, tzinfo=UTC)
        assert await played.asks() == [("create", "certificate_expires")]
        assert "01.06.2027" in played.told.bodies[-1]["message"]
        assert await played.asks(60 * 23) == []
        await played.sim.rotate_certificate(not_after=datetime(2034, 6, 1, tzinfo=UTC))
        assert await played.asks() == [("create", "certificate_changed")]
        await played.trusts()
        assert await played.asks() == [("dismiss", "certificate_changed"), ("dismiss", "certificate_expires")]


@IN_BOTH_MODES
async def test_what_could_not_be_delivered_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: Mode
) -> None:
    async with day(tmp_path, mode) as played:
        played.told.works = False
        await played.asks()
        assert "notifications" not in caplog.text  # there is nothing to say that would be missed
        cause = played.fails()
        assert [await played.updates() for _ in range(3)] == [[], [], []]
        played.told.works = True
        assert ("create", cause) in await played.updates()
        assert await played.updates() == []
        assert caplog.text.count("takes no notifications for now") == 1
        assert caplog.text.count("takes notifications again") == 1


@IN_BOTH_MODES
async def test_a_home_assistant_that_was_away_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: Mode
) -> None:
    async with day(tmp_path, mode) as played:
        await played.asks()
        cause = played.fails()
        assert await played.updates() == [("create", cause)]
        played.told.works = False
        assert [await played.updates() for _ in range(3)] == [[], [], []]
        played.told.works = True
        assert await played.updates() == [("create", cause)]
        assert await played.updates() == []
        assert caplog.text.count("takes no notifications for now") == 1
        assert caplog.text.count("takes notifications again") == 1
        # In case it was away between two looks.
        played.now += timedelta(hours=23, minutes=59)
        assert await played.updates() == []
        played.now += timedelta(minutes=1)
        assert await played.updates() == [("create", cause)]


async def test_switched_off_what_an_earlier_run_left_is_taken_away_once(tmp_path: Path) -> None:
    async with stand_in() as told, Simulator() as sim:
        supervisor = Supervisor(TOKEN, told.url)
        async with proxy_for(sim, tmp_path, supervisor=supervisor, hasten={"notifications": False}):
            async with asyncio.timeout(10):
                while len(told.calls) < len(Cause):
                    told.notified.clear()
                    await told.notified.wait()
        assert told.calls == [("dismiss", str(cause)) for cause in Cause]


@IN_BOTH_MODES
async def test_a_hanging_supervisor_delays_no_request(tmp_path: Path, mode: Mode) -> None:
    async with stand_in(hangs=True) as told, gateway_for(mode) as sim:
        supervisor = Supervisor(TOKEN, told.url, seconds=60)
        options = options_of(mode, USER, PASSWORD)
        async with (
            proxy_for(sim, tmp_path, supervisor=supervisor, hasten={"notifications": True}, **options) as rig,
            httpx.AsyncClient(trust_env=False, timeout=10, auth=auth_of(mode)) as asking,
        ):
            await told.asked.wait()
            for _ in range(20):
                assert (await asking.get(f"{rig.http}/sim/status/200")).status_code == 200
            # All requests were answered while the very first call to the Supervisor still waited.
            assert told.calls == []
            told.answers.set()
            async with asyncio.timeout(10):
                await told.notified.wait()
            assert told.calls[0] == ("dismiss", "log_folder")


def user(name: str, *groups: str, active: bool = True) -> dict[str, object]:
    return {"id": name, "name": name, "is_owner": False, "is_active": active, "group_ids": list(groups)}


@pytest.mark.parametrize(
    ("users", "admins"),
    [
        ([user("a", "system-admin"), user("b", "system-users"), user("c", "system-admin", active=False)], {"a"}),
        ([], set()),
        (None, None),
        ([{"id": "a"}], None),
        ("refused", None),
    ],
)
async def test_administrators_are_those_of_home_assistant_s_list(users: object, admins: set[str] | None) -> None:
    async with stand_in() as told, client(told.url) as supervisor:
        told.users = users
        assert await supervisor.fetch_admins() == admins
        told.works = False
        assert await supervisor.fetch_admins() is None
        assert told.sockets == 2
