"""Every option of the proxy: its type, range and default, once, for the app and for the command line.

Owns the reading of what a person typed, up to a frozen ``Options``, and the plain line that says what is
wrong with it. Never opens a file, asks the network or reads the clock: a path is only a path here.
"""

import dataclasses
import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import voluptuous as vol

HTTPS_PORT: Final = 443
_HIGHEST_PORT: Final = 65535
_LONGEST_NAME: Final = 253  # RFC 1035 section 2.3.4, without the final dot
_LONGEST_ECHO: Final = 60
_TARGET: Final = "a name or an address such as 10.11.120.2, [fe80::1%eth0] or smgw.local:8443"
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZONE: Final = re.compile(r"[A-Za-z0-9._-]{1,15}")  # IFNAMSIZ less its final NUL, or an interface's number
_HOST_HEADER: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}")
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
class Target:
    """Where the gateway is.

    ``host`` is an IPv4 address, a compressed IPv6 address without brackets, or a name, all in lower case;
    ``zone`` the interface of a link-local IPv6 address; ``given`` what the user typed.
    """

    host: str
    port: int = HTTPS_PORT
    zone: str | None = None
    given: str = field(default="", compare=False)

    @property
    def connect_host(self) -> str:
        """The host for the socket's address, with the zone."""
        return f"{self.host}%{self.zone}" if self.zone else self.host

    @property
    def name(self) -> str:
        """The canonical name, also of the pin's file: the port only where it is not 443."""
        return self.connect_host if self.port == HTTPS_PORT else _with_port(self.connect_host, self.port)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names for the same target, as the Go proxy may have used them for the pin's file."""
        typed = re.sub(r"(?i)^https://", "", self.given).removesuffix("/")
        names = [typed, _with_port(self.connect_host, self.port)]
        if self.port == HTTPS_PORT:
            names.append(_bracketed(self.connect_host))
        return tuple(dict.fromkeys(name for name in names if name and name != self.name))

    @property
    def authority(self) -> str:
        """The gateway's own name for the Host header: never the zone (RFC 9110 section 7.2)."""
        return _bracketed(self.host) if self.port == HTTPS_PORT else _with_port(self.host, self.port)

    @property
    def server_name(self) -> str | None:
        """The name for SNI; none for an address (RFC 6066 section 3)."""
        return None if _address(self.host) else self.host

    @property
    def url(self) -> str:
        """The address for people, the zone written as RFC 6874 has it."""
        return f"https://{self.authority.replace(']', f'%25{self.zone}]') if self.zone else self.authority}"


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
    log_level: Literal["debug", "info", "warning", "error"]
    log_dir: Path
    log_file: str
    log_rotation_hours: int
    log_retention_days: int
    log_bodies: bool
    allowed_hosts: tuple[str, ...]
    """Further names that clients may use for the proxy, in lower case; ``*`` stands for any."""
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

    ``kind`` is the app schema's word (``list`` is one of ``choices``, ``names`` a list of ``str``); ``low``
    and ``high`` bound a number, both allowed; ``default`` is what a user would type, ``None`` for "not set".
    """

    name: str
    kind: Literal["str", "int", "float", "bool", "list", "names"]
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
        return _read_target(text)
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
            raise OptionError(_printable(name), f"there is no such option{nearest}", ", ".join(known))
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


def _printable(text: str) -> str:
    """Return a text from outside in a form that is safe and short enough for one line of the log."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_ECHO])
    return shown if len(text) <= _LONGEST_ECHO else f"{shown}…"


def _echo(value: object) -> str:
    match value:
        case str():
            return f'"{_printable(value)}"'
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > _LONGEST_ECHO:
            return "this number"  # Python refuses to print one of thousands of digits
        case int() | float():
            return str(value)
        case dict():
            return "a group of values"
    return "a list"


def _told(value: object) -> str:
    match value:
        case None | ():
            return "not set"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value))
        case Target():
            return value.name
    return str(value)


