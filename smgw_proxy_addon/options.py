"""Every option of the proxy: its type, range and default, once, for the app and for the command line.

Owns the reading of what a person typed, up to a frozen ``Options``, and the plain line that says what is
wrong with it. Never opens a file, asks the network or reads the clock: a path is only a path here.
"""

import dataclasses
import difflib
import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import voluptuous as vol

from smgw_proxy_addon.target import (
    HIGHEST_PORT,
    Network,
    Target,
    read_host,
    read_host_header,
    read_local_address,
    read_network,
    read_target,
)
from smgw_proxy_addon.values import (
    below,
    echo,
    printable,
    read_file_name,
    read_fingerprint,
    read_flag,
    read_list,
    read_path,
)

_TARGET: Final = "a name or an address such as 10.11.120.2, [fe80::1%eth0] or smgw.local:8443"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}")
_UNWRITABLE: Final = frozenset({"Cc", "Cs"})
"""Of Unicode's categories: control characters, and halves of characters."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,12})?")


class OptionError(ValueError):
    """An option that cannot be used; its text is one plain line.

    ``option`` is the name, or empty for the options as a whole; ``problem`` what is wrong, ``allowed`` what
    would be right.
    """

    def __init__(self, option: str, problem: str, allowed: str) -> None:
        what = f'Option "{option}"' if option else "The options"
        super().__init__(f"{what}: {problem}; allowed: {allowed}.")
        self.option = option
        self.problem = problem
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Account:
    """A login at the gateway, which is asked of the proxy's clients too; never shown anywhere."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Options:
    """All options, checked: seconds unless the name says otherwise, ``None`` or empty for "not set"."""

    target: Target
    host_header: str | None
    certificate_fingerprint: str | None
    """SHA-256 of the DER certificate, 64 lower-case hexadecimal digits."""
    certfile: Path | None
    keyfile: Path | None
    max_connections: int
    connect_timeout: float
    read_timeout: float
    cache_seconds: int
    """How long an answer that may be shared is kept; 0 means only while it is asked for."""
    log_level: Literal["debug", "info", "warning", "error"]
    log_dir: Path
    log_file: str
    log_rotation_hours: int
    log_retention_days: int
    log_bodies: bool
    allow: tuple[Network, ...]
    """Networks that may come in besides loopback; empty means those of a home and of the own interfaces."""
    allowed_hosts: tuple[str, ...]
    """Further names that clients may use for the proxy, in lower case; ``*`` stands for any."""
    accounts: tuple[Account, ...]
    """The logins that the proxy keeps itself; with none, clients log in at the gateway."""
    digest_algorithm: Literal["auto", "md5", "sha-256"]
    """How the proxy answers the gateway's challenges."""
    check_origin: bool
    """Whether what the page of another site made a browser send is refused."""
    max_body_mb: int
    """Of a request, in millions of bytes."""
    port: int
    """Of the HTTP listener; 0 means any free one."""
    https_port: int | None
    bind: tuple[str, ...]
    """Local addresses to listen at; empty means all, IPv4 and IPv6."""
    cert_dir: Path
    status_port: int | None
    """Of the status page; 0 means any free one, None no page."""
    notifications: bool
    """Whether Home Assistant shows notifications."""
    notify_after_minutes: int
    """Minutes of failures before it is told that the gateway cannot be reached."""


@dataclass(frozen=True, slots=True)
class Option:
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


def parse_target(text: str) -> Target:
    """Read a gateway's address: a name, IPv4 or IPv6, if need be with zone, port, ``https://``, final slash.

    Raises OptionError for anything else.
    """
    try:
        return read_target(text)
    except vol.Invalid as error:
        raise OptionError("target", error.msg, _TARGET) from None


def from_app(raw: Mapping[str, object]) -> Options:
    """Read the app's options, the parsed ``/data/options.json``: an empty text means "not set".

    Raises OptionError.
    """
    given = {
        name: value
        for name, value in raw.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }
    return Options(**_validate(APP_OPTIONS, given), **_APP_FIXED)


def from_command_line(raw: Mapping[str, object]) -> Options:
    """Read the command line's options as argparse has them: texts, flags, lists; ``None`` is "not given".

    Raises OptionError.
    """
    given = {name: value for name, value in raw.items() if value is not None}
    return Options(**_validate(COMMAND_LINE_OPTIONS, given), **_COMMAND_LINE_FIXED)


