"""What happened at the simulator: requests and counters, and waiting for them without sleeping."""

import asyncio
import hashlib
from collections.abc import Callable

from simulator.messages import Received


class Journal:
    """Counts up as things happen; ``changed`` wakes those who wait."""

    def __init__(self) -> None:
        self.records: list[Received] = []
        self.connections = 0
        self.open_connections = 0
        self.peak_connections = 0
        self.handshakes = 0
        self.failed_handshakes = 0
        self.refused_hellos = 0
        """Those of the failed handshakes that were refused for speaking of renegotiation."""
        self.client_certificates: list[str | None] = []
        """Per completed handshake: SHA-256 of the client's certificate, 64 lowercase hex digits; None without."""
        self.heads = 0
        self.answers = 0
        self.working = 0
        self.peak_working = 0
        self._change = asyncio.Event()

    def changed(self) -> None:
        """Wake everybody who waits for something."""
        self._change.set()
        self._change = asyncio.Event()

    def connection_opened(self) -> int:
        """Count a TCP connection and return its number, from 1."""
        self.connections += 1
        self.open_connections += 1
        self.peak_connections = max(self.peak_connections, self.open_connections)
        self.changed()
        return self.connections

    def connection_closed(self) -> None:
        """Count a TCP connection that is gone."""
        self.open_connections -= 1
        self.changed()

    def handshake_done(self, certificate: bytes | None) -> None:
        """Count a completed TLS handshake; ``certificate`` is the client's, DER."""
        self.handshakes += 1
        self.client_certificates.append(hashlib.sha256(certificate).hexdigest() if certificate else None)
        self.changed()

    def handshake_failed(self) -> None:
        """Count a TLS handshake that ended early."""
        self.failed_handshakes += 1
        self.changed()

    def hello_refused(self) -> None:
        """Count a TLS handshake that was refused for speaking of renegotiation."""
        self.refused_hellos += 1
        self.handshake_failed()

    def request_began(self) -> None:
        """Count a head that was read."""
        self.heads += 1
        self.working += 1
        self.peak_working = max(self.peak_working, self.working)
        self.changed()

    def request_ended(self, *, answered: bool) -> None:
        """Count a request that is no longer worked on."""
        self.working -= 1
        self.answers += answered
        self.changed()

    def record(self, request: Received) -> None:
        """Keep a request."""
        self.records.append(request)
        self.changed()

    async def wait_until(self, condition: Callable[[], bool], timeout: float) -> None:  # noqa: ASYNC109  # a test's limit
        """Wait until ``condition`` holds; it is asked after every change. Raises TimeoutError (seconds)."""
        async with asyncio.timeout(timeout):
            while not condition():
                await self._change.wait()
