"""What the fuzzer has found in the TLS engine that is written in Python."""

import ssl

import pytest

from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext


@pytest.mark.parametrize("level", [1, 2], ids=["warning", "fatal"])
def test_close_notify_ends_no_handshake_in_order(level: int) -> None:
    incoming = ssl.MemoryBIO()
    tls = CompatibleContext().wrap_bio(incoming, ssl.MemoryBIO())
    tls.advance()
    incoming.write(bytes([21, 3, 3, 0, 2, level, 0]))
    tls.advance()
    with pytest.raises(ssl.SSLError, match="ALERT_CLOSE_NOTIFY"):
        tls.do_handshake()
