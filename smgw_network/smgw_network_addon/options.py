"""The program's four options, from Home Assistant's file or the command line, checked once."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from smgw_network_addon.addresses import Address, LinkLocal, may_be_gateway

_INTERFACE: Final = re.compile(r"[A-Za-z0-9._@-]{0,15}")  # IFNAMSIZ less its final NUL
_LONGEST: Final = 64
NAMES: Final = ("gateway", "interface", "address", "search")


class OptionError(Exception):
    """A bad value; the text is one plain line that names the option."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user wants; empty means: find or choose it."""

    gateway: Address | LinkLocal | None = None
    interface: str = ""
    address: Address | None = None
    search: bool = True


def parse(values: Mapping[str, object]) -> Options:
    """Check options as they were given. Raises ``OptionError``."""
    if unknown := sorted(values.keys() - set(NAMES)):
        raise OptionError(f"{unknown[0]}: there is no such option")
    gateway, interface, own = (_text(name, values.get(name)) for name in NAMES[:3])
    search = values.get("search", True)
    if not isinstance(search, bool):
        raise OptionError(f"search: {search!r} is neither true nor false")
    if not _INTERFACE.fullmatch(interface):
        raise OptionError(f"interface: {interface!r} is no name of an interface, such as eth0")
    gateway, _, zone = gateway.partition("%")
    if zone and interface not in ("", zone):
        raise OptionError(f"interface: {interface!r} is not the one in the gateway's address ({zone})")
    found = _address("gateway", gateway)
    address = _address("address", own)
    if isinstance(address, LinkLocal) or (address and (address.packed[3] == 1 or address == found)):
        raise OptionError(f"address: {address} cannot be used: choose another one beside the gateway, not its own")
    return Options(found, interface or zone, address, search)


def from_file(path: Path) -> Options:
    """Read Home Assistant's file of options. Raises ``OptionError``."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise OptionError(f"{path} cannot be read ({error})") from None
    if not isinstance(values, dict):
        raise OptionError(f"{path} holds no options")
    return parse(values)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise OptionError(f"{name}: {str(value)[:_LONGEST]!r} is no text that this option takes")
    return value.strip()


def _address(name: str, text: str) -> Address | LinkLocal | None:
    if not text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        raise OptionError(f"{name}: {text!r} is no IPv4 address, such as 10.11.120.2") from None
    if not (may_be_gateway(address) if isinstance(address, Address) else address.is_link_local):
        raise OptionError(f"{name}: {address} is no private address of a single device, and no link-local one")
    return address
