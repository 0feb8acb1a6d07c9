"""The log: one line per event, on the console and in files, safe to show.

Owns the line's form, the one line per request, and the threads that write. A caller never waits for a terminal,
a pipe or a disk: lines are queued, and beyond a bound they are dropped and counted. Nothing from outside reaches
the log raw, and logging never prints a traceback of its own.
"""

import copy
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final, TextIO

from smgw_proxy_addon.errors import ABORT
from smgw_proxy_addon.log_files import LogFiles
from smgw_proxy_addon.redaction import printable, redact_target

_LOGGER: Final = logging.getLogger(__name__)
_PACKAGE: Final = __name__.partition(".")[0]
_MESSAGE_LIMIT: Final = 8000
_FILE_LIMIT: Final = 10_000_000
"""Bytes of one file."""
_TOTAL_LIMIT: Final = 100_000_000
"""Bytes of all files."""
"""Characters of a message, or of one line of a traceback."""
_QUEUE_LIMIT: Final = 2000
"""Lines that wait for a writer that hangs; with the limit of a message that bounds the memory."""
_COLLECT_SECONDS: Final = 0.02
"""The pause after writing in a burst, in which further lines are collected."""
_HURRIED: Final = 10
"""Writes that follow each other within that time before it is a burst: what is seldom is written at once."""
_BATCH: Final = 100
"""Lines that are written at once."""
_CONNECTIONS: Final = {True: "reused", False: "new", None: "-"}
_SECONDS: Final = len("2026-11-22 12:00:00")
_LINE: Final = "smgw_proxy_line"
"""The attribute of a record that keeps its finished line."""
_CLOSE_SECONDS: Final = 1.0
"""How long the end of the program waits for each writer."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request and its outcome, for the log and the status page.

    ``waiting`` (all waits together), ``connecting`` and ``answering`` are seconds; ``reused`` says whether
    the gateway's connection was kept from before, ``None`` if none was used; ``status`` may be ``errors.ABORT``;
    ``code`` is the error's, ``detail`` its technical addition. ``target`` is as received, not redacted.
    """

    client: str
    method: str
    target: bytes | str
    status: int
    bytes_sent: int
    waiting: float
    connecting: float
    answering: float
    reused: bool | None
    code: str | None = None
    detail: str = ""
    shared: str | None = None
    """What became of an answer that may be shared: ``hit``, ``collapsed`` or ``stored``."""


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
    """Log one request: a warning if it ended in an error of ours. To ask for the login is no error."""
    level = logging.INFO if record.code in {None, "login_required"} else logging.WARNING
    if _LOGGER.isEnabledFor(level):
        # Made here: looking for the caller, as the logger does, costs as much as the line.
        _LOGGER.handle(logging.LogRecord(_LOGGER.name, level, __file__, 0, request_line(record), None, None))


class LineFormatter(logging.Formatter):
    """Makes one line of a record: local time with zone, level, message; loggers of others are named.

    Only an exception's traceback has more lines, each of which begins with ``    | ``.
    """

    _second: tuple[int, str, str] = (-1, "", "")
    """The second of the last line, and its text before and after the fraction: most lines share theirs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text, without a control character except the line breaks before a traceback's lines."""
        # Several handlers write the same line.
        text: str = record.__dict__.get(_LINE) or self._line(record)
        record.__dict__[_LINE] = text
        return text

    def _line(self, record: logging.LogRecord) -> str:
        when = self._when(record.created)
        ours = record.name.partition(".")[0] == _PACKAGE
        message = record.getMessage() if ours else f"{record.name}: {record.getMessage()}"
        lines = [f"{when} {record.levelname:<7} {printable(message, _MESSAGE_LIMIT)}"]
        for block in (
            self.formatException(record.exc_info) if record.exc_info else "",
            record.stack_info or "",
        ):
            lines += [f"    | {printable(line, _MESSAGE_LIMIT)}" for line in block.split("\n") if line]
        return "\n".join(lines)

    def _when(self, created: float) -> str:
        second, before, after = self._second
        if second != int(created):
            text = datetime.fromtimestamp(int(created)).astimezone().isoformat(" ")
            second, before, after = self._second = (int(created), text[:_SECONDS], text[_SECONDS:])
        return f"{before}.{int(created % 1 * 1000):03d}{after}"


