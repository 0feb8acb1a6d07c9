"""The client side: what comes in over HTTP and HTTPS, handed to the gateway and back as it is.

aiohttp serves the clients. Nothing is decided here that a pure module decides: who may come in is ``access``,
what is changed on the way is ``rewrite``, when the gateway is asked is the pool. An error never echoes what came
in.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from smgw_proxy_addon.errors import (
    ABORT,
    BadRequestError,
    ClientGoneError,
    ClientStalledError,
    ExpectationFailedError,
    ForeignNetworkError,
    GatewayError,
    LoginRequiredError,
    ProxyError,
    ShuttingDownError,
)
from smgw_proxy_addon.gateway.drain import DRAIN_LIMIT, drain
from smgw_proxy_addon.http import rewrite
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.source import Client, Source, Timings
from smgw_proxy_addon.redaction import redact_body, redact_target
from smgw_proxy_addon.server import connection, delivery, error_answer, request_body
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.slow_clients import LONGEST

_LOGGER: Final = logging.getLogger(__name__)

_BRIEFLY: Final = 2.0
"""Seconds in which it has to finish while others wait: a new connection takes no longer."""

_VERSIONS: Final = frozenset({(1, 0), (1, 1)})
_EXCERPT: Final = 4096
_LAST_WORD: Final = 0.2


@dataclass
class Visit:
    """What is known of a request for its line in the log."""

    client: str
    method: str
    target: str
    status: int = ABORT
    bytes_sent: int = 0
    timings: Timings = field(default_factory=Timings)
    code: str | None = None
    detail: str = ""
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    def fail(self, error: ProxyError) -> None:
        """Note what went wrong. The error itself is not kept: its traceback would keep this and all else it met."""
        self.code, self.detail = error.code, error.detail

    def record(self) -> RequestRecord:
        """Give the finished line."""
        return RequestRecord(
            client=self.client,
            method=self.method,
            target=self.target,
            status=self.status,
            bytes_sent=self.bytes_sent,
            waiting=self.timings.waiting,
            connecting=self.timings.connecting,
            answering=self.timings.answering,
            reused=self.timings.reused,
            code=self.code,
            detail=self.detail,
            shared=self.timings.shared,
        )


class Frontend:
    """Takes requests from clients to the gateway's pool and answers back."""

    def __init__(
        self,
        source: Source,
        access: Access,
        names: rewrite.GatewayNames,
        *,
        host: bytes,
        read_timeout: float,
        largest_body: int,
        report: Callable[[RequestRecord], None],
        longest_hold: float = LONGEST,
        log_bodies: bool = False,
    ) -> None:
        self._source = source
        self._access = access
        self._names = names
        self._host = host
        self._read_timeout = read_timeout
        self._largest_body = largest_body
        self._report = report
        self._longest_hold = longest_hold
        self._log_bodies = log_bodies
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def stop(self, grace: float) -> None:
        """Take no new requests; give the running ones ``grace`` seconds."""
        self._stopping = True
        for patience in (grace, _LAST_WORD):
            if not self._running:
                return
            await asyncio.wait(self._running, timeout=patience)
            for task in self._running:
                task.cancel()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Never raises but for cancellation."""
        visit = Visit(connection.address(request.get_extra_info("peername")), request.method, request.raw_path)
        visit.timings.hold.longest = self._longest_hold
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            return await self._forward(request, visit)
        except ProxyError as error:
            return self._refuse(request, visit, error)
        except OSError:
            return self._refuse(request, visit, ClientGoneError())
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return self._refuse(request, visit, ShuttingDownError())
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
            return self._refuse(request, visit, ProxyError())
        finally:
            self._report(visit.record())
            if self._log_bodies:
                _log_bodies(visit)

    def malformed(self, request: web.BaseRequest, exc: BaseException | None) -> web.StreamResponse:
        """Answer what is not valid HTTP, and log it without repeating it."""
        visit = Visit(connection.address(request.get_extra_info("peername")), "-", "-")
        response = self._refuse(request, visit, connection.fault(exc))
        self._report(visit.record())
        return response

    async def _forward(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        if self._stopping:
            raise ShuttingDownError
        if request.version not in _VERSIONS:
            raise BadRequestError("a version other than HTTP/1.0 and HTTP/1.1")  # aiohttp lets 0.9 and 2.0 pass
        headers = list(request.raw_headers)
        method = request.method.encode()
        self._access.check(
            peer=visit.client,
            local=connection.address(request.get_extra_info("sockname")),
            method=method,
            headers=headers,
            http_11=request.version >= (1, 1),
        )
        target = rewrite.origin_form(request.raw_path.encode("utf-8", "surrogateescape"))
        framing = rewrite.request_framing(headers, http_11=request.version >= (1, 1))
        if framing.length and framing.length > self._largest_body:
            raise request_body.too_large(self._largest_body)
        self._answer_expectation(request)
        body, stream = None, None
        if framing.has_body:
            received = await request_body.receive(request.content, self._largest_body, visit.timings.hold)
            body, stream = (received, None) if isinstance(received, bytes) else (None, received)
        if self._log_bodies and body:
            visit.sent += body[:_EXCERPT]
        outgoing = GatewayRequest(
            method=method,
            target=target,
            headers=rewrite.request_headers(headers, host=self._host),
            body=body,
            chunked=framing.chunked,
            has_login=any(name.lower() == b"authorization" for name, _ in headers),
            stream=stream,
        )
        return await self._ask(request, outgoing, visit)

    async def _ask(self, request: web.BaseRequest, outgoing: GatewayRequest, visit: Visit) -> web.StreamResponse:
        client = Client(visit.client, connection.gone(request))
        async with self._source.ask(outgoing, client, visit.timings) as (answer, body):
            return await self._pass_on(request, answer, body, visit)

    async def _pass_on(
        self, request: web.BaseRequest, answer: Answer, body: AsyncIterator[bytes], visit: Visit
    ) -> web.StreamResponse:
        plain = not request.secure
        headers = rewrite.response_headers(answer.headers, gateway=self._names, plain=plain)
        response = delivery.PassedOn(answer, headers, (request.version.major, request.version.minor))
        visit.status = answer.status
        if connection.is_last(request) or (request.version < (1, 1) and not response.has_length):
            response.force_close()
        hold = visit.timings.hold
        try:
            if answer.whole is not None and len(answer.whole) <= delivery.AT_ONCE and not delivery.lags(request):
                await response.send_whole(request, answer.whole)
                self._note(visit, answer.whole)
            else:
                await response.prepare(request)
                async for piece in body:
                    await delivery.write(request, piece, hold)
                    self._note(visit, piece)
                await delivery.finish(request, response, hold)
        except ConnectionError:
            visit.fail(ClientGoneError())
            await drain(body, limit=DRAIN_LIMIT, seconds=self._read_timeout)
        except ClientStalledError as error:
            visit.fail(error)
            connection.hang_up(request, force=True)
            await drain(body, limit=DRAIN_LIMIT, seconds=min(self._read_timeout, _BRIEFLY))
        except GatewayError as error:
            # The client must see that its answer is not whole: without a length only a reset tells.
            visit.fail(error)
            connection.hang_up(request, force=response.keep_alive is False)
        return response

    def _note(self, visit: Visit, piece: bytes) -> None:
        visit.bytes_sent += len(piece)
        if self._log_bodies:
            visit.received += piece[: _EXCERPT - len(visit.received)]

    def _answer_expectation(self, request: web.BaseRequest) -> None:
        """Answer ``Expect`` (RFC 9110 section 10.1.1) on the gateway's behalf: its requests carry none."""
        expected = request.headers.get("Expect")
        if expected is None or request.version < (1, 1):
            return
        if expected.lower() != "100-continue":
            raise ExpectationFailedError
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, request: web.BaseRequest, visit: Visit, error: ProxyError) -> web.Response:
        visit.fail(error)
        if request.writer.output_size:
            # Its answer has begun: all that can be said is that it is not whole.
            connection.hang_up(request, force=True)
            return web.Response()
        accept = request.headers.get("Accept")
        status = error.status
        if status == ABORT and not isinstance(error, ClientGoneError) and error_answer.wants_html(accept):
            status = GatewayError.status
        visit.status = status
        if status == ABORT:
            connection.hang_up(request)
            return web.Response()
        content_type, body = error_answer.body(
            error, accept=accept, accept_language=request.headers.get("Accept-Language")
        )
        visit.bytes_sent = len(body)
        headers = {"Content-Type": content_type, "Cache-Control": "no-store", "Server": "smgw-proxy"}
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, LoginRequiredError):
            headers["WWW-Authenticate"] = error.challenge
        response = connection.Refusal(status=status, body=body, headers=headers)
        last = BadRequestError | ClientStalledError | ForeignNetworkError | ShuttingDownError
        if connection.is_last(request) or isinstance(error, last):
            response.force_close()
        return response


def _log_bodies(visit: Visit) -> None:
    for what, body in (("request", visit.sent), ("answer", visit.received)):
        if body:
            _LOGGER.info(
                "Body of the %s (%s %s): %s",
                what,
                visit.method,
                redact_target(visit.target),
                redact_body(bytes(body)),
            )
