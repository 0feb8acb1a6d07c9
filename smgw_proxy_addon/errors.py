"""All failures: each has a stable code and the status that the client gets.

With the status ``ABORT`` the client's connection is closed without an answer: some gateways say "wrong password"
this way, and their clients read it so. The texts for people are in ``locales``.
"""

import errno
from typing import ClassVar, Final

ABORT: Final = 0
"""Instead of a status: close the client's connection, send nothing."""


class ProxyError(Exception):
    """A failure with a stable code.

    ``facts`` fill the placeholders of the text: short strings without secrets, such as ``target`` or
    ``fingerprint``. ``detail`` is technical, for the log. What a class does not say is as in its parent.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry_after: int | None = None
    """Seconds for the ``Retry-After`` header, or none."""

    def __init_subclass__(
        cls, *, code: str | None = None, status: int | None = None, retry_after: int | None = None
    ) -> None:
        cls.code = code or cls.code
        cls.status = cls.status if status is None else status
        cls.retry_after = retry_after or cls.retry_after

    def __init__(self, detail: str = "", **facts: str) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.facts = facts


class RequestError(ProxyError):
    """The request cannot be forwarded: the client is at fault."""


class BadRequestError(RequestError, code="bad_request", status=400):
    """Not valid HTTP/1.1 (RFC 9112), or a Host header that is missing, doubled or malformed."""


class HttpsRequiredError(BadRequestError, code="https_required"):
    """Plain HTTP came in at the port for HTTPS."""


class LoginRequiredError(RequestError, code="login_required", status=401):
    """The client must log in at the proxy; ``detail`` says what was wrong with its login.

    ``challenge`` is the value of ``WWW-Authenticate``; it must not be logged.
    """

    def __init__(self, detail: str = "", *, challenge: str = "", **facts: str) -> None:
        super().__init__(detail, **facts)
        self.challenge = challenge


class TooManyLoginsError(RequestError, code="too_many_logins", status=429, retry_after=10):
    """Too many logins of the client's address wait to be checked after wrong ones (RFC 6585)."""


class LoginHeldBackError(RequestError, code="login_held_back", status=429):
    """The gateway refused the logins of this user name from this address before; the gateway was not asked."""


class RequestLineTooLongError(BadRequestError, code="request_line_too_long", status=414):
    """The request line is longer than any gateway accepts."""


class HeadersTooLargeError(BadRequestError, code="headers_too_large", status=431):
    """One header, or all of them together, are too large (RFC 6585 section 5)."""


class BodyTooLargeError(BadRequestError, code="body_too_large", status=413):
    """The body is larger than the option ``max_body_mb`` allows; the rest of it is not read."""


class ForeignNetworkError(RequestError, code="foreign_network", status=403):
    """The peer's address is outside the allowed networks."""


class ForeignOriginError(RequestError, code="foreign_origin", status=403):
    """A web page of another origin made the browser send this."""


class MethodNotAllowedError(RequestError, code="method_not_allowed", status=405):
    """CONNECT (this is no forward proxy) or TRACE (its echo helps only attackers)."""


class ClientGoneError(RequestError, code="client_gone", status=ABORT):
    """The client left before it had an answer."""


class ClientStalledError(RequestError, code="client_stalled", status=408):
    """The client neither sent nor read for too long."""


class ExpectationFailedError(RequestError, code="expectation_failed", status=417):
    """An ``Expect`` other than ``100-continue`` (RFC 9110 section 10.1.1)."""


class MisdirectedRequestError(RequestError, code="misdirected_request", status=421):
    """The Host header names a host that is not this proxy (DNS rebinding)."""


class BusyError(ProxyError, code="queue_full", status=503, retry_after=10):
    """The gateway's connections are in use and the queue is full, or the wait was too long."""


class QueueTimeoutError(BusyError, code="queue_timeout"):
    """Waited in the gateway's queue for too long."""


