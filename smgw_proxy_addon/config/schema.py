"""The table of the options: type, range and default of each, for the app and for the command line.

Every reader raises ``vol.Invalid``. Pure: paths are not opened.
"""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import voluptuous as vol

from smgw_proxy_addon.config.accounts import read_accounts
from smgw_proxy_addon.config.target import (
    HIGHEST_PORT,
    Network,
    read_host,
    read_host_header,
    read_local_address,
    read_network,
    read_target,
)
from smgw_proxy_addon.config.validators import (
    below,
    echo,
    list_of,
    read_file_name,
    read_fingerprint,
    read_flag,
    read_path,
)

TARGET_ALLOWED: Final = "a name or an address such as 10.11.120.2, [fe80::1%eth0] or smgw.local:8443"
"""The allowed forms of a gateway's address, for a person."""

_LONGEST_RETENTION: Final = 365
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,12})?")


class Option(NamedTuple):
    """The definition of one option, for reading it and for comparing it with ``config.yaml``.

    ``kind`` is the app schema's word (``list`` is one of ``choices``, ``names`` a list of ``str``, ``accounts`` one
    of ``username`` and ``password``); ``low`` and ``high`` bound a number, both allowed; ``default`` is what a user
    would type, ``None`` for "not set".
    """

    name: str
    kind: Literal["str", "int", "float", "bool", "list", "names", "accounts"]
    allowed: str
    read: Callable[[object], object]
    default: object = None
    required: bool = False
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()


def _read_name(text: str) -> str:
    if "/" in text or text.count(":") == 1:
        raise vol.Invalid(f"{echo(text)} is more than a name: leave out http:// and the port")
    return text if text == "*" else read_host(text)


def _read_networks_of_app(value: object) -> tuple[Network, ...]:
    """Read networks, and add that of Home Assistant and its apps."""
    networks = list_of(read_network)(value)
    return (*networks, APP_NETWORK) if networks and APP_NETWORK not in networks else networks


def _text(name: str, read: Callable[[object], object], allowed: str, default: str | None = None) -> Option:
    return Option(name, "str", allowed, read, default)


def _accounts(allowed: str) -> Option:
    return Option("accounts", "accounts", allowed, read_accounts, default=())


def _choice(name: str, choices: tuple[str, ...], default: str) -> Option:
    allowed = f"one of {', '.join(choices)}"

    def read(value: object) -> str:
        if value not in choices:
            raise vol.Invalid(f"{echo(value)} is not known")
        return str(value)

    return Option(name, "list", allowed, read, default, choices=choices)


def _number(name: str, low: int, high: int, default: float | None, kind: Literal["int", "float"] = "int") -> Option:
    noun, pattern, types = ("whole number", _INTEGER, int) if kind == "int" else ("number", _NUMBER, int | float)

    def read(value: object) -> int | float:
        number = value
        if isinstance(value, str) and pattern.fullmatch(value.strip()):
            number = int(value) if kind == "int" else float(value)
        if isinstance(number, bool) or not isinstance(number, types):
            raise vol.Invalid(f"{echo(value)} is not a {noun}")
        if not low <= number <= high:
            size = "large" if number > high else "small"
            raise vol.Invalid(f"{echo(number)} is too {size}")
        return number

    return Option(name, kind, f"a {noun} from {low} to {high}", read, default, low=low, high=high)


_COMMON: Final = (
    _text("host_header", read_host_header, "a name or address, with a port if needed, such as smgw.local"),
    _text(
        "certificate_fingerprint",
        read_fingerprint,
        "64 hexadecimal digits (SHA-256), with or without colons",
    ),
    _choice("tls", ("auto", "openssl", "compatible"), "auto"),
    _choice("tls_max", ("1.2", "1.3"), "1.3"),
    _number("max_connections", 1, 8, 1),
    _number("read_timeout", 5, 600, 75),
    _number("cache_seconds", 0, 900, 0),
    _choice("log_level", ("debug", "info", "warning", "error"), "info"),
    _text("log_file", read_file_name, "a file name without folders, such as proxy.log", "proxy.log"),
    _number("log_rotation_hours", 1, 720, 24),
    _number("log_retention_days", 1, _LONGEST_RETENTION, 3),
    Option("log_bodies", "bool", "true or false", read_flag, default=False),
    Option("allowed_hosts", "names", 'a list of host names, or "*" for any', list_of(_read_name), default=()),
    Option("check_origin", "bool", "true or false", read_flag, default=True),
    Option("hold_back_logins", "bool", "true or false", read_flag, default=True),
    _number("max_body_mb", 1, 1024, 16),
    _choice("digest_algorithm", ("auto", "md5", "sha-256"), "auto"),
)
_NETWORKS: Final = "a list of networks or addresses such as 192.168.1.0/24, 2001:db8::/64 or 10.11.120.10"
APP_NETWORK: Final = ipaddress.ip_network("172.30.32.0/23")
"""The network of Home Assistant and its apps: an app reaches nothing else with such an address."""
DEFAULT_TARGET: Final = "10.11.120.2"

