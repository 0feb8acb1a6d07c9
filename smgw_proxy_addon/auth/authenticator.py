"""Checks the login of each client, after the delay that the throttle demands.

Decides nothing: ``client_login`` says which login is right, ``throttle`` how long it is delayed. A login that is
delayed holds no place at the gateway, and its client may leave at any time. No user name may get into a log
line or an error.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from smgw_proxy_addon.auth.client_login import ChallengeReason, ClientLogin, read_login
from smgw_proxy_addon.auth.throttle import Throttle
from smgw_proxy_addon.errors import LoginRequiredError, TooManyLoginsError
from smgw_proxy_addon.http.digest import Authorization
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.proxy.source import Client

_LOGGER: Final = logging.getLogger(__name__)


class Authenticator:
    """Checks the logins of clients; ``clock`` gives monotonic seconds, as the event loop's."""

    def __init__(self, clients: ClientLogin, clock: Callable[[], float]) -> None:
        self._clients = clients
        self._clock = clock
        self._throttle = Throttle(_log_throttling)

    async def authenticate(self, request: GatewayRequest, client: Client) -> int:
        """Return the position of the account that a request belongs to.

        Raises ``LoginRequiredError``, ``TooManyLoginsError``, and ``ClientGoneError`` if the client left meanwhile.
        """
        given = read_login(value for name, value in request.headers if name.lower() == b"authorization")
        guessed = None if isinstance(given, ChallengeReason) else self._clients.find_guessed_user(given)
        if guessed is None:
            return self._check(given, request, client)
        reservation = self._throttle.reserve(client.address, guessed, self._clock())
        if reservation is None:
            raise TooManyLoginsError
        wrong = False
        try:
            if reservation.delay:
                with client.record.wait(self._clock):
                    await asyncio.wait({client.gone}, timeout=reservation.delay)
                client.check()
            account = self._check(given, request, client)
        except LoginRequiredError as error:
            # Also with a forged nonce: the next challenge would say by "stale" that the password was right.
            wrong = error.detail == ChallengeReason.WRONG
            raise
        finally:
            self._throttle.settle(reservation, self._clock(), wrong=wrong)
        self._throttle.count_alone(client.address)
        return account

    def _check(self, given: Authorization | ChallengeReason, request: GatewayRequest, client: Client) -> int:
        now = self._clock()
        return self._clients.check(given, request.method, request.target, now, address=client.address)


def _log_throttling(source: str, slowed: bool) -> None:
    if slowed:
        _LOGGER.warning("Too many wrong logins from %s: one per second is looked at from now on", source)
    else:
        _LOGGER.warning("No more wrong logins from %s for now: its logins are looked at at once again", source)
