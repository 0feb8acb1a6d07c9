"""What the vendors have in common: the device behind the pages, and the page for people."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final, Protocol

from simulator import meter
from simulator.certificates import Identity
from simulator.messages import Received, Response


@dataclass(kw_only=True)
class Device:
    """The gateway itself; ``identity`` changes when its certificate is rotated."""

    name: str
    user: str
    clock: Callable[[], datetime]
    identity: Identity
    restarts: int = 0
    """How often a self-test restarted it."""
    sessions_opened: int = 0
    sessions_ended: int = 0
    """By a logout or a self-test."""
    sessions_refused: int = 0
    """Requests that were told that somebody else is logged in."""

    def last_capture(self) -> datetime:
        """Return when the last reading was taken."""
        return meter.last_step(self.clock())


class Vendor(Protocol):
    """How one make of gateway answers."""

    realm: str
    algorithm: str
    opaque: str | None
    silent: bool
    """Closes the connection on a wrong login instead of answering."""
    takes_get_signature: bool
    """Accepts a POST whose Digest was signed with the method GET."""

    def refuse(self, request: Received) -> Response | None:
        """Answer what is refused before any login, else None."""
        ...

    def owns(self, path: bytes) -> bool:
        """Whether there is something at this path, behind the login."""
        ...

    def answer(self, request: Received) -> Response:
        """Answer a request that is logged in."""
        ...


STYLE: Final = "body { font-family: sans-serif; background: url(/files/logo.png) no-repeat right top }"
LOGO: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003"
    "010100c9fe92ef0000000049454e44ae426082"
)
SCRIPT: Final = "function show(text) { document.getElementById('shown').textContent = text; }"
FILES: Final = {
    b"/files/style.css": (b"text/css", STYLE.encode()),
    b"/files/logo.png": (b"image/png", LOGO),
    b"/files/page.js": (b"text/javascript", SCRIPT.encode()),
}
"""What the pages for people load, by path: type and content."""
HEAD: Final = "<link rel=stylesheet href=/files/style.css><script src=/files/page.js></script>"


def static_file(path: bytes) -> Response | None:
    """Return a file of the pages for people, None if there is none at this path."""
    if path not in FILES:
        return None
    kind, content = FILES[path]
    return Response(200, [(b"Content-Type", kind)], content)


def page_for_people(device: Device, make: str, more: str = "") -> Response:
    """Return the page at ``/``: status and readings, and ``more`` markup."""
    at = device.last_capture()
    rows = "".join(
        f"<tr><td>{name}</td><td>{meter.register(obis, at) / 10_000:.4f} kWh</td></tr>"
        for obis, name in meter.OBIS.items()
    )
    return Response.html(
        f"<!DOCTYPE html><html lang=de><meta charset=utf-8><title>{escape(make)}</title>{HEAD}"
        "<img src=/files/logo.png alt=Logo>"
        f"<h1>{escape(make)} (Simulator)</h1><p>Ger&auml;t {escape(device.name)}, angemeldet als "
        f"{escape(device.user)}</p><table><caption>Z&auml;hlerst&auml;nde um {at:%Y-%m-%d %H:%M} UTC</caption>"
        f"{rows}</table>{more}<p id=shown></p></html>"
    )
