"""The log as a whole: format of lines, writers that hang, records of other libraries."""

import asyncio
import errno
import io
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.errors import ABORT
from smgw_proxy_addon.log_files import FileLimits, LogFiles
from smgw_proxy_addon.log_writer import LineFormatter, WriterHandler
from smgw_proxy_addon.logs import Logging, RequestRecord, log_request, request_line
from tests.waiting import wait_until

OURS = logging.getLogger("smgw_proxy_addon.test")
THEIRS = logging.getLogger("aiohttp.server")
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) +(.*)")

RECORD = RequestRecord(
    client="192.168.1.20",
    method="GET",
    target=b"/smgw/m2m",
    status=200,
    bytes_sent=5120,
    waiting=0,
    connecting=1.3124,
    answering=0.42,
    reused=False,
)
TIMES = "waiting=0ms connecting=1312ms answering=420ms"


class Console(io.StringIO):
    """A console that can hang until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.stuck = threading.Event()

    def write(self, text: str) -> int:
        if not self.go.is_set():
            self.stuck.set()
        self.go.wait()
        return super().write(text)

    @property
    def messages(self) -> list[str]:
        found = [LINE.fullmatch(line) for line in self.getvalue().splitlines()]
        return [match[2] if match else "?" for match in found]


Start = Callable[..., Logging]
LIMITS = FileLimits(rotation=timedelta(hours=24), retention=timedelta(days=3))


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def start(console: Console) -> Iterator[Start]:
    """Return ``start(folder)``, which sets logging up with a console of the test."""
    started: list[Logging] = []

    def setup(folder: Path | None = None, *, level: str = "info") -> Logging:
        logging_ = Logging(level, console)
        started.append(logging_)
        if folder:
            logging_.add_files(LogFiles(folder, "proxy.log", LIMITS, report=logging_.report))
        return logging_

    yield setup
    console.go.set()
    for each in started:
        each.close()


# The line of a request


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {},
            f"192.168.1.20 GET /smgw/m2m 200 bytes=5120 {TIMES} connection=new",
        ),
        (
            {"status": ABORT, "reused": True, "code": "client_gone", "bytes_sent": 0},
            f"192.168.1.20 GET /smgw/m2m closed bytes=0 {TIMES} connection=reused error=client_gone",
        ),
        (
            {"client": "fe80::1%eth0", "reused": None, "code": "bad_request", "detail": "no\nHost", "status": 400},
            f"fe80::1%eth0 GET /smgw/m2m 400 bytes=5120 {TIMES} connection=- error=bad_request (no\\nHost)",
        ),
        (
            {"reused": None, "shared": "hit"},
            f"192.168.1.20 GET /smgw/m2m 200 bytes=5120 {TIMES} connection=- shared=hit",
        ),
        (
            {"reused": None, "shared": "collapsed", "code": "client_gone"},
            f"192.168.1.20 GET /smgw/m2m 200 bytes=5120 {TIMES} connection=- shared=collapsed error=client_gone",
        ),
        (
            {"client": "", "method": "", "target": ""},
            f"- - - 200 bytes=5120 {TIMES} connection=new",
        ),
        (
            {"target": "/a?tkn=x&b 200\x1b", "method": "G T"},
            f"192.168.1.20 G\\x20T /a?tkn=***&b\\x20200\\x1b 200 bytes=5120 {TIMES} connection=new",
        ),
    ],
)
def test_the_line_of_a_request(change: dict[str, object], line: str) -> None:
    values = {name: getattr(RECORD, name) for name in RequestRecord.__slots__}
    assert request_line(RequestRecord(**(values | change))) == line


@given(st.binary(), st.text(), st.text(), st.text())
def test_a_request_is_one_line_of_known_fields(target: bytes, client: str, method: str, detail: str) -> None:
    line = request_line(RequestRecord(client, method, target, 200, 0, 0, 0, 0, None, "code", detail))
    assert line.isprintable()
    assert re.fullmatch(
        r"[^ ]+ [^ ]+ [^ ]+ 200 bytes=0 waiting=0ms connecting=0ms answering=0ms connection=- error=code.*", line
    )


def test_errors_of_ours_are_warnings(start: Start, console: Console) -> None:
    logging_ = start(level="warning")
    log_request(RECORD)
    log_request(RequestRecord("c", "GET", "/", 504, 0, 0, 0, 0, None, "gateway_timeout"))
    logging_.close()
    assert [message.split(" bytes")[0] for message in console.messages] == ["c GET / 504"]


# Console and files


def test_to_be_asked_for_the_login_is_no_warning(start: Start, console: Console) -> None:
    running = start()
    log_request(RequestRecord("c", "GET", "/", 401, 0, 0, 0, 0, None, "login_required", "missing"))
    running.close()
    assert " INFO " in console.getvalue()
    assert "error=login_required (missing)" in console.getvalue()


def test_console_and_file_get_the_same(start: Start, console: Console, tmp_path: Path) -> None:
    logging_ = start(tmp_path / "logs")
    OURS.info("Ready in %s", "a moment")
    OURS.debug("not at this level")
    THEIRS.warning("mine\r\ntoo")
    logging_.close()
    logging_.close()
    assert console.messages == ["Ready in a moment", "aiohttp.server: mine\\r\\ntoo"]
    [path] = (tmp_path / "logs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_proxy\.log", path.name)
    assert path.read_text() == console.getvalue()


def test_without_a_folder_there_is_only_the_console(start: Start, console: Console) -> None:
    start(level="debug").close()
    logging_ = start(level="DEBUG")
    OURS.debug("seen")
    logging_.close()
    assert console.messages == ["seen"]


def test_everything_is_as_before_after_the_end(start: Start) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    start(level="error").close()
    assert (root.level, root.handlers) == before


def test_failing_files_are_told_on_the_console_and_their_return_in_both(
    start: Start, console: Console, tmp_path: Path
) -> None:
    uptime = [0.0]
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    logging_ = start(level="error")
    logging_.add_files(LogFiles(folder, "proxy.log", LIMITS, report=logging_.report, monotonic=lambda: uptime[0]))
    OURS.error("one")
    OURS.error("two")
    wait_until(lambda: len(console.messages) == 3)
    folder.unlink()
    uptime[0] += 30
    OURS.error("three")
    wait_until(lambda: len(console.messages) == 5)
    logging_.close()
    failure, recovery = (text for text in console.messages if text not in {"one", "two", "three"})
    assert failure.startswith("No log files for now, only the console: File exists")
    assert recovery.endswith("2 lines are missing.")
    [path] = folder.iterdir()
    assert [line.split(maxsplit=3)[3] for line in path.read_text().splitlines()] == ["three", recovery]


def fail(text: str) -> None:
    raise ValueError(text)


# Writers that hang


def test_a_console_that_hangs_holds_nobody_up(start: Start, console: Console, tmp_path: Path) -> None:
    logging_ = start(tmp_path)
    console.go.clear()
    OURS.info("stuck")
    assert console.stuck.wait(10)
    for number in range(2500):
        OURS.info("line %s", number)
    notice = "Log lines are dropped: writing to the console hangs"
    wait_until(lambda: any(notice in path.read_text() for path in tmp_path.iterdir()))
    started = time.monotonic()
    logging_.close()
    assert time.monotonic() - started < 5
    [path] = tmp_path.iterdir()
    assert path.read_text().count("are dropped") == 1


def test_lines_that_were_dropped_are_counted_where_they_are_missing(start: Start, console: Console) -> None:
    logging_ = start()
    console.go.clear()
    OURS.info("stuck")
    assert console.stuck.wait(10)
    for number in range(2005):
        OURS.info("line %s", number)
    console.go.set()
    wait_until(lambda: "dropped" in console.getvalue())
    logging_.close()
    assert console.messages == ["stuck", *(f"line {n}" for n in range(2000)), "5 lines are missing here: dropped"]


def test_files_that_hang_do_not_hold_up_the_end(start: Start, console: Console, tmp_path: Path) -> None:
    logging_ = start()
    files = HangingFiles(
        tmp_path,
        "proxy.log",
        FileLimits(timedelta(1), timedelta(1), 1000, 1000),
        report=logging_.report,
    )
    logging_.add_files(files)
    for _ in range(2200):  # the queue, and what the thread has taken out of it
        OURS.info("seen")
    wait_until(lambda: "hangs" in console.getvalue())
    logging_.close()
    assert console.messages.count("Log lines are dropped: writing to the files hangs") == 1
    assert not files.closed
    files.go.set()
    logging_.close()
    assert files.closed


class HangingFiles(LogFiles):
    closed = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.go = threading.Event()

    def write(self, line: str) -> None:
        self.go.wait()
        super().write(line)

    def close(self) -> None:
        self.closed = True
        super().close()


def test_a_console_that_is_gone_is_no_fault(start: Start, console: Console, tmp_path: Path) -> None:
    logging_ = start(tmp_path)
    console.close()
    OURS.info("still in the file")
    logging_.close()
    [path] = tmp_path.iterdir()
    assert path.read_text().endswith("still in the file\n")


async def test_an_event_loop_may_log_everything(start: Start, console: Console, tmp_path: Path) -> None:
    logging_ = start(tmp_path)
    log_request(RECORD)
    try:
        fail("wrong")
    except ValueError:
        logging.getLogger("smgw_proxy_addon").exception("failed")
    await asyncio.to_thread(logging_.close)
    assert console.getvalue().endswith("    | ValueError: wrong\n")


def test_what_is_queued_is_written_at_the_end_of_the_program(tmp_path: Path) -> None:
    program = (
        "import logging, pathlib, sys, datetime as d; from smgw_proxy_addon import log_files, logs\n"
        "limits = log_files.FileLimits(d.timedelta(1), d.timedelta(1))\n"
        "its = logs.Logging('info', sys.stderr)\n"
        f"its.add_files(log_files.LogFiles(pathlib.Path({str(tmp_path)!r}), 'x', limits, report=its.report))\n"
        "for n in range(100): logging.info('line %s', n)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    [path] = tmp_path.iterdir()
    assert path.read_text() == done.stderr
    assert len(done.stderr.splitlines()) == 100


# Text from outside


def test_a_line_begins_with_the_local_time_and_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.makeLogRecord({"created": 1786708800.5, "levelname": "INFO", "msg": "x", "name": "asyncio"})
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert LineFormatter().format(record) == "2026-08-14 14:00:00.500+02:00 INFO    asyncio: x"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_traceback_is_indented_and_cannot_look_like_a_line(start: Start, console: Console) -> None:
    logging_ = start()
    try:
        fail("evil\n2026-08-14 12:00:00.000+02:00 INFO    forged\r\x1b[2J")
    except ValueError:
        THEIRS.exception("failed", stack_info=True)
    logging_.close()
    first, *rest = console.getvalue().split("\n")[:-1]
    assert first.endswith("aiohttp.server: failed")
    assert all(line.startswith("    | ") for line in rest)
    assert "    | 2026-08-14 12:00:00.000+02:00 INFO    forged\\r\\x1b[2J" in rest
    assert any("Stack (most recent call last)" in line for line in rest)


class Unprintable:
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(("message", "arguments"), [("%d", ("x",)), ("%s %s", ("x",)), ("%s", (Unprintable(),))])
def test_a_message_that_cannot_be_put_together_is_named(message: str, arguments: tuple[object, ...]) -> None:
    written: list[str] = []
    handler = WriterHandler("test", written.append, lambda: None)
    handler.handle(logging.LogRecord("aiohttp", logging.ERROR, "/web.py", 7, message, arguments, None))
    handler.close()
    assert re.search(r"ERROR   aiohttp: \(message of web:7 failed: \w+Error\)$", written[0])


def test_a_line_that_cannot_be_made_ends_nothing() -> None:
    class Failing(LineFormatter):
        def format(self, record: logging.LogRecord) -> str:
            if record.msg == "bad":
                raise OSError(errno.EMFILE, "Too many open files")
            return super().format(record)

    written: list[str] = []
    handler = WriterHandler("test", written.append, lambda: None)
    handler.setFormatter(Failing())
    for message in ("bad", "good"):
        handler.handle(logging.LogRecord("smgw_proxy_addon.test", logging.INFO, "/x.py", 1, message, (), None))
    handler.close()
    lines = "\n".join(written).split("\n")
    assert [line.partition(" ERROR ")[2].strip() for line in lines[:1]] == ["A line is missing here: OSError"]
    assert lines[1].endswith(" good")


def test_a_message_is_put_together_when_it_is_logged(start: Start, console: Console) -> None:
    logging_ = start()
    console.go.clear()
    values = [1]
    OURS.info("%s", values)
    values.append(2)
    console.go.set()
    logging_.close()
    assert console.messages == ["[1]"]


@given(st.text(), st.text())
def test_no_control_character_reaches_the_log(message: str, error: str) -> None:
    record = logging.makeLogRecord({"msg": message, "name": "asyncio", "levelname": "ERROR"})
    record.exc_info = (ValueError, ValueError(error), None)
    first, *rest = LineFormatter().format(record).split("\n")
    assert first.isprintable()
    assert all(line.isprintable() and line.startswith("    | ") for line in rest)


def test_an_endless_message_is_cut(start: Start, console: Console) -> None:
    logging_ = start()
    OURS.info("x" * 1_000_000)
    logging_.close()
    assert console.messages == ["x" * 7999 + "…"]
