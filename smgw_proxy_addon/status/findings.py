"""What a step of the network diagnosis showed: each outcome has a code, whose words are in ``locales``.

Pure: addresses, errors and answers are arguments. Decides nothing about a certificate. Facts hold no secret: the
target, addresses, names of interfaces, why a handshake failed.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smgw_proxy_addon.config.schema import APP_NETWORK
from smgw_proxy_addon.config.target import HTTPS_PORT, Address, Target, with_port
from smgw_proxy_addon.errors import (
    BadAnswerError,
    BusyError,
    CertificateChangedError,
    CertificateNotAllowedError,
    ConnectionLostError,
    ConnectTimeoutError,
    GatewayWantsCertificateError,
    HandshakeError,
    NameUnknownError,
    PinNotWrittenError,
    PinUnreadableError,
    ProxyError,
    ReadTimeoutError,
    RefusedError,
    TargetIsProxyError,
    TruncatedAnswerError,
    UnreachableError,
)
from smgw_proxy_addon.http.headers import values
from smgw_proxy_addon.server.interfaces import Interface

Interfaces = Sequence[Interface]

SMGW_LOCAL: Final = "smgw.local"
"""The name of every gateway in its own network (TR-03109-1)."""
WANTS_SMGW_LOCAL: Final = "http_smgw_local"
"""The code of a gateway that takes requests for this name only."""

LINK_LOCAL_PREFIX: Final = 16
"""Of 169.254.0.0/16 (RFC 3927)."""
_IPV4: Final = 4
_IPV6: Final = 6
_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 64
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CLIENT_ERRORS: Final = 400
_SERVER_ERRORS: Final = 500


class Step(StrEnum):
    """The steps, in the order in which they are taken and shown."""

    NAME = "name"
    ADDRESS = "address"
    TCP = "tcp"
    TLS = "tls"
    CERTIFICATE = "certificate"
    HTTP = "http"


@dataclass(frozen=True)
class Finding:
    """The result of a step: ``ok`` is None for a warning and for a step that was not tried."""

    step: Step
    ok: bool | None
    code: str
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Destination:
    """The gateway that is examined, and what the verdicts have to know of this computer.

    ``host_header`` is the Host header that is sent. ``in_app``: this runs as a Home Assistant app, whose interfaces
    are not those of the host. ``brainpool``: the gateway is offered one of these curves. ``client_certificate``: it
    is shown one. ``resolved`` is the address of the target's name, None as long as it has none.
    """

    target: Target
    host_header: str = ""
    in_app: bool = False
    brainpool: bool = True
    client_certificate: bool = False
    resolved: Address | None = None

    @property
    def address(self) -> Address | None:
        """The address of the gateway, or of its relay, if it is known."""
        return self.target.endpoint.address or self.resolved

    @property
    def hidden_by_apps(self) -> bool:
        """Whether the gateway's address is one of the network of apps, so that no app reaches it."""
        relayed = self.target.relay is not None
        return self.in_app and not relayed and self.address is not None and self.address in APP_NETWORK

    @property
    def facts(self) -> dict[str, str]:
        """The facts that every text may use."""
        target, endpoint = self.target, self.target.endpoint
        at = with_port(str(self.address or endpoint.host), endpoint.port)
        return {"host": endpoint.host, "at": at, "port": str(endpoint.port), "target": target.name}


def judge_address(destination: Destination, interfaces: Interfaces | None, *, reached: bool | None) -> Finding:
    """Say whether this computer has an address in the gateway's network.

    ``reached`` is the result of TCP, None without one. Behind a router with NAT no own address is needed, so without
    an own address the step fails only if TCP failed.
    """
    address = destination.address
    if destination.target.relay or (destination.hidden_by_apps and not reached):
        return _judge_apps(destination, reached=reached)
    if address is None or (interfaces is None and not reached):
        return Finding(Step.ADDRESS, None, "address_not_known", destination.facts)
    if interfaces is None:
        return Finding(Step.ADDRESS, True, "address_reached", destination.facts)
    if address.version == _IPV6 and address.is_link_local:
        return _judge_zone(destination, interfaces, reached=reached)
    if not address.is_loopback and any(at.ip == address for each in interfaces for at in each.addresses):
        return Finding(Step.ADDRESS, False, "address_is_own", {**destination.facts, "address": str(address)})
    return _covered(destination, address, interfaces, reached=reached) or _uncovered(
        destination, address, interfaces, reached=reached
    )


