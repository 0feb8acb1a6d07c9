"""The user's options as a whole: from the app's file or the command line to a frozen ``Options``.

Owns the line that says what is wrong with an option; the options themselves are defined in ``schema``. Pure: paths
are not opened.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import voluptuous as vol

from smgw_proxy_addon.config.accounts import Account
from smgw_proxy_addon.config.schema import (
    APP_FIXED,
    APP_OPTIONS,
    COMMAND_LINE_OPTIONS,
    NO_SUBSTITUTE,
    SUBSTITUTES,
    Option,
)
from smgw_proxy_addon.config.target import Network, Target
from smgw_proxy_addon.config.validators import ECHO_LIMIT
from smgw_proxy_addon.text import printable


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


class Options(NamedTuple):
    """All options, checked: seconds unless the name says otherwise, ``None`` or empty for "not set"."""

    target: Target
    host_header: str | None
    certificate_fingerprint: str | None
    """SHA-256 of the DER certificate, 64 lower-case hexadecimal digits."""
    certfile: Path | None
    keyfile: Path | None
    client_certfile: Path | None
    """What the proxy shows the gateway as its login; with ``client_keyfile``."""
    client_keyfile: Path | None
    tls: Literal["auto", "openssl", "compatible"]
    """What speaks TLS with the gateway; ``auto`` finds out what it takes."""
    tls_max: Literal["1.2", "1.3"]
    """The newest version of TLS that OpenSSL offers the gateway."""
    max_connections: int
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
    """The gateway logins of the proxy itself; without any, clients log in at the gateway."""
    digest_algorithm: Literal["auto", "md5", "sha-256"]
    """Which algorithm the proxy answers the gateway's challenges with."""
    check_origin: bool
    """Whether requests that a page of another site made a browser send are refused."""
    hold_back_logins: bool
    """Whether logins of a client are held back after the gateway has refused some; without ``accounts`` only."""
    max_body_mb: int
    """Of a request, in millions of bytes."""
    https_port: int | None
    cert_dir: Path
    status_port: int | None
    """Of the status page; 0 means any free one, None no page."""
    # What follows is an option either in the app or on the command line; the other one has the default.
    connect_timeout: float = 10
    port: int = 8080
    """Of the HTTP listener; 0 means any free one."""
    bind: tuple[str, ...] = ()
    """Local addresses to listen at; empty means all, IPv4 and IPv6."""
    gateway_page_for_all: bool = False
    """Whether all users of Home Assistant may see the gateway's page, and not only administrators."""
    notifications: bool = False
    """Whether Home Assistant shows notifications."""
    notify_after_minutes: int = 30
    """Minutes of failures before a notification says that the gateway cannot be reached."""
    warnings: tuple[str, ...] = ()
    """One line for each of the app's options that is not used as given; no option itself."""


def from_app(raw: Mapping[str, object]) -> Options:
    """Read the app's options, the parsed ``/data/options.json``: an empty text means "not set".

    An option that is unknown or has a wrong value gives a warning: an update that changes the options does not stop
    the app. Raises OptionError for those of ``NO_SUBSTITUTE``.
    """
    given = {
        printable(name, ECHO_LIMIT): value
        for name, value in raw.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }
    known = {option.name: option for option in APP_OPTIONS}
    warnings: list[str] = []
    while True:
        try:
            return Options(**_validate(APP_OPTIONS, given), **APP_FIXED, warnings=tuple(warnings))
        except OptionError as error:
            if error.option in NO_SUBSTITUTE:
                raise
            del given[error.option]
            if error.option not in known:
                warnings.append(f'Option "{error.option}": {error.problem}; it is ignored.')
                continue
            substitute = SUBSTITUTES.get(error.option, known[error.option].default)
            warnings.append(f"{str(error).removesuffix('.')}; used instead: {_spell(substitute)}.")
            if substitute is not None:
                given[error.option] = substitute


def from_command_line(raw: Mapping[str, object], *, listens: bool = True) -> Options:
    """Read the command line's options as argparse has them: texts, flags, lists; ``None`` is "not given".

    ``listens``: clients can use these options' proxy. Raises OptionError.
    """
    given = {name: value for name, value in raw.items() if value is not None}
    return Options(**_validate(COMMAND_LINE_OPTIONS, given, listens=listens))


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
    return [f"{name}: {_spell(value)}" for name, value in options._asdict().items() if name != "warnings"]


def _unknown(name: str, known: Mapping[str, Option]) -> OptionError:
    nearest = "".join(f', the nearest is "{each}"' for each in difflib.get_close_matches(name, known, n=1))
    return OptionError(printable(name, ECHO_LIMIT), f"there is no such option{nearest}", ", ".join(known))


def _validate(table: tuple[Option, ...], given: dict[str, object], *, listens: bool = True) -> dict[str, Any]:
    known = {option.name: option for option in table}
    values: dict[str, Any] = {each.name: None if each.required else each.default for each in table}
    for name, value in (values | given).items():
        if name not in known:
            raise _unknown(name, known)
        try:
            values[name] = None if value is None else known[name].read(value)
        except vol.Invalid as error:
            raise OptionError(name, error.msg, known[name].allowed) from None
    for name, problem in _gaps(table, values, listens=listens):
        raise OptionError(name, problem, known[name].allowed)
    return values


def _gaps(table: tuple[Option, ...], values: Mapping[str, Any], *, listens: bool) -> Iterator[tuple[str, str]]:
    """Yield the names of options that want another one beside them, or a value, and why."""
    yield from ((each.name, "missing") for each in table if each.required and values[each.name] is None)
    for kind in ("", "client_"):
        pair = (f"{kind}certfile", f"{kind}keyfile")
        for one, other in (pair, pair[::-1]):
            if values[one] and not values[other]:
                yield other, f'missing, although "{one}" is given'
    if listens and values["client_certfile"] and not (values["accounts"] or values["allow"]):
        yield (
            "client_certfile",
            'needs "accounts" or "allow" beside it: whoever may reach the proxy acts with this certificate',
        )


def _spell(value: object) -> str:
    match value:
        case None | ():
            return "not set"
        case bool():
            return "yes" if value else "no"
        case (Account(), *_):
            return str(len(value))  # their number only: no name or password in a log
        case tuple():
            return ", ".join(map(str, value))
        case Target():
            return value.text
    return str(value)
