"""One connection: requests in, answers out, and the faults that hit them."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import replace
from typing import Final, NoReturn

from simulator.faults import Fault, FaultKind, Faults, How, Point
from simulator.journal import Journal
from simulator.messages import Body, MalformedRequestError, Received, Response, parse_head, read_body
from simulator.pace import Pace
from simulator.router import Router

GARBAGE: Final = b"\x00\x01\x02 this is not HTTP \xff\r\n\r\n"
PART: Final = 1000
"""Bytes of a request's body that are read before it is broken off."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST instead of FIN."""


class BrokenOffError(Exception):
    """A fault has ended the exchange in its middle."""


class Connection:
    """Serves one client until it leaves or a fault ends it."""

    def __init__(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        journal: Journal,
        faults: Faults,
        router: Router,
        pace: Pace,
        request_delay: float,
    ) -> None:
        self._number = number
        self._reader = reader
        self._writer = writer
        self._journal = journal
        self._faults = faults
        self._router = router
        self._pace = pace
        self._request_delay = request_delay
        self._answered = 0
        tls = writer.get_extra_info("ssl_object")
        self._closing: Fault | None = None
        self._certified = bool(tls and tls.getpeercert(binary_form=True))
        self.idle = True
        """Whether it waits for a request."""

    async def serve(self) -> None:
        """Answer requests one after the other."""
        # The client leaving, in whatever way, is an ordinary end.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, BrokenOffError):
            while raw := await self._read_head():
                self.idle = False
                self._journal.request_began()
                keep = False
                try:
                    keep = await self._exchange(raw)
                finally:
                    self.idle = True
                    self._journal.request_ended(answered=keep)
                if not keep:
                    break
            if self._closing:
                await self._closing.wait()
        self.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def close(self) -> None:
        """Close in order: close_notify, then FIN."""
        # At a second time asyncio's TLS transport would forget its socket, and could not be aborted any more.
        if not self._writer.transport.is_closing():
            self._writer.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        raw = self._writer.get_extra_info("socket")
        if raw is not None:  # TLS lets go of it when the client has left
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    async def _read_head(self) -> bytes:
        """Return the next head, or nothing at the end; the rest of a broken one is recorded."""
        idle = self._faults.take(FaultKind.IDLE_CLOSE)
        try:
            async with asyncio.timeout(idle.seconds if idle else None):
                return await self._reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            return b""
        except asyncio.LimitOverrunError as error:
            self._journal.record(Received(self._number, await self._reader.read(error.consumed), complete=False))
            return b""
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self._journal.record(Received(self._number, error.partial, complete=False))
            return b""

    async def _exchange(self, raw: bytes) -> bool:
        """Answer one request; False ends the connection."""
        try:
            request = await self._receive(self._parse(raw))
        except MalformedRequestError as error:
            refusal = Response(400, body=f"malformed {error}\n".encode(), close=True)
            await self._write(refusal, Received(self._number, raw, "GET", complete=False))
            return False
        if await self._fails(request):
            return False
        if fault := self._faults.take(FaultKind.SLOW, request):
            await fault.wait()
        await self._pace.work(self._request_delay)
        if self._faults.take(FaultKind.LOGIN_LOOP, request):
            response: Response | None = self._router.ask_for_login()
        else:
            response = self._router.answer(request)
        if response is None:
            return False
        return await self._send(request, response)

    def _parse(self, raw: bytes) -> Received:
        try:
            return parse_head(self._number, raw)
        except MalformedRequestError:
            self._journal.record(Received(self._number, raw, complete=False))
            raise

    async def _receive(self, head: Received) -> Received:
        if fault := self._faults.take(FaultKind.HOLD_BODY, head):
            await fault.wait()
        if (head.header(b"expect") or b"").lower() == b"100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = Body()
        complete = False
        try:
            await self._break(Point.HEAD, head)
            if fault := self._faults.take(FaultKind.BREAK, head, at=Point.BODY):
                body.add(await self._reader.read(PART))
                await self._break_off(fault)
            await read_body(head, self._reader, body.add)
            complete = True
        finally:
            request = replace(
                head,
                body=bytes(body.kept),
                body_size=body.size,
                body_sha256=body.sha256.hexdigest(),
                login=self._router.login.check(head, certified=self._certified),
                complete=complete,
            )
            self._journal.record(request)
        return request

    async def _break(self, point: Point, request: Received) -> None:
        if fault := self._faults.take(FaultKind.BREAK, request, at=point):
            await self._break_off(fault)

    async def _break_off(self, fault: Fault) -> NoReturn:
        if fault.how is How.RESET:
            self.reset()
        elif fault.how is How.STALL:
            await self._until_client_leaves()
        elif fault.how is How.GARBAGE:
            self._writer.write(GARBAGE)
        raise BrokenOffError

    async def _fails(self, request: Received) -> bool:
        """Apply the faults that end a connection without an answer."""
        await self._break(Point.REQUEST, request)
        take = self._faults.take
        if take(FaultKind.DROP, request) or (self._answered and take(FaultKind.DROP_KEPT, request)):
            return True
        if take(FaultKind.RESET, request):
            self.reset()
            return True
        if take(FaultKind.STALL, request):
            await self._until_client_leaves()
            return True
        if take(FaultKind.GARBAGE, request):
            self._writer.write(GARBAGE)
            await self._writer.drain()
            return True
        return False

    async def _until_client_leaves(self) -> None:
        while await self._reader.read(1024):
            pass

    async def _send(self, request: Received, response: Response) -> bool:
        wants_close = b"close" in (request.header(b"connection") or b"").lower()
        announced = self._faults.take(FaultKind.CLOSE_ANNOUNCED, request)
        self._closing = announced or self._faults.take(FaultKind.CLOSE_UNANNOUNCED, request)
        response.close = response.close or wants_close or announced is not None
        if response.has_body(request.method):
            if self._faults.take(FaultKind.TRUNCATE, request):
                await self._write_half(response)
                return False
            if fault := self._faults.take(FaultKind.STALL_BODY, request):
                rest = await self._write_half(response)
                if fault.gate is None:
                    await self._until_client_leaves()
                    return False
                await fault.wait()
                self._writer.write(rest)
                await self._writer.drain()
                self._answered += 1
                return True
        await self._write(response, request)
        self._answered += 1
        await self._break(Point.ANSWER, request)
        return not (self._closing or response.close or response.until_close)

    async def _write(self, response: Response, request: Received) -> None:
        head = response.head()
        if fault := self._faults.take(FaultKind.BREAK, request, at=Point.HALF_HEAD):
            self._writer.write(head[: len(head) // 2])
            await self._break_off(fault)
        self._writer.write(head)
        await self._break(Point.ANSWER_HEAD, request)
        if response.has_body(request.method):
            if fault := self._faults.take(FaultKind.BREAK, request, at=Point.HALF_BODY):
                body = b"".join([piece async for piece in response.pieces()])
                self._writer.write(body[: len(body) // 2])
                await self._break_off(fault)
            async for piece in response.pieces():
                self._writer.write(piece)
                await self._writer.drain()
        await self._writer.drain()

    async def _write_half(self, response: Response) -> bytes:
        """Send the head and half of the body; return the other half."""
        body = b"".join([piece async for piece in response.pieces()])
        self._writer.write(response.head() + body[: len(body) // 2])
        await self._writer.drain()
        return body[len(body) // 2 :]
