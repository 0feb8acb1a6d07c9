"""What the browser lets a page of the gateway do, and which headers pass in either direction. Pure.

``sandbox`` without ``allow-same-origin`` gives the page an origin of its own: nothing of Home Assistant, neither its
page nor cookies nor storage, belongs to it. By ``default-src 'none'`` it loads nothing from the network: what it
shows is in the page itself. It may not send forms either: the page around it does. No policy closes DNS and WebRTC.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from smgw_proxy_addon.http.headers import Headers

SANDBOX: Final = "allow-scripts allow-forms allow-downloads allow-modals"

_POLICY: Final = (
    f"sandbox {SANDBOX}",
    "default-src 'none'",
    "script-src 'unsafe-inline' 'unsafe-eval' data:",
    "style-src 'unsafe-inline' data:",
    "img-src data:",
    "font-src data:",
    "form-action 'none'",
    "frame-ancestors 'self'",
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer below the gateway's prefix."""

_OF_SAGEMCOM: Final = frozenset({b"request-id", b"device-id", b"transport-version"})
"""Its gateways answer 403 without them."""
_USUAL: Final = frozenset({b"accept", b"accept-language", b"content-type", b"user-agent", b"x-requested-with"})
_FROM_BROWSER: Final = _USUAL | _OF_SAGEMCOM
"""All others say where Home Assistant is, or belong to it: cookies, ``Origin``, ``Referer``, ``X-Forwarded-*``."""
_TO_BROWSER: Final = frozenset({b"content-type", b"content-disposition", b"content-language", b"content-encoding"})


def request_headers(headers: Iterable[tuple[bytes, bytes]], *, host: bytes, length: int | None) -> Headers:
    """Return the headers of the gateway's request, without cookies; ``length`` is that of its body, if it has one."""
    kept: Headers = [(b"Host", host)]
    kept += [(name, value) for name, value in headers if name.lower() in _FROM_BROWSER]
    kept.append((b"Accept-Encoding", b"identity"))  # a page has to be read
    if length is not None:
        kept.append((b"Content-Length", b"%d" % length))
    return kept


def response_headers(headers: Headers) -> dict[str, str]:
    """Return the headers of the gateway's answer that the browser gets, and the policy."""
    kept = {name.decode("latin-1"): _decode(value) for name, value in headers if name.lower() in _TO_BROWSER}
    return {**kept, **HEADERS}


def _decode(value: bytes) -> str:
    """Decode a value, such as a file's name, which is sent on in UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
