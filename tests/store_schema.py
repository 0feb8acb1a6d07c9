"""The store's rules for an app's ``config.yaml``, written down from the platform's documentation (August 2026).

Owns what the Supervisor and the community's linter would say; knows nothing of this app. Kept to what the
documentation of "App configuration", "Presenting your app" and "App security" states.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import voluptuous as vol

ARCHITECTURES: Final = frozenset({"aarch64", "amd64"})
"""armhf, armv7 and i386 ended in 2025.12."""

DEPRECATED: Final = frozenset(
    {"advanced", "auto_uart", "codenotary", "legacy", "snapshot", "snapshot_exclude", "snapshot_post"}
    | {"snapshot_pre", "watchdog"}
)

DEFAULTS: Final[Mapping[str, object]] = {
    "apparmor": True,
    "audio": False,
    "auth_api": False,
    "backup": "hot",
    "boot": "auto",
    "devicetree": False,
    "docker_api": False,
    "full_access": False,
    "gpio": False,
    "hassio_api": False,
    "hassio_role": "default",
    "homeassistant_api": False,
    "host_dbus": False,
    "host_ipc": False,
    "host_network": False,
    "host_pid": False,
    "host_uts": False,
    "ingress": False,
    "ingress_entry": "/",
    "ingress_port": 8099,
    "ingress_stream": False,
    "init": True,
    "journald": False,
    "kernel_modules": False,
    "panel_admin": True,
    "panel_icon": "mdi:puzzle",
    "realtime": False,
    "stage": "stable",
    "startup": "application",
    "stdin": False,
    "timeout": 10,
    "tmpfs": False,
    "uart": False,
    "udev": False,
    "usb": False,
    "video": False,
}
"""The optional keys that have a default; setting one to it is noise, and the linter rejects it."""

MAPPED: Final = frozenset(
    {"homeassistant_config", "app_config", "all_app_configs", "local_apps", "ssl", "backup", "share", "media"}
    | {"data"}
)

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}/(tcp|udp)")
_ELEMENT: Final = re.compile(
    r"(?:bool|email|url|port|device(?:\(subsystem=[a-z]+\))?"
    r"|(?P<text>str|password)(?:\((?P<shortest>\d+)?,(?P<longest>\d+)?\))?"
    r"|(?P<number>int|float)(?:\((?P<low>-?[\d.]+)?,(?P<high>-?[\d.]+)?\))?"
    r"|match\((?P<pattern>.*)\)|list\((?P<choices>.+)\))(?P<optional>\?)?"
)


def _element(value: object) -> str:
    if not isinstance(value, str) or not _ELEMENT.fullmatch(value):
        raise vol.Invalid(f"not a type of option: {value!r}")
    return value


def _ports(value: object) -> object:
    if not isinstance(value, dict) or not all(_PORT.fullmatch(str(port)) for port in value):
        raise vol.Invalid("ports are written 8080/tcp")
    if not all(host is None or (type(host) is int and 1 <= host <= 65535) for host in value.values()):
        raise vol.Invalid("a port of the host is a number or null")
    return value


_GROUP: Final = {str: vol.Any(_element, [_element])}
_WITH_DEFAULTS: Final[dict[object, object]] = {vol.Optional(key): type(default) for key, default in DEFAULTS.items()}
_SCHEMA: Final = vol.Schema(
    {
        vol.Required("name"): str,
        vol.Required("version"): vol.All(str, vol.Match(r"^[0-9]+(\.[0-9]+)*([-.a-z0-9]+)?$")),
        vol.Required("slug"): vol.Match(r"^[a-z0-9_]+$"),
        vol.Required("description"): str,
        vol.Required("arch"): vol.All([vol.In(ARCHITECTURES)], vol.Length(min=1), vol.Unique()),
        vol.Optional("url"): vol.Url(),
        vol.Optional("image"): vol.Match(r"^[a-z0-9.\-/{}]+$"),
        vol.Optional("ports"): _ports,
        vol.Optional("ports_description"): {vol.Match(_PORT): str},
        vol.Optional("map"): [{vol.Required("type"): vol.In(MAPPED), "read_only": bool, "path": vol.Match("^/.+")}],
        vol.Optional("options"): dict,
        vol.Optional("schema"): vol.Any({str: vol.Any(_element, [vol.Any(_element, _GROUP)], _GROUP)}, False),
        vol.Optional("environment"): {str: str},
        vol.Optional("devices"): [str],
        vol.Optional("privileged"): [str],
        vol.Optional("services"): [vol.Match(r"^(mqtt|mysql):(provide|want|need)$")],
        vol.Optional("discovery"): [str],
        vol.Optional("machine"): [str],
        vol.Optional("homeassistant"): str,
        vol.Optional("webui"): vol.Match(r"^(https?|\[PROTO:\w+\])://\[HOST\]:\[PORT:\d+\].*$"),
        vol.Optional("panel_title"): str,
        vol.Optional("backup_pre"): str,
        vol.Optional("backup_post"): str,
        vol.Optional("backup_exclude"): [str],
        vol.Optional("breaking_versions"): [str],
        vol.Optional("ulimits"): dict,
        **_WITH_DEFAULTS,
        vol.Optional("startup"): vol.In({"initialize", "system", "services", "application", "once"}),
        vol.Optional("boot"): vol.In({"auto", "manual", "manual_only"}),
        vol.Optional("stage"): vol.In({"stable", "experimental", "deprecated"}),
        vol.Optional("backup"): vol.In({"hot", "cold"}),
        vol.Optional("hassio_role"): vol.In({"default", "homeassistant", "backup", "manager", "admin"}),
    }
)


def complaints(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a ``config.yaml``: nothing for a good one."""
    yield from (f"{key}: deprecated" for key in DEPRECATED & config.keys())
    try:
        _SCHEMA({key: value for key, value in config.items() if key not in DEPRECATED})
    except vol.MultipleInvalid as errors:
        yield from (str(error) for error in errors.errors)
        return
    yield from _linter_complaints(config)
    schema, options = config.get("schema") or {}, config.get("options", {})
    yield from option_complaints(schema, options)
    yield from (f"{name}: an optional option has no default" for name in options if optional(schema.get(name)))


