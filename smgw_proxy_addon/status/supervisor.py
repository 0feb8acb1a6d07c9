"""The client of the Supervisor's API: the host's network, the app's ports and options, and notifications.

Each call has a short timeout. One that fails returns None or False: nothing is raised, and nothing logged above debug
level. The token goes to the Supervisor only.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from smgw_proxy_addon.locales import Notice
from smgw_proxy_addon.server.interfaces import Interface, InterfaceAddress

if TYPE_CHECKING:
    import aiohttp

_LOGGER: Final = logging.getLogger(__name__)

SUPERVISOR: Final = "http://supervisor"

CALL_SECONDS: Final = 5.0
"""How long a call may take."""

_ANSWER_LIMIT: Final = 1_000_000
_OK: Final = range(200, 300)
# The last two: an answer of another form, also where a WebSocket ended.
_FAILURES: Final = (ImportError, OSError, TimeoutError, ValueError, KeyError, TypeError)
_ADMINS: Final = "system-admin"
"""Home Assistant's group of administrators; its owner is in it, too."""


class Supervisor:
    """The Supervisor's API; close it at the end."""

    def __init__(self, token: str, base_url: str = SUPERVISOR, seconds: float = CALL_SECONDS) -> None:
        self._token = token
        self._base_url = base_url
        self._seconds = seconds
        self._failures: tuple[type[Exception], ...] = _FAILURES
        self._session: aiohttp.ClientSession | None = None

    async def fetch_interfaces(self) -> list[Interface] | None:
        """Return the host's interfaces, None without an answer."""
        data = _part(await self._call("GET", "/network/info"), "data")
        entries = data.get("interfaces")
        if not isinstance(entries, list):
            return None
        return [_interface(entry) for entry in entries if isinstance(entry, dict)]

    async def fetch_page_path(self) -> str | None:
        """Return the path of the app's page, as Home Assistant has it since 2026.2, None without an answer."""
        slug = _text(await self._app(), "slug")
        return f"/app/{slug}" if slug.replace("_", "").isalnum() else None

    async def fetch_ports(self) -> dict[str, int | None] | None:
        """Return the host's port for each of the container's (``8080/tcp``), None without an answer.

        A port that the user has not opened is None.
        """
        ports = (await self._app()).get("network")
        return ports if isinstance(ports, dict) else None

    async def change_option(self, name: str, value: object) -> bool:
        """Set one of the app's options, which counts from its next start on; return whether that succeeded.

        The Supervisor takes all options at once and checks them. Those that are left out would be lost.
        """
        options = _part(await self._app(), "options")
        if not options:
            return False
        body = {"options": {**options, name: value}}
        return await self._call("POST", "/addons/self/options", body) is not None

    async def restart(self) -> bool:
        """Have the app restarted; False if the Supervisor does not, and also if its answer comes too late.

        A restart usually ends this program before there is an answer.
        """
        return await self._call("POST", "/addons/self/restart") is not None

    async def fetch_language(self) -> str | None:
        """Return the language that Home Assistant is set to, such as ``de``, None without an answer."""
        return _text(await self._call("GET", "/core/api/config"), "language") or None

    async def notify(self, identifier: str, words: Notice | None) -> bool:
        """Show a notification in place of one with this identifier, or remove that; return whether that succeeded."""
        body = {"notification_id": identifier, **(words._asdict() if words else {})}
        service = "create" if words else "dismiss"
        return await self._call("POST", f"/core/api/services/persistent_notification/{service}", body) is not None

    async def fetch_admins(self) -> frozenset[str] | None:
        """Return the ids of Home Assistant's administrators, None without an answer.

        Only its WebSocket API lists users (``config/auth/list``).
        """
        url = f"{self._base_url}/core/websocket"
        try:
            session = self._session or await self._open()
            async with asyncio.timeout(self._seconds), session.ws_connect(url) as connection:
                await connection.receive_json()  # "auth_required"
                await connection.send_json({"type": "auth", "access_token": self._token})
                if _text(await connection.receive_json(), "type") != "auth_ok":
                    return None
                await connection.send_json({"id": 1, "type": "config/auth/list"})
                users = (await connection.receive_json())["result"]
                return frozenset(
                    str(user["id"]) for user in users if user["is_active"] and _ADMINS in user["group_ids"]
                )
        except self._failures as error:
            _LOGGER.debug("Home Assistant did not list its users: %s", type(error).__name__)
            return None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _app(self) -> Mapping[str, Any]:
        """Return what the Supervisor knows of this app, empty without an answer."""
        return _part(await self._call("GET", "/addons/self/info"), "data")

    async def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the parsed answer, None if there is none or if it is no success."""
        url = f"{self._base_url}{path}"
        try:
            session = self._session or await self._open()
            async with (
                asyncio.timeout(self._seconds),
                session.request(method, url, json=body, allow_redirects=False) as answer,
            ):
                data = await answer.content.read(_ANSWER_LIMIT)
                while len(data) < _ANSWER_LIMIT and (more := await answer.content.read(_ANSWER_LIMIT)):
                    data += more
                if answer.status in _OK:
                    return json.loads(data or b"{}")
                problem = f"status {answer.status}"
        except self._failures as error:
            problem = type(error).__name__
        _LOGGER.debug("The Supervisor did not do %s %s: %s", method, path, problem)
        return None

    async def _open(self) -> "aiohttp.ClientSession":
        aiohttp = await asyncio.to_thread(_load)
        if self._session is None:  # no other call has opened it meanwhile
            self._failures = (*_FAILURES, aiohttp.ClientError)
            self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"})
        return self._session


def _load() -> Any:
    import aiohttp  # noqa: PLC0415 - 0.15 s and 12 MB: in a thread, while requests are answered

    return aiohttp


def _interface(entry: Mapping[str, Any]) -> Interface:
    ipv4, ipv6 = _part(entry, "ipv4"), _part(entry, "ipv6")
    servers = ipv4.get("nameservers")
    return Interface(
        name=str(entry.get("interface", "")),
        up=bool(entry.get("enabled")) and bool(entry.get("connected")),
        addresses=(*_addresses(ipv4), *_addresses(ipv6)),
        primary=bool(entry.get("primary")),
        gateway=str(ipv4.get("gateway") or ""),
        nameservers=tuple(map(str, servers)) if isinstance(servers, list) else (),
    )


def _addresses(part: Mapping[str, Any]) -> Iterator[InterfaceAddress]:
    given = part.get("address")
    for text in given if isinstance(given, list) else []:
        with suppress(ValueError):
            yield ipaddress.ip_interface(text)


def _text(value: Any, name: str) -> str:
    text = value.get(name) if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}
