"""Whose the session of a PPC gateway is among the accounts of login once, and its end when its holder forgot it.

A session belongs to the account that opened it: nobody else may use its cookie. A holder who has fallen silent, or
whose time is over while others wait, is logged out by the proxy itself, because the gateway lets nobody else in
before. The value of a cookie must not get into a log line or an error.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from smgw_proxy_addon.auth.login_once import AccountSource
from smgw_proxy_addon.errors import ProxyError, SessionBusyError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.ppc_session import CgiRequest, Meaning
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.http.rewrite import values
from smgw_proxy_addon.proxy.source import Client, Timings

_LOGGER: Final = logging.getLogger(__name__)

SILENCE: Final = ppc_session.SILENCE - 1
"""Seconds after which a holder is logged out: just before others may go, who would be refused by the gateway."""

LAST_LOGOUT: Final = 1.5
"""Seconds that the gateway gets for a logout when the proxy stops."""

_LOGOUT: Final = b"action=logout"


@dataclass(frozen=True)
class _Held:
    value: bytes = field(repr=False)
    account: int
    host: bytes


class SessionKeeper:
    """Asks ``source``; ``silence`` are the seconds after which a holder is logged out."""

    def __init__(self, source: AccountSource) -> None:
        self._source = source
        self._held: _Held | None = None
        self._leaving: _Held | None = None
        """Whose logout is on its way."""
        self._active = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self.silence = SILENCE

    @asynccontextmanager
    async def ask(
        self, account: int, request: GatewayRequest, client: Client, timings: Timings
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask as the source does. Raises ``SessionBusyError`` for the session of another account."""
        cgi = ppc_session.recognise(request.target, request.headers, request.body)
        holding = cgi is not None and self._holds(cgi)
        if holding:
            if self._held and self._held.account != account:
                raise SessionBusyError
            self._begin()
        try:
            async with self._source.ask(account, request, client, timings) as (answer, body):
                if cgi is not None and self._note(account, request, cgi, answer) and not holding:
                    holding = True
                    self._begin()
                yield answer, body
        finally:
            if holding:
                self._end()

    def give_way(self) -> None:
        """Log the holder out because others have waited for long enough; the schedule finds the moment for it."""
        self._log_out("lasted too long for those who wait")

    async def close(self) -> None:
        """Log a session out that is still open, if the gateway is quick."""
        self._stop_alarm()
        if not self._active:
            self._log_out()
        if endings := list(self._endings):
            await asyncio.wait(endings, timeout=LAST_LOGOUT)
            for ending in endings:
                ending.cancel()
            await asyncio.gather(*endings, return_exceptions=True)

    def _holds(self, cgi: CgiRequest) -> bool:
        return self._held is not None and self._held.value in cgi.sessions

    def _begin(self) -> None:
        self._active += 1
        self._stop_alarm()

    def _note(self, account: int, request: GatewayRequest, cgi: CgiRequest, answer: Answer) -> bool:
        """Learn from an answer; tells whether it gave the session to the account."""
        outcome = ppc_session.read(cgi, answer.status, answer.headers)
        value = outcome.opened
        if outcome.meaning is Meaning.SERVED and not self._held and cgi.sessions:
            value = cgi.sessions[0]  # the proxy was restarted in the middle of this session
        if value:
            host = next(iter(values(request.headers, b"host")), b"")
            self._held = _Held(value, account, host)
        elif outcome.meaning is Meaning.ENDED and self._holds(cgi):
            self._held = None
            for ending in self._endings:
                ending.cancel()  # sent now, it could open a session
        return bool(value)

    def _end(self) -> None:
        self._active -= 1
        if self._held and not self._active:
            self._alarm = asyncio.get_running_loop().call_later(self.silence, self._log_out)

    def _stop_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _log_out(self, reason: str = "was left open") -> None:
        self._stop_alarm()
        if self._held and self._held is not self._leaving:
            self._leaving = self._held
            ending = asyncio.create_task(self._ask_for_the_end(self._held, reason))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def _ask_for_the_end(self, held: _Held, reason: str) -> None:
        request = GatewayRequest(
            method=b"POST",
            target=ppc_session.CGI,
            headers=[
                (b"Host", held.host),
                (b"Cookie", b"session=" + held.value),
                (b"Content-Type", b"application/x-www-form-urlencoded"),
                (b"Content-Length", b"%d" % len(_LOGOUT)),
            ],
            body=_LOGOUT,
            chunked=False,
            has_login=False,
        )
        client = Client("", asyncio.get_running_loop().create_future())
        number = held.account + 1
        try:
            async with self._source.ask(held.account, request, client, Timings()) as (answer, body):
                async for _ in body:
                    pass
            _LOGGER.info(
                "The session of account %d %s: logged out at the gateway (%d)", number, reason, answer.status
            )
        except SessionBusyError:
            self._leaving = None  # nothing was sent: the holder was busy all the time
            return
        except ProxyError as error:
            _LOGGER.info("The session of account %d %s, and cannot be ended: %s", number, reason, error.code)
        if self._held is held:
            self._held = None
