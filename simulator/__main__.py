"""``python -m simulator``: one simulated gateway until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

from simulator.certificates import KEY_KINDS, TLS_VERSIONS, ClientCertificates
from simulator.control import Control
from simulator.gateway import VENDORS, Simulator
from simulator.listener import HANDSHAKE_FAILURE, ILLEGAL_PARAMETER

HANDSHAKE_DELAY = 1.2
REQUEST_DELAY = 0.3
"""Seconds, as measured on real gateways."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status: 0 stopped, 1 cannot listen, 2 wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    simulator = _simulator(parser, options)
    try:
        return asyncio.run(_run(simulator, options.control_port))
    except (OSError, OverflowError, ValueError) as error:
        print(f"simulator: {_address(options)}: {error}", file=sys.stderr)  # noqa: T201  # a program's own words
        return 1


def _address(options: argparse.Namespace) -> str:
    return f"{options.host}:{options.port}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="A simulated Smart Meter Gateway.")
    parser.add_argument("--vendor", choices=sorted(VENDORS), default="theben")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=0, help="0 takes a free one (default)")
    parser.add_argument("--user", default="demo", help="(default: %(default)s)")
    parser.add_argument("--password", default="gateway", help="(default: %(default)s)")
    parser.add_argument("--curve", choices=KEY_KINDS, help="kind of key (default: the vendor's)")
    parser.add_argument("--algorithm", choices=("MD5", "SHA-256"), help="of Digest (default: the vendor's)")
    parser.add_argument(
        "--handshake-delay", type=_seconds, default=HANDSHAKE_DELAY, help="seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--request-delay", type=_seconds, default=REQUEST_DELAY, help="seconds (default: %(default)s)"
    )
    parser.add_argument("--serial", action="store_true", help="work at one handshake or request at a time")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[,times=N][,seconds=S]",
        help="switch a fault on; may be repeated",
    )
    _add_tls(parser)
    _add_habits(parser)
    parser.add_argument("--state-dir", type=Path, help="folder that keeps the certificate over restarts")
    parser.add_argument("--control-port", type=_port, help="plain HTTP on 127.0.0.1: faults, rotate, records")
    return parser


def _add_tls(parser: argparse.ArgumentParser) -> None:
    """Add what a gateway speaks below HTTP."""
    parser.add_argument("--tls", choices=tuple(TLS_VERSIONS), default="1.2", help="versions (default: %(default)s)")
    parser.add_argument("--ciphers", metavar="NAMES", help="of TLS 1.2, by OpenSSL's names (default: the vendor's)")
    parser.add_argument(
        "--refuse-renegotiation-info",
        action=argparse.BooleanOptionalAction,
        help="end the handshake of a client that speaks of renegotiation, as OpenSSL does (default: the vendor's)",
    )
    parser.add_argument(
        "--hello-alert",
        type=int,
        choices=(HANDSHAKE_FAILURE, ILLEGAL_PARAMETER),
        default=ILLEGAL_PARAMETER,
        help="the alert that says so (default: %(default)s)",
    )


def _add_habits(parser: argparse.ArgumentParser) -> None:
    """Add what only some makes or firmwares do."""
    parser.add_argument("--absolute-location", action="store_true", help="theben: Location with scheme and host")
    parser.add_argument(
        "--location-authority",
        metavar="HOST[:PORT]",
        help="theben: Location with this host, as the certificate's",
    )
    parser.add_argument("--protect-all", action="store_true", help="every target needs the login")
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="HOST", help="emh: Host header taken as its own"
    )
    parser.add_argument("--smgw-local-only", action="store_true", help="emh: 400 to any Host header but smgw.local")
    parser.add_argument(
        "--session-in-form", action="store_true", help="ppc: a form field keeps the session, no cookie does"
    )
    parser.add_argument("--needs-length", action="store_true", help="411 to request bodies in chunks")
    parser.add_argument("--ignore-nc", action="store_true", help="a Digest counter may repeat")
    parser.add_argument("--lock-after", type=_count, metavar="N", help="wrong logins in a row that lock it")
    parser.add_argument(
        "--lock-time", type=_seconds, default=300, metavar="SECONDS", help="401 to every login (default: %(default)s)"
    )
    parser.add_argument(
        "--client-certificates",
        type=Path,
        metavar="PEM",
        help="ask clients for a certificate: one of these, or by them",
    )
    parser.add_argument("--demand-certificate", action="store_true", help="no handshake without one")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004  # the highest port
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:  # noqa: PLR2004  # an hour
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds (0 to 3600)")
    return seconds


def _simulator(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Simulator:
    simulator = Simulator(
        vendor=options.vendor,
        host=options.host,
        port=options.port,
        user=options.user,
        password=options.password,
        curve=options.curve,
        algorithm=options.algorithm,
        state_dir=options.state_dir,
        tls=options.tls,
        ciphers=options.ciphers,
        refuses_renegotiation_info=options.refuse_renegotiation_info,
        hello_alert=options.hello_alert,
        handshake_delay=options.handshake_delay,
        request_delay=options.request_delay,
        serial=options.serial,
        absolute_location=options.absolute_location,
        protect_all=options.protect_all,
        allowed_hosts=tuple(options.allowed_host),
        location_authority=options.location_authority,
        smgw_local_only=options.smgw_local_only,
        session_in_form=options.session_in_form,
        needs_length=options.needs_length,
        counts_requests=not options.ignore_nc,
        lock_after=options.lock_after,
        lock_time=timedelta(seconds=options.lock_time),
        client_certificates=_client_certificates(parser, options),
    )
    for text in options.fault:
        try:
            _switch_on(simulator, text)
        except ValueError as error:
            parser.error(f"argument --fault: {text!r}: {error}")
    return simulator


def _client_certificates(parser: argparse.ArgumentParser, options: argparse.Namespace) -> ClientCertificates | None:
    if options.client_certificates is None:
        if options.demand_certificate:
            parser.error("argument --demand-certificate: needs --client-certificates")
        return None
    try:
        trusted = options.client_certificates.read_text("ascii")
    except (OSError, ValueError) as error:
        parser.error(f"argument --client-certificates: {error}")
    return ClientCertificates(trusted=trusted, demanded=options.demand_certificate)


def _switch_on(simulator: Simulator, text: str) -> None:
    name, *parts = text.split(",")
    values = {key: value for key, _, value in (part.partition("=") for part in parts)}
    times, seconds = values.pop("times", None), values.pop("seconds", None)
    if values:
        raise ValueError(f"unknown: {', '.join(values)}")
    simulator.faults.set(name, times=int(times) if times else None, seconds=float(seconds or 0))


async def _run(simulator: Simulator, control_port: int | None) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    control = Control(simulator)
    async with simulator:
        line = f"simulator: {simulator.vendor} at {simulator.url} user={simulator.user} ready"
        if control_port is not None:
            line += f" control=http://127.0.0.1:{await control.start(control_port)}"
        print(line, flush=True)  # noqa: T201  # what scripts wait for
        await stop.wait()
        control.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
