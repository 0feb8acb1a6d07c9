"""Who may come in: from which networks, under which names, and not on behalf of a foreign web page.

The threats: the Internet (a forwarded port, a public IPv6 address), DNS rebinding (a web page whose name is
pointed at the proxy's address, so that the browser takes the proxy for the page's own server), and cross-site
requests (a browser adds Digest credentials that it has, whichever page asks).

Pure, and a gate only: nothing is changed here, and no error repeats what a stranger sent unchecked.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from smgw_proxy_addon.config.target import HIGHEST_PORT, Address, Network
from smgw_proxy_addon.errors import (
    BadRequestError,
    ForeignNetworkError,
    ForeignOriginError,
    MethodNotAllowedError,
    MisdirectedRequestError,
)
from smgw_proxy_addon.http.headers import Fields

LOOPBACK: Final[tuple[Network, ...]] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

_LOCAL_NETWORKS: Final = (
    *LOOPBACK,
    *map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
            *("169.254.0.0/16", "fe80::/10"),  # link-local
            "fc00::/7",  # unique local (RFC 4193)
            "100.64.0.0/10",  # shared address space (RFC 6598): Tailscale and other VPNs use it
        ),
    ),
)
_WIDEST: Final = {4: 16, 6: 48}
"""The shortest prefix of an own interface that can be somebody's own network; some tunnels have /0."""

_REMEMBERED: Final = 1024
"""Pairs of addresses whose answer is kept: the same clients ask again and again."""

_LINK_PREFIX: Final = 64
"""Bits of an IPv6 address: what is equal in them is on the same link (RFC 4291 section 2.5.4)."""

_LOCAL_DOMAINS: Final = (
    *("localhost", "test", "local", "home.arpa", "internal"),  # reserved (RFC 6761, 6762, 8375; ICANN 2024)
    *("lan", "home", "intranet", "intern", "localdomain"),  # in common use and not delegated to anybody
    # The own names of routers in Germany, which answer them themselves: AVM, Telekom, O2, Vodafone. Never all of
    # ".box": since 2024 anybody can buy a name in it.
    *("fritz.box", "fritz.repeater", "speedport.ip", "o2.box", "easy.box", "kabel.box", "vodafone.box"),
    "ts.net",  # Tailscale's names, whose addresses nobody else can set
)
"""Domains below which no stranger can have a name that leads to an address of his choice."""
_LOCAL_SUFFIXES: Final = tuple(f".{domain}" for domain in _LOCAL_DOMAINS)

_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)(?:%[\w.~%-]+)?\]|(?P<name>[0-9A-Za-z_][\w.-]*))(?::(?P<port>\d{1,5}))?",
    re.ASCII,
)
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/]+)")
_DEFAULT_PORTS: Final = frozenset({80, 443})

_LONGEST_AUTHORITY: Final = 300
"""Characters: a name has 253 at most (RFC 1035 section 2.3.4)."""
_KEPT: Final = 256
"""Texts whose meaning is kept: clients say the same again and again."""

_NEVER: Final = frozenset({"CONNECT", "TRACE"})
"""This is no proxy for other hosts, and nobody is shown what a browser adds to a request (RFC 9110 section 9.3.8)."""
_READING: Final = frozenset({"GET", "HEAD"})


class _Authority(NamedTuple):
    """A host in lower case without its final dot, IPv6 compressed; ``port`` is none for 80 and 443."""

    host: str
    port: int | None


