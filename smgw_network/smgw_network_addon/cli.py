"""The command line: ``run`` keeps gateways reachable, ``find`` searches once and changes nothing that stays."""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import encodings.idna  # isort: skip - and what else is loaded late: without root's rights its file may be out of reach
import concurrent.futures.thread

from smgw_network_addon import __version__, privileges, program
from smgw_network_addon.gateways import Gateway
from smgw_network_addon.netlink import PermissionMissingError
from smgw_network_addon.options import OptionError, Options, from_file, parse
from smgw_network_addon.privileges import PrivilegeError
from smgw_network_addon.store import STATE, Slot, State, StoreError, Suggestion

__all__ = ["concurrent", "encodings", "run_command"]

_LOGGER: Final = logging.getLogger(__name__)

FAILED: Final = 1
BAD_OPTIONS: Final = 2
NOTHING_FOUND: Final = 3
_STATE: Final = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/smgw-network"))
_APP_OPTIONS: Final = Path("/data/options.json")
_APP_STATE: Final = Path("/data/state")
_APP_SUGGESTION: Final = Path("/share/smgw-proxy/gateways.json")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_OPTIONS, f"{self.prog}: {message}\n")


def run_command(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code: 0 good, 1 failed, 2 bad options, 3 nothing found."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        if given.command == "find":
            return _find(_options(given), as_json=given.json)
        return _run(given)
    except OptionError as error:
        return _refuse(str(error), BAD_OPTIONS)
    except (PrivilegeError, StoreError) as error:
        return _refuse(str(error), FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="smgw-network", description="Reaches a Smart Meter Gateway in a foreign subnet.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    run = commands.add_parser("run", help="find gateways and keep them reachable until it is stopped")
    find = commands.add_parser("find", help="search once, print what was found, and leave the host as it was")
    for command in (run, find):
        command.add_argument("--gateway", metavar="ADDRESS", help="the gateway's address (default: find it)")
        command.add_argument("--interface", metavar="NAME", help="where it is (default: find it)")
        command.add_argument(
            "--address", metavar="ADDRESS", help="what the host gets beside it (default: choose one)"
        )
        command.add_argument("--no-search", action="store_true", help="ask for the known addresses only")
    run.add_argument("--state", metavar="FOLDER", type=Path, default=_STATE, help="(default: %(default)s)")
    run.add_argument("--suggest", metavar="FILE", type=Path, help="where the proxy reads what was found")
    run.add_argument("--app", action="store_true", help="as the Home Assistant app: its options, folders and page")
    find.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return parser


def _options(given: argparse.Namespace) -> Options:
    return parse(
        {
            "gateway": given.gateway,
            "interface": given.interface,
            "address": given.address,
            "search": not given.no_search,
        }
    )


def _run(given: argparse.Namespace) -> int:
    options = _app_options() if given.app else _options(given)
    folder: Path = _APP_STATE if given.app else given.state
    suggestion: Path | None = _APP_SUGGESTION if given.app else given.suggest
    owner = privileges.unprivileged()
    state = Slot(folder / STATE, owner, 0o600)
    if not state.lock():
        return _refuse(f"another run uses the folder {folder}", FAILED)
    suggested = _suggestion_slot(suggestion, owner) if suggestion is not None else None
    page: program.Page | None = None
    if given.app:
        from smgw_network_addon.page import serve  # noqa: PLC0415 - 13 MB that only the app needs

        page = serve
    if owner:
        privileges.become(*owner)
    if not given.app and not privileges.permitted():
        return _refuse(str(PermissionMissingError()), FAILED)
    asyncio.run(program.run(options, State(state), Suggestion(suggested), page))
    return 0


def _suggestion_slot(path: Path, owner: tuple[int, int] | None) -> Slot | None:
    try:
        return Slot(path, owner, 0o644)
    except StoreError as error:
        _LOGGER.warning("SMGW Proxy will not hear of what is found: %s", error)
        return None


def _find(options: Options, *, as_json: bool) -> int:
    if owner := privileges.unprivileged():
        privileges.become(*owner)
    logging.getLogger().setLevel(logging.WARNING)
    try:
        found = asyncio.run(program.find(options))
    except PermissionMissingError as error:
        return _refuse(str(error), FAILED)
    except KeyboardInterrupt:
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps([each.described() for each in found], indent=2) + "\n")
    else:
        _print_table(found)
    return 0 if found else NOTHING_FOUND


def _print_table(found: Sequence[Gateway]) -> None:
    rows = [("ADDRESS", "INTERFACE", "MAKER", "CERTIFICATE", "REACHED BY")]
    for each in found:
        certificate = each.certificate
        named = (certificate.maker or "-", certificate.name) if certificate else ("-", "-")
        rows.append((each.host, each.interface, *named, str(each.trouble or each.way)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if found else ():
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")
    if not found:
        sys.stdout.write("No gateway answered.\n")


def _app_options() -> Options:
    try:
        return from_file(_APP_OPTIONS.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{_APP_OPTIONS} cannot be read ({error})") from None


def _refuse(line: str, code: int) -> int:
    sys.stderr.write(f"smgw-network: {line}\n")
    return code