# Hosts


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _with_port(host: str, port: int) -> str:
    return f"{_bracketed(host)}:{port}"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _read_target(value: object) -> Target:
    typed = _read_text(value)
    text = typed
    if scheme := re.match(r"(?i)([a-z][a-z0-9+.-]*)://", text):
        if scheme[1].lower() != "https":
            raise vol.Invalid(f"a gateway speaks HTTPS only, not {_echo(scheme[1].lower())}")
        text = text[scheme.end() :]
        # RFC 6874 writes the % before a zone as %25, in a URL only.
        text = re.sub(r"%25(?=[^\]])", "%", text, count=1)
    text = text.removesuffix("/")
    if "@" in text:
        raise vol.Invalid("a user name does not belong here: each client logs in by itself")
    if found := re.search(r"[/?#\\]", text):
        raise vol.Invalid(f"only the gateway's address belongs here, nothing after it ({_echo(found[0])})")
    host, port = _split_port(text)
    host, _, zone = host.partition("%")
    if "%" in text and not _ZONE.fullmatch(zone):
        raise vol.Invalid("after % comes the name of the network interface, such as %eth0")
    host = _read_host(host)
    if zone and ":" not in host:
        raise vol.Invalid("only an IPv6 address has a zone (%)")
    return Target(host, port, zone or None, typed)


