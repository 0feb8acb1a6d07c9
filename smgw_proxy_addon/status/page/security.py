"""Who may see the page, and protection against forged requests of other pages (CSRF).

Behind Home Assistant's ingress only the Supervisor connects, after it has authenticated the user; besides it,
loopback. A changing request needs the form's token, which a foreign page cannot read, and the browser's header
that names this page's origin. Templates escape what came in; the answers of this module are constant.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from smgw_proxy_addon.errors import ProxyError
from smgw_proxy_addon.http.headers import Fields
from smgw_proxy_addon.server.access import Access

if TYPE_CHECKING:
    from aiohttp import web

SUPERVISOR: Final = ipaddress.ip_address("172.30.32.2")

_INGRESS_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_LONGEST_PATH: Final = 200
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_OTHER_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": with that, browsers send "Origin: null" with our own forms (Fetch, section 3.1).
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def build_headers(style: str, script: str) -> Mapping[str, str]:
    """Return the headers of every answer. Of inline code, the browser runs exactly these two texts."""
    policy = (
        "default-src 'none'",
        f"style-src {_source(style)}",
        f"script-src {_source(script)}",
        "img-src data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",  # Home Assistant shows the page in a frame of its own origin
    )
    return {"Content-Security-Policy": "; ".join(policy), **_OTHER_HEADERS}


class Guard:
    """Decides who may see the page. ``ingress``: the Supervisor may, too."""

    def __init__(self, *, ingress: bool) -> None:
        self._ingress = ingress
        self._access = Access()
        self.token: Final = secrets.token_urlsafe(32)
        """Every form must hold it; new at every start."""

    def admits(self, peername: object, method: str, fields: Fields, *, http_11: bool) -> bool:
        """Tell whether the peer with this socket address may come in, and under this name.

        The Supervisor passes on the user's own name for Home Assistant, which can be any. On loopback a name must be
        a local one, or a web page could point its own name at this computer (DNS rebinding).
        """
        peer = _peer(peername)
        if peer == SUPERVISOR:
            return self._ingress
        if peer is None or not peer.is_loopback:
            return False
        try:
            self._access.check(peer=str(peer), local=str(peer), method=method, fields=fields, http_11=http_11)
        except ProxyError:
            return False
        return True

    def is_own_form(self, request: "web.BaseRequest", token: str) -> bool:
        """Tell whether a changing request comes from a form of this page."""
        given = token.encode("utf-8", "surrogatepass")  # of whatever charset the request names
        return hmac.compare_digest(given, self.token.encode()) and is_own_site(request)


def is_own_site(request: "web.BaseRequest") -> bool:
    """Tell whether a page of this origin made the browser send a request."""
    site = request.headers.getall("Sec-Fetch-Site", [])
    if site:
        return site == ["same-origin"]
    # Browsers send Sec-Fetch-Site only over HTTPS and to loopback; without it, Origin is to be ours.
    origins = request.headers.getall("Origin", [])
    own = {request.headers.get("Host", ""), request.headers.get("X-Forwarded-Host", "")} - {""}
    return all(_authority(origin) in own for origin in origins)


def frame_policy(request: "web.BaseRequest", policy: str, path: str) -> str:
    """Add to a policy that frames may show nothing but what is below ``path`` of this page.

    The scheme is that of the browser's address, which nobody says here.
    """
    host = request.headers.get("X-Forwarded-Host", request.headers.get("Host", ""))
    if not _HOST.fullmatch(host):
        return f"{policy}; frame-src 'none'"
    below = host + read_ingress_path(request) + path
    return f"{policy}; frame-src http://{below} https://{below}"


def read_ingress_path(request: "web.BaseRequest") -> str:
    """Return the path prefix of Home Assistant's ingress, empty without one."""
    path = request.headers.get("X-Ingress-Path", "")
    return path if len(path) <= _LONGEST_PATH and _INGRESS_PATH.fullmatch(path) else ""


def find_browser_host(request: "web.BaseRequest") -> str | None:
    """Return the name or address under which the browser reaches Home Assistant, if it is one of the local network.

    Home Assistant passes it on. At a name of the Internet no port of the proxy can be reached.
    """
    forwarded = request.headers.get("X-Forwarded-Host", "")
    try:
        host = urlsplit(f"//{forwarded}").hostname
        Access().check(
            peer="127.0.0.1", local="127.0.0.1", method="GET", fields={b"host": [forwarded.encode()]}, http_11=True
        )
    except (ProxyError, ValueError):
        return None
    return host


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _peer(peername: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    host = str(peername[0]) if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
