"""The log's files on real folders, with clocks that jump and disks that fail."""

import errno
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.log_files import RETRY_SECONDS, FileLimits, LogFiles

HOUR = 3600.0
DAY = 24 * HOUR
NOON = datetime(2026, 8, 14, 12, tzinfo=UTC).timestamp()
YEARS = 3653 * DAY


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return ``zone(name)``, which sets the computer's time zone; UTC to begin with."""

    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    change("UTC")
    yield change
    monkeypatch.undo()
    time.tzset()


@dataclass
class Disk:
    """A folder of log files with a clock, and the faults that its opener makes."""

    folder: Path
    now: float = NOON
    uptime: float = 0.0
    reports: list[tuple[str, bool]] = field(default_factory=list)
    error: int | None = None
    full: bool = False
    opener: Callable[[Path, int, int], int] = os.open

    def open_file(self, path: Path, flags: int, mode: int) -> int:
        if self.error:
            raise OSError(self.error, os.strerror(self.error), str(path))
        return os.open("/dev/full", os.O_WRONLY) if self.full else self.opener(path, flags, mode)

    def files(
        self,
        name: str = "proxy.log",
        *,
        rotation: float = DAY,
        retention: float = 3 * DAY,
        max_file_bytes: int = 1000,
        max_total_bytes: int = 10_000,
    ) -> LogFiles:
        return LogFiles(
            self.folder,
            name,
            FileLimits(timedelta(seconds=rotation), timedelta(seconds=retention), max_file_bytes, max_total_bytes),
            report=lambda text, failure: self.reports.append((text, failure)),
            clock=lambda: self.now,
            monotonic=lambda: self.uptime,
            open_file=self.open_file,
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.uptime += seconds

    def put(self, *names: str, size: int = 1) -> None:
        self.folder.mkdir(exist_ok=True)
        for name in names:
            (self.folder / name).write_bytes(b"x" * (size - 1) + b"\n" if size else b"")

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "logs")


def stamp(day: int, hour: int = 12, second: int = 0) -> str:
    return f"2026-08-{day:02}_{hour:02}-00-{second:02}_proxy.log"


# Names, rotation, restart


def test_the_first_line_makes_folder_and_file(disk: Disk) -> None:
    before = os.umask(0o022)
    try:
        files = disk.files()
        files.write("Zähler \udcff")
        files.write("two\nlines")
        files.close()
    finally:
        os.umask(before)
    assert disk.names == [stamp(14)]
    assert disk.text(stamp(14)) == "Zähler \\udcff\ntwo\nlines\n"
    assert (disk.folder / stamp(14)).stat().st_mode & 0o777 == 0o640
    assert disk.folder.stat().st_mode & 0o777 == 0o750
    assert disk.reports == []


def test_names_are_in_local_time(disk: Disk, zone: Callable[[str], None]) -> None:
    zone("Europe/Berlin")
    disk.files().write("a")
    assert disk.names == [stamp(14, 14)]


def test_a_new_file_begins_after_the_rotation_time(disk: Disk) -> None:
    files = disk.files()
    files.write("a")
    disk.pass_time(DAY - 1)
    files.write("b")
    disk.pass_time(1)
    files.write("c")
    assert disk.names == [stamp(14), stamp(15)]
    assert disk.text(stamp(14)) == "a\nb\n"
    assert disk.text(stamp(15)) == "c\n"


def test_a_new_file_begins_before_one_is_too_big_and_never_two_have_one_name(disk: Disk) -> None:
    files = disk.files(max_file_bytes=10)
    for line in ("12345", "1234", "overlong line", "x"):
        files.write(line)
    names = [stamp(14, second=second) for second in range(4)]
    assert [disk.text(name) for name in names] == ["12345\n", "1234\n", "overlong line\n", "x\n"]


def test_a_name_with_a_number_is_one_of_an_earlier_version(disk: Disk) -> None:
    disk.put(numbered := stamp(14).replace("_proxy", "-2_proxy"))
    disk.files().write("a")
    assert disk.names == [numbered]
    disk.pass_time(5 * DAY)
    disk.put(*(stamp(15, second=second) for second in range(3)))
    disk.files().write("b")
    assert numbered not in disk.names


def test_a_name_that_a_folder_has_is_passed_over(disk: Disk) -> None:
    (disk.folder / stamp(14)).mkdir(parents=True)
    (disk.folder / stamp(14, second=1)).symlink_to("/nowhere")
    disk.files().write("a")
    assert disk.text(stamp(14, second=2)) == "a\n"


