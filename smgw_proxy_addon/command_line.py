"""The command line: ``run`` (the default), ``trust``, and the flags of the Go proxy in its own spelling."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NoReturn

from smgw_proxy_addon import __version__
from smgw_proxy_addon.application import run, trust_store
from smgw_proxy_addon.listeners import StartError
from smgw_proxy_addon.options import COMMAND_LINE_OPTIONS, Option, OptionError, Options, from_command_line
from smgw_proxy_addon.trust_command import run_trust

EXIT_FAILED: Final = 1
EXIT_BAD_OPTIONS: Final = 2

# The options whose flag is not the name with dashes, and the Go proxy's spellings.
_FLAGS: Final = {
    "target": ("--target", "-target"),
    "port": ("--port", "-port"),
    "cert_dir": ("--cert-dir", "-certdir"),
    "log_dir": ("--log-dir", "-logdir"),
    "log_file": ("--log-file", "-logfile"),
    "certificate_fingerprint": ("--fingerprint",),
    "allowed_hosts": ("--allowed-host",),
}
_TRUST_OPTIONS: Final = ("target", "cert_dir")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_OPTIONS, f"smgw-proxy: {message} (smgw-proxy --help lists the options)\n")


def run_command(arguments: Sequence[str]) -> int:
    """Run the program with these arguments; returns the exit code: 0, 1 (failed) or 2 (bad options)."""
    given = vars(_parser().parse_args(_with_command(arguments)))
    command = given.pop("command")
    try:
        if command == "trust":
            return _trust(given.pop("action"), given.pop("trust_fingerprint"), from_command_line(given))
        return run(from_command_line(given))
    except OptionError as error:
        name = _flags(error.option)[0] if error.option else "options"
        print(f"smgw-proxy: {name}: {error.problem}; allowed: {error.allowed}.", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_OPTIONS
    except StartError as error:
        print(f"smgw-proxy: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        return EXIT_FAILED


def _trust(action: str, fingerprint: str | None, options: Options) -> int:
    return run_trust(action, trust_store(options), fingerprint, sys.stdout, datetime.now(UTC))


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Put the default command before options that come without one."""
    if arguments and arguments[0] in {"run", "trust", "-h", "--help", "--version"}:
        return list(arguments)
    return ["run", *arguments]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="smgw-proxy",
        description="A pinned, sparing, transparent proxy for German Smart Meter Gateways.",
        epilog="Without a command, it runs: smgw-proxy --target 10.11.120.2",
    )
    parser.add_argument("--version", action="version", version=f"smgw-proxy {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="run the proxy", allow_abbrev=False)
    for option in COMMAND_LINE_OPTIONS:
        _add(running, option)
    trust = commands.add_parser("trust", help="show or change the trusted certificate", allow_abbrev=False)
    trust.add_argument(
        "action",
        choices=("show", "accept", "forget"),
        help="show the trusted certificate and the one refused last; accept that one; forget the trusted one",
    )
    trust.add_argument(
        "--fingerprint", dest="trust_fingerprint", metavar="SHA256", help="accept only if it is this one"
    )
    for option in COMMAND_LINE_OPTIONS:
        if option.name in _TRUST_OPTIONS:
            _add(trust, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    default = "" if option.default in (None, (), False) else f" (default: {option.default})"
    told = f"{option.allowed}{default}".replace("%", "%%")
    flags = _flags(option.name)
    if option.kind == "bool":
        parser.add_argument(*flags, dest=option.name, action="store_true", default=None, help=told)
    elif option.kind == "names":
        parser.add_argument(*flags, dest=option.name, action="append", metavar="NAME", help=f"{told}; repeatable")
    else:
        parser.add_argument(*flags, dest=option.name, metavar="VALUE", help=told)


def _flags(name: str) -> tuple[str, ...]:
    return _FLAGS.get(name, (f"--{name.replace('_', '-')}",))
