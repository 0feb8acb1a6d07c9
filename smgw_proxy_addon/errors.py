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
    ``fingerprint``. ``detail`` is technical, for the log.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry_after: int | None = None
    """Seconds for the ``Retry-After`` header, or none."""

    def __init__(self, detail: str = "", **facts: str) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.facts = facts


class RequestError(ProxyError):
    """The request cannot be forwarded: the client is at fault."""


class BadRequestError(RequestError):
    """Not valid HTTP/1.1 (RFC 9112), or a Host header that is missing, doubled or malformed."""

    code = "bad_request"
    status = 400


class HttpsRequiredError(BadRequestError):
    """Plain HTTP came in at the port for HTTPS."""

    code = "https_required"


class LoginRequiredError(RequestError):
    """The client must log in at the proxy; ``detail`` says what was wrong with its login.

    ``challenge`` is the value of ``WWW-Authenticate``; it must not be logged.
    """

    code = "login_required"
    status = 401

    def __init__(self, detail: str = "", *, challenge: str = "", **facts: str) -> None:
        super().__init__(detail, **facts)
        self.challenge = challenge


class TooManyLoginsError(RequestError):
    """Too many logins of the client's address wait to be checked after wrong ones (RFC 6585)."""

    code = "too_many_logins"
    status = 429
    retry_after = 10


class LoginHeldBackError(RequestError):
    """The gateway refused the logins of this user name from this address before; the gateway was not asked."""

    code = "login_held_back"
    status = 429


class RequestLineTooLongError(BadRequestError):
    """The request line is longer than any gateway accepts."""

    code = "request_line_too_long"
    status = 414


class HeadersTooLargeError(BadRequestError):
    """One header, or all of them together, are too large (RFC 6585 section 5)."""

    code = "headers_too_large"
    status = 431


class BodyTooLargeError(BadRequestError):
    """The body is larger than the option ``max_body_mb`` allows; the rest of it is not read."""

    code = "body_too_large"
    status = 413


class ForeignNetworkError(RequestError):
    """The peer's address is outside the allowed networks."""

    code = "foreign_network"
    status = 403


class ForeignOriginError(RequestError):
    """A web page of another origin made the browser send this."""

    code = "foreign_origin"
    status = 403


class MethodNotAllowedError(RequestError):
    """CONNECT (this is no forward proxy) or TRACE (its echo helps only attackers)."""

    code = "method_not_allowed"
    status = 405


class ClientGoneError(RequestError):
    """The client left before it had an answer."""

    code = "client_gone"
    status = ABORT


class ClientStalledError(RequestError):
    """The client neither sent nor read for too long."""

    code = "client_stalled"
    status = 408


class ExpectationFailedError(RequestError):
    """An ``Expect`` other than ``100-continue`` (RFC 9110 section 10.1.1)."""

    code = "expectation_failed"
    status = 417


class MisdirectedRequestError(RequestError):
    """The Host header names a host that is not this proxy (DNS rebinding)."""

    code = "misdirected_request"
    status = 421


class BusyError(ProxyError):
    """The gateway's connections are in use and the queue is full, or the wait was too long."""

    code = "queue_full"
    status = 503
    retry_after = 10


class QueueTimeoutError(BusyError):
    """Waited in the gateway's queue for too long."""

    code = "queue_timeout"


class TooManyConnectionsError(ProxyError):
    """All client connections that are allowed are in use."""

    code = "too_many_connections"
    status = 503
    retry_after = 10


class SessionBusyError(BusyError):
    """Another client is logged in at a gateway that allows one session (PPC), and did not log out in time."""

    code = "session_busy"
    retry_after = 15


class OutOfDescriptorsError(ProxyError):
    """The proxy can open neither connections nor files; gateway and pin are not at fault."""

    code = "out_of_descriptors"
    status = 503
    retry_after = 10

    @staticmethod
    def is_behind(error: BaseException | None) -> bool:
        """Tell whether an error of the operating system means this, for the process or the whole system."""
        return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


class ShuttingDownError(ProxyError):
    """The proxy is stopping."""

    code = "shutting_down"
    status = 503
    retry_after = 10


class GatewayError(ProxyError):
    """The gateway, or the network to it, is at fault."""

    code = "gateway_error"
    status = 502


class UnreachableError(GatewayError):
    """No route, no such host, network down."""

    code = "gateway_unreachable"


class NameUnknownError(GatewayError):
    """The target's name has no address."""

    code = "gateway_name_unknown"


class RefusedError(GatewayError):
    """A device answers at the address, but the port is closed."""

    code = "gateway_refused"


class ConnectTimeoutError(GatewayError):
    """No connection, or no finished handshake, in time."""

    code = "gateway_connect_timeout"
    status = 504


class HandshakeError(GatewayError):
    """The TLS handshake failed: alert, no common cipher or curve, or no TLS at all."""

    code = "gateway_tls_failed"


class GatewayWantsCertificateError(GatewayError):
    """The gateway demands a certificate of the proxy: it got none, or not one that it takes."""

    code = "gateway_wants_certificate"


class TargetIsProxyError(GatewayError):
    """What answers at the target is a listener of this proxy. Nothing was sent to it, no certificate stored."""

    code = "target_is_proxy"


class CertificateChangedError(GatewayError):
    """The gateway's certificate is not the pinned one. Nothing was sent to it."""

    code = "certificate_changed"


class CertificateNotAllowedError(GatewayError):
    """The gateway's certificate has not the configured fingerprint. Nothing was sent to it."""

    code = "certificate_not_allowed"


class PinUnreadableError(GatewayError):
    """The stored pin cannot be read or parsed: forwarding stops, no new pin is learnt."""

    code = "pin_unreadable"


class PinNotWrittenError(GatewayError):
    """The certificate cannot be stored: nothing is forwarded."""

    code = "pin_not_written"


class ConnectionLostError(GatewayError):
    """The connection ended before the answer began. The request is not sent again."""

    code = "gateway_connection_lost"
    retry_after: int | None = 1


class StaleConnectionError(ConnectionLostError):
    """A connection ended in such a way that the request may be sent once more, on a fresh one."""


class NotSentError(StaleConnectionError):
    """A connection ended before the first byte of the request was written."""


class SilentCloseError(ConnectionLostError):
    """A healthy connection was closed instead of an answer to a login: Theben's way to say "wrong password"."""

    code = "gateway_closed_without_answer"
    status = ABORT
    retry_after = None


class GatewayLoginRefusedError(GatewayError):
    """The gateway refuses the proxy's login with one of its accounts."""

    code = "gateway_login_refused"


class GatewayLoginPausedError(GatewayError):
    """The gateway closed the connection instead of answering the account's login: no login is sent for a while."""

    code = "gateway_login_paused"
    status = 503


class GatewayLoginStoppedError(GatewayError):
    """The gateway refused the account's password twice: no login is sent any more."""

    code = "gateway_login_stopped"


class LoginExpiredError(GatewayError):
    """The gateway wants a new login for a request that cannot be repeated. The next request has it."""

    code = "login_expired"
    status = 503
    retry_after = 1


class BadAnswerError(GatewayError):
    """The answer is not HTTP."""

    code = "gateway_bad_answer"


class TruncatedAnswerError(GatewayError):
    """The connection ended in the middle of the answer."""

    code = "gateway_answer_truncated"


class ReadTimeoutError(GatewayError):
    """The gateway did not answer the request in time."""

    code = "gateway_timeout"
    status = 504
