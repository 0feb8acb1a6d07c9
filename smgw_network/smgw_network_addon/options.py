"""The program's four options, from Home Assistant's file or the command line, checked once."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
    found = _gateway(gateway) if gateway else None
    address = _ipv4("address", own) if own else None
    if address and (address.packed[3] == 1 or not may_be_gateway(address)):
        raise OptionError(f"address: {address} cannot be used: choose a private one that ends in 2 to 254")
    if address and address == found:
        raise OptionError(f"address: {address} is the gateway's own; choose another one of its subnet")
    return Options(found, interface or zone, address, search)


def from_file(text: str) -> Options:
    """Read Home Assistant's file of options. Raises ``OptionError``."""
    try:
        values = json.loads(text)
    except ValueError:
        raise OptionError("options.json is not valid JSON") from None
    if not isinstance(values, dict):
        raise OptionError("options.json holds no options")
    return parse(values)


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise OptionError(f"{name}: {str(value)[:_LONGEST]!r} is no text that this option takes")
    return value.strip()


def _gateway(text: str) -> Address | LinkLocal:
    if ":" not in text:
        gateway = _ipv4("gateway", text)
        if not may_be_gateway(gateway):
            raise OptionError(
                f"gateway: {gateway} cannot be a gateway's: it is no private address of a single device"
            )
        return gateway
    try:
        link_local = LinkLocal(text)
    except ValueError:
        link_local = LinkLocal(0)
    if not link_local.is_link_local:
        raise OptionError(f"gateway: {text!r} is no link-local IPv6 address, such as fe80::1")
    return link_local


def _ipv4(name: str, text: str) -> Address:
    try:
        return Address(text)
    except ValueError:
        raise OptionError(f"{name}: {text!r} is no IPv4 address, such as 10.11.120.2") from None
