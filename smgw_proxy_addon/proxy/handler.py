"""The client side: what comes in over HTTP and HTTPS, handed to the gateway and back as it is.

Nothing is decided here that a pure module decides: who may come in is ``access``, what is changed on the way is
``rewrite``, when the gateway is asked is the pool. An error never echoes what came in.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, cast

from smgw_proxy_addon.errors import (
    ABORT,
    BadRequestError,
    ClientGoneError,
    ClientStalledError,
    ExpectationFailedError,
    ForeignNetworkError,
    GatewayError,
    HttpsRequiredError,
    ProxyError,
    ShuttingDownError,
)
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT, drain
from smgw_proxy_addon.http import rewrite
from smgw_proxy_addon.http.headers import Fields, by_name
from smgw_proxy_addon.http.messages import GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.source import Answered, Ask, Client
from smgw_proxy_addon.redaction import redact_body, redact_target
from smgw_proxy_addon.server import error_answer, request_body
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.messages import CONTINUE, Request, reason
from smgw_proxy_addon.server.slow_clients import LONGEST, SlowClientTimeout

_LOGGER: Final = logging.getLogger(__name__)

_BRIEFLY: Final = 2.0
"""Seconds in which it has to finish while others wait: a new connection takes no longer."""

_EXCERPT: Final = 4096
_LAST_ANSWER: Final = 0.2
"""Seconds in which requests that are broken off when the proxy stops are told so."""

_AT_ONCE: Final = 32768
"""Bytes that are sent without a look at how the client reads: less than its connection takes without waiting."""

_CLOSES: Final = (BadRequestError, ClientStalledError, ForeignNetworkError, ShuttingDownError)
"""Errors whose answer is the last one of a connection."""


@dataclass(eq=False, repr=False)
class RequestHandler:
    """Takes requests from clients to the gateway's pool and answers back."""

    ask: Ask
    access: Access
    names: Callable[[], rewrite.GatewayNames]
    _: KW_ONLY
    host: bytes
    read_timeout: float
    largest_body: int
    report: Callable[[RequestRecord], None]
    slow_client_seconds: float = LONGEST
    log_bodies: bool = False
    _running: set[asyncio.Task[Any]] = field(default_factory=set, init=False)
    """Of the connections whose requests are running; they go on behind these."""
    _stopping: bool = field(default=False, init=False)
    _none_runs: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Once it stops."""

    def refuse_requests(self) -> None:
        """Take no new requests; the running ones go on."""
        self._stopping = True

    async def stop(self, grace: float) -> None:
        """Give the running requests ``grace`` seconds. New ones are refused."""
        self.refuse_requests()
        for seconds in (grace, _LAST_ANSWER):
            if not self._running:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._none_runs.wait()
            for task in self._running:
                task.cancel()

    async def handle(self, request: Request, client: ClientConnection) -> None:
        """Answer one request. Never raises but for cancellation."""
        record = RequestRecord(client.peer, request.method.decode(), request.target)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._running.add(task)
        try:
            await self._forward(request, client, record)
            if client.half_closed:
                await client.output.confirm()
        except ProxyError as error:
            self._refuse(request, client, record, error)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            self._refuse(request, client, record, ShuttingDownError())
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
            self._refuse(request, client, record, ProxyError())
        finally:
            self._running.discard(task)
            if self._stopping and not self._running:
                self._none_runs.set()
            self.report(record)

    async def _forward(self, request: Request, client: ClientConnection, record: RequestRecord) -> None:
        if request.complete:
            request.check()
        if self._stopping:
            raise ShuttingDownError
        fields, http_11 = by_name(request.headers), request.http_11
        self.access.check(peer=client.peer, local=client.local, method=record.method, fields=fields, http_11=http_11)
        if client.misplaced:
            raise _https_required(fields)
        target = rewrite.origin_form(request.target)
        framing = rewrite.request_framing(fields, http_11=http_11)
        if framing.length and framing.length > self.largest_body:
            raise request_body.too_large(self.largest_body)
        if http_11 and b"expect" in fields:
            _answer_expectation(fields[b"expect"][0], client)
        headers = rewrite.request_headers(request.headers, host=self.host)
        asking = Client(client.peer, client.gone, record, SlowClientTimeout(self.slow_client_seconds))
        body, stream = None, None
        if framing.has_body:
            body, stream = await request_body.receive(client, self.largest_body, asking.slow_timeout)
        if body is not None:
            if framing.chunked:  # some firmware knows nothing but a length
                headers.append((b"Content-Length", b"%d" % len(body)))
            self._log_body("request", record, body)
        outgoing = GatewayRequest(
            request.method,
            target,
            headers,
            body,
            chunked=framing.chunked and body is None,
            has_login=b"authorization" in fields,
            stream=stream,
        )
        async with self.ask(outgoing, asking) as answered:
            await self._pass_on(request, client, asking, answered)

    async def _pass_on(self, request: Request, client: ClientConnection, asking: Client, answered: Answered) -> None:
        record, (answer, pieces) = asking.record, answered
        headers = rewrite.response_headers(answer.headers, gateway=self.names(), plain=not client.secure)
        record.status = answer.status
        whole, excerpt = answer.whole, b""
        try:
            if whole is not None and len(whole) <= _AT_ONCE and not client.output.unsent:
                client.answer(request, answer.status, answer.reason, headers, whole)
                record.bytes_sent, excerpt = len(whole), whole
                return
            client.answer(request, answer.status, answer.reason, headers)
            async for piece in pieces:
                await client.send(piece, asking.slow_timeout)
                record.bytes_sent += len(piece)
                excerpt += piece[: _EXCERPT - len(excerpt)]
            client.finish()
        except ClientGoneError as error:
            record.fail(error)
            await drain(pieces, limit=DRAIN_LIMIT, seconds=self.read_timeout)
        except ClientStalledError as error:
            record.fail(error)
            client.output.reset()
            await drain(pieces, limit=DRAIN_LIMIT, seconds=min(self.read_timeout, _BRIEFLY))
        except GatewayError as error:
            record.fail(error)
            # The client must see that its answer is not whole: without a length only a reset tells.
            if not request.keeps_alive:
                client.output.reset()
            request.keeps_alive = False
        finally:
            self._log_body("answer", record, excerpt)

    def _log_body(self, what: str, record: RequestRecord, body: bytes) -> None:
        if self.log_bodies and body:
            target = redact_target(record.target)
            _LOGGER.info("Body of the %s (%s %s): %s", what, record.method, target, redact_body(body[:_EXCERPT]))

    def _refuse(self, request: Request, client: ClientConnection, record: RequestRecord, error: ProxyError) -> None:
        record.fail(error)
        if request.answered:
            client.output.reset()  # all that can be said is that the answer is not whole
            return
        status = error.status
        if (
            status == ABORT
            and not isinstance(error, ClientGoneError)
            and error_answer.wants_html(error_answer.first(request.headers, b"accept"))
        ):
            status = GatewayError.status
        record.status = status
        # A client that waits for 100 Continue may leave the body out: its next request would be read as that.
        waits = not request.complete and error_answer.first(request.headers, b"expect") is not None
        if status == ABORT or waits or isinstance(error, _CLOSES):
            request.keeps_alive = False
        if status == ABORT:
            return
        headers, body = error_answer.write(error, request.headers)
        record.bytes_sent = len(body)
        with suppress(ClientGoneError):
            client.answer(request, status, reason(status), headers, b"" if request.method == b"HEAD" else body)


def _answer_expectation(expected: bytes, client: ClientConnection) -> None:
    """Answer ``Expect`` (RFC 9110 section 10.1.1) on the gateway's behalf: its requests carry none."""
    if expected.lower() != b"100-continue":
        raise ExpectationFailedError
    client.output.write(CONTINUE)


def _https_required(fields: Fields) -> HttpsRequiredError:
    """Name the right address: as the client wrote it, which ``access`` has checked."""
    host = b"".join(fields.get(b"host", ()))
    return HttpsRequiredError("plain HTTP at the port for HTTPS", host=host.decode())
