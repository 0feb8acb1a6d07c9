"""Which requests restart the gateway: a person is asked before one of them is sent. Pure."""

import posixpath
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from smgw_proxy_addon.gateway.ppc_session import CGI
from smgw_proxy_addon.http.messages import GatewayRequest

_THEBEN: Final = b"/smgw/m2m"
_ESCAPED: Final = re.compile(rb"\\u00([0-7][0-9a-fA-F])")


def restarts(request: GatewayRequest) -> bool:
    """Tell whether a request may be a self-test: PPC's ``selftest``, Theben's ``self-test``.

    Asks once too often rather than once too seldom: the words count wherever they are, also in escapes of JSON and
    forms, and the path in any spelling that a gateway may take for its own.
    """
    said = unquote_to_bytes(request.target + b"&" + (request.body or b"").replace(b"+", b" "))
    said = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), said).lower()
    path = unquote_to_bytes(request.target.partition(b"?")[0]).lower()
    path = posixpath.normpath(b"/" + path.lstrip(b"/"))
    return (path.startswith(CGI) and b"selftest" in said) or (path.startswith(_THEBEN) and b"self-test" in said)