def test_a_restart_appends_to_the_newest_file(disk: Disk) -> None:
    disk.put(stamp(13, 20), stamp(14, 9))
    disk.files().write("a")
    assert disk.text(stamp(14, 9)) == "\na\n"
    assert disk.names == [stamp(13, 20), stamp(14, 9)]


@pytest.mark.parametrize(("name", "size"), [(stamp(13, 12), 1), (stamp(14, 9), 1000), (stamp(14, 14), 1)])
def test_a_restart_appends_to_none_that_is_old_full_or_from_the_future(disk: Disk, name: str, size: int) -> None:
    disk.put(name, size=size)
    disk.files().write("a")
    assert disk.text(stamp(14)) == "a\n"


def test_an_empty_file_is_used(disk: Disk) -> None:
    disk.put(stamp(14, 9), size=0)
    disk.files().write("a")
    assert disk.text(stamp(14, 9)) == "a\n"


def test_an_unfinished_line_is_ended_first(disk: Disk) -> None:
    disk.put(stamp(14, 9))
    (disk.folder / stamp(14, 9)).write_text("torn")
    disk.files().write("a")
    assert disk.text(stamp(14, 9)) == "torn\na\n"


def test_a_file_that_may_not_be_written_is_left_alone(disk: Disk) -> None:
    disk.put(stamp(14, 9))

    def refuse_old(path: Path, flags: int, mode: int) -> int:
        if not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return os.open(path, flags, mode)

    disk.opener = refuse_old
    disk.files().write("a")
    assert disk.text(stamp(14)) == "a\n"


@pytest.mark.parametrize(
    "name",
    [
        "2026-08-14_09-00-00_other.log",
        "2026-08-14_09-00-00_proxyXlog",
        "2026-08-14_09-00-00_proxy.log.gz",
        "x2026-08-14_09-00-00_proxy.log",
        "2026-08-14_09-00-00-0_proxy.log",
        "2026-08-14_09-00-00-x_proxy.log",
        "2026-02-30_09-00-00_proxy.log",
        "٢026-08-14_09-00-00_proxy.log",
        "2026-08-14_09-00-00_proxy.log\n",
        "proxy.log",
    ],
)
def test_other_names_are_neither_written_nor_deleted(disk: Disk, name: str) -> None:
    disk.put(name)
    files = disk.files(max_total_bytes=0)
    for _ in range(5):
        disk.pass_time(10 * DAY)
        files.write("a")
    assert disk.text(name) == "\n"
    assert len(disk.names) == 4


def test_a_date_beyond_the_calendar_is_no_date(disk: Disk, zone: Callable[[str], None]) -> None:
    zone("Europe/Berlin")
    disk.put("0001-01-01_00-00-00_proxy.log")  # a year earlier in UTC
    disk.files(max_total_bytes=0).write("a")
    assert len(disk.names) == 2


# Retention


def test_old_files_are_deleted_but_never_the_newest_three(disk: Disk) -> None:
    disk.put(stamp(1), stamp(2), stamp(3), stamp(4))
    disk.files().write("a")
    assert disk.names == [stamp(3), stamp(4), stamp(14)]


def test_files_within_the_retention_are_kept(disk: Disk) -> None:
    kept = [stamp(11), stamp(11, 13), stamp(12), stamp(13, 11)]
    disk.put(stamp(11, 11), *kept)
    disk.files().write("a")
    assert disk.names == [*kept, stamp(14)]


def test_the_oldest_go_when_all_together_are_too_big(disk: Disk) -> None:
    disk.put(*(stamp(13, hour) for hour in range(10)), size=1000)
    disk.files(max_total_bytes=6000).write("a")
    assert disk.names == [*(stamp(13, hour) for hour in range(5, 10)), stamp(14)]


def test_the_newest_three_are_kept_whatever_their_size(disk: Disk) -> None:
    disk.put(stamp(13, 10), stamp(13, 11), stamp(13, 12), size=5000)
    disk.files(max_total_bytes=6000).write("a")
    assert disk.names == [stamp(13, 11), stamp(13, 12), stamp(14)]


