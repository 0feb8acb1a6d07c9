"""Decides which request may go to the gateway now, which one waits and which one is rejected.

Gateways lock up under parallel requests, so there are few places (one, unless the user asks for more). A free place
goes to the waiting addresses in turn, and to the requests of one address in the order of arrival. A request that
would put somebody else's session at risk (``ppc_session``) waits, and blocks nobody behind it. A request that finds
the queue full waits in the overflow queue for a short time.

Pure. The caller obeys each request's ``state``, calls ``release`` when it is done and ``advance`` at ``next_change``.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from smgw_proxy_addon.gateway.ppc_session import CgiAnswer, CgiRequest, PpcSession

PAGE: Final = "page"
"""The address of the gateway's page in Home Assistant: its requests go behind all others."""

REMEMBERED_ADDRESSES: Final = 32
"""Addresses whose turn is remembered while none of their requests waits."""


class QueueState(Enum):
    """What has become of a request for a place."""

    RUNNING = auto()
    """It has a place."""
    QUEUED = auto()
    OVERFLOW = auto()
    """It waits in the overflow queue, because the queue was full."""
    REJECTED = auto()
    """Both queues were full, or the queue stayed full for too long."""
    TIMED_OUT = auto()
    """It waited in the queue for too long."""
    SESSION_BUSY = auto()
    """Somebody else's session did not end in time."""


@dataclass(eq=False, slots=True)
class QueuedRequest:
    """A client's request for a place; ``arrived`` is in seconds. Compared by identity.

    ``address`` is empty for a request of the proxy itself, ``cgi`` is None for a request that is not for PPC's CGI.
    """

    address: str
    cgi: CgiRequest | None
    arrived: float
    state: QueueState = QueueState.QUEUED


