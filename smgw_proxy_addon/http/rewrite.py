"""The changes to headers between client and gateway, and the request's framing.

Headers that are not named here pass byte for byte, in their case and order: gateways and their clients depend on
unusual ones (repeated headers, ``X-Content-Length``, a doubled cookie). For the gateway only a missing ``Host`` is
added.

The framing of the next hop (``Transfer-Encoding``, ``Connection``) is written by the connection that sends.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from smgw_proxy_addon.errors import BadRequestError
from smgw_proxy_addon.http.headers import Fields, Headers, tokens

_HOP_BY_HOP: Final = frozenset(
    {
        # RFC 9110 section 7.6.1
        *(b"connection", b"proxy-connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade"),
        b"http2-settings",  # belongs to an Upgrade (RFC 7540 section 3.2.1)
        b"trailer",  # announces trailers of the chunked coding, which ends here
        # for the next proxy only (RFC 9110 section 11.7); this one asks for no login
        *(b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization"),
    }
)

_END_TO_END: Final = frozenset(
    {
        *(b"host", b"content-length", b"content-type", b"content-encoding", b"content-range", b"range"),
        *(b"authorization", b"authentication-info", b"www-authenticate", b"cookie", b"set-cookie"),
        *(b"location", b"cache-control", b"expires", b"pragma", b"vary", b"etag", b"date"),
    }
)
"""Stay even if ``Connection`` names them.

A sender must not name a field that is meant for all recipients (RFC 9110 section 7.6.1). Otherwise it could strip
the framing, the login or the protection of an answer.
"""

_OPTIONS: Final = frozenset({b"keep-alive", b"close"})
"""Values of ``Connection`` that name no header which is not dropped anyway."""

_NEVER_TO_THE_CLIENT: Final = frozenset(
    {
        # The browser would use HTTPS for all ports of the proxy's name.
        b"strict-transport-security",
        b"alt-svc",  # names another port of the gateway, which the proxy does not have
    }
)

_LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length: less than 2^63, so that no implementation behind this one overflows."""

_URL: Final = re.compile(rb"(?:https?:)?//(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\]@]*\]|[^:@\[\]]+)(?::(?P<port>\d{0,5}))?")
_DEFAULT_PORTS: Final = frozenset({80, 443})
_OWN_DOMAINS: Final = (".smgw", ".local")
"""What follows the id of a gateway: in its certificate (TR-03109-1), and in its own network over mDNS."""


@dataclass(slots=True)
class Framing:
    """How a request's body is delimited: by ``length`` in bytes, ``chunked``, or not at all: there is none."""

    length: int | None = None
    chunked: bool = False

    @property
    def has_body(self) -> bool:
        """Whether at least one byte, or a chunk, follows the head."""
        return self.chunked or bool(self.length)


class GatewayNames(NamedTuple):
    """The gateway's names in a ``Location``: hosts in lower case (IPv6 compressed, without brackets)."""

    hosts: frozenset[str]
    ports: frozenset[int] = _DEFAULT_PORTS

    @classmethod
    def of(cls, host: str, port: int, *host_headers: str) -> Self:
        """Return the names of the gateway at ``host`` (IPv6 without brackets) and ``port``, and of ``Host`` headers.

        The default ports count as well: behind a router that maps ports, the gateway names its own port.
        """
        parts = [part for part in map(_split_authority, host_headers) if part]
        return cls(
            frozenset({_canonical_host(host), *(name for name, _ in parts)}),
            _DEFAULT_PORTS | {port} | {each for _, each in parts if each is not None},
        )

    def with_certificate(self, names: Iterable[str]) -> Self:
        """Return these names and those of the gateway's certificate, each with and without ``.SMGW`` and ``.local``.

        ``smgw.local`` is every gateway's name (TR-03109-1).
        """
        hosts = {"smgw.local"}
        for name in map(_canonical_host, names):
            bare = next((name.removesuffix(end) for end in _OWN_DOMAINS if name.endswith(end)), name)
            hosts |= {name, bare, *(bare + end for end in _OWN_DOMAINS)}
        return self._replace(hosts=self.hosts | hosts - {""})

    def include(self, authority: str) -> bool:
        """Tell whether ``host[:port]`` is the gateway; one with a user name is not."""
        parts = _split_authority(authority)
        return parts is not None and parts[0] in self.hosts and (parts[1] is None or parts[1] in self.ports)


def origin_form(target: bytes) -> bytes:
    """Return the request target for the gateway: path and query byte for byte, because Digest signs them.

    The absolute form, which every server must accept (RFC 9112 section 3.2.2), loses scheme and authority.
    ``*`` passes. Raises BadRequestError for anything else, such as the authority form of CONNECT.
    """
    if target.startswith(b"/") or target == b"*":
        return target
    match = _URL.fullmatch(target)
    if match is None or not match["authority"]:
        raise BadRequestError("a request target that is neither a path nor a URL")
    return _path_only(match["rest"])


