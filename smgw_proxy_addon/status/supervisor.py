"""Home Assistant seen from the app: the host's network, the page's address, persistent notifications.

Everything goes over the Supervisor, each call with a short timeout and in a task of its own: no request of a client
ever waits for it. What does not answer is not there: nothing is raised, and nothing logged above debug level but when
notifications cannot be delivered, and when they can again. The token goes to the Supervisor alone.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp

from smgw_proxy_addon.locales import Notice
from smgw_proxy_addon.server.interfaces import Interface, InterfaceAddress
from smgw_proxy_addon.status.notifications import Cause, Situation, causes, notice

_LOGGER: Final = logging.getLogger(__name__)

SUPERVISOR: Final = "http://supervisor"

PATIENCE: Final = 5.0
"""Seconds that a call may take."""

PAUSE: Final = 30.0
"""Seconds between two looks at what there is to notify."""

REPEAT: Final = timedelta(hours=24)
"""How often a notification is sent again: Home Assistant forgets all of them when it restarts."""

_ANSWER_LIMIT: Final = 1_000_000
_OK: Final = range(200, 300)
_SERVICE: Final = "/core/api/services/persistent_notification"


class Supervisor:
    """The Supervisor's API; close it at the end."""

    def __init__(self, token: str, base_url: str = SUPERVISOR, patience: float = PATIENCE) -> None:
        self._token = token
        self._base_url = base_url
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def interfaces(self) -> list[Interface] | None:
        """Return the host's interfaces, None if the Supervisor does not tell."""
        data = _part(await self._call("GET", "/network/info"), "data")
        entries = data.get("interfaces")
        if not isinstance(entries, list):
            return None
        return [_interface(entry) for entry in entries if isinstance(entry, dict)]

    async def page(self) -> str | None:
        """Return the path of the app's page, as Home Assistant has it since 2026.2, None if nobody tells."""
        slug = _part(await self._call("GET", "/addons/self/info"), "data").get("slug")
        return f"/app/{slug}" if isinstance(slug, str) and slug.replace("_", "").isalnum() else None

    async def ports(self) -> dict[str, int | None] | None:
        """Return the host's port for each of the container's (``8080/tcp``), None if the Supervisor does not tell.

        A port that the user has not opened is None.
        """
        ports = _part(await self._call("GET", "/addons/self/info"), "data").get("network")
        return ports if isinstance(ports, dict) else None

    async def language(self) -> str | None:
        """Return the language that Home Assistant is set to, such as ``de``, None if it does not tell."""
        answer = await self._call("GET", "/core/api/config")
        language = answer.get("language") if isinstance(answer, dict) else None
        return language if isinstance(language, str) else None

    async def create(self, identifier: str, words: Notice) -> bool:
        """Show a notification, in the place of one with the same identifier; tell whether that succeeded."""
        body = {"notification_id": identifier, "title": words.title, "message": words.message}
        return await self._call("POST", f"{_SERVICE}/create", body) is not None

    async def dismiss(self, identifier: str) -> bool:
        """Take a notification away, if there is one; tell whether that succeeded."""
        return await self._call("POST", f"{_SERVICE}/dismiss", {"notification_id": identifier}) is not None

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """Return the parsed answer, None if there is none or if it is no success."""
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._token}"}
            self._session = aiohttp.ClientSession(headers=headers)
        url = f"{self._base_url}{path}"
        try:
            async with (
                asyncio.timeout(self._patience),
                self._session.request(method, url, json=body, allow_redirects=False) as answer,
            ):
                data = await answer.content.read(_ANSWER_LIMIT)
                while len(data) < _ANSWER_LIMIT and (more := await answer.content.read(_ANSWER_LIMIT)):
                    data += more
                if answer.status in _OK:
                    return json.loads(data or b"{}")
                problem = f"status {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            problem = type(error).__name__
        _LOGGER.debug("The Supervisor did not do %s %s: %s", method, path, problem)
        return None


class Notifier:
    """Keeps Home Assistant's notifications in step with what there is to say.

    One is sent when its words change, and taken away when its cause is known to be gone, also one that an earlier
    run left. What could not be delivered is tried again at the next look. Home Assistant keeps them in memory only:
    those that it should show are sent again once it was away, and every ``REPEAT`` in case that went unnoticed.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        situation: Callable[[], Situation],
        *,
        notify_after: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._supervisor = supervisor
        self._situation = situation
        self._notify_after = notify_after
        self._now = now
        self._shown: dict[Cause, Mapping[str, str] | None] = {}
        self._sent: dict[Cause, datetime] = {}
        self._away = False
        self._failing = False
        self._language: str | None = None
        self._page: str | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                _LOGGER.exception("A fault of the proxy itself; please report it")
            await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Compare what there is to say with what was said, and deliver the difference."""
        await self._forget_lost()
        for cause, facts in causes(self._situation(), self._now(), self._notify_after).items():
            if cause in self._shown and self._shown[cause] == facts:
                continue
            if facts is None:
                delivered = await self._supervisor.dismiss(_identifier(cause))
            else:
                delivered = await self._supervisor.create(_identifier(cause), await self._words(cause, facts))
            if delivered:
                self._shown[cause] = facts
                self._sent[cause] = self._now()
            self._tell(delivered=delivered, matters=facts is not None)

    async def withdraw(self) -> None:
        """Take all of them away, as far as Home Assistant listens."""
        for cause in Cause:
            await self._supervisor.dismiss(_identifier(cause))

    def _tell(self, *, delivered: bool, matters: bool) -> None:
        """Log the start and the end of a failure; what could only be taken away is no failure to speak of."""
        if self._failing and delivered:
            _LOGGER.warning("Home Assistant takes notifications again")
            self._failing = False
        elif matters and not delivered and not self._failing:
            _LOGGER.warning("Home Assistant takes no notifications for now; they are tried again until it does")
            self._failing = True

    async def _forget_lost(self) -> None:
        """Forget what Home Assistant does not show any more, or may not: it will be sent again."""
        active = [cause for cause, facts in self._shown.items() if facts is not None]
        if not active:
            self._away = False
            return
        if await self._supervisor.language() is None:
            self._away = True
            self._tell(delivered=False, matters=True)
            return
        for cause in active:
            if self._away or self._now() - self._sent[cause] >= REPEAT:
                del self._shown[cause]
        self._away = False

    async def _words(self, cause: Cause, facts: Mapping[str, str]) -> Notice:
        self._language = self._language or await self._supervisor.language()
        self._page = self._page or await self._supervisor.page()
        return notice(cause, facts, self._language or "en", self._page)


def _identifier(cause: Cause) -> str:
    return f"smgw_proxy_{cause}"


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


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}
