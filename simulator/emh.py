"""EMH CASA 1.1, after its public clients: JSON over GET, and a check of the Host header."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from simulator import meter
from simulator.messages import Received, Response
from simulator.vendor import Device, page_for_people

METER: Final = "1emh0012345678"
CONTRACT: Final = "taf7-1"

_PAGE: Final = f"""<p><a href="/json/metering/origin/">Z&auml;hler</a>
<a href="json/metering/origin/{METER}/extended">Werte</a> <a href="/json/metering/derived">Vertr&auml;ge</a></p>"""

WATT: Final = 27
WATT_HOUR: Final = 30
AMPERE: Final = 33
VOLT: Final = 35
HERTZ: Final = 44


@dataclass(kw_only=True)
class Emh:
    """The JSON pages, and its page for people."""

    device: Device
    allowed_hosts: frozenset[bytes]
    """What the Host header may be, in lower case."""
    bare_refusal: bool = False
    """Refuses another Host header with 400 and no body instead of 403 and a page."""
    realm: str = "CASA"
    algorithm: str = "MD5"
    opaque: str | None = field(default_factory=lambda: secrets.token_hex(16))
    silent: bool = False
    takes_get_signature: bool = False

    def refuse(self, request: Received) -> Response | None:
        """Refuse a Host header that is not this gateway."""
        if (request.header(b"host") or b"").lower() in self.allowed_hosts:
            return None
        if self.bare_refusal:
            return Response(400)
        return Response.html("<html><body>403 Forbidden</body></html>", 403)

    def owns(self, path: bytes) -> bool:
        """Whether there is something at this path."""
        return path == b"/" or path.startswith(b"/json/")

    def answer(self, request: Received) -> Response:
        """Answer a request that is logged in."""
        match request.path.decode("latin-1").strip("/").split("/"):
            case [""]:
                return page_for_people(self.device, "EMH CASA 1.1", _PAGE)
            case ["json", "metering", "origin"]:
                return Response.json([METER])
            case ["json", "metering", "origin", meter_id, "extended"] if meter_id == METER:
                return Response.json({"values": self._values()})
            case ["json", "metering", "derived"]:
                return Response.json([CONTRACT])
            case ["json", "metering", "derived", contract] if contract == CONTRACT:
                return Response.json({"taf_type": "TAF-7", "sensor_domains": [METER]})
            case _:
                return Response.json({"error": "not found"}, 404)

    def _values(self) -> list[dict[str, object]]:
        at = self.device.last_capture()
        energy = [(obis, WATT_HOUR, meter.register(obis, at), -1) for obis in meter.OBIS]
        watts = meter.power(at)
        others = [
            ("0100100700ff", WATT, watts, -1),
            ("01001f0700ff", AMPERE, abs(watts) * 100 // 230 // 3, -3),
            ("0100200700ff", VOLT, 2301, -1),
            ("01000e0700ff", HERTZ, 4999, -2),
        ]
        return [
            {"value": str(value), "unit": unit, "scaler": scaler, "logical_name": f"{obis}.{METER}.sm"}
            for obis, unit, value, scaler in energy + others
        ]
