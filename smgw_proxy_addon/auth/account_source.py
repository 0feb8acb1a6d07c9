"""Requests of accounts: each is sent to the gateway with the account's own login.

Owns the logins of all accounts, and logs each change once. A 401 of the gateway never reaches a
client, because it asks for a login that only the proxy can give. No user name, password or nonce may get into a log
line or an error.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from smgw_proxy_addon.auth.exchange import AccountExchange, ClosedAfterChallengeError
from smgw_proxy_addon.auth.gateway_login import GatewayLogin, LoginStatus
from smgw_proxy_addon.config.accounts import AccountOutcomes, LoginOutcomes
from smgw_proxy_addon.gateway.bodies import chain, read_ahead
from smgw_proxy_addon.http.headers import Headers
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.proxy.guarded import LoginLock
from smgw_proxy_addon.proxy.source import Answered, Client, Transparent

_LOGGER: Final = logging.getLogger(__name__)

LARGEST_RESENT: Final = 1_000_000
"""Bytes of a body that are kept for the answer to a 401. A larger one is sent once, as it comes."""

_KEPT_FROM_CLIENTS: Final = frozenset({b"www-authenticate", b"authentication-info"})


class GatewayLogins:
    """Asks the gateway with the logins of the accounts, in their order; ``clock`` gives monotonic seconds.

    ``save`` is given after each request what the gateway has said of them.
    """

    def __init__(
        self,
        source: Transparent,
        logins: Sequence[GatewayLogin],
        clock: Callable[[], float],
        save: Callable[[AccountOutcomes], None],
    ) -> None:
        self._source = source
        self._save_outcomes = save
        self._clock = clock
        self._logins = tuple(logins)
        self._locks = tuple(LoginLock() for _ in logins)
        self._logged = list(self.statuses)

    @property
    def statuses(self) -> tuple[LoginStatus, ...]:
        """What the gateway said last of each account."""
        return tuple(login.status for login in self._logins)

    @property
    def stopped(self) -> tuple[int, ...]:
        """The numbers, from 1, of the accounts with which nothing is sent any more."""
        return tuple(number for number, login in enumerate(self._logins, start=1) if login.stopped)

    @property
    def initials(self) -> tuple[str, ...]:
        """The first letter of each account's user name."""
        return tuple(login.initial for login in self._logins)

    def restore(self, outcomes: AccountOutcomes) -> None:
        """Go on from what the gateway said before the program started: accounts that were stopped stay so."""
        for number, outcome in outcomes.items():
            self._logins[number - 1].restore(outcome, self._clock())
        self._logged = list(self.statuses)
        for number, login in enumerate(self._logins, start=1):
            if login.stopped:
                _LOGGER.error(
                    "The login of account %d was refused earlier; nothing is sent with it until the options change "
                    "or somebody has it tried again on the status page",
                    number,
                )
            elif login.status is not LoginStatus.UNKNOWN:
                _LOGGER.warning(
                    "The gateway did not take the last login of account %d before the start; nothing is sent with it "
                    "for %.0f s",
                    number,
                    login.pause_left(self._clock()),
                )

    def retry(self, account: int) -> bool:
        """Let an account be tried again because a person says so; tells whether it was stopped."""
        if account not in range(len(self._logins)) or not self._logins[account].stopped:
            return False
        self._logins[account].retry()
        self._logged[account] = self._logins[account].status
        self._save()
        return True

    @asynccontextmanager
    async def ask(self, account: int, request: GatewayRequest, client: Client) -> AsyncIterator[Answered]:
        """Ask as ``proxy.source.Ask`` says, with the login of the account at this position; the request has none.

        Raises ``GatewayLoginStoppedError`` and ``GatewayLoginPausedError`` before anything was sent,
        ``GatewayLoginRefusedError``, and ``LoginExpiredError`` if the request could not be sent again.
        """
        login = self._logins[account]
        exchange = AccountExchange(login, self._locks[account], client, self._clock, self._source.pool.may_reuse)
        request = await _read_body(request)
        async with AsyncExitStack() as stack:
            ask = partial(self._source.ask, request, client, logs_in=True)
            try:
                answer, body = await stack.enter_async_context(ask(exchange=exchange.send))
            except ClosedAfterChallengeError:
                answer, body = await stack.enter_async_context(ask(exchange=exchange.resend))
            finally:
                self._save()
                self._log_change(account, login.status)
            yield replace(answer, headers=_without_login(answer.headers)), body

    def _save(self) -> None:
        outcomes = enumerate((login.outcomes for login in self._logins), start=1)
        self._save_outcomes({number: outcome for number, outcome in outcomes if outcome != LoginOutcomes()})

    def _log_change(self, account: int, status: LoginStatus) -> None:
        if status is self._logged[account]:
            return
        self._logged[account] = status
        if status is LoginStatus.STOPPED:
            _LOGGER.error(
                "The gateway refused the login of account %d twice in a row: nothing is sent with it any more, until "
                "the options change or somebody has it tried again on the status page",
                account + 1,
            )
        elif status is LoginStatus.DOUBTED:
            _LOGGER.warning(
                "The gateway closed the connection instead of answering the login of account %d, which it took "
                "before; it is tried again, with pauses",
                account + 1,
            )
        elif status is LoginStatus.REFUSED:
            _LOGGER.warning("The gateway refused the login of account %d", account + 1)
        elif status is LoginStatus.ACCEPTED:
            _LOGGER.info("The gateway accepts the login of account %d", account + 1)


async def _read_body(request: GatewayRequest) -> GatewayRequest:
    """Read a body that comes in pieces, so that it can be sent again; one that is too large stays as it is."""
    if request.stream is None:
        return request
    body, is_whole = await read_ahead(request.stream, LARGEST_RESENT)
    if is_whole:
        return replace(request, body=body, stream=None)
    return replace(request, stream=chain(body, request.stream))


def _without_login(headers: Headers) -> Headers:
    return [header for header in headers if header[0].lower() not in _KEPT_FROM_CLIENTS]
