"""Theben Conexa 3.0, after the interface description IF_GW_CON 1.4 and its public clients."""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from simulator import meter
from simulator.messages import Received, Response
from simulator.vendor import Device, page_for_people

ENTRY: Final = b"/smgw/m2m"
LONGEST_QUERY: Final = timedelta(days=31)
USAGE_POINT: Final = "01005e318021.taf7-1.sm"
METER: Final = "1emh0012345678"
CERTIFICATES: Final = 3
"""Certificates of the WAN side that ``smgw-info`` lists: they make that answer several kB long."""

_PAGE: Final = """<button onclick="call('smgw-info')">Status</button>
<button onclick="call('self-test')">Selbsttest</button>
<button onclick="old('user-info')">Benutzer</button> <button onclick="location.href = '/'">Neu laden</button>
<script>
const path = '%s/json';
async function call(method) {
  const answer = await fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({method})});
  show(answer.ok ? (await answer.text()).slice(0, 120) : 'Fehler ' + answer.status);
}
function old(method) {
  const request = new XMLHttpRequest();
  request.onreadystatechange = () => { if (request.readyState == 4) show(request.responseText.slice(0, 120)); };
  request.open('POST', path);
  request.setRequestHeader('Content-Type', 'application/json');
  request.send(JSON.stringify({method}));
}
</script>"""

_Method = Callable[[dict[str, Any]], object]