class _FairQueue:
    """Requests that wait: addresses take turns, and those of one address keep the order of arrival."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, deque[QueuedRequest]] = OrderedDict()
        """The address whose last turn is the longest ago comes first. Idle addresses stay, or each would seem new."""
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[QueuedRequest]:
        for address, queue in self._by_address.items():
            if address != PAGE:
                yield from queue
        yield from self._by_address.get(PAGE, ())

    def count(self, address: str) -> int:
        """Return how many requests of an address wait."""
        return len(self._by_address.get(address, ()))

    def oldest_arrival(self) -> float:
        """Return when the first of the waiting requests arrived."""
        return min(request.arrived for request in self.heads())

    def add(self, request: QueuedRequest) -> None:
        """Add a request behind those of its address."""
        self._by_address.setdefault(request.address, deque()).append(request)
        self._length += 1

    def heads(self) -> Iterator[QueuedRequest]:
        """Yield the first request of each address."""
        return (queue[0] for queue in self._by_address.values() if queue)

    def remove(self, request: QueuedRequest) -> None:
        """Remove a request if it is here."""
        queue = self._by_address.get(request.address)
        if queue and request in queue:
            queue.remove(request)
            self._length -= 1
            if not queue and len(self._by_address) > REMEMBERED_ADDRESSES:
                del self._by_address[request.address]  # ``end_turn`` may never be called for it

    def end_turn(self, address: str) -> None:
        """Put an address behind all others."""
        self._by_address.setdefault(address, deque())
        self._by_address.move_to_end(address)
        if len(self._by_address) > REMEMBERED_ADDRESSES:
            idle = next((each for each, queue in self._by_address.items() if not queue and each != address), None)
            if idle is not None:
                del self._by_address[idle]


@dataclass
class Scheduler:
    """At most ``places`` requests at the gateway and ``queue_size`` in the queue; one address may fill half of it.

    Timeouts are seconds since the request's arrival.
    """

    places: int
    queue_size: int
    queue_timeout: float
    overflow_size: int = 256
    overflow_timeout: float = 2.0
    """A burst on a fast gateway is over by then."""
    session_timeout: float = 8.0
    """For somebody else's session to end: clients give up at 10 s."""
    session: PpcSession = field(default_factory=PpcSession)
    _running: set[QueuedRequest] = field(default_factory=set, init=False)
    _queue: _FairQueue = field(default_factory=_FairQueue, init=False)
    _overflow: _FairQueue = field(default_factory=_FairQueue, init=False)

    @property
    def running(self) -> int:
        """How many requests have a place."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many requests wait for a place, in both queues."""
        return len(self._queue) + len(self._overflow)

    def acquire(self, address: str, cgi: CgiRequest | None, now: float) -> QueuedRequest:
        """Ask for a place; the ``state`` of the result is the answer."""
        request = QueuedRequest(address, cgi, now)
        self._update_session(now, request)
        if len(self._running) < self.places and self.session.may_start(cgi):
            self._start(request)
        elif self._fits(request):
            self._queue.add(request)
        elif len(self._overflow) < self.overflow_size:
            request.state = QueueState.OVERFLOW
            self._overflow.add(request)
        else:
            request.state = QueueState.REJECTED
        return request

    def release(self, request: QueuedRequest, now: float) -> list[QueuedRequest]:
        """Give up a place or the wait for one; returns the requests that have a place now."""
        if request in self._running:
            self._running.remove(request)
            self.session.end(request.cgi, now)
        else:
            self._remove(request)
        return self._start_waiting(now)

    def record_answer(self, request: QueuedRequest, answer: CgiAnswer, now: float) -> None:
        """Note what the answer to a request for the CGI says about the session."""
        if request.cgi is not None:
            self.session.record_answer(request.cgi, answer, now)

    def advance(self, now: float) -> list[QueuedRequest]:
        """Apply the timeouts; returns the requests that have a place now and those that waited for too long."""
        started = self._start_waiting(now)
        expired = [request for request in self._all_waiting() if self._expire(request, now)]
        for request in expired:
            self._remove(request)
        self._refill()
        # Again: a holder that yielded to requests which have expired now may go on.
        return started + expired + self._start_waiting(now)

    def next_change(self) -> float | None:
        """Return the earliest time at which ``advance`` has something to return, None if nobody waits."""
        if not self.waiting:
            return None
        changes = []
        if self._queue:
            changes.append(self._queue.oldest_arrival() + self.queue_timeout)
        if self._overflow:
            changes.append(self._overflow.oldest_arrival() + self.overflow_timeout)
        if not self.session.free:
            blocked = [each.arrived for each in self._all_waiting() if not self.session.may_start(each.cgi)]
            if blocked:
                changes.append(min(blocked) + self.session_timeout)
                holder_waits = any(self.session.is_held_by(each.cgi) for each in self._all_waiting())
                expires = self.session.expires_at(holder_waits=holder_waits)
                yields = self.session.yields_at(holder_waits=holder_waits)
                changes += [each for each in (expires, yields) if each is not None]
        return min(changes)

    def _start_waiting(self, now: float) -> list[QueuedRequest]:
        """Give the free places to waiting requests."""
        if not self.waiting:
            return []
        self._update_session(now)
        started = []
        while len(self._running) < self.places:
            # One of the overflow queue only if the whole queue waits for a session.
            request = next((each for each in self._all_waiting() if self.session.may_start(each.cgi)), None)
            if request is None:
                break
            self._remove(request)
            self._start(request)
            started.append(request)
        self._refill()
        return started

    def _update_session(self, now: float, *newcomers: QueuedRequest) -> None:
        """Have the session yield or end for those who wait, but not end for a newcomer that would go before them."""
        if self.session.free:
            return
        requests = [*newcomers, *self._all_waiting()]
        others_wait = any(self.session.contends(request.cgi) for request in requests)
        holder_waits = any(self.session.is_held_by(request.cgi) for request in requests)
        self.session.update_yielding(now, others_wait=others_wait, holder_waits=holder_waits)
        if others_wait and not (newcomers and self.waiting):
            self.session.expire(now, holder_waits=holder_waits)

    def _refill(self) -> None:
        """Move requests from the overflow queue to the queue while there is space."""
        while (request := next(filter(self._fits, self._overflow.heads()), None)) is not None:
            self._overflow.remove(request)
            self._overflow.end_turn(request.address)
            request.state = QueueState.QUEUED
            self._queue.add(request)

    def _start(self, request: QueuedRequest) -> None:
        request.state = QueueState.RUNNING
        self._running.add(request)
        self._queue.end_turn(request.address)
        self.session.begin(request.cgi)

    def _expire(self, request: QueuedRequest, now: float) -> bool:
        """End the wait of a request whose time is over; tells whether it is."""
        if not self.session.may_start(request.cgi) and now >= request.arrived + self.session_timeout:
            request.state = QueueState.SESSION_BUSY
        elif request.state is QueueState.OVERFLOW and now >= request.arrived + self.overflow_timeout:
            request.state = QueueState.REJECTED
        elif now >= request.arrived + self.queue_timeout:
            request.state = QueueState.TIMED_OUT
        else:
            return False
        return True

    def _fits(self, request: QueuedRequest) -> bool:
        share = max(1, self.queue_size // 2)
        return len(self._queue) < self.queue_size and self._queue.count(request.address) < share

    def _remove(self, request: QueuedRequest) -> None:
        self._queue.remove(request)
        self._overflow.remove(request)

    def _all_waiting(self) -> Iterator[QueuedRequest]:
        yield from self._queue
        yield from self._overflow