def request_framing(fields: Fields, *, http_11: bool = True) -> Framing:
    """Tell how the request's body is delimited (RFC 9112 section 6.3).

    Raises BadRequestError where two parsers could disagree (request smuggling): both Transfer-Encoding and
    Content-Length, either of them twice, another coding than chunked, any coding before HTTP/1.1, or no number.
    """
    lengths, codings = fields.get(b"content-length", ()), fields.get(b"transfer-encoding", ())
    if len(lengths) + len(codings) > 1:
        raise BadRequestError("more than one framing")
    if codings:
        if codings[0].lower() != b"chunked" or not http_11:
            raise BadRequestError("a transfer coding other than chunked")
        return Framing(chunked=True)
    if lengths:
        if not lengths[0].isdigit() or len(lengths[0]) > _LONGEST_LENGTH:
            raise BadRequestError("a Content-Length that is no length")
        return Framing(length=int(lengths[0]))
    return Framing()


def request_headers(headers: Iterable[tuple[bytes, bytes]], *, host: bytes) -> Headers:
    """Return the request's headers for the gateway, with ``host`` in the place of the client's ``Host``.

    ``Expect`` goes too: the proxy has answered it. Where there is no ``Host`` it comes first
    (RFC 9110 section 7.2).
    """
    rewritten: Headers = []
    named = False
    for lower, name, value in _without_hop_by_hop(headers):
        if lower != b"host":
            if lower != b"expect":
                rewritten.append((name, value))
        elif not named:
            rewritten.append((name, host))
            named = True
    return rewritten if named else [(b"Host", host), *rewritten]


def response_headers(headers: Iterable[tuple[bytes, bytes]], *, gateway: GatewayNames, plain: bool) -> Headers:
    """Return the answer's headers for a client of the plain HTTP listener (``plain``) or of the HTTPS one.

    Cookies lose their ``Domain``, and on the plain listener ``Secure``; a ``Location`` that names the gateway
    becomes a path.
    """
    rewritten: Headers = []
    for lower, name, value in _without_hop_by_hop(headers):
        if lower == b"set-cookie":
            rewritten.append((name, _cookie(value, plain=plain)))
        elif lower == b"location":
            rewritten.append((name, _location(value, gateway)))
        elif lower not in _NEVER_TO_THE_CLIENT:
            rewritten.append((name, value))
    return rewritten


def shared_headers(headers: Headers, *, cache_status: bytes, age: int | None) -> Headers:
    """Return the headers of an answer that may be shared, with ``Cache-Status`` (RFC 9211) after earlier ones.

    ``age`` in seconds, of an answer from the cache, replaces any other ``Age`` (RFC 9111 section 5.1).
    """
    if age is not None:
        headers = [*(each for each in headers if each[0].lower() != b"age"), (b"Age", b"%d" % age)]
    return [*headers, (b"Cache-Status", cache_status)]


def _without_hop_by_hop(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    """Return the end-to-end headers, before each its name in lower case."""
    lowered = [(name.lower(), name, value) for name, value in headers]
    dropped = _HOP_BY_HOP
    for lower, _, value in lowered:
        if lower == b"connection" and value.lower() not in _OPTIONS:
            dropped |= tokens([value]) - _END_TO_END
        elif lower == b"transfer-encoding":
            # It overrides Content-Length, which must not be passed on then (RFC 9112 section 6.3).
            dropped |= {b"content-length"}
    return [each for each in lowered if each[0] not in dropped]


def _cookie(value: bytes, *, plain: bool) -> bytes:
    """Take attributes out of a ``Set-Cookie`` value; all that stays keeps its bytes.

    Split as browsers do (RFC 6265 section 5.2): at every semicolon, quotes mean nothing. Names with the prefix
    ``__Secure-`` or ``__Host-`` stay, although browsers refuse them over plain HTTP: other clients return them, and
    the gateway expects its own name.
    """
    pair, *attributes = value.split(b";")
    return b";".join([pair, *(each for each in attributes if not _is_dropped(each, plain=plain))])


def _is_dropped(attribute: bytes, *, plain: bool) -> bool:
    name, _, value = (part.strip(b" \t").lower() for part in attribute.partition(b"="))
    if name == b"domain":
        return True
    # SameSite=None and Partitioned are valid only beside Secure: without it browsers drop the whole cookie.
    return plain and (name in {b"secure", b"partitioned"} or (name, value) == (b"samesite", b"none"))


def _location(value: bytes, gateway: GatewayNames) -> bytes:
    match = _URL.fullmatch(value)
    if match is None or not gateway.include(match["authority"].decode("latin-1")):
        return value
    path = _path_only(match["rest"])
    # "//x" alone would name a host; "/.//x" is the same path (RFC 3986 section 4.2 and 5.2.4)
    return b"/." + path if path.startswith(b"//") else path


def _path_only(rest: bytes) -> bytes:
    """Complete what follows the authority of a URL: an empty path is ``/`` (RFC 9110 section 4.2.3)."""
    return rest if rest.startswith(b"/") else b"/" + rest


def _split_authority(authority: str) -> tuple[str, int | None] | None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return None
    return _canonical_host(match["host"]), int(match["port"]) if match["port"] else None


def _canonical_host(host: str) -> str:
    """Return one spelling per host: lower case, no final dot; IPv6 compressed, without brackets and zone."""
    if host.startswith("["):
        host = host[1:-1].partition("%")[0]
    host = host.removesuffix(".").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
