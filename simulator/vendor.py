"""What the three vendors have in common: the device behind the pages, and the page for people."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Protocol

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


def page_for_people(device: Device, make: str) -> Response:
    """Return the page at ``/``: status and readings."""
    at = device.last_capture()
    rows = "".join(
        f"<tr><td>{name}</td><td>{meter.register(obis, at) / 10_000:.4f} kWh</td></tr>"
        for obis, name in meter.OBIS.items()
    )
    return Response.html(
        f"<!DOCTYPE html><html lang=de><meta charset=utf-8><title>{escape(make)}</title>"
        f"<h1>{escape(make)} (Simulator)</h1><p>Ger&auml;t {escape(device.name)}, angemeldet als "
        f"{escape(device.user)}</p><table><caption>Z&auml;hlerst&auml;nde um {at:%Y-%m-%d %H:%M} UTC</caption>"
        f"{rows}</table></html>"
    )