def from_file_text(text: str) -> Options:
    """Read the text of ``/data/options.json``. Raises OptionError, also for what is no JSON object."""
    allowed = "a JSON object, as the app's Configuration tab saves it"
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise OptionError("", f"not valid JSON at line {error.lineno}, column {error.colno}", allowed) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or thousands of brackets
        raise OptionError("", "not readable as JSON", allowed) from None
    if not isinstance(raw, dict):
        raise OptionError("", "not a JSON object", allowed)
    return from_app(raw)


def summary(options: Options) -> list[str]:
    """Return one line ``name: value`` per option for the log at start."""
    return [f"{each.name}: {_told(getattr(options, each.name))}" for each in dataclasses.fields(options)]


def _validate(table: tuple[Option, ...], given: Mapping[str, object]) -> dict[str, Any]:
    known = {option.name: option for option in table}
    for name in given:
        if name not in known:
            nearest = "".join(f', the nearest is "{each}"' for each in difflib.get_close_matches(name, known, n=1))
            raise OptionError(printable(name), f"there is no such option{nearest}", ", ".join(known))
    keys: dict[object, object] = {}
    for option in table:
        default = vol.UNDEFINED if option.default is None else option.default
        marker = vol.Required(option.name) if option.required else vol.Optional(option.name, default=default)
        keys[marker] = option.read
    try:
        values: dict[str, Any] = vol.Schema(vol.All(keys, _certificate_with_key))(dict(given))
    except vol.MultipleInvalid as errors:
        error = errors.errors[0]
        name = str(error.path[0])
        problem = "missing" if isinstance(error, vol.RequiredFieldInvalid) else error.msg
        raise OptionError(name, problem, known[name].allowed) from None
    return dict.fromkeys(known) | values


def _certificate_with_key(values: dict[str, Any]) -> dict[str, Any]:
    for one, other in (("certfile", "keyfile"), ("keyfile", "certfile")):
        if one in values and other not in values:
            raise vol.Invalid(f'missing, although "{one}" is given', path=[other])
    return values


def _told(value: object) -> str:
    match value:
        case None | ():
            return "not set"
        case bool():
            return "yes" if value else "no"
        case (Account(), *_):
            return str(len(value))  # how many: neither a name nor a password belongs into a log
        case tuple():
            return ", ".join(map(str, value))
        case Target():
            return value.name
    return str(value)


def _read_names(value: object) -> tuple[str, ...]:
    return read_list(value, _read_name)


def _read_name(text: str) -> str:
    if "/" in text or text.count(":") == 1:
        raise vol.Invalid(f"{echo(text)} is more than a name: leave out http:// and the port")
    return text if text == "*" else read_host(text)


def _read_networks(value: object) -> tuple[Network, ...]:
    return read_list(value, read_network)


def _read_networks_of_app(value: object) -> tuple[Network, ...]:
    """Read networks; Home Assistant itself and its other apps stay inside."""
    networks = _read_networks(value)
    return (*networks, _APP_NETWORK) if networks and _APP_NETWORK not in networks else networks


def _read_addresses(value: object) -> tuple[str, ...]:
    return read_list(value, read_local_address)


def _read_accounts(value: object) -> tuple[Account, ...]:
    if not isinstance(value, list | tuple):
        raise vol.Invalid("not a list")
    accounts = [_read_account(entry, position) for position, entry in enumerate(value, start=1)]
    names = [account.username for account in accounts]
    for position, name in enumerate(names, start=1):
        if name in names[: position - 1]:
            raise vol.Invalid(f"entry {position} has the user name of an earlier entry")
    return tuple(accounts)


def _read_account(entry: object, position: int) -> Account:
    """Read one account; what is wrong with it is said without its values."""
    if not isinstance(entry, Mapping) or set(entry) != {"username", "password"}:
        raise vol.Invalid(f'entry {position} is not a "username" with a "password" and nothing else')
    username, password = entry["username"], entry["password"]
    for what, text in (("user name", username), ("password", password)):
        if not isinstance(text, str):
            raise vol.Invalid(f"the {what} of entry {position} is not a text")
        if not text.strip():
            raise vol.Invalid(f"the {what} of entry {position} is empty")
        if any(unicodedata.category(letter) in _UNWRITABLE for letter in text):
            raise vol.Invalid(f"the {what} of entry {position} holds characters that cannot be printed")
    if ":" in username:  # RFC 7616 section 3.4.2
        raise vol.Invalid(f"the user name of entry {position} holds a colon")
    return Account(username, password)


