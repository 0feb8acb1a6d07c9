"""The program's four options, from Home Assistant's file or the command line, checked once."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smgw_network_addon.addresses import Address, may_be_gateway, may_be_local

_INTERFACE: Final = re.compile(r"[A-Za-z0-9._@-]{1,15}")  # IFNAMSIZ less its final NUL
_LONGEST: Final = 64
NAMES: Final = ("gateway", "interface", "address", "search")


class OptionError(Exception):
    """A bad value; the text is one plain line that names the option."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user wants; empty means: find or choose it."""

    gateway: Address | None = None
    link_local: str = ""
    """The gateway's link-local IPv6 address in place of ``gateway``."""
    interface: str = ""
    address: Address | None = None
    search: bool = True

    @property
    def given(self) -> bool:
        """Whether the gateway's address is given."""
        return self.gateway is not None or bool(self.link_local)


def parse(values: Mapping[str, object]) -> Options:
    """Check options as they were given. Raises ``OptionError``."""
    if unknown := sorted(values.keys() - set(NAMES)):
        raise OptionError(f"{unknown[0]}: there is no such option")
    texts = {name: _text(name, values.get(name)) for name in ("gateway", "interface", "address")}
    search = values.get("search", True)
    if not isinstance(search, bool):
        raise OptionError(f"search: {search!r} is neither true nor false")
    interface = texts["interface"]
    if interface and not _INTERFACE.fullmatch(interface):
        raise OptionError(f"interface: {interface!r} is no name of an interface, such as eth0")
    gateway, link_local = _gateway(texts["gateway"])
    if "%" in link_local:
        link_local, _, zone = link_local.partition("%")
        if interface not in ("", zone):
            raise OptionError(f"interface: {interface!r} is not the one in the gateway's address ({zone})")
        interface = zone
    address = _ipv4("address", texts["address"]) if texts["address"] else None
    if address and not may_be_local(address):
        raise OptionError(f"address: {address} cannot be used: choose a private one that ends in 2 to 254")
    if address and address == gateway:
        raise OptionError(f"address: {address} is the gateway's own; choose another one of its subnet")
    return Options(gateway, link_local, interface, address, search)


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


def _gateway(text: str) -> tuple[Address | None, str]:
    if not text:
        return None, ""
    if ":" in text:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            address = ipaddress.IPv6Address(0)
        if not address.is_link_local:
            raise OptionError(f"gateway: {text!r} is no link-local IPv6 address, such as fe80::1")
        return None, str(address)
    gateway = _ipv4("gateway", text)
    if not may_be_gateway(gateway):
        raise OptionError(f"gateway: {gateway} cannot be a gateway's: it is no private address of a single device")
    return gateway, ""


def _ipv4(name: str, text: str) -> Address:
    try:
        return Address(text)
    except ValueError:
        raise OptionError(f"{name}: {text!r} is no IPv4 address, such as 10.11.120.2") from None