def test_links_and_folders_of_our_pattern_are_left_alone(disk: Disk, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep")
    disk.put(stamp(5), stamp(6), stamp(7), stamp(8))
    (disk.folder / stamp(1)).mkdir()
    (disk.folder / stamp(2)).symlink_to(precious)
    (disk.folder / stamp(14, 11)).symlink_to(precious)
    disk.files().write("a")
    assert disk.names == [stamp(1), stamp(2), stamp(7), stamp(8), stamp(14, 11), stamp(14)]
    assert precious.read_text() == "keep"


def test_a_file_that_cannot_be_deleted_does_not_stop_the_log(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put(stamp(1), stamp(2), stamp(3))

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    disk.files().write("a")
    assert disk.names == [stamp(1), stamp(2), stamp(3), stamp(14)]
    assert disk.reports == []


# Clocks that jump


@pytest.mark.parametrize("jump", [YEARS, -YEARS])
def test_the_newest_three_survive_a_jump_of_ten_years_and_back(disk: Disk, jump: float) -> None:
    files = disk.files()
    for number in range(4):
        files.write(f"before {number}")
        disk.pass_time(DAY)
    disk.now += jump
    files.write("jumped")
    texts = {disk.text(name) for name in disk.names}
    assert {"before 2\n", "before 3\n", "jumped\n"} <= texts
    disk.pass_time(HOUR)
    disk.now -= jump
    files.write("back")
    texts = {disk.text(name) for name in disk.names}
    assert "jumped\n" in texts
    assert any(text.startswith("before 3\n") for text in texts)
    assert any("back\n" in text for text in texts)


def test_files_from_the_future_do_not_push_out_the_newest_of_today(disk: Disk) -> None:
    disk.put(*(f"2036-08-{day:02}_12-00-00_proxy.log" for day in range(1, 6)))
    files = disk.files(retention=HOUR)
    for number in range(5):
        files.write(str(number))
        disk.pass_time(DAY)
    assert {disk.text(name) for name in disk.names} >= {"2\n", "3\n", "4\n"}


def test_a_clock_that_steps_back_a_little_goes_on_in_the_same_file(disk: Disk) -> None:
    files = disk.files()
    files.write("a")
    disk.now -= 1800
    files.write("b")
    files.close()
    files.write("c")
    assert disk.names == [stamp(14)]
    disk.now -= 1801
    files.write("d")
    assert disk.names == [stamp(14, 10).replace("10-00-00", "10-59-59"), stamp(14)]


@given(st.lists(st.sampled_from([0.0, 1.0, HOUR, DAY, 40 * DAY, YEARS, -YEARS, -DAY, -HOUR]), max_size=25))
def test_the_last_three_files_and_every_new_line_survive_any_clock(
    tmp_path_factory: pytest.TempPathFactory, steps: list[float]
) -> None:
    disk = Disk(tmp_path_factory.mktemp("jumps") / "logs")
    files = disk.files(max_file_bytes=12, max_total_bytes=24)
    made: list[str] = []
    for number, step in enumerate(steps):
        disk.now += step
        known = set(disk.names) if made else set()
        files.write(f"line {number:03}")
        made += sorted(set(disk.names) - known)
        assert any(f"line {number:03}\n" in disk.text(name) for name in disk.names)
        assert set(made[-3:]) <= set(disk.names)
        assert len(disk.names) <= 9
    files.close()
    assert disk.reports == []


def test_an_hour_that_comes_twice_gives_no_name_twice(disk: Disk, zone: Callable[[str], None]) -> None:
    zone("Europe/Berlin")
    disk.now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()  # 02:30 summer time
    files = disk.files(rotation=HOUR)
    files.write("summer")
    disk.pass_time(HOUR - 1)
    files.write("still summer's file")
    disk.pass_time(1)  # 02:30 again
    files.write("winter")
    assert disk.names == ["2026-10-25_02-30-00_proxy.log", "2026-10-25_02-30-01_proxy.log"]
    assert disk.text("2026-10-25_02-30-00_proxy.log") == "summer\nstill summer's file\n"
    assert disk.text("2026-10-25_02-30-01_proxy.log") == "winter\n"
    disk.pass_time(HOUR)
    files.write("later")
    assert disk.text("2026-10-25_03-30-00_proxy.log") == "later\n"


def test_a_restart_in_the_hour_that_comes_twice_goes_on(disk: Disk, zone: Callable[[str], None]) -> None:
    zone("Europe/Berlin")
    disk.now = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    disk.files(rotation=HOUR).write("a")
    disk.pass_time(60)
    disk.files(rotation=HOUR).write("b")
    assert disk.names == ["2026-10-25_02-30-00_proxy.log"]


def test_the_end_of_summer_time_deletes_nothing_early(disk: Disk, zone: Callable[[str], None]) -> None:
    zone("Europe/Berlin")
    old = [f"2026-10-24_02-{minute}-00_proxy.log" for minute in (10, 29, 31)]
    newer = [f"2026-10-25_0{hour}-00-00_proxy.log" for hour in (2, 4)]
    disk.put(*old, *newer, size=1000)
    disk.now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp() + DAY  # 02:30, 49 h after the 24th's
    disk.files(retention=49 * HOUR).write("a")
    assert disk.names == [old[2], *newer, "2026-10-26_02-30-00_proxy.log"]


# Disks that fail


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (errno.ENOSPC, "No space left on device", "free some space"),
        (errno.EROFS, "Read-only file system", "make its disk writable"),
        (errno.EACCES, "Permission denied", "right to enter it and to write there"),
        (errno.EIO, "Input/output error", "look after this folder"),
    ],
)
def test_a_failure_is_told_once_and_ends_by_itself(disk: Disk, error: int, cause: str, remedy: str) -> None:
    files = disk.files()
    disk.error = error
    for _ in range(3):
        files.write("lost")
        disk.pass_time(RETRY_SECONDS)
    [(text, failure)] = disk.reports
    assert failure
    assert cause in text
    assert remedy in text
    assert str(disk.folder) in text
    disk.error = None
    files.write("a")
    assert disk.reports[1:] == [(f"Log files are written again in {disk.folder}; 3 lines are missing.", False)]
    files.write("b")
    assert [disk.text(name) for name in disk.names] == ["a\nb\n"]
    assert len(disk.reports) == 2


