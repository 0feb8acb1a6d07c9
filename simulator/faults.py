"""What can go wrong at a gateway, switched on and off while it runs.

This module knows which fault is due; what a fault does to a connection is ``connection.py``'s.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from simulator.messages import Received


class FaultKind(StrEnum):
    """The faults by name. The first three hit a new connection, the others a request."""

    LOCKED = "locked"
    """Accepts TCP and never says anything: a blocked HAN port."""
    REFUSE_HANDSHAKE = "refuse-handshake"
    """Answers the ClientHello with a fatal alert."""
    NO_TLS = "no-tls"
    """Speaks plain HTTP."""
    HOLD_BODY = "hold-body"
    """Reads the head of a request, its body only after the gate opens or the seconds are over."""
    DROP = "drop"
    """Reads the request, closes without an answer."""
    DROP_KEPT = "drop-kept"
    """The same, only on a connection that has answered before."""
    RESET = "reset"
    """Reads the request, resets the TCP connection."""
    STALL = "stall"
    """Reads the request, never answers; the connection stays open until the client leaves."""
    SLOW = "slow"
    """Answers after the gate opens or the seconds are over, even if the client has left."""
    GARBAGE = "garbage"
    """Answers with something that is not HTTP."""
    LOGIN_LOOP = "401-loop"
    """Never accepts a login: a new challenge each time."""
    STALL_BODY = "stall-body"
    """Sends the head and half of the body, then nothing until the gate opens or the client leaves."""
    TRUNCATE = "truncate"
    """Sends the head and half of the body, then closes."""
    IDLE_CLOSE = "idle-close"
    """Closes a connection on which no request began for the given seconds."""
    CLOSE_ANNOUNCED = "close-announced"
    """Answers with ``Connection: close`` and closes the given seconds later (0: at once)."""
    CLOSE_UNANNOUNCED = "close-unannounced"
    """The same without the header; a request that comes in between is lost."""
    BREAK = "break"
    """Breaks off at one point of an exchange (``at``), in one way (``how``)."""


class Point(StrEnum):
    """The points of an exchange, in their order."""

    HEAD = "head"
    """After the request's head, before its body."""
    BODY = "body"
    """In the middle of the request's body."""
    REQUEST = "request"
    """After the request, before the first byte of the answer."""
    HALF_HEAD = "half-head"
    """In the middle of the answer's head."""
    ANSWER_HEAD = "answer-head"
    """After the answer's head."""
    HALF_BODY = "half-body"
    """In the middle of the answer's body."""
    ANSWER = "answer"
    """After the answer."""


class How(StrEnum):
    """The ways to break off."""

    CLOSE = "close"
    """In order: close_notify, then FIN."""
    RESET = "reset"
    """With a TCP reset."""
    STALL = "stall"
    """Nothing more is said; the connection stays open until the client leaves."""
    GARBAGE = "garbage"
    """Something that is not HTTP, then closed in order."""


@dataclass(frozen=True)
class Fault:
    """One fault: how often it still happens (None: always), and for how long it holds something up."""

    kind: FaultKind
    times: int | None = None
    seconds: float = 0.0
    gate: asyncio.Event | None = None
    """Takes the place of ``seconds``: tests open it instead of sleeping."""
    when: Callable[[Received], bool] | None = None
    """Only requests for which this is true are hit, and counted."""
    at: Point | None = None
    how: How = How.CLOSE
    """Both for ``break`` alone."""

    async def wait(self) -> None:
        """Wait as long as the fault holds things up."""
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(self.seconds)


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._on: dict[FaultKind, Fault] = {}

    def set(
        self,
        kind: FaultKind | str,
        *,
        times: int | None = None,
        seconds: float = 0.0,
        gate: asyncio.Event | None = None,
        when: Callable[[Received], bool] | None = None,
        at: Point | str = Point.REQUEST,
        how: How | str = How.CLOSE,
    ) -> None:
        """Switch a fault on, for the next ``times`` occasions or for good; ValueError names a bad argument."""
        if kind not in tuple(FaultKind):
            raise ValueError(f"unknown fault {kind!r}: one of {', '.join(FaultKind)}")
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        if seconds < 0:
            raise ValueError(f"seconds must not be negative: {seconds}")
        point = Point(at) if kind == FaultKind.BREAK else None
        self._on[FaultKind(kind)] = Fault(FaultKind(kind), times, seconds, gate, when, point, How(how))

    def clear(self, kind: FaultKind | str | None = None) -> None:
        """Switch one fault off, or all of them."""
        if kind is None:
            self._on.clear()
        else:
            self._on.pop(FaultKind(kind), None)

    def take(self, kind: FaultKind, request: Received | None = None, at: Point | None = None) -> Fault | None:
        """Return the fault if it is due now, and count it."""
        fault = self._on.get(kind)
        if fault is None or fault.at is not at or (fault.when and request and not fault.when(request)):
            return None
        if fault.times is None:
            return fault
        if fault.times == 1:
            del self._on[kind]
        else:
            self._on[kind] = replace(fault, times=fault.times - 1)
        return fault

    def names(self) -> list[str]:
        """Return the names of the faults that are on."""
        return [str(kind) for kind in self._on]