def judge_failure(
    error: ProxyError, destination: Destination, done: Mapping[Step, float], *, own_address: bool
) -> Finding:
    """Name the step that failed, and why.

    ``done`` are the finished steps of a new connection; ``own_address`` is whether this computer has an address in
    the gateway's network.
    """
    facts = {**error.facts, **destination.facts}
    facts["reason"] = _spell(error.detail or error.code)
    if isinstance(error, NameUnknownError | TargetIsProxyError):
        facts["target"] = facts["host"]  # perhaps a relay's
    failed = next(((step, code) for kind, step, code in _FAILURES if isinstance(error, kind)), None)
    if failed is None:
        match error:
            case ConnectTimeoutError():
                failed = (Step.TLS, "tls_silent") if Step.TCP in done else (Step.TCP, "tcp_timeout")
            case RefusedError():
                failed = Step.TCP, "tcp_refused" if destination.target.port == HTTPS_PORT else "tcp_refused_port"
            case UnreachableError():
                failed = Step.TCP, "tcp_nobody" if own_address else "tcp_no_route"
            case HandshakeError():
                code = _tls_code(error.detail)
                failed = Step.TLS, "tls_curve" if not destination.brainpool and code in _PERHAPS_A_CURVE else code
            case _:
                behind = (Step.TCP, Step.TLS)
                failed = next((each for each in behind if each not in done), Step.HTTP), "failed"
    step, code = failed
    if destination.hidden_by_apps and code in _NOBODY_THERE:
        code = "tcp_of_apps"
    if destination.target.relay:
        code = _RELAYED.get(code, code)
    return Finding(step, False, code, facts)


def judge_answer(
    status: int, headers: Sequence[tuple[bytes, bytes]], destination: Destination, *, subject: str
) -> Finding:
    """Tell by an answer to a request without login whether this is a Smart Meter Gateway.

    ``subject`` is the certificate's. A gateway asks for a login by Digest; before that, EMH refuses a Host header
    that is not its own name.
    """
    sent = {"sent_host": destination.host_header, "subject": subject or "-"}
    facts = {**destination.facts, **sent, "status": str(status)}
    challenges = [value.lower() for value in values(headers, b"www-authenticate")]
    if status == _UNAUTHORIZED:
        if any(challenge.startswith(b"digest") for challenge in challenges):
            return Finding(Step.HTTP, True, "http_ok", facts)
        return Finding(Step.HTTP, False, "http_other_login", facts)
    if status == _FORBIDDEN:
        return Finding(Step.HTTP, False, "http_forbidden", facts)
    if status < _CLIENT_ERRORS and destination.client_certificate:
        return Finding(Step.HTTP, True, "http_certificate", facts)
    if status >= _SERVER_ERRORS:
        return Finding(Step.HTTP, False, "http_error", facts)
    return Finding(Step.HTTP, False, "http_not_a_gateway", facts)


_FAILURES: Final[tuple[tuple[type[ProxyError], Step, str], ...]] = (
    (NameUnknownError, Step.NAME, "gateway_name_unknown"),
    (BusyError, Step.TCP, "tcp_busy"),
    (GatewayWantsCertificateError, Step.TLS, "tls_client_certificate"),
    (TargetIsProxyError, Step.CERTIFICATE, "target_is_proxy"),
    (CertificateChangedError, Step.CERTIFICATE, "certificate_changed"),
    (CertificateNotAllowedError, Step.CERTIFICATE, "certificate_not_allowed"),
    (PinUnreadableError, Step.CERTIFICATE, "pin_unreadable"),
    (PinNotWrittenError, Step.CERTIFICATE, "pin_not_written"),
    (ConnectionLostError, Step.HTTP, "http_closed"),
    (ReadTimeoutError, Step.HTTP, "http_silent"),
    (BadAnswerError, Step.HTTP, "gateway_bad_answer"),
    (TruncatedAnswerError, Step.HTTP, "gateway_answer_truncated"),
)

_NOBODY_THERE: Final = frozenset({"tcp_timeout", "tcp_no_route", "tcp_nobody"})

_RELAYED: Final = {
    **dict.fromkeys([*_NOBODY_THERE, "tcp_refused", "tcp_refused_port"], "tcp_no_relay"),
    **dict.fromkeys(["tls_closed", "tls_silent"], "tls_relay_silent"),
}
"""What a failure means where a relay takes the connections."""

NEEDS_NETWORK_APP: Final = frozenset(
    {"address_missing_app", "address_link_local_app", "tcp_no_relay", "tls_relay_silent"}
)
"""The codes of what SMGW Network takes care of."""

# Parts of the libraries' names; those of alerts follow RFC 5246 section 7.2, with varying words before them.
_TLS_CODES: Final = (
    ("ALERT_ILLEGAL_PARAMETER", "tls_illegal_parameter"),
    ("ALERT_HANDSHAKE_FAILURE", "tls_no_common"),
    ("ALERT_INSUFFICIENT_SECURITY", "tls_no_common"),
    ("WRONG_CURVE", "tls_curve"),
    ("UNKNOWN_GROUP", "tls_curve"),
    ("PROTOCOL_VERSION", "tls_version"),
    ("UNSUPPORTED_PROTOCOL", "tls_version"),
    ("WRONG_VERSION_NUMBER", "tls_plain"),
    ("HTTP_REQUEST", "tls_plain"),
    ("PACKET_LENGTH_TOO_LONG", "tls_plain"),
    ("RECORD_LAYER_FAILURE", "tls_plain"),
    ("CLOSED", "tls_closed"),
    ("UNEXPECTED_EOF", "tls_closed"),
    ("UNRECOGNIZED_NAME", "tls_name"),
    ("ALERT_INTERNAL_ERROR", "tls_internal_error"),
    ("ALERT_ACCESS_DENIED", "tls_access_denied"),
    ("ALERT", "tls_alert"),
)

