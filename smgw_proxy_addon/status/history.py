"""The recent past in bounded memory: the last requests, counters of one day, and how often each client asked.

Pure: entries carry their time. Targets in entries must be redacted.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from smgw_proxy_addon.errors import GatewayError, ProxyError

LAST_REQUESTS: Final = 200
"""Entries that are kept."""

CLIENTS: Final = 50
"""Clients that are kept: the ones that asked last."""

BUCKET: Final = 600
"""Seconds that one bucket of the day stands for."""

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
BUCKETS: Final = _DAY // BUCKET
"""Buckets of a day."""

POLL: Final = 60.0
"""Seconds of one poll: a client sends several requests in a row."""

MANY_POLLS: Final = 10
"""Polls in an hour that gateways are known to bear. With two clients at ten minutes each, gateways locked themselves
every 7 to 14 days. New readings appear every 15 minutes only."""


def _codes(kind: type[ProxyError]) -> Iterator[str]:
    yield kind.code
    for each in kind.__subclasses__():
        yield from _codes(each)


GATEWAY_CODES: Final = frozenset(_codes(GatewayError))
"""The codes of errors that are the gateway's, or of the way to it."""

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
    """A stretch of time; ``begin`` is in seconds from the epoch on, answer times are in seconds."""

    begin: int = 0
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
        return datetime.fromtimestamp(self.begin, UTC)

    def count(self, entry: Entry) -> None:
        """Count a request, but for its poll."""
        self.requests += 1
        self.errors += entry.failed
        if entry.answered:
            self.answered += 1
            self.answer_sum += entry.answering
            self.answer_max = max(self.answer_max, entry.answering)


def _add_up(buckets: Sequence[Bucket]) -> Bucket:
    return Bucket(
        begin=buckets[0].begin,
        requests=sum(each.requests for each in buckets),
        errors=sum(each.errors for each in buckets),
        polls=sum(each.polls for each in buckets),
        answered=sum(each.answered for each in buckets),
        answer_sum=sum(each.answer_sum for each in buckets),
        answer_max=max(each.answer_max for each in buckets),
    )


class _Ring:
    """The buckets of one day, each of so many seconds, a part of the hour."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._buckets: dict[int, Bucket] = {}

    def at(self, when: datetime) -> Bucket:
        """Return the bucket of a moment, to count in."""
        begin = self._begin(when)
        bucket = self._buckets[begin % _DAY] = self._find(begin)
        return bucket

    def until(self, now: datetime) -> tuple[Bucket, ...]:
        """Return the buckets of the 24 hours until ``now``, the current one last."""
        end = self._begin(now) + self._seconds
        return tuple(self._find(begin) for begin in range(end - _DAY, end, self._seconds))

    def _begin(self, when: datetime) -> int:
        return int(when.timestamp()) // self._seconds * self._seconds

    def _find(self, begin: int) -> Bucket:
        kept = self._buckets.get(begin % _DAY)
        return kept if kept and kept.begin == begin else Bucket(begin)


@dataclass(slots=True)
class _Client:
    last: datetime
    poll: datetime | None = None
    hours: _Ring = field(default_factory=lambda: _Ring(_HOUR))


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
    total: Bucket
    hour: Bucket
    """The last hour, the current bucket included."""
    polls_an_hour: int
    """How often clients polled in the last full hour, in whole buckets."""


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
        self._day = _Ring(BUCKET)
        self._clients: dict[str, _Client] = {}

    def add(self, entry: Entry) -> None:
        """Count a finished request."""
        self.count += 1
        self._entries.append(entry)
        bucket = self._day.at(entry.at)
        bucket.count(entry)
        if entry.answered:
            self.last_answer = entry
            self.unanswered_logins = self.unanswered_logins + 1 if entry.status == 401 else 0  # noqa: PLR2004 - HTTP
        if entry.answered or entry.code in GATEWAY_CODES:
            self.last_outcome = entry
        if entry.failed:
            self.last_failure = entry
        bucket.polls += self._count_client(entry)

    def entries(self) -> list[Entry]:
        """Return the last requests, the newest first."""
        return list(reversed(self._entries))

    def day(self, now: datetime) -> Day:
        """Return the 24 hours until ``now``."""
        buckets = self._day.until(now)
        hour = _HOUR // BUCKET
        return Day(buckets, _add_up(buckets), _add_up(buckets[-hour:]), _add_up(buckets[-1 - hour : -1]).polls)

    def clients(self, now: datetime) -> list[ClientSummary]:
        """Return the clients of the 24 hours until ``now``, the busiest first."""
        totals = ((address, client, _add_up(client.hours.until(now))) for address, client in self._clients.items())
        summaries = [
            ClientSummary(address, total.requests, total.errors, client.last)
            for address, client, total in totals
            if total.requests
        ]
        return sorted(summaries, key=lambda each: (-each.requests, each.address))

    def _count_client(self, entry: Entry) -> bool:
        """Count for the client; return whether a poll of the gateway begins with this request."""
        client = self._clients.pop(entry.client, None) or _Client(entry.at)
        self._clients[entry.client] = client  # at the end: the order is that of the last request
        if len(self._clients) > CLIENTS:
            del self._clients[next(iter(self._clients))]
        client.last = entry.at
        client.hours.at(entry.at).count(entry)
        if entry.reused is None:
            return False  # it did not reach the gateway
        if client.poll is not None and timedelta(0) <= entry.at - client.poll < timedelta(seconds=POLL):
            return False
        client.poll = entry.at
        return True
