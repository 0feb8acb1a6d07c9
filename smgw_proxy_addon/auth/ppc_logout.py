"""Logs a forgetful holder of a PPC session out, and keeps the key of a session to the account that opened it.

A holder that is silent, or that has held the session for long while others wait, is logged out by the proxy, because
the gateway lets nobody else in before. ``gateway.ppc_session`` says who holds the session. The key of a session
must not get into a log line or an error.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from smgw_proxy_addon.auth.account_source import GatewayLogins
from smgw_proxy_addon.errors import ProxyError, SessionBusyError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT, drain
from smgw_proxy_addon.gateway.ppc_session import FIELD, PpcSession
from smgw_proxy_addon.gateway.scheduler import PAGE
from smgw_proxy_addon.http.headers import values
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.proxy.source import Answered, Client

_LOGGER: Final = logging.getLogger(__name__)

SILENCE: Final = PpcSession.idle_timeout - 1
"""Seconds after which a holder is logged out: just before others may go, who would be refused by the gateway."""

PAGE_SILENCE: Final = 60.0
"""The same for the gateway's page in Home Assistant: others need not wait for it, see ``PpcSession``."""

LAST_LOGOUT: Final = 1.5
"""Seconds that the gateway gets for a logout when the proxy stops."""

_DRAIN_SECONDS: Final = 10.0
"""For the body of the answer to a logout."""

_LOGOUT: Final = b"action=logout"


@dataclass(frozen=True)
class _Owner:
    """The account that opened a session, and the ``Host`` with which it did; see ``PpcSession.in_form``.

    ``page``: it was opened by the gateway's page in Home Assistant.
    """

    session: bytes = field(repr=False)
    in_form: bool
    account: int
    host: bytes
    page: bool


class PpcLogout:
    """Asks ``source``, and logs a holder of ``session`` out after ``silence`` seconds without a request."""

    def __init__(self, source: GatewayLogins, session: PpcSession) -> None:
        self._source = source
        self._session = session
        self._last_owner: _Owner | None = None
        self._logging_out: _Owner | None = None
        self._active = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._logouts: set[asyncio.Task[None]] = set()
        self.silence, self.page_silence = SILENCE, PAGE_SILENCE

    @asynccontextmanager
    async def ask(self, account: int, request: GatewayRequest, client: Client) -> AsyncIterator[Answered]:
        """Ask as the source does. Raises ``SessionBusyError`` for the session of another account."""
        cgi = ppc_session.read_request(request.target, request.headers, request.body)
        owner = self._owner
        is_holder = owner is not None and self._session.is_held_by(cgi)
        if is_holder:
            if owner and owner.account != account:
                raise SessionBusyError
            self._begin()
        try:
            async with self._source.ask(account, request, client) as (answer, body):
                if cgi is not None:
                    if self._learn_owner(account, request, client) and not is_holder:
                        is_holder = True
                        self._begin()
                    if is_holder and self._session.holder is None:
                        self._cancel_logouts()
                yield answer, body
        finally:
            if is_holder:
                self._end()

    def log_out_holder(self) -> None:
        """Log the holder out because others wait and its time is over. The schedule sends it when it may."""
        self._log_out("had to end for those who wait")

    async def close(self) -> None:
        """Log a session out that is still open, if the gateway is quick."""
        self._stop_alarm()
        if not self._active:
            self._log_out()
        if logouts := list(self._logouts):
            await asyncio.wait(logouts, timeout=LAST_LOGOUT)
            self._cancel_logouts()
            await asyncio.gather(*logouts, return_exceptions=True)

    @property
    def _owner(self) -> _Owner | None:
        """The owner of the session that is held now."""
        owner = self._last_owner
        return owner if owner and owner.session == self._session.holder else None

    def _learn_owner(self, account: int, request: GatewayRequest, client: Client) -> bool:
        """Note the owner of a new session after an answer of the CGI; returns whether there is one.

        It is this request's: a request that may open a session is alone at the gateway.
        """
        session = self._session.holder
        if session is None or self._owner:
            return False
        host = next(iter(values(request.headers, b"host")), b"")
        self._last_owner = _Owner(session, self._session.in_form, account, host, client.address == PAGE)
        return True

    def _begin(self) -> None:
        self._active += 1
        self._stop_alarm()

    def _end(self) -> None:
        self._active -= 1
        if (owner := self._owner) and not self._active:
            silence = self.page_silence if owner.page else self.silence
            self._alarm = asyncio.get_running_loop().call_later(silence, self._log_out)

    def _stop_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _log_out(self, reason: str = "was left open") -> None:
        self._stop_alarm()
        owner = self._owner
        if owner and owner is not self._logging_out:
            self._logging_out = owner
            logout = asyncio.create_task(self._send_logout(owner, reason))
            self._logouts.add(logout)
            logout.add_done_callback(self._logouts.discard)

    def _cancel_logouts(self) -> None:
        """Send no logout that has not been sent: without a session it could open one."""
        for logout in self._logouts:
            logout.cancel()

    async def _send_logout(self, owner: _Owner, reason: str) -> None:
        client = Client("", asyncio.get_running_loop().create_future())
        number = owner.account + 1
        try:
            async with self._source.ask(owner.account, _logout_of(owner), client) as (answer, body):
                await drain(body, limit=DRAIN_LIMIT, seconds=_DRAIN_SECONDS)
            _LOGGER.info(
                "The session of account %d %s: logged out at the gateway (%d)", number, reason, answer.status
            )
        except SessionBusyError:
            self._logging_out = None  # nothing was sent: the holder was busy all the time
            return
        except ProxyError as error:
            _LOGGER.info("The session of account %d %s, and cannot be ended: %s", number, reason, error.code)
        if self._last_owner is owner:
            self._last_owner = None


def _logout_of(owner: _Owner) -> GatewayRequest:
    form, cookies = _LOGOUT, [(b"Cookie", b"session=" + owner.session)]
    if owner.in_form:
        form, cookies = b"%b&%b=%b" % (_LOGOUT, FIELD.encode(), quote(owner.session).encode()), []
    return GatewayRequest(
        method=b"POST",
        target=ppc_session.CGI,
        headers=[
            (b"Host", owner.host),
            *cookies,
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Content-Length", b"%d" % len(form)),
        ],
        body=form,
        chunked=False,
        has_login=False,
    )
