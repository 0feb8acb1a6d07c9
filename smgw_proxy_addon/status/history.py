"""The recent past in bounded memory: the last requests, counters of one day, and how often each client asked.

Pure: entries carry their time. Targets in entries must be redacted.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

LAST_REQUESTS: Final = 200
"""Entries that are kept."""

CLIENTS: Final = 50
"""Clients that are kept: the ones that asked last."""

BUCKET: Final = 600
"""Seconds that one bucket of the day stands for."""

BUCKETS: Final = 24 * 3600 // BUCKET
"""Buckets of a day."""

POLL: Final = 60.0
"""Seconds of one poll: a client sends several requests in a row."""

MANY_POLLS: Final = 10
"""Polls in an hour that gateways are known to bear. With two clients at ten minutes each, gateways locked themselves
every 7 to 14 days. New readings appear every 15 minutes only."""

_HOUR: Final = 3600
_NOT_A_FAILURE: Final = frozenset({"client_gone", "login_required"})
_LOWEST_FAILURE: Final = 500


@dataclass(slots=True)
class Entry:
    """One finished request; times in seconds, ``status`` 0 for a connection that was closed without an answer."""

    at: datetime
    """When it ended, UTC."""
    client: str
    method: str
    target: str
    status: int
    waiting: float
    connecting: float
    answering: float
    reused: bool | None
    """Whether the gateway's connection was kept from before, None if the request got none."""
    code: str | None = None
    """Of the proxy's own error."""

    @property
    def failed(self) -> bool:
        """Whether the request failed. A login challenge is no failure, nor is a client that left."""
        return self.status >= _LOWEST_FAILURE or (self.code is not None and self.code not in _NOT_A_FAILURE)

    @property
    def answered(self) -> bool:
        """Whether the gateway answered this request: an answer from the cache says nothing about it."""
        return self.code is None and self.status > 0 and self.reused is not None


@dataclass(slots=True)
class Bucket:
    """Ten minutes; ``number`` counts them from the epoch on, answer times are seconds."""

    number: int = -1
    requests: int = 0
    errors: int = 0
    polls: int = 0
    answered: int = 0
    answer_sum: float = 0.0
    answer_max: float = 0.0

    @property
    def answer_mean(self) -> float | None:
        """Mean time to the end of an answer, None without one."""
        return self.answer_sum / self.answered if self.answered else None

    @property
    def start(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.number * BUCKET, UTC)


@dataclass(slots=True)
class _Hour:
    number: int
    requests: int = 0
    errors: int = 0


@dataclass(slots=True)
class _Client:
    last: datetime
    poll: datetime | None = None
    hours: deque[_Hour] = field(default_factory=lambda: deque(maxlen=25))


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """A client's last 24 hours."""

    address: str
    requests: int
    errors: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours: ``buckets`` in order, one for each ten minutes, the current one last."""

    buckets: tuple[Bucket, ...]

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(each.requests for each in self.buckets)

    @property
    def errors(self) -> int:
        """How many of them failed."""
        return sum(each.errors for each in self.buckets)

    @property
    def answer_mean(self) -> float | None:
        """Mean time to the end of an answer."""
        answered = sum(each.answered for each in self.buckets)
        return sum(each.answer_sum for each in self.buckets) / answered if answered else None

    @property
    def answer_max(self) -> float:
        """The longest time to the end of an answer."""
        return max((each.answer_max for each in self.buckets), default=0.0)

    @property
    def polls_an_hour(self) -> int:
        """How often clients polled in the last full hour, in whole buckets."""
        return sum(each.polls for each in self.buckets[-1 - _HOUR // BUCKET : -1])

    @property
    def hour(self) -> tuple[int, int]:
        """Requests and errors of the last hour, the current bucket included."""
        last = self.buckets[-_HOUR // BUCKET :]
        return sum(each.requests for each in last), sum(each.errors for each in last)


class History:
    """Counts finished requests. Callers must not change what it returns."""

    def __init__(self) -> None:
        self.count = 0
        """Requests since the start."""
        self.last_answer: Entry | None = None
        """The last one that the gateway answered."""
        self.last_failure: Entry | None = None
        self.last_outcome: Entry | None = None
        """The last one that the gateway answered or that failed at the gateway."""
        self.unanswered_logins = 0
        """How many of the gateway's last answers in a row were 401."""
        self._entries: deque[Entry] = deque(maxlen=LAST_REQUESTS)
        self._ring = [Bucket() for _ in range(BUCKETS)]
        self._clients: dict[str, _Client] = {}

    def add(self, entry: Entry, *, gateway_failed: bool = False) -> None:
        """Count a finished request; ``gateway_failed``: its error is the gateway's, or of the way to it."""
        self.count += 1
        self._entries.append(entry)
        bucket = self._bucket(entry.at)
        bucket.requests += 1
        bucket.errors += entry.failed
        if entry.answered:
            bucket.answered += 1
            bucket.answer_sum += entry.answering
            bucket.answer_max = max(bucket.answer_max, entry.answering)
            self.last_answer = entry
            self.unanswered_logins = self.unanswered_logins + 1 if entry.status == 401 else 0  # noqa: PLR2004 - HTTP
        if entry.answered or gateway_failed:
            self.last_outcome = entry
        if entry.failed:
            self.last_failure = entry
        bucket.polls += self._count_client(entry)

    def entries(self) -> list[Entry]:
        """Return the last requests, the newest first."""
        return list(reversed(self._entries))

    def day(self, now: datetime) -> Day:
        """Return the 24 hours until ``now``."""
        last = _number(now)
        return Day(tuple(self._at(number) for number in range(last - BUCKETS + 1, last + 1)))

    def clients(self, now: datetime) -> list[ClientSummary]:
        """Return the clients of the 24 hours until ``now``, the busiest first."""
        summaries = list(self._summaries(now))
        return sorted(summaries, key=lambda each: (-each.requests, each.address))

    def _summaries(self, now: datetime) -> Iterator[ClientSummary]:
        oldest = int(now.timestamp()) // _HOUR - 23
        for address, client in self._clients.items():
            hours = [hour for hour in client.hours if hour.number >= oldest]
            if hours:
                requests = sum(hour.requests for hour in hours)
                yield ClientSummary(address, requests, sum(hour.errors for hour in hours), client.last)

    def _bucket(self, at: datetime) -> Bucket:
        number = _number(at)
        bucket = self._ring[number % BUCKETS]
        if bucket.number != number:
            bucket = self._ring[number % BUCKETS] = Bucket(number)
        return bucket

    def _at(self, number: int) -> Bucket:
        bucket = self._ring[number % BUCKETS]
        return bucket if bucket.number == number else Bucket(number)

    def _count_client(self, entry: Entry) -> bool:
        """Count for the client; return whether a poll of the gateway begins with this request."""
        client = self._clients.pop(entry.client, None) or _Client(entry.at)
        self._clients[entry.client] = client  # at the end: the order is that of the last request
        if len(self._clients) > CLIENTS:
            del self._clients[next(iter(self._clients))]
        client.last = entry.at
        number = int(entry.at.timestamp()) // _HOUR
        if not client.hours or client.hours[-1].number != number:
            client.hours.append(_Hour(number))
        client.hours[-1].requests += 1
        client.hours[-1].errors += entry.failed
        if entry.reused is None:
            return False  # it did not reach the gateway
        if client.poll is not None and timedelta(0) <= entry.at - client.poll < timedelta(seconds=POLL):
            return False
        client.poll = entry.at
        return True


def _number(at: datetime) -> int:
    return int(at.timestamp()) // BUCKET
