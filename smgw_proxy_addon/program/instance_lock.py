"""The mark of a running proxy, and how another program on this computer asks it for a diagnosis.

The mark is a file beside the pins, locked for as long as the proxy runs: a killed one leaves no lock behind. It names
a port on the loopback address and a random word that a caller must know, so only who may read the pins may ask. The
word is never logged or shown. Further marks, without secrets, are where every program of this computer finds them,
whatever folder and whatever spelling of the gateway's address it was given.
"""

import asyncio
import fcntl
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
_QUESTION_SECONDS: Final = 5.0
_SIZE_LIMIT: Final = 4096
_RESOLVE_SECONDS: Final = 2.0
_OPEN_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MarkError(Exception):
    """The mark cannot be read or written; the text is one plain line."""


@dataclass(frozen=True)
class Contact:
    """Where the running proxy listens, and the word that it wants to hear."""

    port: int
    word: str


class Mark:
    """The mark of a proxy for ``name`` (the target) in ``folder``, which is made if it is missing.

    All methods must be run in executor.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f".running-{name}"
        self._descriptor: int | None = None

    def set(self, contact: Contact) -> bool:
        """Lock the file and write into it; False if another proxy holds it. Raises MarkError."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, 0o600)
        except OSError as error:
            raise _problem(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(contact)).encode())
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise _problem(self._path, error) from None
        self._descriptor = descriptor
        return True

    def clear(self) -> None:
        """Empty and unlock the file; it stays, since removing it could take away the next one's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def read(self) -> Contact | None:
        """Return where the running proxy can be asked, None if none runs. Raises MarkError, also if it is silent."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _OPEN_FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _problem(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(ValueError, TypeError):
                return Contact(**json.loads(os.read(descriptor, _SIZE_LIMIT)))
            raise MarkError(
                f"A proxy runs for this gateway, but {self._path} does not tell where to ask it"
            ) from None
        except OSError as error:
            raise _problem(self._path, error) from None
        finally:
            os.close(descriptor)
        return None


class HostMarks:
    """Marks in a folder of the whole computer, one for each address that the gateway's name means, with its port.

    They are empty: another user could have written into them. Who is not let in there goes without. All methods must
    be run in executor.
    """

    def __init__(self, host: str, port: int, folder: Path | None = None) -> None:
        self._host = host
        self._port = port
        self._folder = folder or Path(tempfile.gettempdir())
        self._held: list[tuple[Path, int]] = []

    def set(self, addresses: Sequence[str]) -> bool:
        """Lock the files, which are made; False if another proxy holds one."""
        for path in self._paths(addresses):
            with suppress(OSError):
                descriptor = _opened(path)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    return False
                self._held.append((path, descriptor))
        return True

    def clear(self) -> None:
        """Remove and unlock the files."""
        held, self._held = self._held, []
        for path, descriptor in held:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)

    def held(self, addresses: Sequence[str]) -> bool:
        """Tell whether a proxy runs for one of the addresses."""
        return any(_is_locked(path) for path in self._paths(addresses))

    async def resolve(self) -> list[str]:
        """Return the gateway's addresses, none if its name has none now."""
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                entries = await asyncio.get_running_loop().getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM
                )
        except (OSError, UnicodeError, TimeoutError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in entries))

    def _paths(self, addresses: Sequence[str]) -> list[Path]:
        return [self._folder / f".smgw-proxy-{address}-{self._port}" for address in addresses]


def _opened(path: Path) -> int:
    try:
        # One that another user left may be opened, but not "made", in a folder that all can write to (proc(5)).
        return os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | _OPEN_FLAGS, 0o644)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(descriptor)


class Desk:
    """Answers questions for a diagnosis on the loopback address, from ``open`` to ``close``.

    ``answer`` gets the language and returns what can be written as JSON.
    """

    def __init__(
        self, mark: Mark, marks: HostMarks, answer: Callable[[str], Awaitable[Sequence[dict[str, Any]]]]
    ) -> None:
        self._mark = mark
        self._marks = marks
        self._answer = answer
        self._word = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    async def open(self) -> bool:
        """Listen and set the marks; False if another proxy runs for the same gateway. Raises MarkError."""
        alone = await asyncio.to_thread(self._marks.set, await self._marks.resolve())
        self._server = await asyncio.start_server(self._visit, LOOPBACK, 0)
        port = self._server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(self._mark.set, Contact(port, self._word)) and alone

    async def close(self) -> None:
        """Take the marks away and stop listening; whoever waits for an answer gets none."""
        await asyncio.to_thread(self._mark.clear)
        await asyncio.to_thread(self._marks.clear)
        if self._server is not None:
            self._server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)
        try:
            async with asyncio.timeout(_QUESTION_SECONDS):
                word, _, language = (await reader.readline()).decode("ascii", "replace").strip().partition(" ")
            if secrets.compare_digest(word.encode(), self._word.encode()):
                writer.write(json.dumps(await self._answer(language)).encode())
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the other side left, or is none of ours
        finally:
            writer.close()


async def ask(contact: Contact, language: str, patience: float) -> list[dict[str, Any]]:
    """Ask the running proxy for a diagnosis. Raises MarkError if it does not answer in ``patience`` seconds."""
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(LOOPBACK, contact.port)
            try:
                writer.write(f"{contact.word} {language}\n".encode())
                answer: list[dict[str, Any]] = json.loads(await reader.read())
                return answer
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        raise MarkError("A proxy runs for this gateway, but it does not answer") from None


def _problem(path: Path, error: OSError) -> MarkError:
    return MarkError(f"{path} cannot be used: {error.strerror or error}")
