"""What to enter in which client: exact texts to copy. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from smgw_proxy_addon.config.target import HTTPS_PORT, bracketed, with_port
from smgw_proxy_addon.gateway.ppc_session import CGI
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.vendor import Vendor

_HTTP_PORT: Final = 80
_PPC_PATH: Final = CGI.decode()
_THEBEN_PATH: Final = "/smgw/m2m"
_EMH_PATH: Final = "/json/metering/origin/"
_SAGEMCOM_PATH: Final = "/smgw/hgp/"
_THEBEN_CALL: Final = '{"method":"smgw-info"}'


@dataclass(frozen=True)
class ProxyAddress:
    """Host and ports under which clients reach the proxy; ``host`` is None if only the user knows it."""

    kind: Literal["inside", "network"]
    """``inside``: from Home Assistant and its other apps."""
    host: str | None
    http_port: int
    https_port: int | None = None
    sure: bool = True
    """Whether the port is known to be open: the user may have mapped the container's to another of the host's."""

    @property
    def opens_in_browser(self) -> bool:
        """Whether the browser that shows the page reaches the proxy at this address."""
        return self.kind == "network" and self.host is not None and self.sure

    def base(self, texts: Texts) -> str:
        """Write the URL without a path."""
        host = self.shown_host(texts)
        return f"http://{bracketed(host) if self.http_port == _HTTP_PORT else with_port(host, self.http_port)}"

    def shown_host(self, texts: Texts) -> str:
        """Write the host, or what stands for it."""
        return self.host or texts("connect.placeholder")


@dataclass(frozen=True)
class Line:
    """One text to copy: where it is valid, and what its field is called."""

    kind: Literal["inside", "network"]
    label: Literal["url", "host", "command"]
    value: str


@dataclass(frozen=True)
class Guide:
    """One client: its name, the lines, and what has to be known of them or why there are none."""

    title: str
    lines: tuple[Line, ...]
    note: str = ""


def list_guides(
    vendor: Vendor | None, addresses: Sequence[ProxyAddress], user_paths: Sequence[str], texts: Texts
) -> Iterator[Guide]:
    """Yield the clients that can read a gateway of this make; of every make, if it is not known."""
    makes = [vendor] if vendor else list(Vendor)
    yield from _programs(makes, addresses, user_paths, texts)
    note = texts("connect.headers.values") if vendor is Vendor.SAGEMCOM else ""
    yield Guide(texts("connect.guide.curl"), tuple(_curl(makes[0], addresses[-1:], user_paths, texts)), note)


def list_other_guides(vendor: Vendor, addresses: Sequence[ProxyAddress], texts: Texts) -> Iterator[Guide]:
    """Yield the clients for gateways of other makes, in case the recognition is wrong."""
    return _programs([make for make in Vendor if make is not vendor], addresses, (), texts)


def needs_user(guides: Sequence[Guide], texts: Texts) -> bool:
    """Tell whether an address holds what stands for the user's own id."""
    return any(texts("connect.user") in line.value for guide in guides for line in guide.lines)


def _programs(
    makes: Sequence[Vendor], addresses: Sequence[ProxyAddress], user_paths: Sequence[str], texts: Texts
) -> Iterator[Guide]:
    near = addresses[:1]  # Home Assistant's own clients use the inside address, if there is one
    for make in makes:
        if make is not Vendor.SAGEMCOM:
            yield _ppc_smgw(make, near, user_paths, texts)
    if Vendor.THEBEN in makes:
        yield _theben_conexa(near, texts)
    if Vendor.EMH in makes:
        yield Guide(texts("connect.guide.evcc"), _bases(addresses, texts))
    if Vendor.SAGEMCOM in makes:
        yield Guide(texts("connect.guide.sagemcom"), _bases(addresses, texts), texts("connect.headers"))


def _bases(addresses: Sequence[ProxyAddress], texts: Texts) -> tuple[Line, ...]:
    return tuple(Line(address.kind, "url", address.base(texts)) for address in addresses)


def _ppc_smgw(make: Vendor, addresses: Sequence[ProxyAddress], user_paths: Sequence[str], texts: Texts) -> Guide:
    paths = {Vendor.PPC: (_PPC_PATH,), Vendor.EMH: ("",), Vendor.THEBEN: tuple(_calls(user_paths, texts))}[make]
    lines = tuple(Line(address.kind, "url", address.base(texts) + path) for address in addresses for path in paths)
    return Guide(texts("connect.guide.ppc_smgw", vendor=make.value), lines)


def _theben_conexa(addresses: Sequence[ProxyAddress], texts: Texts) -> Guide:
    title = texts("connect.guide.theben_conexa")
    if not any(address.https_port == HTTPS_PORT for address in addresses):
        return Guide(title, (), texts("connect.https"))
    return Guide(title, tuple(Line(address.kind, "host", address.shown_host(texts)) for address in addresses))


def _curl(make: Vendor, addresses: Sequence[ProxyAddress], user_paths: Sequence[str], texts: Texts) -> Iterator[Line]:
    options, path = {
        Vendor.THEBEN: (f" --json '{_THEBEN_CALL}'", next(_calls(user_paths, texts))),
        Vendor.PPC: ("", _PPC_PATH),
        Vendor.EMH: ("", _EMH_PATH),
        Vendor.SAGEMCOM: (
            " --compressed -H 'Request-ID: …' -H 'Device-ID: …' -H 'Transport-Version: …'",
            _SAGEMCOM_PATH,
        ),
    }[make]
    for address in addresses:
        yield Line(address.kind, "command", f"curl --digest -u USER{options} {address.base(texts)}{path}")


def _calls(user_paths: Sequence[str], texts: Texts) -> Iterator[str]:
    for path in user_paths or (f"{_THEBEN_PATH}/{texts('connect.user')}.sm",):
        yield f"{path}/json"