class WriterHandler(logging.Handler):
    """Hands records to a thread that formats and writes them, so that the event loop never waits.

    The standard library's QueueListener is not used because its ``stop`` waits for a hanging writer without
    limit, and its queue either blocks or has no bound. ``write`` gets the text without its final line break;
    ``overflow`` is called, in the caller's thread, when lines begin to be dropped.
    """

    def __init__(self, name: str, write: Callable[[str], None], overflow: Callable[[], None]) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._write = write
        self._overflow = overflow
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._dropped = 0  # counted under the handler's lock
        self._confessed = 0  # the part of it that the thread has written a line about
        self._closing = Event()
        self._thread = Thread(target=self._run, name=f"log {name}", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record. Never blocks, never raises."""
        if self._queue.qsize() >= _QUEUE_LIMIT:
            self._dropped += 1
            if self._dropped == self._confessed + 1:
                self._overflow()
            return
        self.put(settled(record))

    def put(self, record: logging.LogRecord) -> None:
        """Queue a record whose message is complete, whatever waits already."""
        self._queue.put(record)

    def close(self) -> None:
        """Write what is queued, but wait for it no longer than a second, and stop. May be called twice."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)
        super().close()

    @property
    def stopped(self) -> bool:
        """Whether the thread has ended after ``close``; one that hangs has not."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        batch: list[logging.LogRecord | None] = []
        looked, hurried = 0.0, 0
        while None not in batch:
            batch = [self._queue.get()]
            hurried = hurried + 1 if time.monotonic() - looked < _COLLECT_SECONDS else 0
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            if lines := [self._text(record) for record in batch if record is not None]:
                self._write("\n".join(lines))
            if self._queue.empty():
                self._confess()
            if hurried > _HURRIED:
                # A burst: a thread that wakes for each line takes more time from the requests than its writing.
                self._closing.wait(_COLLECT_SECONDS)
            looked = time.monotonic()
        self._confess()

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - a thread that ended would take all further lines with it
            return self.format(_notice(logging.ERROR, f"A line is missing here: {type(error).__name__}"))

    def _confess(self) -> None:
        dropped = self._dropped - self._confessed
        if dropped:
            self._confessed += dropped
            self._write(self.format(_notice(logging.WARNING, f"{dropped} lines are missing here: dropped")))


class Logging:
    """The handlers on the root logger, from ``setup`` to ``close``."""

    def __init__(self, level: str, stream: TextIO) -> None:
        self._root = logging.getLogger()
        self._level_before = self._root.level
        self._root.setLevel(level.upper())
        self._writers: dict[str, WriterHandler] = {}
        self._files: LogFiles | None = None
        self._failure: str | None = None

        def write(text: str) -> None:
            with suppress(OSError, ValueError):  # nobody reads any more: there is no place left to say so
                stream.write(f"{text}\n")
                stream.flush()

        self._add("console", write)

    @property
    def failure(self) -> str | None:
        """Why no files are written for now, in a sentence; None while they are."""
        return self._failure

    def add_files(self, files: LogFiles) -> None:
        """Write everything into files, too."""
        self._files = files
        self._add("files", files.write)

    def report(self, text: str, failure: bool) -> None:
        """Say on the console that the files fail, and there and in them that they work again."""
        self._failure = text if failure else None
        for name, writer in self._writers.items():
            if name == "console" or not failure:
                writer.put(_notice(logging.WARNING if failure else logging.INFO, text))

    def close(self) -> None:
        """Write what is queued and take the handlers away. Blocks, two seconds at most. May be called twice."""
        for writer in reversed(self._writers.values()):  # the console last: the files may have something to say
            self._root.removeHandler(writer)
            writer.close()
        self._root.setLevel(self._level_before)
        if self._files and self._writers["files"].stopped:  # never under a thread that writes into it
            self._files.close()

    def _add(self, name: str, write: Callable[[str], None]) -> None:
        writer = WriterHandler(name, write, overflow=partial(self._tell_others, name))
        self._writers[name] = writer
        self._root.addHandler(writer)

    def _tell_others(self, hanging: str) -> None:
        for name, writer in self._writers.items():
            if name != hanging:
                writer.put(_notice(logging.WARNING, f"Log lines are dropped: writing to the {hanging} hangs"))


def setup(
    *,
    level: str,
    folder: Path | None,
    file_name: str,
    rotation: timedelta,
    retention: timedelta,
    stream: TextIO | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Logging:
    """Send all logging to the console (``stream``, else standard error) and, with ``folder``, to files.

    ``level`` is a level's name in any case; ``monotonic`` gives seconds for the pause after a failure. Nothing is
    opened here: a folder that cannot be used is reported on the console at the first line. The caller closes what is
    returned.
    """
    logging_ = Logging(level, stream or sys.stderr)
    if folder is not None:
        files = LogFiles(
            folder,
            file_name,
            rotation=rotation,
            retention=retention,
            max_file_bytes=_FILE_LIMIT,
            max_total_bytes=_TOTAL_LIMIT,
            report=logging_.report,
            monotonic=monotonic,
        )
        logging_.add_files(files)
    return logging_


def _word(text: str) -> str:
    """Return a printable text without a space, so that it cannot look like the fields after it."""
    return printable(text).replace(" ", "\\x20") or "-"


def settled(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record with its message put together now: the arguments may change before it is written."""
    if not record.args and isinstance(record.msg, str):
        return record
    copied = copy.copy(record)
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments of any library; their fault must not stop ours
        message = f"(message of {record.module}:{record.lineno} failed: {type(error).__name__})"
    copied.msg = message[: _MESSAGE_LIMIT + 1]
    copied.args = None
    return copied


def _notice(level: int, text: str) -> logging.LogRecord:
    """Return a record of the log about itself: it passes no logger, so that no level hides it."""
    return logging.LogRecord(__name__, level, __file__, 0, text, None, None)
