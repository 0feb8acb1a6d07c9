"""How ``smgw-proxy doctor`` asks a running proxy of this computer for its diagnosis, on the loopback address.

The lock file has its port and, behind a space, a token. One line asks: the token, a space, the language. The answer
is JSON, up to the end of the connection. The gateway sees one connection, that of the running proxy.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from smgw_proxy_addon.program.instance_lock import InstanceError, InstanceLock

LOOPBACK: Final = "127.0.0.1"
_REQUEST_SECONDS: Final = 5.0


class DiagnosisEndpoint:
    """Answers from ``open`` to ``close``, and holds the instance lock.

    ``diagnose`` gets the language and returns what can be written as JSON.
    """

    def __init__(self, lock: InstanceLock, diagnose: Callable[[str], Awaitable[Sequence[dict[str, Any]]]]) -> None:
        self._lock = lock
        self._diagnose = diagnose
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self) -> bool:
        """Listen and take the lock; False if another proxy holds it. Raises InstanceError and OSError."""
        self._server = await asyncio.start_server(self._answer, LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(self._lock.acquire, f"{port} {self._token}")

    async def close(self) -> None:
        """Release the lock and stop listening; running requests get no answer."""
        await asyncio.to_thread(self._lock.release)
        if self._server is not None:
            self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                token, _, language = (await reader.readline()).decode("ascii", "replace").strip().partition(" ")
            if secrets.compare_digest(token.encode(), self._token.encode()):
                writer.write(json.dumps(await self._diagnose(language)).encode())
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the other side left, or sent something else
        finally:
            writer.close()


async def request_diagnosis(endpoint: str, language: str, seconds: float) -> list[dict[str, Any]]:
    """Ask the running proxy for a diagnosis; ``endpoint`` is the line of its lock file.

    Raises InstanceError without an answer in ``seconds``.
    """
    port, _, token = endpoint.partition(" ")
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(LOOPBACK, int(port))
            try:
                writer.write(f"{token} {language}\n".encode())
                answer: list[dict[str, Any]] = json.loads(await reader.read())
                return answer
            finally:
                writer.close()
    except (OSError, OverflowError, TimeoutError, ValueError):
        raise InstanceError("A proxy runs for this gateway, but it does not answer") from None