def _split_port(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or not (rest == "" or rest.startswith(":")):
            raise vol.Invalid(f"{_echo(text)} has brackets that are not around an IPv6 address")
        port = rest.removeprefix(":") if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if port is None:
        return host, HTTPS_PORT
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= _HIGHEST_PORT:
        raise vol.Invalid(f"{_echo(port)} is not a port from 1 to {_HIGHEST_PORT}")
    return host, int(port)


def _read_host(text: str) -> str:
    """Return the canonical form of a name or address (without port, brackets and zone)."""
    if address := _address(text):
        # Python 3.13 prints IPv4-mapped addresses in another way: a pin's name must not depend on it.
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_unspecified or address.is_multicast:
            raise vol.Invalid(f"{_echo(text)} is not the address of one device")
        return str(address)
    host = text.removesuffix(".").lower()
    labels = host.split(".")
    if ":" in host or _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise vol.Invalid(f"{_echo(text)} is not a complete IPv4 or IPv6 address")
    if not text.isascii() or len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise vol.Invalid(f"{_echo(text)} is not a valid name or address")
    return host


# Values


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise vol.Invalid(f"{_echo(value)} is not a text")
    text = value.strip()
    if not text:
        raise vol.Invalid("empty")
    if not text.isprintable():
        raise vol.Invalid(f"{_echo(text)} holds characters that cannot be printed")
    return text


def _read_host_header(value: object) -> str:
    text = _read_text(value)
    if not _HOST_HEADER.fullmatch(text):
        raise vol.Invalid(f"{_echo(text)} cannot be sent as a Host header")
    return text


def _read_fingerprint(value: object) -> str:
    digits = re.sub(r"[:\s]", "", _read_text(value)).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise vol.Invalid(f"{_echo(value)} is not a SHA-256 fingerprint")
    return digits


def _read_path(value: object) -> Path:
    return Path(_read_text(value))


def _below(folder: str) -> Callable[[object], Path]:
    """Read a path that stays in ``folder``, relative to it or written in full."""

    def read(value: object) -> Path:
        path = Path(folder) / _read_text(value)
        if ".." in path.parts or Path(folder) not in path.parents:
            raise vol.Invalid(f"{_echo(value)} is not inside {folder}")
        return path

    return read


def _read_file_name(value: object) -> str:
    text = _read_text(value)
    # 200 bytes leave room for the date before it in the 255 that a file name may have.
    if "/" in text or "\\" in text or text.startswith(".") or len(text.encode()) > 200:  # noqa: PLR2004
        raise vol.Invalid(f"{_echo(text)} is not a plain file name")
    return text


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise vol.Invalid(f"{_echo(value)} is neither true nor false")
    return value


def _read_names(value: object) -> tuple[str, ...]:
    return _read_list(value, lambda text: text if text == "*" else _read_host(text))


def _read_addresses(value: object) -> tuple[str, ...]:
    return _read_list(value, _read_local_address)


def _read_local_address(text: str) -> str:
    host, percent, zone = text.removeprefix("[").removesuffix("]").partition("%")
    address = _address(host)
    if address is None or (percent and (address.version == 4 or not _ZONE.fullmatch(zone))):  # noqa: PLR2004
        raise vol.Invalid(f"{_echo(text)} is not an IPv4 or IPv6 address")
    return f"{address}{percent}{zone}"


def _read_list(value: object, read: Callable[[str], str]) -> tuple[str, ...]:
    """Read a list, or one text with commas; the app's form leaves empty entries behind: they are left out."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise vol.Invalid(f"{_echo(value)} is not a list")
    texts = [_read_text(entry) for entry in entries if entry not in ("", None)]
    return tuple(dict.fromkeys(map(read, texts)))


def _text(name: str, read: Callable[[object], object], allowed: str, default: str | None = None) -> Option:
    return Option(name, "str", allowed, read, default)


def _choice(name: str, choices: tuple[str, ...], default: str) -> Option:
    allowed = f"one of {', '.join(choices)}"

    def read(value: object) -> str:
        if value not in choices:
            raise vol.Invalid(f"{_echo(value)} is not known")
        return str(value)

    return Option(name, "list", allowed, read, default, choices=choices)


def _number(name: str, low: int, high: int, default: float | None, kind: Literal["int", "float"] = "int") -> Option:
    noun, pattern, types = ("whole number", _INTEGER, int) if kind == "int" else ("number", _NUMBER, int | float)

    def read(value: object) -> int | float:
        number = value
        if isinstance(value, str) and pattern.fullmatch(value.strip()):
            number = int(value) if kind == "int" else float(value)
        if isinstance(number, bool) or not isinstance(number, types):
            raise vol.Invalid(f"{_echo(value)} is not a {noun}")
        if not low <= number <= high:
            size = "large" if number > high else "small"
            raise vol.Invalid(f"{_echo(number)} is too {size}")
        return number

    return Option(name, kind, f"a {noun} from {low} to {high}", read, default, low=low, high=high)


_COMMON: Final = (
    _text("host_header", _read_host_header, "a name or address, with a port if needed, such as smgw.local"),
    _text(
        "certificate_fingerprint",
        _read_fingerprint,
        "64 hexadecimal digits (SHA-256), with or without colons",
    ),
    _number("max_connections", 1, 8, 1),
    _number("read_timeout", 5, 600, 75),
    _choice("log_level", ("debug", "info", "warning", "error"), "info"),
    _text("log_file", _read_file_name, "a file name without folders, such as proxy.log", "proxy.log"),
    _number("log_rotation_hours", 1, 720, 24),
    _number("log_retention_days", 1, 365, 3),
    Option("log_bodies", "bool", "true or false", _read_flag, default=False),
    Option("allowed_hosts", "names", 'a list of host names, or "*" for any', _read_names, default=()),
)
_DEFAULT_TARGET: Final = "10.11.120.2"
_NOTIFY_AFTER: Final = 30

APP_OPTIONS: Final = (
    Option("target", "str", _TARGET, _read_target, _DEFAULT_TARGET, required=True),
    _text("certfile", _below("/ssl"), "the name of a file in /ssl, such as fullchain.pem"),
    _text("keyfile", _below("/ssl"), "the name of a file in /ssl, such as privkey.pem"),
    # Below /share only: the program takes its log folder over as its own, and /data would end up in backups.
    _text("log_dir", _below("/share"), "a folder inside /share", "/share/smgw-proxy"),
    *_COMMON,
    Option("notifications", "bool", "true or false", _read_flag, default=True),
    _number("notify_after_minutes", 1, 1440, _NOTIFY_AFTER),
)
"""What the app's Configuration tab has; each but ``target`` may be left out."""

COMMAND_LINE_OPTIONS: Final = (
    _text("target", _read_target, _TARGET, _DEFAULT_TARGET),
    _text("certfile", _read_path, "the path of a certificate in PEM form"),
    _text("keyfile", _read_path, "the path of an unencrypted key in PEM form"),
    _text("log_dir", _read_path, "the path of a folder", "logs"),
    *_COMMON,
    _number("connect_timeout", 1, 60, 10, "float"),
    _number("port", 0, _HIGHEST_PORT, 8080),
    _number("https_port", 0, _HIGHEST_PORT, None),
    _number("status_port", 0, _HIGHEST_PORT, None),
    Option("bind", "names", "IPv4 or IPv6 addresses of this computer", _read_addresses, default=()),
    _text("cert_dir", _read_path, "the path of a folder", "certs"),
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
