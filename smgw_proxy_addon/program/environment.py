"""What the process around the proxy gives it, and what only tests set."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from smgw_proxy_addon.files import Files
from smgw_proxy_addon.gateway.tls import GatewayTls
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.server.limits import Limits
from smgw_proxy_addon.status.supervisor import Supervisor


class Environment(NamedTuple):
    """``report`` gets every finished request; ``supervisor`` is there in the Home Assistant app only.

    ``log_failure`` returns why no log files are written, None while they are. ``restart`` ends the program so that it
    is started again as root; None where nobody would start it. ``gateway_tls`` is what ``wiring.gateway_tls`` read
    while the program was root; where it is None, the files of a certificate for the gateway are read later.
    """

    report: Callable[[RequestRecord], None]
    supervisor: Supervisor | None = None
    log_failure: Callable[[], str | None] = lambda: None
    restart: Callable[[], None] | None = None
    gateway_tls: GatewayTls | None = None


class Tuning(NamedTuple):
    """``clock`` returns monotonic seconds, as the event loop's; ``login_pauses`` replaces ``gateway_login.PAUSES``.

    ``files`` replaces how the login store is written.
    """

    limits: Limits = Limits()
    clock: Callable[[], float] = time.monotonic
    login_pauses: Sequence[float] | None = None
    files: Files | None = None
