"""What runs beside the requests: the doctor, the desk where the doctor command asks for it, and the notifications.

None of it may delay or fail a request: what cannot be started is logged, and the proxy goes on without it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.errors import ForeignNetworkError
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.gateway.tls import offers_brainpool
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.instance_lock import Desk, HostMarks, Mark, MarkError
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.interfaces import Interface, local_interfaces
from smgw_proxy_addon.server.own_networks import OwnNetworks
from smgw_proxy_addon.status.doctor import ANSWER_SECONDS, Doctor, ExaminableTrust
from smgw_proxy_addon.status.notifications import Reachability, Situation
from smgw_proxy_addon.status.supervisor import Notifier, Supervisor

if TYPE_CHECKING:
    from smgw_proxy_addon.auth.account_source import GatewayLogins

_LOGGER: Final = logging.getLogger(__name__)

_APP_DATA: Final = "/data"
"""Where the app keeps its certificates, whether it has a Supervisor to ask or not."""


class Attendants:
    """Runs from ``start`` to ``stop``; ``supervisor`` only in the Home Assistant app.

    ``logins`` are those of the proxy itself, if it has any. ``log_failure`` says why no log files are written, None
    while they are; ``now`` is an aware local time,
    ``monotonic`` gives seconds that never jump.
    """

    def __init__(
        self,
        options: Options,
        pool: Pool,
        trust: ExaminableTrust,
        supervisor: Supervisor | None,
        *,
        logins: "GatewayLogins | None" = None,
        access: Access,
        log_failure: Callable[[], str | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = options.target.name
        self._trust = trust
        self._supervisor = supervisor
        self._logins = logins
        self._log_failure = log_failure
        self._now = now
        self._monotonic = monotonic
        self._outage = 0.0  # its start; no setting of the clock shall change its length
        self._reachability = Reachability()
        self.doctor = gateway_doctor(options, pool, trust, supervisor)
        marks = HostMarks(options.target.connect_host, options.target.port)
        self._desk = Desk(Mark(options.cert_dir, options.target.name), marks, self._diagnosis)
        self._notifications = options.notifications
        self.notifier: Notifier | None = None
        if supervisor:
            after = timedelta(minutes=options.notify_after_minutes)
            self.notifier = Notifier(supervisor, self._situation, notify_after=after, now=now)
        self._own_networks = OwnNetworks(access, _interfaces(options, supervisor), time.monotonic)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin. Raises nothing."""
        try:
            if not await self._desk.open():
                _LOGGER.warning(
                    "Another smgw-proxy on this computer asks the same gateway: stop one, two at a time can lock it"
                )
        except (MarkError, OSError) as error:
            _LOGGER.info("smgw-proxy doctor cannot ask this proxy: %s", error)
        if self.notifier:
            # Those that an earlier run left must not stay when they are switched off.
            work = self.notifier.run() if self._notifications else self.notifier.withdraw()
            self._tasks.append(asyncio.create_task(work))
        self._tasks.append(asyncio.create_task(self._own_networks.run()))

    async def stop(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._supervisor:
            await self._supervisor.close()
        await self._desk.close()

    def note(self, record: RequestRecord) -> None:
        """Learn from a finished request whether the gateway can be reached, and that a network is not known.

        Logs the start and the end of an outage.
        """
        if record.code == ForeignNetworkError.code:
            self._own_networks.hurry()
        answered = record.code is None and record.reused is not None
        failed_before = self._reachability.failing_since
        self._reachability.note(record.code, answered=answered, now=self._now())
        fails = self._reachability.failing_since
        if fails and not failed_before:
            self._outage = self._monotonic()
            _LOGGER.warning("The gateway %s cannot be used for now (%s)", self._target, record.code)
        elif failed_before and not fails:
            seconds = self._monotonic() - self._outage
            _LOGGER.warning("The gateway %s can be used again, after %.0f s", self._target, seconds)

    def _situation(self) -> Situation:
        accepted = self._trust.accepted
        return Situation(
            self._reachability,
            self._target,
            not_after=accepted.not_after if accepted else None,
            refused=self._trust.refused,
            log_failure=self._log_failure(),
            stopped=self._logins.stopped if self._logins else (),
        )

    async def _diagnosis(self, language: str) -> Sequence[dict[str, Any]]:
        return [asdict(check) for check in await self.doctor.diagnose(language)]


def gateway_doctor(
    options: Options,
    pool: Pool,
    trust: ExaminableTrust,
    supervisor: Supervisor | None,
    *,
    stores: bool = True,
    brainpool: bool | None = None,
    answer_seconds: float = ANSWER_SECONDS,
) -> Doctor:
    """Make the doctor for the options' gateway; ``stores`` and what follows as in ``Doctor``."""
    return Doctor(
        pool,
        trust,
        options.target,
        host=options.host_header or options.target.authority,
        interfaces=_interfaces(options, supervisor),
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        in_app=_in_app(options) or supervisor is not None,
        stores=stores,
        brainpool=offers_brainpool() if brainpool is None else brainpool,
        answer_seconds=answer_seconds,
    )


def _in_app(options: Options) -> bool:
    return options.cert_dir.is_relative_to(_APP_DATA)


def _interfaces(
    options: Options, supervisor: Supervisor | None
) -> Callable[[], Awaitable[Sequence[Interface] | None]]:
    async def interfaces() -> Sequence[Interface] | None:
        if supervisor:
            return await supervisor.interfaces()
        # Inside the app, the computer's own interfaces are those of a container.
        return None if _in_app(options) else await asyncio.to_thread(local_interfaces)

    return interfaces
