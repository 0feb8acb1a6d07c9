"""The client side: what comes in over HTTP and HTTPS, handed to the gateway and back as it is.

Nothing is decided here that a pure module decides: who may come in is ``access``, what is changed on the way is
``rewrite``, when the gateway is asked is the pool. An error never echoes what came in.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
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
from smgw_proxy_addon.gateway.drain import DRAIN_LIMIT, drain
from smgw_proxy_addon.http import rewrite
from smgw_proxy_addon.http.headers import Fields, by_name
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.source import Client, Source, Timings
from smgw_proxy_addon.redaction import redact_body, redact_target
from smgw_proxy_addon.server import error_answer, request_body
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.server.connection import ClientConnection
from smgw_proxy_addon.server.messages import Request, reason
from smgw_proxy_addon.server.slow_clients import LONGEST

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


@dataclass(slots=True)
class RequestNotes:
    """What is known of a request so far, for its line in the log."""

    client: str
    method: str
    target: bytes
    status: int = ABORT
    bytes_sent: int = 0
    timings: Timings = field(default_factory=Timings)
    code: str | None = None
    detail: str = ""
    request_body: bytes = b""
    answer_body: bytes = b""

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


class RequestHandler:
    """Takes requests from clients to the gateway's pool and answers back."""

    def __init__(
        self,
        source: Source,
        access: Access,
        names: Callable[[], rewrite.GatewayNames],
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

    def refuse_requests(self) -> None:
        """Take no new requests; the running ones go on."""
        self._stopping = True

    async def stop(self, grace: float) -> None:
        """Give the running requests ``grace`` seconds. New ones are refused."""
        self.refuse_requests()
        for seconds in (grace, _LAST_ANSWER):
            if not self._running:
                return
            await asyncio.wait(self._running, timeout=seconds)
            for task in self._running:
                task.cancel()

    async def handle(self, request: Request, client: ClientConnection) -> None:
        """Answer one request. Never raises but for cancellation."""
        notes = RequestNotes(client.peer, request.method.decode(), request.target)
        notes.timings.hold.longest = self._longest_hold
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._running.add(task)
        try:
            await self._forward(request, client, notes)
            await client.confirm()
        except ProxyError as error:
            self._refuse(request, client, notes, error)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            self._refuse(request, client, notes, ShuttingDownError())
        except Exception:
            _LOGGER.exception("A fault of the proxy itself; please report it")
            self._refuse(request, client, notes, ProxyError())
        finally:
            self._running.discard(task)
            self._report(notes.record())
            if self._log_bodies:
                _log_bodies(notes)

    async def _forward(self, request: Request, client: ClientConnection, notes: RequestNotes) -> None:
        if request.complete:
            request.check()
        if self._stopping:
            raise ShuttingDownError
        fields, http_11 = by_name(request.headers), request.http_11
        self._access.check(peer=client.peer, local=client.local, method=notes.method, fields=fields, http_11=http_11)
        if client.misplaced:
            raise _https_required(fields)
        target = rewrite.origin_form(request.target)
        framing = rewrite.request_framing(fields, http_11=http_11)
        if framing.length and framing.length > self._largest_body:
            raise request_body.too_large(self._largest_body)
        if http_11 and b"expect" in fields:
            _answer_expectation(fields[b"expect"][0], client)
        headers = rewrite.request_headers(request.headers, host=self._host)
        body, stream = None, None
        if framing.has_body:
            body, stream = await request_body.receive(client, self._largest_body, notes.timings.hold)
        if body is not None:
            if framing.chunked:  # some firmware knows nothing but a length
                headers.append((b"Content-Length", b"%d" % len(body)))
            if self._log_bodies:
                notes.request_body = body[:_EXCERPT]
        outgoing = GatewayRequest(
            method=request.method,
            target=target,
            headers=headers,
            body=body,
            chunked=framing.chunked and not isinstance(body, bytes),
            has_login=b"authorization" in fields,
            stream=stream,
        )
        async with self._source.ask(outgoing, Client(client.peer, client.gone), notes.timings) as (answer, pieces):
            await self._pass_on(request, client, answer, pieces, notes)

    async def _pass_on(
        self,
        request: Request,
        client: ClientConnection,
        answer: Answer,
        pieces: AsyncIterator[bytes],
        notes: RequestNotes,
    ) -> None:
        plain = not client.secure
        headers = rewrite.response_headers(answer.headers, gateway=self._names(), plain=plain)
        notes.status = answer.status
        hold = notes.timings.hold
        try:
            if answer.whole is not None and len(answer.whole) <= _AT_ONCE and not client.output.unsent:
                client.answer(request, answer.status, answer.reason, headers, answer.whole)
                self._count(notes, answer.whole)
                return
            client.answer(request, answer.status, answer.reason, headers)
            async for piece in pieces:
                await client.send(piece, hold)
                self._count(notes, piece)
            client.finish()
        except ClientGoneError as error:
            notes.fail(error)
            await drain(pieces, limit=DRAIN_LIMIT, seconds=self._read_timeout)
        except ClientStalledError as error:
            notes.fail(error)
            client.output.reset()
            await drain(pieces, limit=DRAIN_LIMIT, seconds=min(self._read_timeout, _BRIEFLY))
        except GatewayError as error:
            notes.fail(error)
            # The client must see that its answer is not whole: without a length only a reset tells.
            if not request.keeps_alive:
                client.output.reset()
            request.keeps_alive = False

    def _count(self, notes: RequestNotes, piece: bytes) -> None:
        notes.bytes_sent += len(piece)
        if self._log_bodies:
            notes.answer_body += piece[: _EXCERPT - len(notes.answer_body)]

    def _refuse(self, request: Request, client: ClientConnection, notes: RequestNotes, error: ProxyError) -> None:
        notes.fail(error)
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
        notes.status = status
        if status == ABORT or isinstance(error, _CLOSES):
            request.keeps_alive = False
        if status == ABORT:
            return
        headers, body = error_answer.write(error, request.headers)
        notes.bytes_sent = len(body)
        with suppress(ClientGoneError):
            client.answer(request, status, reason(status), headers, b"" if request.method == b"HEAD" else body)


def _answer_expectation(expected: bytes, client: ClientConnection) -> None:
    """Answer ``Expect`` (RFC 9110 section 10.1.1) on the gateway's behalf: its requests carry none."""
    if expected.lower() != b"100-continue":
        raise ExpectationFailedError
    client.send_continue()


def _https_required(fields: Fields) -> HttpsRequiredError:
    """Name the right address: as the client wrote it, which ``access`` has checked."""
    host = b"".join(fields.get(b"host", ()))
    return HttpsRequiredError("plain HTTP at the port for HTTPS", host=host.decode())


def _log_bodies(notes: RequestNotes) -> None:
    for what, body in (("request", notes.request_body), ("answer", notes.answer_body)):
        if body:
            _LOGGER.info(
                "Body of the %s (%s %s): %s",
                what,
                notes.method,
                redact_target(notes.target),
                redact_body(body),
            )
