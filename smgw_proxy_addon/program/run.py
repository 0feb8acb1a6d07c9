"""The program: from checked options to a proxy that runs until it is told to stop."""

import asyncio
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from smgw_proxy_addon import __version__, logs
from smgw_proxy_addon.config.options import Options, summary
from smgw_proxy_addon.errors import OutOfDescriptorsError, PinUnreadableError
from smgw_proxy_addon.key_files import KeyFilesError
from smgw_proxy_addon.log_files import FileLimits, LogFiles
from smgw_proxy_addon.program.environment import Environment
from smgw_proxy_addon.program.wiring import Proxy, gateway_tls
from smgw_proxy_addon.server.acceptor import Acceptor
from smgw_proxy_addon.server.certificate import ListenerCertificate
from smgw_proxy_addon.server.interfaces import local_names
from smgw_proxy_addon.server.listeners import (
    Listener,
    StartError,
    check_target,
    open_listeners,
    own_certificate,
    user_certificate,
)
from smgw_proxy_addon.status.supervisor import Supervisor
from smgw_proxy_addon.trust.store import TrustStore

if TYPE_CHECKING:
    from smgw_proxy_addon.program.status_page import StatusPage

_LOGGER: Final = logging.getLogger(__name__)

LAST_RESORT: Final = 2.0
"""Seconds that threads get to end after everything else has."""

EXIT_RESTART: Final = 75
"""The exit code that asks to be started again at once (EX_TEMPFAIL of sysexits.h)."""


def run(
    options: Options, become_unprivileged: Callable[[], str | None] | None = None, *, ingress: bool = False
) -> int:
    """Run the proxy until SIGTERM or SIGINT; returns the exit code: 0, or ``EXIT_RESTART``. Raises ``StartError``.

    ``become_unprivileged`` is called once ports are bound and the user's keys are read: all that needs root. It
    returns a sentence if the folder of the log files cannot be used. With it, HTTP does not wait until a certificate
    for HTTPS can be stored: the app always has that listener, a command line only if it asks for it.
    ``ingress``: Home Assistant shows the status page.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave_early)  # until the loop runs
    listeners = open_listeners(options)
    check_target(options.target, listeners)
    page = _status_page(options, listeners, ingress=ingress)
    certificate = user_certificate(options)
    tls = gateway_tls(options)
    no_log_files = become_unprivileged() if become_unprivileged else None
    with closing(_logging(options, page, no_log_files)) as logging_:
        certificate = certificate or _own_certificate(options, required=not become_unprivileged)
        for line in _introduction(options, [each for each in listeners if certificate or not each.secure]):
            _LOGGER.info("%s", line)
        for line in options.warnings:
            _LOGGER.warning("%s", line)
        token = os.environ.get("SUPERVISOR_TOKEN")
        supervisor = Supervisor(token) if token else None
        environment = Environment(partial(_report, page), supervisor, lambda: logging_.failure, gateway_tls=tls)
        served = _serve(options, listeners, certificate, page, environment, may_restart=bool(become_unprivileged))
        code = asyncio.run(served)
        _LOGGER.info("Stopped")
    return code


def _logging(options: Options, page: "StatusPage | None", no_log_files: str | None) -> logs.Logging:
    """Log to console, page and, unless ``no_log_files`` says why not, files."""
    logging_ = logs.Logging(options.log_level, sys.stderr)
    if no_log_files:
        logging_.report(no_log_files, failure=True)
    else:
        limits = FileLimits(timedelta(hours=options.log_rotation_hours), timedelta(days=options.log_retention_days))
        logging_.add_files(LogFiles(options.log_dir, options.log_file, limits, report=logging_.report))
    if page:
        logging.getLogger().addHandler(page.log)
    return logging_


def _own_certificate(options: Options, *, required: bool) -> ListenerCertificate | None:
    try:
        return own_certificate(options)
    except KeyFilesError as error:
        if required:
            raise StartError(str(error)) from None
        _LOGGER.warning("No HTTPS for now: %s", error)
        return None


def _status_page(options: Options, listeners: list[Listener], *, ingress: bool) -> "StatusPage | None":
    if options.status_port is None:
        return None
    from smgw_proxy_addon.program.status_page import StatusPage  # noqa: PLC0415 - 2 MB and a tenth of the start

    return StatusPage(options, listeners, ingress=ingress)


def trust_store(options: Options) -> TrustStore:
    """Give the store of the target's pin."""
    return TrustStore(options.cert_dir, options.target.name, options.target.aliases)


async def _serve(
    options: Options,
    listeners: list[Listener],
    certificate: ListenerCertificate | None,
    page: "StatusPage | None",
    environment: Environment,
    *,
    may_restart: bool,
) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not stop.done():
            stop.set_result(code)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, 0)

    if may_restart:
        environment = environment._replace(restart=lambda: end(EXIT_RESTART))
    proxy = Proxy(options, listeners, certificate, trust_store(options), environment)
    loop.set_exception_handler(partial(_on_fault, proxy.acceptor))
    await proxy.start()
    if page:
        await page.start(proxy)
    _LOGGER.info("Ready")
    code = await stop
    _LOGGER.info("Stopping")
    if page:
        await page.stop()
    await proxy.stop()
    _leave_within(LAST_RESORT, code)
    return code


def _report(page: "StatusPage | None", record: logs.RequestRecord) -> None:
    logs.log_request(record)
    if page:
        page.recorder.record(record)


def _on_fault(acceptor: Acceptor, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waits for: asyncio's own servers have a traceback each second for a lack of descriptors."""
    error = context.get("exception")
    if isinstance(error, OSError) and OutOfDescriptorsError.is_behind(error):
        acceptor.shortage.felt(error.strerror or str(error))
    else:
        loop.default_exception_handler(context)


def _leave_within(seconds: float, code: int) -> None:
    """End the process after so many seconds, whatever its threads wait for: a disk, a name server, a lock."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _leave_early(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _introduction(options: Options, listeners: list[Listener]) -> Iterator[str]:
    """Give the first lines of the log: all that a person needs who helps with somebody else's log."""
    yield (
        f"smgw-proxy {__version__}, Python {'.'.join(map(str, sys.version_info[:3]))}, {ssl.OPENSSL_VERSION}, "
        f"{os.uname().machine}, {sys.platform}"
    )
    yield from (f"Option {line}" for line in summary(options))
    yield f"Local addresses: {', '.join(local_names())}"
    yield _pin(options)
    yield from (f"Listening at {listener.url}" for listener in listeners)
    relay = options.target.relay
    yield f"Forwarding to {options.target.url}" + (f" via the relay {relay.name}" if relay else "")


def _pin(options: Options) -> str:
    try:
        pin = trust_store(options).load()
    except PinUnreadableError as error:
        return f"Stored certificate of {options.target.name} cannot be read: {error.facts['problem']}"
    if pin is None:
        return f"No certificate stored in {options.cert_dir}: the first one that the gateway shows will be trusted"
    known = pin.certificate
    return (
        f"Stored certificate of {options.target.name}: {known.fingerprint}, {known.subject}, "
        f"valid from {known.not_before} to {known.not_after}"
    )