def test_a_failure_is_not_tried_again_with_every_line(disk: Disk) -> None:
    files = disk.files()
    disk.error = errno.ENOSPC
    files.write("lost")
    disk.error = None
    disk.pass_time(RETRY_SECONDS - 1)
    files.write("lost, too")
    assert disk.names == []
    disk.pass_time(1)
    files.write("a")
    assert "2 lines are missing" in disk.reports[1][0]


def test_a_second_failure_is_told_again(disk: Disk) -> None:
    files = disk.files(max_file_bytes=5)
    for disk.error in (errno.ENOSPC, None, errno.EROFS, None):
        files.write("line")
        disk.pass_time(RETRY_SECONDS)
    assert [failure for _, failure in disk.reports] == [True, False, True, False]


def test_a_disk_that_is_full_at_the_write(disk: Disk) -> None:
    files = disk.files()
    disk.full = True
    files.write("lost")
    assert "No space left on device" in disk.reports[0][0]
    disk.full = False
    disk.pass_time(RETRY_SECONDS)
    files.write("a")
    assert [disk.text(name) for name in disk.names] == ["a\n"]


def test_a_line_that_the_disk_took_half_of_stays_a_line_of_its_own(disk: Disk) -> None:
    files = disk.files()
    files.write("12345")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        files.write("6789012345")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in disk.reports[0][0]
    disk.pass_time(RETRY_SECONDS)
    files.write("whole")
    assert disk.text(stamp(14)) == "12345\n6789\nwhole\n"


def test_a_file_in_the_folders_place(disk: Disk) -> None:
    disk.folder.write_text("a file")
    files = disk.files()
    files.write("lost")
    assert "remove the file" in disk.reports[0][0]
    disk.folder.unlink()
    disk.pass_time(RETRY_SECONDS)
    files.write("a")
    assert disk.names == [stamp(14).replace("12-00-00", "12-00-30")]


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    disk = Disk(tmp_path / "file" / "logs")
    disk.files().write("lost")
    assert "Not a directory" in disk.reports[0][0]
    assert "remove the file" in disk.reports[0][0]


def test_an_error_without_words_is_named(disk: Disk) -> None:
    def fail(_path: Path, _flags: int, _mode: int) -> int:
        raise OSError

    disk.opener = fail
    disk.files().write("lost")
    assert "OSError" in disk.reports[0][0]


@pytest.mark.parametrize("whole_folder", [False, True])
def test_a_file_that_somebody_deleted_is_made_again(disk: Disk, whole_folder: bool) -> None:
    files = disk.files()
    files.write("a")
    (disk.folder / stamp(14)).unlink()
    if whole_folder:
        disk.folder.rmdir()
    disk.pass_time(1)
    files.write("b")
    assert [disk.text(name) for name in disk.names] == ["b\n"]
    assert disk.reports == []


def test_a_file_that_was_replaced_is_opened_anew(disk: Disk) -> None:
    files = disk.files()
    files.write("a")
    (disk.folder / stamp(14)).rename(disk.folder / "moved")
    disk.put(stamp(14))
    files.write("b")
    assert disk.text(stamp(14)) == "\nb\n"
    assert disk.text("moved") == "a\n"


def test_closing_twice_and_writing_after_it(disk: Disk) -> None:
    files = disk.files()
    files.close()
    files.write("a")
    files.close()
    files.close()
    files.write("b")
    assert disk.text(stamp(14)) == "a\nb\n"