_PERHAPS_A_CURVE: Final = frozenset({"tls_no_common", "tls_closed"})
"""How a device ends a handshake that offers none of its curves."""


def _tls_code(reason: str) -> str:
    reason = reason.upper()
    return next((code for part, code in _TLS_CODES if part in reason), "tls_failed")


def _spell(reason: str) -> str:
    return reason.replace("_", " ").lower() or "-"


def _covered(
    destination: Destination, address: Address, interfaces: Interfaces, *, reached: bool | None
) -> Finding | None:
    """Find the interface with an address in a network that holds the gateway's, the narrowest that is up."""
    covering = [
        (each, at)
        for each in interfaces
        for at in each.addresses
        if at.version == address.version and address in at.network and at.network.prefixlen
    ]
    if not covering:
        return None
    interface, at = max(covering, key=lambda found: (found[0].up, found[1].network.prefixlen))
    facts = {**destination.facts, "interface": interface.name, "own": str(at)}
    if interface.up or reached:
        return Finding(Step.ADDRESS, True, "address_ok", facts)
    return Finding(Step.ADDRESS, False, "address_down", facts)


def _uncovered(
    destination: Destination, address: Address, interfaces: Interfaces, *, reached: bool | None
) -> Finding:
    if reached:
        return Finding(Step.ADDRESS, True, "address_routed", {**destination.facts, "network": str(_network(address))})
    code = "address_missing_app" if destination.in_app else "address_missing"
    if address.version == _IPV6:
        code = "address_missing_ipv6"
    facts = {**destination.facts, **_what_to_add(address, interfaces)}
    return Finding(Step.ADDRESS, None if reached is None else False, code, facts)


def _judge_apps(destination: Destination, *, reached: bool | None) -> Finding:
    """Judge an address that no interface of this computer leads to: that of a relay, or of the network of apps."""
    if destination.target.relay:
        return Finding(Step.ADDRESS, True if reached else None, "address_relay", destination.facts)
    return Finding(Step.ADDRESS, None if reached is None else False, "address_of_apps", destination.facts)


def _judge_zone(destination: Destination, interfaces: Interfaces, *, reached: bool | None) -> Finding:
    facts = {**destination.facts, "interface": destination.target.zone or "-"}
    failed = None if reached is None else False
    if reached:
        return Finding(Step.ADDRESS, True, "address_reached", facts)
    if destination.in_app:
        return Finding(Step.ADDRESS, failed, "address_link_local_app", facts)
    if not destination.target.zone:
        return Finding(Step.ADDRESS, failed, "address_without_zone", facts)
    interface = next((each for each in interfaces if each.name == destination.target.zone), None)
    if interface is None:
        return Finding(Step.ADDRESS, failed, "address_no_zone", facts)
    own = next((at for at in interface.addresses if at.version == _IPV6 and at.ip.is_link_local), None)
    if not interface.up or own is None:
        return Finding(Step.ADDRESS, False, "address_down", {**facts, "own": str(own or "-")})
    return Finding(Step.ADDRESS, True, "address_ok", {**facts, "own": str(own)})


def _network(address: Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Guess the gateway's network: its size is not published."""
    prefix = _IPV6_PREFIX
    if address.version == _IPV4:
        prefix = LINK_LOCAL_PREFIX if address.is_link_local else _IPV4_PREFIX
    return ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _what_to_add(address: Address, interfaces: Interfaces) -> dict[str, str]:
    """Return the fields of the network dialog, and the command that fills them in."""
    network = _network(address)
    last = 13 if int(address) & 0xFF == 12 else 12  # noqa: PLR2004 - any one but the gateway's own
    # The gateway's own last group but one is kept: 169.254.0.0/16 is a large network, too.
    add = ipaddress.ip_address((int(address) & ~0xFF) | last)
    carrier = next((each for each in interfaces if each.primary), None) or next(
        (each for each in interfaces if each.up and each.addresses and not each.addresses[0].ip.is_loopback), None
    )
    name = carrier.name if carrier else "eth0"
    kept = [str(at) for at in carrier.addresses if at.version == _IPV4] if carrier else []
    command = ["ha network update", name, "--ipv4-method static"]
    command += [f"--ipv4-address {each}" for each in [*kept, f"{add}/{network.prefixlen}"]]
    if carrier and carrier.gateway:
        command.append(f"--ipv4-gateway {carrier.gateway}")
    command += [f"--ipv4-nameserver {each}" for each in (carrier.nameservers if carrier else ())]
    return {
        "network": str(network),
        "interface": name,
        "add": str(add),
        "prefix": str(network.prefixlen),
        "netmask": str(network.netmask),
        "gateway": str(address),
        "kept": ", ".join(kept) or "-",
        "router": (carrier and carrier.gateway) or "-",
        "nameservers": ", ".join(carrier.nameservers if carrier else ()) or "-",
        "command": " ".join(command),
    }
