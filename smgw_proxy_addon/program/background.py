"""What runs beside the requests: the doctor with its local endpoint, the notifications, the own networks.

None of it delays or fails a request. What cannot be started is logged.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.errors import ForeignNetworkError
from smgw_proxy_addon.gateway.pool import Pool
from smgw_proxy_addon.gateway.tls import offers_brainpool
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.program.diagnosis_endpoint import DiagnosisEndpoint
from smgw_proxy_addon.program.environment import Environment
from smgw_proxy_addon.program.instance_lock import InstanceError, InstanceLock
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.interfaces import Interface, local_interfaces
from smgw_proxy_addon.server.own_networks import learn_own_networks
from smgw_proxy_addon.status.notifications import Reachability, Situation
from smgw_proxy_addon.status.notifier import Notifier
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.pinning import GatewayTrust

if TYPE_CHECKING:
    from smgw_proxy_addon.auth.account_source import GatewayLogins
    from smgw_proxy_addon.status.doctor import Doctor

_LOGGER: Final = logging.getLogger(__name__)

_APP_DATA: Final = "/data"
"""The app's folder of certificates is below it, with or without a Supervisor."""


class Background:
    """Runs from ``start`` to ``stop``.

    ``logins`` are those of the proxy itself, if it has any; ``held_back`` returns the addresses of clients whose
    logins are held back; ``now`` is an aware local time, ``monotonic`` returns seconds that never jump.
    """

    def __init__(
        self,
        options: Options,
        pool: Pool,
        trust: GatewayTrust,
        environment: Environment,
        *,
        access: Access,
        logins: "GatewayLogins | None" = None,
        held_back: Callable[[], Sequence[str]] = tuple,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        supervisor = environment.supervisor
        self._options = options
        self._pool = pool
        self._trust = trust
        self._environment = environment
        self._logins = logins
        self._held_back = held_back
        self._now = now
        self._monotonic = monotonic
        self._outage = 0.0  # its start in monotonic seconds
        self._reachability = Reachability()
        lock = InstanceLock(options.cert_dir, options.target.name)
        self._endpoint = DiagnosisEndpoint(lock, self._diagnosis)
        self.notifier: Notifier | None = None
        if supervisor:
            after = timedelta(minutes=options.notify_after_minutes)
            self.notifier = Notifier(supervisor, self._situation, notify_after=after, now=now)
        self._access = access
        self._refused = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @cached_property
    def doctor(self) -> "Doctor":
        """Examines the way to the gateway."""
        return gateway_doctor(self._options, self._pool, self._trust, self._environment.supervisor)

    async def start(self) -> None:
        """Start everything. Raises nothing."""
        try:
            if not await self._endpoint.open():
                _LOGGER.warning(
                    "Another smgw-proxy on this computer asks the same gateway: stop one, two at a time can lock it"
                )
        except (InstanceError, OSError) as error:
            _LOGGER.info("smgw-proxy doctor cannot ask this proxy: %s", error)
        if self.notifier:
            # Switched off, the notifications of an earlier run are dismissed.
            work = self.notifier.run() if self._options.notifications else self.notifier.withdraw()
            self._tasks.append(asyncio.create_task(work))
        interfaces = _interfaces(self._options, self._environment.supervisor)
        self._tasks.append(asyncio.create_task(learn_own_networks(self._access, interfaces, self._refused)))

    async def stop(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._environment.supervisor:
            await self._environment.supervisor.close()
        await self._endpoint.close()

    def note(self, record: RequestRecord) -> None:
        """Learn from a finished request whether the gateway can be reached, and whether to look for new networks.

        Logs the start and the end of an outage.
        """
        if record.code == ForeignNetworkError.code:
            self._refused.set()
        answered = record.code is None and record.reused is not None
        failed_before = self._reachability.failing_since
        if answered and self._reachability.known and not failed_before:
            return  # nothing new: the time of day costs more than the rest
        self._reachability.note(record.code, answered=answered, now=self._now())
        fails = self._reachability.failing_since
        if fails and not failed_before:
            self._outage = self._monotonic()
            _LOGGER.warning("The gateway %s cannot be used for now (%s)", self._options.target.name, record.code)
        elif failed_before and not fails:
            seconds = self._monotonic() - self._outage
            _LOGGER.warning("The gateway %s can be used again, after %.0f s", self._options.target.name, seconds)

    def _situation(self) -> Situation:
        return Situation(
            self._reachability,
            self._options.target.name,
            certificate=self._trust.accepted,
            refused=self._trust.refused,
            log_failure=self._environment.log_failure(),
            stopped=self._logins.stopped if self._logins else (),
            held_back=self._held_back(),
        )

    async def _diagnosis(self, language: str) -> Sequence[dict[str, Any]]:
        doctor = await asyncio.to_thread(lambda: self.doctor)  # loads its modules
        return [asdict(report) for report in await doctor.diagnose(language)]


def gateway_doctor(
    options: Options,
    pool: Pool,
    trust: GatewayTrust,
    supervisor: Supervisor | None,
    *,
    brainpool: bool | None = None,
    **settings: Any,
) -> "Doctor":
    """Make the doctor for the options' gateway; ``settings`` are those of ``Doctor``."""
    from smgw_proxy_addon.status import doctor, findings  # noqa: PLC0415 - 5 ms and 0.2 MB, only for a diagnosis

    destination = findings.Destination(
        options.target,
        host_header=options.host_header or options.target.authority,
        in_app=_in_app(options) or supervisor is not None,
        brainpool=offers_brainpool() if brainpool is None else brainpool,
        client_certificate=options.client_certfile is not None,
    )
    return doctor.Doctor(
        pool,
        trust,
        destination,
        interfaces=_interfaces(options, supervisor),
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        **settings,
    )


def _in_app(options: Options) -> bool:
    return options.cert_dir.is_relative_to(_APP_DATA)


def _interfaces(
    options: Options, supervisor: Supervisor | None
) -> Callable[[], Awaitable[Sequence[Interface] | None]]:
    async def interfaces() -> Sequence[Interface] | None:
        if supervisor:
            return await supervisor.fetch_interfaces()
        # Inside the app, the computer's own interfaces are those of a container.
        return None if _in_app(options) else await asyncio.to_thread(local_interfaces)

    return interfaces