def _linter_complaints(config: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key}: set to its default" for key in DEFAULTS if key in config and config[key] == DEFAULTS[key])
    for mapped in config.get("map", []):
        if mapped.get("read_only") is True:
            yield f"map: {mapped['type']} is read-only by default"
    if "webui" in config and config.get("ingress"):
        yield "webui: beside ingress"
    if config.get("ingress_port") == 0 and not config.get("host_network"):
        yield "ingress_port: 0 needs the host's network"


def option_complaints(schema: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the Supervisor says to options that a user saves under this schema."""
    for name in schema.keys() - options.keys():
        if not optional(schema[name]):
            yield f"{name}: missing"
    for name, value in options.items():
        if name not in schema:
            yield f"{name}: not in the schema"
        elif isinstance(schema[name], list):
            values = value if isinstance(value, list) else [None]
            yield from (f"{name}: {each!r}" for each in values if not _fits(schema[name][0], each))
        elif not _fits(schema[name], value):
            yield f"{name}: {value!r}"


def optional(element: object) -> bool:
    """Tell whether an option may be left out; a list says so in its element."""
    first = element[0] if isinstance(element, list) else element
    return isinstance(first, str) and first.endswith("?")


def taken_for_an_app(path: PurePosixPath) -> bool:
    """Tell whether the store, which searches the whole repository, takes this file for an app's configuration."""
    if path.name not in {"config.yaml", "config.yml", "config.json"}:
        return False
    return not any(part.startswith(".") or part == "rootfs" for part in path.parts[:-1])


def security_rating(config: Mapping[str, Any], own_profile: bool) -> int:
    """Return the rating that the store shows, from 1 to 8."""
    if config.get("full_access") or config.get("docker_api"):
        return 1
    rating = 5
    rating += 2 if config.get("ingress") else 1 if config.get("auth_api") else 0
    rating += -1 if config.get("apparmor") is False else 1 if own_profile else 0
    rating -= 1 if config.get("privileged") or config.get("kernel_modules") else 0
    rating -= {"manager": 1, "admin": 2}.get(config.get("hassio_role", ""), 0)
    rating -= 1 if config.get("host_network") else 0
    rating -= 2 if config.get("host_pid") else 0
    return max(min(rating, 8), 1)


def _fits(element: object, value: object) -> bool:
    if isinstance(element, dict):
        return isinstance(value, dict) and not list(option_complaints(element, value))
    match = _ELEMENT.fullmatch(element) if isinstance(element, str) else None
    if match is None or value is None:
        return False
    kind = match["text"] or match["number"] or re.split(r"[(?]", match[0])[0]
    if kind in {"int", "float", "port"}:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and float(match["low"] or "-inf") <= float(str(value)) <= float(match["high"] or "inf")
    checks: dict[str, Callable[[], bool]] = {
        "bool": lambda: isinstance(value, bool),
        "list": lambda: value in match["choices"].split("|"),
        "match": lambda: re.match(match["pattern"], str(value)) is not None,
    }
    return checks.get(kind, lambda: isinstance(value, str))()
