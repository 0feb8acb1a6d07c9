"""The names of the gateway in a ``Location``, which grow once its certificate is known."""

from collections.abc import Callable

from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.trust.policy import Certificate


class CurrentNames:
    """Gives the names now: those of the options, and those in the trusted certificate that was shown last.

    ``certificate`` returns that certificate, or None before the first handshake.
    """

    def __init__(self, configured: GatewayNames, certificate: Callable[[], Certificate | None]) -> None:
        self._configured = configured
        self._certificate = certificate
        self._read: Certificate | None = None
        self._names = configured.with_certificate(())

    def __call__(self) -> GatewayNames:
        """Return the names; cheap, because a certificate is read once."""
        certificate = self._certificate()
        if certificate is not self._read and certificate is not None:
            self._read = certificate
            self._names = self._configured.with_certificate(certificate.host_names)
        return self._names
