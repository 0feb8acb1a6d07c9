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
from smgw_network_addon.store import FileStore, Store, StoreError

__all__ = ["concurrent", "encodings", "run_command"]

_LOGGER: Final = logging.getLogger(__name__)

FAILED: Final = 1
BAD_OPTIONS: Final = 2
NOTHING_FOUND: Final = 3
_STATE_FILE: Final = "smgw-network.json"
_STATE: Final = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/smgw-network"))
_APP_OPTIONS: Final = Path("/data/options.json")
_APP_FOLDERS: Final = {"state": Path("/data/state"), "suggest": Path("/share/smgw-proxy/gateways.json")}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_OPTIONS, f"{self.prog}: {message}\n")


def run_command(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code: 0 good, 1 failed, 2 bad options, 3 nothing found."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        return _find(given) if given.command == "find" else _run(given)
    except (OptionError, PrivilegeError, StoreError, PermissionMissingError) as error:
        sys.stderr.write(f"smgw-network: {error}\n")
        return BAD_OPTIONS if isinstance(error, OptionError) else FAILED
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="smgw-network", description="Reaches a Smart Meter Gateway in a foreign subnet.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    run = commands.add_parser("run", help="find gateways and keep them reachable until it is stopped")
    find = commands.add_parser("find", help="search once, print what was found, and leave the host as it was")
    for command in (run, find):
        command.add_argument("--gateway", metavar="ADDRESS", help="the gateway's address (default: find it)")
        command.add_argument("--interface", metavar="NAME", help="where it is (default: find it)")
        command.add_argument("--address", metavar="ADDRESS", help="the host's own beside it (default: choose one)")
        command.add_argument("--no-search", action="store_true", help="ask for the known addresses only")
    run.add_argument("--state", metavar="FOLDER", type=Path, default=_STATE, help="(default: %(default)s)")
    run.add_argument("--suggest", metavar="FILE", type=Path, help="where the proxy reads what was found")
    run.add_argument("--app", action="store_true", help="as the Home Assistant app: its options, folders and page")
    find.add_argument("--json", action="store_true", help="print JSON in place of a table")
    return parser


def _options(given: argparse.Namespace) -> Options:
    values = {name: getattr(given, name) for name in ("gateway", "interface", "address")}
    return parse({**values, "search": not given.no_search})


def _run(given: argparse.Namespace) -> int:
    if given.app:
        vars(given).update(_APP_FOLDERS)
    options = from_file(_APP_OPTIONS) if given.app else _options(given)
    owner = privileges.unprivileged()
    state = FileStore(given.state / _STATE_FILE, owner, 0o600)
    state.lock()
    suggestion = Store()
    try:
        suggestion = FileStore(given.suggest, owner, 0o644) if given.suggest else suggestion
    except StoreError as error:
        _LOGGER.warning("SMGW Proxy will not hear of what is found: %s", error)
    page: program.Page | None = None
    if given.app:
        from smgw_network_addon.page import serve  # noqa: PLC0415 - 13 MB that only the app needs

        page = serve
    if owner:
        privileges.become(*owner)
    if not given.app and not privileges.permitted():
        raise PermissionMissingError
    asyncio.run(program.run(options, state, suggestion, page))
    return 0


def _find(given: argparse.Namespace) -> int:
    options = _options(given)
    if owner := privileges.unprivileged():
        privileges.become(*owner)
    logging.getLogger().setLevel(logging.WARNING)
    found = asyncio.run(program.find(options))
    if given.json:
        sys.stdout.write(json.dumps([each.described() for each in found], indent=2) + "\n")
    else:
        _print_table(found)
    return 0 if found else NOTHING_FOUND


def _print_table(found: Sequence[Gateway]) -> None:
    if not found:
        sys.stdout.write("No gateway answered.\n")
        return
    line = "{:25}  {:15}  {:20}  {:20}  {}\n".format
    sys.stdout.write(line("ADDRESS", "INTERFACE", "MAKER", "CERTIFICATE", "REACHED BY"))
    for each in found:
        certificate = each.certificate
        named = (certificate.maker or "-", certificate.name) if certificate else ("-", "-")
        sys.stdout.write(line(each.host, each.interface, *named, each.trouble or each.way))
