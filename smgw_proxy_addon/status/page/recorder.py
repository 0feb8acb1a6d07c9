"""Records what the status page shows of the past: requests, the make of the gateway, the last log lines.

All of it is bounded, and redacted when it is recorded, a request's line of the log when it is written.
"""

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from smgw_proxy_addon.log_writer import LineFormatter, complete
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.redaction import redact_target
from smgw_proxy_addon.status.history import Entry, History
from smgw_proxy_addon.status.page.vendor import Vendor, find_user_path, from_answer
from smgw_proxy_addon.text import printable

LINES: Final = 300
"""Lines of the log that are kept."""

USERS: Final = 4
"""Paths of users that are kept: on one gateway, import and feed-in can have separate logins."""

_LONGEST_TARGET: Final = 200
_LONGEST_LINE: Final = 500


class RequestRecorder:
    """Records finished requests. ``now`` returns the time in UTC."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.history = History()
        self.started = now()
        self.vendor: Vendor | None = None
        self.user_paths: tuple[str, ...] = ()
        """Theben's paths of users, the last one first."""
        self._now = now

    def record(self, record: RequestRecord) -> None:
        """Record a finished request."""
        entry = Entry(
            at=self._now(),
            client=record.client,
            method=printable(record.method, 20),
            target=redact_target(record.target, _LONGEST_TARGET),
            status=record.status,
            waiting=record.waiting,
            connecting=record.connecting,
            answering=record.answering,
            reused=record.reused,
            code=record.code,
        )
        self.history.add(entry)
        if entry.answered:
            self.vendor = from_answer(entry.target, entry.status) or self.vendor
            if path := find_user_path(entry.target, entry.status):
                others = (each for each in self.user_paths if each != path)
                self.user_paths = (path, *others)[:USERS]


class LogBuffer(logging.Handler):
    """Keeps the last records of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._records: deque[logging.LogRecord] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; it is formatted when the lines are read. Never raises."""
        kept = complete(record)
        if kept.exc_info or kept.stack_info:
            self.format(kept)  # now: the traceback would keep its frames and all their objects
            kept.exc_info = None
        self._records.append(kept)

    def lines(self) -> list[str]:
        """Return the lines, the newest last."""
        return [self.format(record)[:_LONGEST_LINE] for record in list(self._records)]