class _RequestError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(kw_only=True)
class Theben:
    """The JSON interface below the user's own URL, and its page for people."""

    device: Device
    realm: str = "Conexa"
    algorithm: str = "SHA-256"
    opaque: str | None = field(default_factory=lambda: secrets.token_hex(16))
    silent: bool = True
    takes_get_signature: bool = False
    absolute_location: bool = False
    """``Location`` names scheme and host, taken from the Host header, instead of the path alone."""
    location_authority: str | None = None
    """The same with this name, such as the certificate's, whatever the Host header says."""
    wants_x_content_length: bool = False
    """400 unless ``X-Content-Length`` is the length of the body, as some firmware does."""

    @property
    def user_path(self) -> bytes:
        """The user's own URL."""
        return ENTRY + f"/{self.device.user}.sm".encode()

    def refuse(self, request: Received) -> Response | None:
        """Refuse nothing before the login."""
        del request
        return None

    def owns(self, path: bytes) -> bool:
        """Whether there is something at this path."""
        return path in (b"/", ENTRY) or path.startswith(ENTRY + b"/")

    def answer(self, request: Received) -> Response:
        """Answer a request that is logged in."""
        if request.path == b"/":
            return page_for_people(self.device, "Theben Conexa 3.0", _PAGE % self.user_path.decode())
        if request.path.rstrip(b"/") == ENTRY:
            return self._redirect(request)
        # The Home Assistant integration posts its JSON to the Location itself, others add /json.
        if request.path.removesuffix(b"/json") != self.user_path:
            return Response.json({"error": "unknown user"}, 404)
        if request.method != "POST":
            return Response.json({"error": "POST only"}, 405)
        if self.wants_x_content_length and request.header(b"x-content-length") != b"%d" % request.body_size:
            return Response.json({"error": "X-Content-Length"}, 400)
        return self._call(request.body)

    def _redirect(self, request: Received) -> Response:
        host = (self.location_authority or "").encode() or request.header(b"host") or b""
        absolute = self.absolute_location or self.location_authority
        return Response(307, [(b"Location", (b"https://" + host if absolute else b"") + self.user_path)])

    def _call(self, body: bytes) -> Response:
        methods: dict[str, _Method] = {
            "smgw-info": self._smgw_info,
            "user-info": self._user_info,
            "usage-point-info": self._usage_point_info,
            "readings": self._readings,
            "log": self._log,
            "self-test": self._self_test,
        }
        try:
            call = json.loads(body)
            method = call["method"]
            result = methods[method](call)
        except (ValueError, TypeError, KeyError):
            return Response.json({"error": "no such method, or no JSON"}, 400)
        except _RequestError as error:
            return Response.json({"error": str(error)}, error.status)
        # "miliseconds" is how the device spells it.
        answer = {"version": "1.3.0", "elapsed-time": "229 miliseconds", "method": method, method: result}
        return Response.json(answer)

    def _smgw_info(self, _: dict[str, Any]) -> object:
        identity = self.device.identity
        wan = [
            {"cert-index": str(number), "sig": identity.der.hex(), "sub-ca": identity.der.hex()}
            for number in range(1, CERTIFICATES + 1)
        ]
        return {
            "smgw-id": f"{self.device.name}.SMGW",
            "smgw-time": _text(self.device.clock()),
            "smgw-state": "running",
            "firmware-info": {
                "component": "SMGW",
                "version": "3.51.2-38251",
                "hash": hashlib.sha256(b"firmware").hexdigest(),
            },
            "certificates": {"han": {"tls": identity.certificate_pem.hex()}, "wan": wan},
        }

    def _user_info(self, _: dict[str, Any]) -> object:
        common = {
            "start-time": "2025-03-01T00:00:00Z",
            "end-time": "2035-03-01T00:00:00Z",
            "metering-point-id": "DE0001234567890000000000001234567",
            "meter": [{"meter-id": METER}],
            "billing-Periods": [],
        }
        taf1 = {"usage-point-id": "01005e318021.taf1-1.sm", "usage-point-name": "TAF-1", "taf-number": "1"}
        taf7 = {"usage-point-id": USAGE_POINT, "usage-point-name": "TAF-7", "taf-number": "7"}
        return {
            "usage-points": [
                {**taf1, "taf-state": "archive", **common},
                {**taf7, "taf-state": "running", **common},
            ]
        }

    def _usage_point_info(self, call: dict[str, Any]) -> object:
        self._check_usage_point(call)
        channels = [{"obis": obis, "scaler": "-1", "unit": "30"} for obis in meter.OBIS]
        return {"databases": [{"database": "origin", "channels": channels}]}

    def _readings(self, call: dict[str, Any]) -> object:
        self._check_usage_point(call)
        if call.get("database") != "origin":
            raise _RequestError(404, "no such database")
        if call.get("last-reading") == "true":
            times = [self.device.last_capture()]
        else:
            start, end = _time(call, "fromtime"), _time(call, "totime")
            if not timedelta(0) <= end - start <= LONGEST_QUERY:
                raise _RequestError(400, "31 days at most")
            times = meter.steps(start, min(end, self.device.clock()))
        channels = [{"obis": obis, "readings": [_reading(obis, at) for at in times]} for obis in meter.OBIS]
        return {"channels": channels, "records": str(len(times) * len(channels))}

    def _log(self, _: dict[str, Any]) -> object:
        entry = {"time": _text(self.device.last_capture()), "level": "1", "text": "Anmeldung erfolgreich"}
        return {"entries": [{"number": "1", **entry}], "records": "1"}

    def _self_test(self, _: dict[str, Any]) -> object:
        self.device.restarts += 1
        return {"result": "started"}

    def _check_usage_point(self, call: dict[str, Any]) -> None:
        if call.get("usage-point-id") != USAGE_POINT:
            raise _RequestError(404, "no such usage point")


def _reading(obis: str, at: datetime) -> dict[str, str]:
    value = str(meter.register(obis, at))
    signature = hashlib.sha384(f"{obis}{at}{value}".encode()).hexdigest()
    return {
        "value": value,
        "capture-time": _text(at + timedelta(seconds=3)),
        "target-time": _text(at),
        "signature": signature,
        "status": "0",
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(call: dict[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(call[name])
    except (KeyError, TypeError, ValueError):
        raise _RequestError(400, f"{name} is missing or no time") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