def _text(name: str, read: Callable[[object], object], allowed: str, default: str | None = None) -> Option:
    return Option(name, "str", allowed, read, default)


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
    _number("max_connections", 1, 8, 1),
    _number("read_timeout", 5, 600, 75),
    _number("cache_seconds", 0, 900, 0),
    _choice("log_level", ("debug", "info", "warning", "error"), "info"),
    _text("log_file", read_file_name, "a file name without folders, such as proxy.log", "proxy.log"),
    _number("log_rotation_hours", 1, 720, 24),
    _number("log_retention_days", 1, 365, 3),
    Option("log_bodies", "bool", "true or false", read_flag, default=False),
    Option("allowed_hosts", "names", 'a list of host names, or "*" for any', _read_names, default=()),
    Option("check_origin", "bool", "true or false", read_flag, default=True),
    _number("max_body_mb", 1, 1024, 16),
)
_DIGEST_ALGORITHM: Final = _choice("digest_algorithm", ("auto", "md5", "sha-256"), "auto")
_NETWORKS: Final = "a list of networks or addresses such as 192.168.1.0/24, 2001:db8::/64 or 10.11.120.10"
_APP_NETWORK: Final = ipaddress.ip_network("172.30.32.0/23")
"""Where Home Assistant and its apps reach each other."""
_DEFAULT_TARGET: Final = "10.11.120.2"
_NOTIFY_AFTER: Final = 30

APP_OPTIONS: Final = (
    Option("target", "str", _TARGET, read_target, _DEFAULT_TARGET, required=True),
    _text("certfile", below("/ssl"), "the name of a file in /ssl, such as fullchain.pem"),
    _text("keyfile", below("/ssl"), "the name of a file in /ssl, such as privkey.pem"),
    # Below /share only: the program takes its log folder over as its own, and /data would end up in backups.
    _text("log_dir", below("/share"), "a folder inside /share", "/share/smgw-proxy"),
    *_COMMON,
    Option("accounts", "accounts", "a list of user names with their passwords", _read_accounts, default=()),
    _DIGEST_ALGORITHM,
    Option("allow", "names", _NETWORKS, _read_networks_of_app, default=()),
    Option("notifications", "bool", "true or false", read_flag, default=True),
    _number("notify_after_minutes", 1, 1440, _NOTIFY_AFTER),
)
"""What the app's Configuration tab has; each but ``target`` may be left out."""

COMMAND_LINE_OPTIONS: Final = (
    _text("target", read_target, _TARGET, _DEFAULT_TARGET),
    _text("certfile", read_path, "the path of a certificate in PEM form"),
    _text("keyfile", read_path, "the path of an unencrypted key in PEM form"),
    _text("log_dir", read_path, "the path of a folder", "logs"),
    *_COMMON,
    Option(
        "accounts",
        "accounts",
        'the path of a JSON file such as [{"username": "…", "password": "…"}]',
        _read_accounts,
        default=(),
    ),
    _DIGEST_ALGORITHM,
    Option("allow", "names", _NETWORKS, _read_networks, default=()),
    _number("connect_timeout", 1, 60, 10, "float"),
    _number("port", 0, HIGHEST_PORT, 8080),
    _number("https_port", 0, HIGHEST_PORT, None),
    _number("status_port", 0, HIGHEST_PORT, None),
    Option("bind", "names", "IPv4 or IPv6 addresses of this computer", _read_addresses, default=()),
    _text("cert_dir", read_path, "the path of a folder", "certs"),
)

_APP_FIXED: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "port": 8080,
    "https_port": 443,
    "bind": (),
    "cert_dir": Path("/data/certs"),
    "status_port": 8099,
}
"""What the app has no option for: the container's inside is the same everywhere."""

_COMMAND_LINE_FIXED: Final[dict[str, Any]] = {"notifications": False, "notify_after_minutes": _NOTIFY_AFTER}
"""What only the app has an option for: elsewhere there is no Home Assistant to tell."""
