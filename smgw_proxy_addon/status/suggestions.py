"""The gateways that SMGW Network found, read from the file that it leaves in the folder of all apps.

Every app can write there, so the file is hostile input: bounded, strict, and only a suggestion for people. Nothing
here changes an option or a pin.
"""

import hashlib
import ipaddress
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import voluptuous as vol

from smgw_proxy_addon.config.schema import APP_NETWORK
from smgw_proxy_addon.config.target import Address, Target
from smgw_proxy_addon.config.validators import echo, read_fingerprint, read_line
from smgw_proxy_addon.files import Files, cause_of
from smgw_proxy_addon.text import printable

_LOGGER: Final = logging.getLogger(__name__)

FILE: Final = Path("/share/smgw-proxy/gateways.json")
"""Where SMGW Network writes, and nowhere else."""

REPOSITORY: Final = "https://github.com/klacol/smgw-proxy-addon"
_REPOSITORY_ID: Final = hashlib.sha1(REPOSITORY.encode(), usedforsecurity=False).hexdigest()[:8]  # the Supervisor's
STORE_LINK: Final = (
    f"https://my.home-assistant.io/redirect/supervisor_addon/?addon={_REPOSITORY_ID}_smgw_network"
    f"&repository_url={REPOSITORY.replace(':', '%3A').replace('/', '%2F')}"
)
"""Opens SMGW Network in the user's own Home Assistant, and offers the repository where it is missing."""

_VERSION: Final = 1
_LARGEST: Final = 1 << 16
_MOST: Final = 32
_RELAY: Final = ipaddress.ip_address("172.30.32.1")
"""The Supervisor's own address on the bridge of the apps; SMGW Network relays there."""
_RELAY_PORTS: Final = range(1024, 65536)
_HOME_NETWORKS: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fe80::/64"))
)
_LONGEST_NAME: Final = 64  # RFC 5280 appendix A.1, ub-common-name
_TRIES: Final = 2


@dataclass(frozen=True)
class Suggestion:
    """A gateway that was found: what the option ``target`` would be, and what its certificate says, unverified.

    ``fingerprint`` is SHA-256 in 64 lower-case hexadecimal digits; ``maker`` is empty if it is not known.
    """

    target: Target
    interface: str
    way: Literal["direct", "peer", "relay"]
    name: str
    fingerprint: str
    maker: str


@dataclass(frozen=True)
class Suggestions:
    """What the file says. ``there``: there is one, so SMGW Network has run; ``broken``: nothing of it is used."""

    gateways: tuple[Suggestion, ...] = ()
    there: bool = False
    broken: bool = False


class SuggestionFile:
    """Reads the file; logs once why one cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logged = ""

    def read(self) -> Suggestions:
        """Read it anew. Must be run in executor."""
        problem = ""
        for _ in range(_TRIES):  # SMGW Network may be writing into it, where it may not replace it
            try:
                found = Suggestions(parse(Files().read(self._path)), there=True)
            except FileNotFoundError:
                found = Suggestions()
            except (OSError, ValueError) as error:
                problem = printable(cause_of(error))
                continue
            self._logged = ""
            return found
        if problem != self._logged:
            self._logged = problem
            _LOGGER.warning("What SMGW Network suggests in %s is ignored: %s", self._path, problem)
        return Suggestions(there=True, broken=True)


def parse(data: bytes) -> tuple[Suggestion, ...]:
    """Read the content of the file. Raises ValueError, with one printable line, unless all of it is right."""
    if len(data) > _LARGEST:
        raise ValueError(f"more than {_LARGEST} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("not a JSON text") from None
    try:
        return tuple(_FILE(document)["gateways"])
    except vol.MultipleInvalid as errors:
        error = errors.errors[0]
        where = ", ".join(str(each) for each in error.path) or "the whole"
        raise ValueError(f"{where}: {error.msg}") from None


def _read_gateway_address(value: object) -> Address:
    text = read_line(value)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise vol.Invalid(f"{echo(text)} is no address") from None
    at_home = "%" not in text and any(address in each for each in _HOME_NETWORKS) and address not in APP_NETWORK
    if str(address) != text or not at_home:
        raise vol.Invalid(f"{echo(text)} is no address of a gateway")
    return address


def _read_relay(value: object) -> Target:
    host, _, port = read_line(value).rpartition(":")
    if host != str(_RELAY) or not re.fullmatch(r"[1-9][0-9]{3,4}", port) or int(port) not in _RELAY_PORTS:
        raise vol.Invalid(f"{echo(value)} is no relay of SMGW Network")
    return Target(host, int(port))


def _read_gateway(value: object) -> Suggestion:
    fields: dict[str, Any] = _GATEWAY(value)
    host, given, way = fields["host"], fields["target"], fields["way"]
    if way == "relay":
        target = Target(str(host), given=str(host), relay=_read_relay(given))
    elif host.version == 4 and given == str(host):  # noqa: PLR2004 - IPv4: link-local IPv6 needs a relay
        target = Target(given, given=given)
    else:
        raise vol.Invalid(f"{echo(given)} does not lead to {host}", path=["target"])
    return Suggestion(target, fields["interface"], way, fields["name"], fields["fingerprint"], fields["maker"])


_NAME: Final = vol.All(vol.DefaultTo(""), vol.Any(read_line, ""), vol.Length(max=_LONGEST_NAME))
_GATEWAY: Final = vol.Schema(
    {
        "target": read_line,
        "host": _read_gateway_address,
        "interface": _NAME,
        "way": vol.In(("direct", "peer", "relay")),
        "name": _NAME,
        "fingerprint": read_fingerprint,
        "maker": _NAME,
    },
    required=True,
    extra=vol.REMOVE_EXTRA,
)
_FILE: Final = vol.Schema(
    {"version": vol.In((_VERSION,)), "gateways": vol.All(vol.Length(max=_MOST), [_read_gateway])},
    required=True,
    extra=vol.REMOVE_EXTRA,
)
