"""Lets clients in who log in, each login in its turn.

Decides nothing: whose login is right is ``client_login``'s, how long it waits is ``guesses``'. A login that waits
holds no place at the gateway, and its client may leave at any time. No user name may get into a log line or an error.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from smgw_proxy_addon.auth.client_login import ClientLogin, LoginNeeded, Reason, read_login
from smgw_proxy_addon.auth.throttle import Guesses, Turn
from smgw_proxy_addon.errors import ClientGoneError, LoginRequiredError, TooManyLoginsError
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.proxy.source import Client, Timings

_LOGGER: Final = logging.getLogger(__name__)


class Porter:
    """Checks the logins of clients; ``clock`` gives monotonic seconds, as the event loop's."""

    def __init__(self, clients: ClientLogin, clock: Callable[[], float]) -> None:
        self._clients = clients
        self._clock = clock
        self._guesses = Guesses(_tell)

    async def admit(self, request: GatewayRequest, client: Client, timings: Timings) -> int:
        """Return the position of the account that a request belongs to.

        Raises ``LoginRequiredError``, ``TooManyLoginsError``, and ``ClientGoneError`` if the client left meanwhile.
        """
        given = read_login(value for name, value in request.headers if name.lower() == b"authorization")
        guessed = None if isinstance(given, Reason) else self._clients.guessed(given)
        if guessed is None:
            return _account(self._clients.check(given, request.method, request.target, self._clock()))
        turn = self._guesses.ask(client.address, guessed, self._clock())
        if turn is None:
            raise TooManyLoginsError
        wrong = False
        try:
            if turn.wait:
                with timings.wait(self._clock):
                    await _wait(turn, client)
            verdict = self._clients.check(given, request.method, request.target, self._clock())
            # Also with a nonce that is not ours: whether the next challenge is "stale" tells the password's worth.
            wrong = isinstance(verdict, LoginNeeded) and verdict.reason is Reason.WRONG
        finally:
            self._guesses.settle(turn, self._clock(), wrong=wrong)
        account = _account(verdict)
        self._guesses.vouch(client.address)
        return account


def _account(verdict: int | LoginNeeded) -> int:
    if isinstance(verdict, LoginNeeded):
        raise LoginRequiredError(verdict.reason, challenge=verdict.challenge)
    return verdict


async def _wait(turn: Turn, client: Client) -> None:
    await asyncio.wait({client.gone}, timeout=turn.wait)
    if client.gone.done():
        raise ClientGoneError


def _tell(place: str, slowed: bool) -> None:
    if slowed:
        _LOGGER.warning("Too many wrong logins from %s: one per second is looked at from now on", place)
    else:
        _LOGGER.warning("No more wrong logins from %s for now: its logins are looked at at once again", place)
