"""What a step of the network diagnosis means: each outcome gets one code, which ``diagnosis_texts`` puts into words.

Pure: addresses, errors and answers come in as arguments. It never decides about a certificate, and its facts never
hold a secret: a target, addresses, names of interfaces, what a handshake failed of.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smgw_proxy_addon.config.target import HTTPS_PORT, Address, with_port
from smgw_proxy_addon.errors import (
    BadAnswerError,
    BusyError,
    CertificateChangedError,
    CertificateNotAllowedError,
    ConnectionLostError,
    ConnectTimeoutError,
    HandshakeError,
    NameUnknownError,
    PinNotWrittenError,
    PinUnreadableError,
    ProxyError,
    ReadTimeoutError,
    RefusedError,
    TruncatedAnswerError,
    UnreachableError,
)
from smgw_proxy_addon.server.interfaces import Interface

LINK_LOCAL_PREFIX: Final = 16
"""Of 169.254.0.0/16 (RFC 3927)."""
_IPV4: Final = 4
_IPV6: Final = 6
_IPV4_PREFIX: Final = 24
_IPV6_PREFIX: Final = 64
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_SERVER_ERRORS: Final = 500


class Step(StrEnum):
    """The steps, in the order in which they are taken and told."""

    NAME = "name"
    ADDRESS = "address"
    TCP = "tcp"
    TLS = "tls"
    CERTIFICATE = "certificate"
    HTTP = "http"


@dataclass(frozen=True)
class Finding:
    """What a step showed: ``ok`` is None for a warning and for what was not tried; ``seconds`` what it took."""

    step: Step
    ok: bool | None
    code: str
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Place:
    """Where the gateway is asked: its address, or None while its name has none, and what the user entered."""

    address: Address | None
    host: str
    port: int
    zone: str | None = None
    in_app: bool = False
    """Whether this runs as a Home Assistant app, whose interfaces are not those of the host."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts that every text may use."""
        at = str(self.address or self.host)
        return {
            "host": self.host,
            "at": with_port(at, self.port),
            "port": str(self.port),
        }


def judge_address(place: Place, interfaces: Sequence[Interface] | None, *, reached: bool | None) -> Finding:
    """Say whether this computer has an address in the gateway's network; ``reached`` is what TCP showed since.

    A router with NAT in between makes an own address needless, so its lack is a failure only with TCP's.
    """
    address = place.address
    if address is None or (interfaces is None and not reached):
        return Finding(Step.ADDRESS, None, "address_not_known", place.facts)
    if interfaces is None:
        return Finding(Step.ADDRESS, True, "address_reached", place.facts)
    if address.version == _IPV6 and address.is_link_local:
        return _judge_zone(place, interfaces, reached=reached)
    if not address.is_loopback and any(at.ip == address for each in interfaces for at in each.addresses):
        return Finding(Step.ADDRESS, False, "address_is_own", {**place.facts, "address": str(address)})
    return _covered(place, address, interfaces, reached=reached) or _uncovered(
        place, address, interfaces, reached=reached
    )


def judge_failure(
    error: ProxyError, place: Place, done: Mapping[Step, float], *, own_address: bool, brainpool: bool = True
) -> Finding:
    """Name the step that failed, and what it failed of.

    ``done`` are the steps that a new connection has behind it, ``own_address`` is whether this computer has an
    address in the gateway's network, ``brainpool`` whether a gateway was offered one of these curves.
    """
    facts = {**place.facts, **error.facts}
    facts["reason"] = _words(error.detail or error.code)
    known = next(((step, code) for kind, step, code in _FAILURES if isinstance(error, kind)), None)
    if known is None:
        match error:
            case ConnectTimeoutError():
                known = (Step.TLS, "tls_silent") if Step.TCP in done else (Step.TCP, "tcp_timeout")
            case RefusedError():
                known = Step.TCP, "tcp_refused" if place.port == HTTPS_PORT else "tcp_refused_port"
            case UnreachableError():
                known = Step.TCP, "tcp_nobody" if own_address else "tcp_no_route"
            case HandshakeError():
                code = _tls_code(error.detail)
                known = Step.TLS, "tls_curve" if not brainpool and code in _PERHAPS_A_CURVE else code
            case _:
                behind = (Step.TCP, Step.TLS)
                known = next((each for each in behind if each not in done), Step.HTTP), "failed"
    step, code = known
    return Finding(step, False, code, facts)


def judge_answer(
    status: int, headers: Sequence[tuple[bytes, bytes]], place: Place, *, host: str, subject: str
) -> Finding:
    """Tell by an answer to a request without login whether this is a Smart Meter Gateway.

    ``host`` is the Host header that was sent, ``subject`` the certificate's. A gateway asks for a login by Digest;
    EMH refuses a Host header that is not its own name before that.
    """
    facts = {**place.facts, "status": str(status), "sent_host": host, "subject": subject or "-"}
    challenges = [value.lower().lstrip() for name, value in headers if name.lower() == b"www-authenticate"]
    if status == _UNAUTHORIZED:
        if any(challenge.startswith(b"digest") for challenge in challenges):
            return Finding(Step.HTTP, True, "http_ok", facts)
        return Finding(Step.HTTP, False, "http_other_login", facts)
    if status == _FORBIDDEN:
        return Finding(Step.HTTP, False, "http_forbidden", facts)
    if status >= _SERVER_ERRORS:
        return Finding(Step.HTTP, False, "http_error", facts)
    return Finding(Step.HTTP, False, "http_not_a_gateway", facts)