class TooManyConnectionsError(ProxyError, code="too_many_connections", status=503, retry_after=10):
    """All client connections that are allowed are in use."""


class SessionBusyError(BusyError, code="session_busy", retry_after=15):
    """Another client is logged in at a gateway that allows one session (PPC), and did not log out in time."""


class OutOfDescriptorsError(ProxyError, code="out_of_descriptors", status=503, retry_after=10):
    """The proxy can open neither connections nor files; gateway and pin are not at fault."""

    @staticmethod
    def is_behind(error: BaseException | None) -> bool:
        """Tell whether an error of the operating system means this, for the process or the whole system."""
        return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


class ShuttingDownError(ProxyError, code="shutting_down", status=503, retry_after=10):
    """The proxy is stopping."""


class GatewayError(ProxyError, code="gateway_error", status=502):
    """The gateway, or the network to it, is at fault."""


class UnreachableError(GatewayError, code="gateway_unreachable"):
    """No route, no such host, network down."""


class NameUnknownError(GatewayError, code="gateway_name_unknown"):
    """The target's name has no address."""


class RefusedError(GatewayError, code="gateway_refused"):
    """A device answers at the address, but the port is closed."""


class ConnectTimeoutError(GatewayError, code="gateway_connect_timeout", status=504):
    """No connection, or no finished handshake, in time."""


class HandshakeError(GatewayError, code="gateway_tls_failed"):
    """The TLS handshake failed: alert, no common cipher or curve, or no TLS at all."""


class GatewayWantsCertificateError(GatewayError, code="gateway_wants_certificate"):
    """The gateway demands a certificate of the proxy: it got none, or not one that it takes."""


class TargetIsProxyError(GatewayError, code="target_is_proxy"):
    """What answers at the target is a listener of this proxy. Nothing was sent to it, no certificate stored."""


class CertificateChangedError(GatewayError, code="certificate_changed"):
    """The gateway's certificate is not the pinned one. Nothing was sent to it."""


class CertificateNotAllowedError(GatewayError, code="certificate_not_allowed"):
    """The gateway's certificate has not the configured fingerprint. Nothing was sent to it."""


class PinUnreadableError(GatewayError, code="pin_unreadable"):
    """The stored pin cannot be read or parsed: forwarding stops, no new pin is learnt."""


class PinNotWrittenError(GatewayError, code="pin_not_written"):
    """The certificate cannot be stored: nothing is forwarded."""


class ConnectionLostError(GatewayError, code="gateway_connection_lost", retry_after=1):
    """The connection ended before the answer began. The request is not sent again."""


class StaleConnectionError(ConnectionLostError):
    """A connection ended in such a way that the request may be sent once more, on a fresh one."""


class NotSentError(StaleConnectionError):
    """A connection ended before the first byte of the request was written."""


class SilentCloseError(ConnectionLostError, code="gateway_closed_without_answer", status=ABORT):
    """A healthy connection was closed instead of an answer to a login: Theben's way to say "wrong password"."""

    retry_after = None


class GatewayLoginRefusedError(GatewayError, code="gateway_login_refused"):
    """The gateway refuses the proxy's login with one of its accounts."""


class GatewayLoginPausedError(GatewayError, code="gateway_login_paused", status=503):
    """The gateway closed the connection instead of answering the account's login: no login is sent for a while."""


class GatewayLoginStoppedError(GatewayError, code="gateway_login_stopped"):
    """The gateway refused the account's password twice: no login is sent any more."""


class LoginExpiredError(GatewayError, code="login_expired", status=503, retry_after=1):
    """The gateway wants a new login for a request that cannot be repeated. The next request has it."""


class BadAnswerError(GatewayError, code="gateway_bad_answer"):
    """The answer is not HTTP."""


class TruncatedAnswerError(GatewayError, code="gateway_answer_truncated"):
    """The connection ended in the middle of the answer."""


class ReadTimeoutError(GatewayError, code="gateway_timeout", status=504):
    """The gateway did not answer the request in time."""