APP_OPTIONS: Final = (
    Option("target", "str", TARGET_ALLOWED, read_target, DEFAULT_TARGET, required=True),
    _text("certfile", below("/ssl"), "the name of a file in /ssl, such as fullchain.pem"),
    _text("keyfile", below("/ssl"), "the name of a file in /ssl, such as privkey.pem"),
    _text("client_certfile", below("/ssl"), "the name of a file in /ssl, such as gateway-login.pem"),
    _text("client_keyfile", below("/ssl"), "the name of a file in /ssl, such as gateway-login.key"),
    # Below /share only: the program takes ownership of its log folder, and /data is part of backups.
    _text("log_dir", below("/share"), "a folder inside /share", "/share/smgw-proxy"),
    *_COMMON,
    _accounts("a list of user names with their passwords"),
    Option("allow", "names", _NETWORKS, _read_networks_of_app, default=()),
    Option("gateway_page_for_all", "bool", "true or false", read_flag, default=False),
    Option("notifications", "bool", "true or false", read_flag, default=True),
    _number("notify_after_minutes", 1, 1440, 30),
)
"""What the app's Configuration tab has; each but ``target`` may be left out."""

COMMAND_LINE_OPTIONS: Final = (
    _text("target", read_target, TARGET_ALLOWED, DEFAULT_TARGET),
    _text("certfile", read_path, "the path of a certificate in PEM form"),
    _text("keyfile", read_path, "the path of an unencrypted key in PEM form"),
    _text("client_certfile", read_path, "the path of a certificate in PEM form"),
    _text("client_keyfile", read_path, "the path of an unencrypted key in PEM form"),
    _text("log_dir", read_path, "the path of a folder", "logs"),
    *_COMMON,
    _accounts('the path of a JSON file such as [{"username": "…", "password": "…"}]'),
    Option("allow", "names", _NETWORKS, list_of(read_network), default=()),
    _number("connect_timeout", 1, 60, 10, "float"),
    _number("port", 0, HIGHEST_PORT, 8080),
    _number("https_port", 0, HIGHEST_PORT, None),
    _number("status_port", 0, HIGHEST_PORT, None),
    Option("bind", "names", "IPv4 or IPv6 addresses of this computer", list_of(read_local_address), default=()),
    _text("cert_dir", read_path, "the path of a folder", "certs"),
)

APP_FIXED: Final[dict[str, Any]] = {
    "https_port": 443,
    "cert_dir": Path("/data/certs"),
    "status_port": 8099,
}
"""Values without an option in the app, besides the defaults of ``Options``: the container is the same everywhere."""

NO_SUBSTITUTE: Final = frozenset(
    {
        "target",  # another gateway
        "certificate_fingerprint",  # any first certificate would be trusted
        "certfile",  # clients would see another certificate than the user's
        "keyfile",
        "client_certfile",  # the gateway would see nobody, or somebody else
        "client_keyfile",
        "accounts",  # clients could come in without a password of the list
        "digest_algorithm",  # with "auto" the login may be weaker than the user's "sha-256"
        "allow",  # all private networks could come in
    }
)
"""The app's options whose wrong value stops the app: the default would protect less or contradict what the user said.

Each other option has a default that is safe: ``check_origin`` and ``allowed_hosts`` then let in less than the user
said, and the error names them; an option that a later version dropped costs nothing at an update. A name of an option
that this version does not know is meant, too.
"""

SUBSTITUTES: Final[dict[str, object]] = {"log_retention_days": _LONGEST_RETENTION}
"""What the app uses for a wrong value in place of the default: with that, log files would be deleted too early."""
