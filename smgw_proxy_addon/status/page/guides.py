"""What to enter in which client: exact addresses, to copy. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from smgw_proxy_addon.config.target import HTTPS_PORT, bracketed, with_port
from smgw_proxy_addon.status.page.locale import Texts
from smgw_proxy_addon.status.page.vendor import Vendor

_HTTP_PORT: Final = 80
_PPC_PATH: Final = "/cgi-bin/hanservice.cgi"
_THEBEN_PATH: Final = "/smgw/m2m"
_EMH_PATH: Final = "/json/metering/origin/"
_THEBEN_CALL: Final = '{"method":"smgw-info"}'


@dataclass(frozen=True)
class Way:
    """A name under which clients reach the proxy; ``host`` is none where only the user knows it."""

    kind: Literal["inside", "network"]
    """``inside``: from Home Assistant and its other apps."""
    host: str | None
    http_port: int
    https_port: int | None = None
    sure: bool = True
    """Whether the port is known to be open: the user may have mapped the container's to another of the host's."""

    @property
    def leads_a_browser(self) -> bool:
        """Tell whether a visitor's browser comes to the proxy this way."""
        return self.kind == "network" and self.host is not None and self.sure

    def authority(self, texts: Texts) -> str:
        """Write host and port for a plain URL."""
        host = self.shown_host(texts)
        return bracketed(host) if self.http_port == _HTTP_PORT else with_port(host, self.http_port)

    def base(self, texts: Texts) -> str:
        """Write the URL without a path."""
        return f"http://{self.authority(texts)}"

    def shown_host(self, texts: Texts) -> str:
        """Write the host, or what stands for it."""
        return self.host or texts("connect.placeholder")


@dataclass(frozen=True)
class Line:
    """One address to copy: where it holds, and what its field is called."""

    kind: Literal["inside", "network"]
    label: Literal["url", "host", "command"]
    value: str


@dataclass(frozen=True)
class Guide:
    """One client: its name, the lines, or the reason why there are none."""

    title: str
    lines: tuple[Line, ...]
    problem: str = ""


def guides(vendor: Vendor | None, ways: Sequence[Way], user_paths: Sequence[str], texts: Texts) -> Iterator[Guide]:
    """Give the clients that can read a gateway of this make; of any, if it is not known."""
    makes = [vendor] if vendor else list(Vendor)
    yield from _programs(makes, ways, user_paths, texts)
    yield Guide(texts("connect.guide.curl"), tuple(_curl(makes[0], ways[-1:], user_paths, texts)))


def other_guides(vendor: Vendor, ways: Sequence[Way], texts: Texts) -> Iterator[Guide]:
    """Give the clients for gateways of other makes, in case the recognition is wrong."""
    return _programs([make for make in Vendor if make is not vendor], ways, (), texts)


def needs_user(lines: Sequence[Guide], texts: Texts) -> bool:
    """Tell whether an address holds what stands for the user's own id."""
    return any(texts("connect.user") in line.value for guide in lines for line in guide.lines)


def _programs(
    makes: Sequence[Vendor], ways: Sequence[Way], user_paths: Sequence[str], texts: Texts
) -> Iterator[Guide]:
    near = ways[:1]  # Home Assistant's own clients are on its inside, if there is one
    for make in makes:
        yield _ppc_smgw(make, near, user_paths, texts)
    if Vendor.THEBEN in makes:
        yield _theben_conexa(near, texts)
    if Vendor.EMH in makes:
        yield Guide(texts("connect.guide.evcc"), tuple(Line(way.kind, "url", way.base(texts)) for way in ways))


def _ppc_smgw(make: Vendor, ways: Sequence[Way], user_paths: Sequence[str], texts: Texts) -> Guide:
    paths = {Vendor.PPC: (_PPC_PATH,), Vendor.EMH: ("",), Vendor.THEBEN: tuple(_calls(user_paths, texts))}[make]
    lines = tuple(Line(way.kind, "url", way.base(texts) + path) for way in ways for path in paths)
    return Guide(texts("connect.guide.ppc_smgw", vendor=make.value), lines)


def _theben_conexa(ways: Sequence[Way], texts: Texts) -> Guide:
    title = texts("connect.guide.theben_conexa")
    if not any(way.https_port == HTTPS_PORT for way in ways):
        return Guide(title, (), texts("connect.https"))
    return Guide(title, tuple(Line(way.kind, "host", way.shown_host(texts)) for way in ways))


def _curl(make: Vendor, ways: Sequence[Way], user_paths: Sequence[str], texts: Texts) -> Iterator[Line]:
    command, path = "curl --digest -u USER", {Vendor.PPC: _PPC_PATH, Vendor.EMH: _EMH_PATH}.get(make)
    if path is None:
        command, path = f"{command} --json '{_THEBEN_CALL}'", next(_calls(user_paths, texts))
    for way in ways:
        yield Line(way.kind, "command", f"{command} {way.base(texts)}{path}")


def _calls(user_paths: Sequence[str], texts: Texts) -> Iterator[str]:
    for path in user_paths or (f"{_THEBEN_PATH}/{texts('connect.user')}.sm",):
        yield f"{path}/json"
