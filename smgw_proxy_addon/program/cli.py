"""The command line: ``run`` (the default), ``doctor``, ``trust``, and the Go proxy's flags in its own spelling."""

import argparse
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from smgw_proxy_addon import __version__
from smgw_proxy_addon.config.options import OptionError, Options, from_command_line
from smgw_proxy_addon.config.schema import COMMAND_LINE_OPTIONS, Option
from smgw_proxy_addon.log_writer import LineFormatter, make_notice
from smgw_proxy_addon.program.addon import run_app
from smgw_proxy_addon.program.run import run, trust_store
from smgw_proxy_addon.program.trust_command import run_trust
from smgw_proxy_addon.server.listeners import StartError
from smgw_proxy_addon.text import printable

EXIT_FAILED: Final = 1
EXIT_BAD_OPTIONS: Final = 2

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

# The options whose flag is not the name with dashes, and the Go proxy's spellings.
_FLAGS: Final = {
    "target": ("--target", "-target"),
    "port": ("--port", "-port"),
    "cert_dir": ("--cert-dir", "-certdir"),
    "log_dir": ("--log-dir", "-logdir"),
    "log_file": ("--log-file", "-logfile"),
    "certificate_fingerprint": ("--fingerprint",),
    "allowed_hosts": ("--allowed-host",),
    "check_origin": ("--no-check-origin",),
    "hold_back_logins": ("--no-hold-back-logins",),
}
_TRUST_OPTIONS: Final = ("target", "cert_dir")
_DOCTOR_OPTIONS: Final = (
    *("target", "host_header", "certificate_fingerprint", "client_certfile", "client_keyfile"),
    *("tls", "tls_max"),
    *("connect_timeout", "cert_dir"),
)


class _Parser(argparse.ArgumentParser):
    """Prints an error in one line, without the usage before it."""

    def __init__(self, **settings: Any) -> None:
        # Without a width argparse loads shutil with each option, and that bz2 and lzma: 3 ms and 0.3 MB.
        super().__init__(**settings, formatter_class=partial(argparse.HelpFormatter, width=78))

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_OPTIONS, f"smgw-proxy: {message} (smgw-proxy --help lists the options)\n")


def run_command(arguments: Sequence[str]) -> int:
    """Run the program with these arguments; returns the exit code: 0, 1 (failed) or 2 (bad options)."""
    given = vars(_parser().parse_args(_with_command(arguments)))
    command, in_app = given.pop("command"), given.pop("app")
    if in_app:
        return reported(run_app, in_app=True)
    if command == "trust":
        action, fingerprint = given.pop("action"), given.pop("trust_fingerprint")
        return reported(lambda: _trust(action, fingerprint, from_command_line(given)), _flag)
    if command == "doctor":
        from smgw_proxy_addon.program.doctor_command import run_doctor  # noqa: PLC0415 - 5 ms and 0.2 MB, for this alone

        return reported(lambda: run_doctor(from_command_line(given, listens=False), _language(), sys.stdout), _flag)
    return reported(lambda: run(from_command_line(_with_accounts(given))), _flag)


def reported(start: Callable[[], int], name: Callable[[str], str] = str, *, in_app: bool = False) -> int:
    """Start the program; if it cannot, print why in one line: ``in_app`` as one of the log.

    ``name`` spells an option as the user does.
    """
    complain = _log if in_app else _complain
    try:
        return start()
    except OptionError as error:
        option = f"option {name(error.option)}" if error.option else "options"
        complain(f"{option}: {error.problem}; allowed: {error.allowed}.")
        return EXIT_BAD_OPTIONS
    except StartError as error:
        complain(str(error))
        return EXIT_FAILED


def _log(line: str) -> None:
    notice = make_notice(logging.ERROR, f"The proxy cannot start: {line}")
    sys.stderr.write(f"{LineFormatter().format(notice)}\n")  # there is no log yet


def _complain(line: str) -> None:
    sys.stderr.write(f"smgw-proxy: {line}\n")  # there is no log yet


def _with_accounts(given: dict[str, object]) -> dict[str, object]:
    """Put the accounts into the place of the path of their file. Raises OptionError."""
    path = given.get("accounts")
    if not isinstance(path, str):
        return given
    allowed = next(option.allowed for option in COMMAND_LINE_OPTIONS if option.name == "accounts")
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            accounts = json.loads(file.read())
    except OSError as error:
        raise OptionError("accounts", f"{printable(path)} cannot be read ({error.strerror})", allowed) from None
    except (ValueError, RecursionError):  # their texts may quote the file
        raise OptionError("accounts", f"{printable(path)} is not valid JSON", allowed) from None
    if mode & _OTHERS:
        _complain(f"warning: others on this computer may read the passwords in {printable(path)}: chmod 600")
    return {**given, "accounts": accounts}


def _flag(name: str) -> str:
    return _flags(name)[0]


def _trust(action: str, fingerprint: str | None, options: Options) -> int:
    return run_trust(action, trust_store(options), options.cert_dir, fingerprint, sys.stdout, datetime.now(UTC))


def _language() -> str:
    """Return the language of the terminal, by the variables in their order (locale(7))."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next(filter(None, (os.environ.get(name) for name in names)), "")
    return "de" if chosen.lower().startswith("de") else "en"


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put the default command before options that come without one."""
    if arguments and arguments[0] in {"doctor", "run", "trust", "-h", "--help", "--version"}:
        return list(arguments)
    return ["run", *arguments]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="smgw-proxy",
        description="A pinned, sparing, transparent proxy for German Smart Meter Gateways.",
        epilog="Without a command, it runs: smgw-proxy --target 10.11.120.2",
    )
    parser.add_argument("--version", action="version", version=f"smgw-proxy {__version__}")
    parser.set_defaults(app=False)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run the proxy", allow_abbrev=False)
    running.add_argument("--app", action="store_true", help=argparse.SUPPRESS)  # inside the Home Assistant app
    trust = commands.add_parser("trust", help="show or change the trusted certificate", allow_abbrev=False)
    trust.add_argument(
        "action",
        choices=("show", "accept", "forget"),
        help="show the trusted certificate and the one refused last; accept that one; forget the trusted one",
    )
    trust.add_argument(
        "--fingerprint", dest="trust_fingerprint", metavar="SHA256", help="accept only if it is this one"
    )
    doctor = commands.add_parser("doctor", help="examine the way to the gateway, step by step", allow_abbrev=False)
    for option in COMMAND_LINE_OPTIONS:
        _add(running, option)
        if option.name in _TRUST_OPTIONS:
            _add(trust, option)
        if option.name in _DOCTOR_OPTIONS:
            _add(doctor, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    default = "" if option.kind == "bool" or option.default in (None, ()) else f" (default: {option.default})"
    text = f"{option.allowed}{default}".replace("%", "%%")
    add = partial(parser.add_argument, *_flags(option.name), dest=option.name)
    if option.kind == "bool":
        add(action="store_false" if option.default else "store_true", default=None, help=text)
    elif option.kind == "names":
        add(action="append", metavar="NAME", help=f"{text}; repeatable")
    else:
        add(metavar="FILE" if option.kind == "accounts" else "VALUE", help=text)


def _flags(name: str) -> tuple[str, ...]:
    return _FLAGS.get(name, (f"--{name.replace('_', '-')}",))
