"""A plain HTTP port on loopback through which a running simulator is told what to do.

``POST /faults`` with ``{"set": "drop", "times": 1, "seconds": 0.5}`` or ``{"clear": "drop"}`` (null: all),
``POST /rotate`` with fields of ``CertificateOptions`` (times in ISO 8601), ``POST /close``, ``GET /records``,
``GET /state``.
"""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from simulator.gateway import Simulator
from simulator.messages import Body, MalformedRequestError, Received, Response, parse_head, read_body


class Control:
    """Listens from ``start`` to ``stop``."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; raises OSError if it cannot be used."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            response = await self._respond(reader)
            response.close = True
            writer.write(response.head())
            async for piece in response.pieces():
                writer.write(piece)
            await writer.drain()
        writer.close()

    async def _respond(self, reader: asyncio.StreamReader) -> Response:
        body = Body()
        try:
            request = parse_head(0, await reader.readuntil(b"\r\n\r\n"))
            await read_body(request, reader, body.add)
            given: dict[str, Any] = json.loads(body.kept or b"{}")
            return Response.json(await self._act(request, given))
        except (MalformedRequestError, ValueError, TypeError, AttributeError) as error:
            return Response.json({"error": str(error)}, 400)

    async def _act(self, request: Received, given: dict[str, Any]) -> object:
        simulator = self._simulator
        match request.method, request.path:
            case "POST", b"/faults":
                if "set" in given:
                    simulator.faults.set(given.pop("set"), **given)
                else:
                    simulator.faults.clear(given.get("clear"))
            case "POST", b"/rotate":
                await simulator.rotate_certificate(**{name: _value(name, text) for name, text in given.items()})
            case "POST", b"/close":
                simulator.close_connections()
            case "GET", b"/records":
                return [_as_json(record) for record in simulator.records]
            case "GET", b"/state":
                pass
            case _:
                raise ValueError("GET /records, GET /state, POST /faults, POST /rotate or POST /close")
        return self._state()

    def _state(self) -> dict[str, object]:
        simulator = self._simulator
        return {
            "fingerprint": simulator.fingerprint,
            "connections": simulator.connections,
            "open_connections": simulator.journal.open_connections,
            "peak_connections": simulator.journal.peak_connections,
            "handshakes": simulator.handshakes,
            "client_certificates": simulator.journal.client_certificates,
            "requests": len(simulator.records),
            "restarts": simulator.restarts,
            "faults": simulator.faults.names(),
        }


def _value(name: str, text: str) -> str | datetime:
    if name not in ("not_before", "not_after"):
        return text
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _as_json(record: Received) -> dict[str, object]:
    """Return a record with its bytes as Latin-1, which keeps every one of them."""
    return {
        "connection": record.connection,
        "raw_head": record.raw_head.decode("latin-1"),
        "method": record.method,
        "target": record.target.decode("latin-1"),
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in record.headers],
        "body": record.body.decode("latin-1"),
        "body_size": record.body_size,
        "body_sha256": record.body_sha256,
        "login": record.login,
        "complete": record.complete,
    }