_FAILURES: Final[tuple[tuple[type[ProxyError], Step, str], ...]] = (
    (NameUnknownError, Step.NAME, "name_unknown"),
    (BusyError, Step.TCP, "tcp_busy"),
    (CertificateChangedError, Step.CERTIFICATE, "certificate_changed"),
    (CertificateNotAllowedError, Step.CERTIFICATE, "certificate_not_allowed"),
    (PinUnreadableError, Step.CERTIFICATE, "pin_unreadable"),
    (PinNotWrittenError, Step.CERTIFICATE, "pin_not_written"),
    (ConnectionLostError, Step.HTTP, "http_closed"),
    (ReadTimeoutError, Step.HTTP, "http_silent"),
    (BadAnswerError, Step.HTTP, "http_not_http"),
    (TruncatedAnswerError, Step.HTTP, "http_truncated"),
)

# Parts of OpenSSL's names; those of alerts follow RFC 5246 section 7.2, with varying words before them.
_TLS_CODES: Final = (
    ("ALERT_ILLEGAL_PARAMETER", "tls_illegal_parameter"),
    ("ALERT_HANDSHAKE_FAILURE", "tls_no_common"),
    ("ALERT_INSUFFICIENT_SECURITY", "tls_no_common"),
    ("WRONG_CURVE", "tls_curve"),
    ("UNKNOWN_GROUP", "tls_curve"),
    ("ALERT_PROTOCOL_VERSION", "tls_version"),
    ("UNSUPPORTED_PROTOCOL", "tls_version"),
    ("WRONG_VERSION_NUMBER", "tls_plain"),
    ("HTTP_REQUEST", "tls_plain"),
    ("PACKET_LENGTH_TOO_LONG", "tls_plain"),
    ("RECORD_LAYER_FAILURE", "tls_plain"),
    ("CLOSED", "tls_closed"),
    ("UNEXPECTED_EOF", "tls_closed"),
    ("CERTIFICATE_REQUIRED", "tls_client_certificate"),
    ("UNRECOGNIZED_NAME", "tls_name"),
    ("ALERT_INTERNAL_ERROR", "tls_internal_error"),
    ("ALERT_ACCESS_DENIED", "tls_access_denied"),
    ("ALERT", "tls_alert"),
)


_PERHAPS_A_CURVE: Final = frozenset({"tls_no_common", "tls_closed"})
"""How a device ends a handshake that offers no curve of its own."""


def _tls_code(reason: str) -> str:
    reason = reason.upper()
    return next((code for part, code in _TLS_CODES if part in reason), "tls_failed")


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower() or "-"


def _covered(
    place: Place, address: Address, interfaces: Sequence[Interface], *, reached: bool | None
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
    facts = {**place.facts, "interface": interface.name, "own": str(at)}
    if interface.up or reached:
        return Finding(Step.ADDRESS, True, "address_ok", facts)
    return Finding(Step.ADDRESS, False, "address_down", facts)


def _uncovered(place: Place, address: Address, interfaces: Sequence[Interface], *, reached: bool | None) -> Finding:
    if reached:
        return Finding(Step.ADDRESS, True, "address_routed", {**place.facts, "network": str(_network(address))})
    code = "address_missing_app" if place.in_app else "address_missing"
    if address.version == _IPV6:
        code = "address_missing_ipv6"
    facts = {**place.facts, **_what_to_add(address, interfaces)}
    return Finding(Step.ADDRESS, None if reached is None else False, code, facts)


def _judge_zone(place: Place, interfaces: Sequence[Interface], *, reached: bool | None) -> Finding:
    facts = {**place.facts, "interface": place.zone or "-"}
    failed = None if reached is None else False
    if reached:
        return Finding(Step.ADDRESS, True, "address_reached", facts)
    if place.in_app:
        return Finding(Step.ADDRESS, failed, "address_link_local_app", facts)
    if not place.zone:
        return Finding(Step.ADDRESS, failed, "address_without_zone", facts)
    interface = next((each for each in interfaces if each.name == place.zone), None)
    if interface is None:
        return Finding(Step.ADDRESS, failed, "address_no_zone", facts)
    own = next((at for at in interface.addresses if at.version == _IPV6 and at.ip.is_link_local), None)
    if not interface.up or own is None:
        return Finding(Step.ADDRESS, False, "address_down", {**facts, "own": str(own or "-")})
    return Finding(Step.ADDRESS, True, "address_ok", {**facts, "own": str(own)})


def _network(address: Address) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Guess the gateway's network: nobody is told its size."""
    prefix = _IPV6_PREFIX
    if address.version == _IPV4:
        prefix = LINK_LOCAL_PREFIX if address.is_link_local else _IPV4_PREFIX
    return ipaddress.ip_network(f"{address}/{prefix}", strict=False)


def _what_to_add(address: Address, interfaces: Sequence[Interface]) -> dict[str, str]:
    """Give the fields of the network dialog, and the command that fills them in."""
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
