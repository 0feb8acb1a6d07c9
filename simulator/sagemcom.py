"""Sagemcom SMARTY IQ (Sagemcom Dr. Neuhaus).

Known of it: the paths begin with ``/smgw/hgp/``, three request headers must be there, bodies come in gzip whatever
the client asked for, and its TLS refuses every client that speaks of renegotiation. Its interface description is not
public: the names below the prefix, the content of the answers, the login and the page for people are made up here.
"""

import gzip
import secrets
from dataclasses import dataclass, field
from typing import Final

from simulator import meter
from simulator.messages import Received, Response
from simulator.vendor import Device, page_for_people

PREFIX: Final = b"/smgw/hgp/"
MANDATORY: Final = (b"Request-ID", b"Device-ID", b"Transport-Version")
"""Headers without which a request below the prefix gets 403."""

_PAGE: Final = """<button onclick="read()">Werte</button>
<script>
async function read() {
  const headers = {'Request-ID': crypto.randomUUID ? crypto.randomUUID() : '1', 'Device-ID': '%s',
    'Transport-Version': '1.0'};
  const answer = await fetch('/smgw/hgp/readings', {headers});
  show(answer.ok ? (await answer.text()).slice(0, 120) : 'Fehler ' + answer.status);
}
</script>"""


@dataclass(kw_only=True)
class Sagemcom:
    """Two resources below the prefix, and a page for people."""

    device: Device
    realm: str = "SMARTY IQ"
    algorithm: str = "MD5"
    opaque: str | None = field(default_factory=lambda: secrets.token_hex(16))
    silent: bool = False
    takes_get_signature: bool = False

    def refuse(self, request: Received) -> Response | None:
        """Refuse a request below the prefix that lacks a header."""
        if not request.path.startswith(PREFIX) or all(request.header(name) for name in MANDATORY):
            return None
        return Response.html("<html><body>403 Forbidden</body></html>", 403)

    def owns(self, path: bytes) -> bool:
        """Whether there is something at this path."""
        return path == b"/" or path.startswith(PREFIX)

    def answer(self, request: Received) -> Response:
        """Answer a request that is logged in."""
        return _compressed(self._answer(request.path.removeprefix(PREFIX)))

    def _answer(self, name: bytes) -> Response:
        at = self.device.last_capture()
        known = {"device": self.device.name, "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        match name:
            case b"/":
                return page_for_people(self.device, "Sagemcom SMARTY IQ", _PAGE % self.device.name)
            case b"info":
                return Response.json(known)
            case b"readings":
                registers = {obis: {"value": str(meter.register(obis, at)), "scaler": -1} for obis in meter.OBIS}
                return Response.json({**known, "registers": registers})
            case _:
                return Response.json({"error": "not found"}, 404)


def _compressed(response: Response) -> Response:
    if not isinstance(response.body, bytes):
        raise TypeError("a body that is known as a whole")
    response.body = gzip.compress(response.body, mtime=0)
    response.headers.append((b"Content-Encoding", b"gzip"))
    return response
