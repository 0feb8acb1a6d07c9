"""The gateway's address: the forms that a user may enter, and the forms that sockets, TLS and HTTP need.

The readers of addresses and names raise ``vol.Invalid`` with a plain text. No name is resolved.
"""

import ipaddress
import re
from dataclasses import dataclass, field, replace
from typing import Final

import voluptuous as vol

from smgw_proxy_addon.config.validators import echo, read_line

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HTTPS_PORT: Final = 443
HIGHEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253  # RFC 1035 section 2.3.4, without the final dot
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZONE: Final = re.compile(r"[A-Za-z0-9._-]{1,15}")  # IFNAMSIZ less its final NUL, or an interface's number
_MAPPED: Final = 96  # bits before the IPv4 address in ::ffff:192.168.1.1 (RFC 4291 section 2.5.5.2)
_VIA: Final = re.compile(r"\s+via\s+")
_HOST_HEADER: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the gateway is.

    ``host`` is an IPv4 address, a compressed IPv6 address without brackets, or a name, all in lower case;
    ``zone`` the interface of a link-local IPv6 address; ``given`` what the user typed for it; ``relay`` is where
    connections go instead, which pass its bytes on: the pin, the Host header and all names stay the gateway's own.
    """

    host: str
    port: int = HTTPS_PORT
    zone: str | None = None
    given: str = field(default="", compare=False)
    relay: "Target | None" = None

    @property
    def endpoint(self) -> "Target":
        """Where connections go."""
        return self.relay or self

    @property
    def connect_host(self) -> str:
        """The host for the socket's address, with the zone."""
        return f"{self.host}%{self.zone}" if self.zone else self.host

    @property
    def name(self) -> str:
        """The canonical name, also of the pin's file: the port only where it is not 443."""
        return self.connect_host if self.port == HTTPS_PORT else with_port(self.connect_host, self.port)

    @property
    def text(self) -> str:
        """The canonical form of the option."""
        return f"{self.name} via {self.relay.name}" if self.relay else self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names for the same target, as the Go proxy may have used them for the pin's file."""
        typed = re.sub(r"(?i)^https://", "", self.given).removesuffix("/")
        names = [typed, with_port(self.connect_host, self.port)]
        if self.port == HTTPS_PORT:
            names.append(bracketed(self.connect_host))
        return tuple(dict.fromkeys(name for name in names if name and name != self.name))

    @property
    def authority(self) -> str:
        """The gateway's own name for the Host header: never the zone (RFC 9110 section 7.2)."""
        return bracketed(self.host) if self.port == HTTPS_PORT else with_port(self.host, self.port)

    @property
    def address(self) -> Address | None:
        """The host, if it is an address and no name."""
        return _address(self.host)

    @property
    def server_name(self) -> str | None:
        """The name for SNI; none for an address (RFC 6066 section 3)."""
        return None if self.address else self.host

    @property
    def url(self) -> str:
        """The address for people, the zone written as RFC 6874 has it."""
        return f"https://{self.authority.replace(']', f'%25{self.zone}]') if self.zone else self.authority}"


def read_target(value: object) -> Target:
    """Read a gateway's address: a name, IPv4 or IPv6, if need be with zone, port, ``https://``, final slash.

    After ``via`` comes the address of a relay, in the same forms.
    """
    own, *relays = _VIA.split(read_line(value))
    if len(relays) > 1:
        raise vol.Invalid("there can be one relay only")
    return replace(_read_one(own), relay=_read_one(relays[0]) if relays else None)


def read_host(text: str) -> str:
    """Return the canonical form of a name or address (without port, brackets and zone)."""
    if address := _address(text):
        # Python 3.13 prints IPv4-mapped addresses in another way: a pin's name must not depend on it.
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_unspecified or address.is_multicast:
            raise vol.Invalid(f"{echo(text)} is not the address of one device")
        return str(address)
    host = text.removesuffix(".").lower()
    labels = host.split(".")
    if ":" in host or _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise vol.Invalid(f"{echo(text)} is not a complete IPv4 or IPv6 address")
    if not text.isascii() or len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise vol.Invalid(f"{echo(text)} is not a valid name or address")
    return host


def read_local_address(text: str) -> str:
    """Read an IPv4 or IPv6 address of this computer, in brackets or not, if need be with its zone."""
    host, percent, zone = text.removeprefix("[").removesuffix("]").partition("%")
    address = _address(host)
    if address is None or (percent and (address.version == 4 or not _ZONE.fullmatch(zone))):  # noqa: PLR2004 - IPv4
        raise vol.Invalid(f"{echo(text)} is not an IPv4 or IPv6 address")
    return f"{address}{percent}{zone}"


def read_network(text: str) -> Network:
    """Read a network, or an address, which stands for itself; an address inside a network means the network."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise vol.Invalid(f"{echo(text)} is not a network or an address") from None
    if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= _MAPPED:  # noqa: PLR2004 - IPv6
        # The peer of such a connection is handled as IPv4.
        return ipaddress.ip_network((network.network_address.ipv4_mapped, network.prefixlen - _MAPPED))
    return network


def read_host_header(value: object) -> str:
    """Read what may stand in a Host header."""
    text = read_line(value)
    if not _HOST_HEADER.fullmatch(text):
        raise vol.Invalid(f"{echo(text)} cannot be sent as a Host header")
    return text


def bracketed(host: str) -> str:
    """Write a host as URLs have it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def with_port(host: str, port: int) -> str:
    """Write a host with its port."""
    return f"{bracketed(host)}:{port}"


def _read_one(typed: str) -> Target:
    text = typed
    if scheme := re.match(r"(?i)([a-z][a-z0-9+.-]*)://", text):
        if scheme[1].lower() != "https":
            raise vol.Invalid(f"a gateway speaks HTTPS only, not {echo(scheme[1].lower())}")
        text = text[scheme.end() :]
        # RFC 6874 writes the % before a zone as %25, in a URL only.
        text = re.sub(r"%25(?=[^\]])", "%", text, count=1)
    text = text.removesuffix("/")
    if "@" in text:
        raise vol.Invalid("a user name does not belong here: each client logs in by itself")
    if found := re.search(r"[/?#\\]", text):
        raise vol.Invalid(f"only the gateway's address belongs here, nothing after it ({echo(found[0])})")
    host, port = _split_port(text)
    host, _, zone = host.partition("%")
    if "%" in text and not _ZONE.fullmatch(zone):
        raise vol.Invalid("after % comes the name of the network interface, such as %eth0")
    host = read_host(host)
    if zone and ":" not in host:
        raise vol.Invalid("only an IPv6 address has a zone (%)")
    return Target(host, port, zone or None, typed)


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _split_port(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or not (rest == "" or rest.startswith(":")):
            raise vol.Invalid(f"{echo(text)} has brackets that are not around an IPv6 address")
        port = rest.removeprefix(":") if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if port is None:
        return host, HTTPS_PORT
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= HIGHEST_PORT:
        raise vol.Invalid(f"{echo(port)} is not a port from 1 to {HIGHEST_PORT}")
    return host, int(port)