class Access:
    """The gate.

    ``allowed_hosts`` are further names of the proxy in lower case, ``*`` stands for any. Pages under these names may
    also ask across origins; ``*`` does not open that to all the Internet. ``allow`` are the networks that may come in
    besides loopback; without it, those of a home and of the own interfaces (``learn``). Without ``check_origin``
    every web page may make a browser ask.
    """

    def __init__(
        self,
        allowed_hosts: frozenset[str] = frozenset(),
        *,
        allow: Iterable[Network] = (),
        check_origin: bool = True,
    ) -> None:
        self.allowed_hosts = allowed_hosts
        self._allow = tuple(allow)
        self._checks_origin = check_origin
        self._interfaces: tuple[Network, ...] = ()
        self._admits = lru_cache(_REMEMBERED)(self._is_own)

    @property
    def learns(self) -> bool:
        """Whether the prefixes of the own interfaces count."""
        return not self._allow

    def learn(self, networks: Iterable[Network]) -> bool:
        """Let the networks of the computer's own interfaces in, those learnt before no longer; tell of a change."""
        own = {each for each in networks if each.prefixlen >= _WIDEST[each.version]}
        if own == set(self._interfaces):
            return False
        self._interfaces = tuple(own)
        self._admits.cache_clear()
        return True

    def check(self, *, peer: str, local: str, method: str, fields: Fields, http_11: bool) -> None:
        """Return if the request may come in.

        ``peer`` and ``local`` are the addresses of the connection's ends, IPv6 with or without zone; ``fields`` are
        the headers' values by name; ``http_11`` is false for HTTP/1.0, which knows no ``Host``.

        Raises ForeignNetworkError, MethodNotAllowedError, BadRequestError, MisdirectedRequestError or
        ForeignOriginError.
        """
        if not self._admits(peer, local):
            raise ForeignNetworkError(peer=peer.partition("%")[0])
        if method in _NEVER:
            raise MethodNotAllowedError
        host = _host(_texts(fields, b"host"), required=http_11)
        if host is not None:
            self._check_name(host.host)
        if self._checks_origin and (b"origin" in fields or b"sec-fetch-site" in fields):
            self._check_origin(method, host, fields)

    def _is_own(self, peer: str, local: str) -> bool:
        address, own = _address(peer), _address(local)
        networks = [*LOOPBACK, *self._allow] if self._allow else [*_LOCAL_NETWORKS, *self._interfaces]
        if isinstance(own, ipaddress.IPv6Address) and not self._allow:
            # Of IPv4 no length of a network can be presumed.
            networks.append(ipaddress.IPv6Network((int(own), _LINK_PREFIX), strict=False))
        return address is not None and any(address in network for network in networks)

    def _check_name(self, name: str) -> None:
        known = (
            _address(name) is not None  # an address cannot be rebound
            or "." not in name  # nor a name that public DNS cannot hold
            or name.endswith(_LOCAL_SUFFIXES)
            or name in _LOCAL_DOMAINS
            or not self.allowed_hosts.isdisjoint({name, "*"})
        )
        if not known:
            raise MisdirectedRequestError(host=name)

    def _check_origin(self, method: str, host: _Authority | None, fields: Fields) -> None:
        """Refuse what a foreign page made a browser send; programs that are no browsers send none of this."""
        site = _texts(fields, b"sec-fetch-site")
        origins = _texts(fields, b"origin")
        foreign = [each for each in origins if each != "null" and not self._is_own_page(each, host)]
        if foreign:
            raise ForeignOriginError("Origin")
        if "null" in origins and method not in _READING:
            raise ForeignOriginError("Origin: null")
        if "cross-site" in site and (not origins or "null" in origins):
            # A link to the proxy is fine, a frame or a picture of it is not.
            navigates = _texts(fields, b"sec-fetch-mode") == ["navigate"]
            in_window = _texts(fields, b"sec-fetch-dest") in ([], ["document"])
            if method not in _READING or not navigates or not in_window:
                raise ForeignOriginError("Sec-Fetch-Site")

    def _is_own_page(self, origin: str, host: _Authority | None) -> bool:
        """Tell whether an Origin is the proxy itself (behind whatever ends TLS for it) or an allowed name."""
        match = _ORIGIN.fullmatch(origin)
        authority = _authority(match["authority"]) if match else None
        return authority is not None and (authority == host or authority.host in self.allowed_hosts)


def _host(values: list[str], *, required: bool) -> _Authority | None:
    """Read the one valid ``Host`` (RFC 9112 section 3.2); raises BadRequestError."""
    if not values and not required:
        return None
    authority = _authority(values[0]) if len(values) == 1 else None
    if authority is None:
        raise BadRequestError("Host is missing, doubled or malformed")
    return authority


def _authority(text: str) -> _Authority | None:
    return _read_authority(text) if len(text) <= _LONGEST_AUTHORITY else None


@lru_cache(_KEPT)
def _read_authority(text: str) -> _Authority | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None or int(match["port"] or 0) > HIGHEST_PORT:
        return None
    port = int(match["port"]) if match["port"] else None
    if match["ipv6"] is None:
        host = match["name"].removesuffix(".").lower()
    else:
        address = _address(match["ipv6"])
        if address is None or ":" not in match["ipv6"]:
            return None
        host = str(address)
    return _Authority(host, None if port in _DEFAULT_PORTS else port)


@lru_cache(_KEPT)
def _address(text: str) -> Address | None:
    """Read an address; an IPv4 one that came in over an IPv6 socket is what it is behind ``::ffff:``."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _texts(fields: Fields, name: bytes) -> list[str]:
    return [value.decode("latin-1") for value in fields.get(name, ())]
