"""The format of log lines, and the threads that write them.

Lines are queued, and beyond a limit they are dropped and counted. Text from outside is escaped.
"""

import copy
import logging
import time
from collections.abc import Callable
from datetime import datetime
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

from smgw_proxy_addon.text import printable

_PACKAGE: Final = __name__.partition(".")[0]
_MESSAGE_LIMIT: Final = 8000
"""Characters of a message, or of one line of a traceback."""
_QUEUE_LIMIT: Final = 2000
"""Lines that wait for a hanging writer; together with the limit of a message it bounds the memory."""
_COLLECT_SECONDS: Final = 0.02
"""The pause after a second write within this time, to collect lines: waking the thread costs more than a line."""
_BATCH: Final = 100
"""Lines that are written at once."""
_SECONDS: Final = len("2026-11-22 12:00:00")
_LINE: Final = "smgw_proxy_line"
"""Attribute of a record with its formatted line."""
_CLOSE_SECONDS: Final = 1.0
"""How long ``close`` waits for each writer."""


class LineFormatter(logging.Formatter):
    """Formats a record as one line: local time with zone, level, message; other libraries' loggers are named.

    The lines of a traceback follow, each after ``    | ``.
    """

    _second: tuple[int, str, str] = (-1, "", "")
    """Cache: the second of the last line, and its text before and after the fraction."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text; its only control characters are the line breaks before a traceback's lines."""
        # Cached in the record: several handlers write the same line.
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
    """Queues records for a thread that formats and writes them, so that the event loop never waits.

    Not the standard library's QueueListener: its ``stop`` waits for a hanging writer without limit, and its queue
    blocks or has no bound. ``write`` gets the text without its final line break; ``overflow`` is called, in the
    caller's thread, when lines begin to be dropped.
    """

    def __init__(self, name: str, write: Callable[[str], None], overflow: Callable[[], None]) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._write = write
        self._overflow = overflow
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._dropped = 0  # counted under the handler's lock
        self._reported = 0  # of these, those that a written line mentions
        self._closing = Event()
        self._thread = Thread(target=self._run, name=f"log {name}", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue the record, without a filter and mostly without a lock. Never blocks, never raises."""
        if self._queue.qsize() < _QUEUE_LIMIT:
            self._queue.put(complete(record))
            return True
        self.acquire()
        self._dropped += 1
        first = self._dropped == self._reported + 1
        self.release()
        if first:
            self._overflow()
        return False

    def put(self, record: logging.LogRecord) -> None:
        """Queue a complete record even if the queue is full."""
        self._queue.put(record)

    def close(self) -> None:
        """Write what is queued, for a second at most, and stop. May be called twice."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)
        super().close()

    @property
    def stopped(self) -> bool:
        """Whether the thread has ended: after ``close``, unless it hangs."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        batch: list[logging.LogRecord | None] = []
        written = 0.0
        while None not in batch:
            batch = [self._queue.get()]
            in_a_row = time.monotonic() - written < _COLLECT_SECONDS
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            if lines := [self._text(record) for record in batch if record is not None]:
                self._write("\n".join(lines))
            if self._queue.empty():
                self._report_dropped()
                if in_a_row:
                    self._closing.wait(_COLLECT_SECONDS)
            written = time.monotonic()
        self._report_dropped()

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - the thread must go on, whatever a record holds
            return self.format(make_notice(logging.ERROR, f"A line is missing here: {type(error).__name__}"))

    def _report_dropped(self) -> None:
        dropped = self._dropped - self._reported
        if dropped:
            self._reported += dropped
            self._write(self.format(make_notice(logging.WARNING, f"{dropped} lines are missing here: dropped")))


def complete(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record with its message formatted now: the arguments may change before it is written."""
    if not record.args and isinstance(record.msg, str):
        return record
    copied = copy.copy(record)
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - arguments of any library may fail
        message = f"(message of {record.module}:{record.lineno} failed: {type(error).__name__})"
    copied.msg = message[: _MESSAGE_LIMIT + 1]
    copied.args = None
    return copied


def make_notice(level: int, text: str) -> logging.LogRecord:
    """Return a record about the log itself. It passes no logger, so no level hides it."""
    return logging.LogRecord(__name__, level, __file__, 0, text, None, None)
