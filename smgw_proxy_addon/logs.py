"""The log: one line per event, on the console and in files.

Owns the line of a request, and which handlers write. Callers never wait for a terminal, a pipe or a disk.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TextIO

from smgw_proxy_addon.errors import ABORT, ProxyError
from smgw_proxy_addon.log_files import LogFiles
from smgw_proxy_addon.log_writer import WriterHandler, make_notice
from smgw_proxy_addon.redaction import redact_target
from smgw_proxy_addon.text import LIMIT, printable

_LOGGER: Final = logging.getLogger(__name__)
_CONNECTIONS: Final = {True: "reused", False: "new", None: "-"}


@dataclass(slots=True)
class RequestRecord:
    """One request and its outcome, for the log and the status page; complete when the request is finished.

    ``waiting`` (all waits together: for the throttle, another login, another request's answer, a place at the
    gateway), ``connecting`` and ``answering`` are seconds; ``reused`` says whether the gateway's connection was kept
    from before, ``None`` if none was used; ``status`` may be ``errors.ABORT``; ``code`` is the error's, ``detail``
    its technical addition. ``target`` is as received, not redacted.
    """

    client: str = ""
    method: str = ""
    target: bytes | str = b""
    status: int = ABORT
    bytes_sent: int = 0
    waiting: float = 0.0
    connecting: float = 0.0
    answering: float = 0.0
    reused: bool | None = None
    code: str | None = None
    detail: str = ""
    shared: Literal["hit", "collapsed", "stored"] | None = None
    """Of an answer that may be shared: taken from those stored, from another client's request, or just stored."""

    def fail(self, error: ProxyError) -> None:
        """Note what went wrong. The error itself is not kept: its traceback would keep all that it met."""
        self.code, self.detail = error.code, error.detail

    @contextmanager
    def wait(self, clock: Callable[[], float]) -> Iterator[None]:
        """Add the time of this context as a wait, also if it ends with an exception."""
        began = clock()
        try:
            yield
        finally:
            self.waiting += clock() - began


def request_line(record: RequestRecord) -> str:
    """Return the line of a request: who, what, outcome, bytes to the client, milliseconds, connection, error."""
    line = (
        f"{_word(record.client)} {_word(printable(record.method, 20))} {_word(redact_target(record.target))} "
        f"{'closed' if record.status == ABORT else record.status} bytes={record.bytes_sent} "
        f"waiting={record.waiting * 1000:.0f}ms connecting={record.connecting * 1000:.0f}ms "
        f"answering={record.answering * 1000:.0f}ms connection={_CONNECTIONS[record.reused]}"
    )
    if record.shared is not None:
        line += f" shared={record.shared}"
    if record.code is not None:
        line += f" error={record.code}"
        if record.detail:
            line += f" ({printable(record.detail)})"
    return line


def log_request(record: RequestRecord) -> None:
    """Log one request, as a warning if the proxy answered an error. A login challenge is no error."""
    level = logging.INFO if record.code in {None, "login_required"} else logging.WARNING
    if _LOGGER.isEnabledFor(level):
        _LOGGER.callHandlers(_RequestLogRecord(record, level))


class _RequestLogRecord(logging.LogRecord):
    """A request for the log, whose line the writers' threads make.

    The constructor of the standard library, which asks for task, thread and process, costs as much as the line.
    """

    _TEMPLATE: Final = vars(logging.LogRecord(_LOGGER.name, logging.INFO, __file__, 0, "", None, None))

    def __init__(self, request: RequestRecord, level: int) -> None:
        self.__dict__ |= self._TEMPLATE
        self.levelno, self.levelname, self.created = level, logging.getLevelName(level), time.time()
        self._request: RequestRecord | None = request
        if len(request.target) > LIMIT:
            self.getMessage()  # now: what waits in a queue is bounded

    def getMessage(self) -> str:  # noqa: N802 - the standard library's name
        """Return the line. May be called in several threads."""
        if request := self._request:
            self.msg = request_line(request)
            self._request = None
        return self.msg


class Logging:
    """The handlers on the root logger: one for ``stream``, the console; ``close`` takes them away again.

    ``level`` is a level's name in any case. ``failure`` is a sentence that says why no files are written now; None
    while they are.
    """

    def __init__(self, level: str, stream: TextIO) -> None:
        self._root = logging.getLogger()
        self._level_before = self._root.level
        self._root.setLevel(level.upper())
        self._writers: dict[str, WriterHandler] = {}
        self._files: LogFiles | None = None
        self.failure: str | None = None

        def write(text: str) -> None:
            with suppress(OSError, ValueError):  # the stream is closed
                stream.write(f"{text}\n")
                stream.flush()

        self._add("console", write)

    def add_files(self, files: LogFiles) -> None:
        """Write the log into files, too. If their folder cannot be used, the console says so at the first line."""
        self._files = files
        self._add("files", files.write)

    def report(self, text: str, failure: bool) -> None:
        """Log a failure of the files on the console, and its end on the console and in the files."""
        self.failure = text if failure else None
        for name, writer in self._writers.items():
            if name == "console" or not failure:
                writer.put(make_notice(logging.WARNING if failure else logging.INFO, text))

    def close(self) -> None:
        """Write what is queued and take the handlers away. Blocks, two seconds at most. May be called twice."""
        for writer in reversed(self._writers.values()):  # the console last: closing the files may log
            self._root.removeHandler(writer)
            writer.close()
        self._root.setLevel(self._level_before)
        if self._files and self._writers["files"].stopped:  # not while a hanging thread writes
            self._files.close()

    def _add(self, name: str, write: Callable[[str], None]) -> None:
        writer = WriterHandler(name, write, overflow=partial(self._warn_others, name))
        self._writers[name] = writer
        self._root.addHandler(writer)

    def _warn_others(self, hanging: str) -> None:
        for name, writer in self._writers.items():
            if name != hanging:
                writer.put(make_notice(logging.WARNING, f"Log lines are dropped: writing to the {hanging} hangs"))


def _word(text: str) -> str:
    """Return a printable text without spaces, which separate the fields of a line."""
    return printable(text).replace(" ", "\\x20") or "-"
