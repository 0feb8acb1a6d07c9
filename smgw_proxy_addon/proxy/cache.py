"""Which answers may be shared: what is a read, who may have its answer, what is stored, and for how long.

An answer is one account's and never reaches another. Unlike RFC 9111, a gateway's own ``Cache-Control``, which is
written for browsers, is ignored: the user has set the seconds. A client's ``Cache-Control`` counts. Pure: ``now`` is
in monotonic seconds.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from smgw_proxy_addon.http.headers import Headers, qualities, tokens, values
from smgw_proxy_addon.http.messages import Answer

LARGEST: Final = 1_000_000
"""Bytes of an answer's body that may be shared."""

MOST: Final = 256
"""Answers that are stored at once."""

MOST_BYTES: Final = 8_000_000
"""Bytes of them in all."""

_LONGEST_QUESTION: Final = 4096
"""Bytes of a POST that is parsed; the longest known one has under 300."""

_DIGITS: Final = 18
"""Most digits of a length: int() refuses thousands of them."""

_METHODS: Final = frozenset({"smgw-info", "user-info", "usage-point-info", "readings", "log"})
"""Theben's reads (IF_GW_CON 1.4). ``self-test`` restarts the device, so it never counts as one."""

_SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_THEBEN: Final = re.compile(rb"/smgw/m2m/(?!\.+(?:/|$))[A-Za-z0-9._~-]+(?:/json)?")
_THEBEN_ENTRY: Final = re.compile(rb"/smgw/m2m/?")
_EMH: Final = re.compile(rb"/json/[^#]*")

_ASKS_FOR_A_PART: Final = frozenset({b"range", b"cookie"})
"""With one of these, or ``If-…``, the answer is not simply the page: a part, a 304, a session's own."""

_NOT_IN_THE_KEY: Final = frozenset(
    {
        b"authorization",  # the account stands for it
        b"host",  # the same for all: the proxy writes it
        b"user-agent",  # clients of different kinds ask for the same
        b"content-length",  # the body is in the key
        *(b"accept", b"accept-encoding"),  # compared with the answer: see Read
        *(b"cache-control", b"pragma"),  # about the cache, see Read.fresh
    }
)
_VARIES_UNSEEN: Final = (_NOT_IN_THE_KEY - {b"authorization", b"host", b"accept-encoding"}) | {b"*"}
"""What ``Vary`` may not name: the key does not tell requests apart by it."""


@dataclass(frozen=True)
class Read:
    """A request that only reads. Two of one ``key`` may have the same answer if both accept its coding.

    ``fresh``: the client wants the gateway itself asked (``Cache-Control``, ``Pragma``); others may have that answer.
    """

    key: bytes
    fresh: bool
    codings: tuple[bytes, ...]
    """The values of ``Accept-Encoding``."""

    def accepts(self, headers: Headers) -> bool:
        """Tell whether an answer with these headers may be given to this client, by its ``Content-Encoding``.

        Without ``Accept-Encoding`` only a plain one: RFC 9110 section 12.5.3 allows any, but those decode none.
        """
        wanted = qualities(self.codings)
        used = tokens(values(headers, b"content-encoding")) - {b"identity"}
        if not used:
            return wanted.get(b"identity", wanted.get(b"*", 1.0)) > 0
        return all(wanted.get(each, wanted.get(b"*", 0.0)) > 0 for each in used)


def recognise_read(account: str, method: bytes, target: bytes, headers: Headers, body: bytes | None) -> Read | None:
    """Recognise a read in the request of a client that is logged in as ``account``; ``None`` if it is none.

    All end-to-end headers are in the key but those that say who asks. Not shared: requests that prefer HTML to JSON
    (browsers) and those with ``no-store``.
    """
    question = _normalise(method, target, body)
    names = {name.lower() for name, _ in headers}
    directives = b",".join(values(headers, b"cache-control")).lower()
    if (
        question is None
        or names & _ASKS_FOR_A_PART
        or any(name.startswith(b"if-") for name in names)
        or b"no-store" in directives
        or not _prefers_json(values(headers, b"accept"))
    ):
        return None
    identifying = sorted(
        ((name.lower(), value) for name, value in headers if name.lower() not in _NOT_IN_THE_KEY),
        key=lambda header: header[0],  # repeated ones keep their order
    )
    # As Python writes them: parts cannot run into each other. Hashed: the key holds no more than 32 bytes.
    key = hashlib.sha256(repr((account, method, target, question, identifying)).encode()).digest()
    fresh = bool(names & {b"cache-control", b"pragma"})
    return Read(key, fresh, tuple(values(headers, b"accept-encoding")))


def may_change(method: bytes, target: bytes, body: bytes | None) -> bool:
    """Tell whether a request may change what the gateway answers, so that no stored answer is valid.

    Theben's entry only redirects to the user's own URL, and clients post to it at the start of every poll.
    """
    if method in _SAFE or _normalise(method, target, body) is not None:
        return False
    entry = method == b"POST" and _THEBEN_ENTRY.fullmatch(target)
    return not (entry and (not body or _normalise_call(body) is not None))


def may_be_shared(status: int, headers: Headers) -> bool:
    """Tell by its head whether an answer may be given to others than the one who asked: never an error."""
    names = {name.lower() for name, _ in headers}
    if status != 200 or names & {b"set-cookie", b"content-range"}:  # noqa: PLR2004 - HTTP
        return False
    lengths = values(headers, b"content-length")
    return not tokens(values(headers, b"vary")) & _VARIES_UNSEEN and all(
        each.isdigit() and len(each) <= _DIGITS and int(each) <= LARGEST for each in lengths
    )


def format_hit(ttl: float) -> bytes:
    """Return the ``Cache-Status`` of a stored answer that is valid for ``ttl`` further seconds (RFC 9211)."""
    return b"smgw-proxy; hit; ttl=%d" % ttl


def format_forward(reason: bytes, *, stored: bool = False, collapsed: bool = False) -> bytes:
    """Return the ``Cache-Status`` of an answer that the gateway was asked for (RFC 9211 section 2.2).

    ``reason`` is ``uri-miss``, ``vary-miss`` or ``request``.
    """
    return b"smgw-proxy; fwd=%b%b%b" % (reason, b"; stored" * stored, b"; collapsed" * collapsed)


@dataclass(frozen=True)
class StoredAnswer:
    """An answer of status 200 with its ``whole`` body; ``at`` is when it was asked for (RFC 9111 section 4.2.3)."""

    answer: Answer
    at: float

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.answer.whole or b"") + sum(len(name) + len(value) for name, value in self.answer.headers)


@dataclass
class Cache:
    """The stored answers, each for ``seconds``; bounded in number and bytes, the oldest ones are dropped first."""

    seconds: float
    most: int = MOST
    most_bytes: int = MOST_BYTES
    _answers: dict[bytes, StoredAnswer] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(each.size for each in self._answers.values())

    def get(self, key: bytes, now: float) -> StoredAnswer | None:
        """Return the answer for a key unless it is too old."""
        self._expire(now)
        return self._answers.get(key)

    def put(self, key: bytes, answer: StoredAnswer, now: float) -> bool:
        """Store an answer in the place of an older one; tells whether it was stored."""
        self._expire(now)
        before = self._answers.get(key)
        if now - answer.at >= self.seconds or answer.size > self.most_bytes or (before and before.at > answer.at):
            return False
        self._answers.pop(key, None)
        self._answers[key] = answer
        while len(self._answers) > self.most or self.size > self.most_bytes:
            del self._answers[next(iter(self._answers))]
        return key in self._answers

    def clear(self) -> None:
        """Forget all."""
        self._answers.clear()

    def _expire(self, now: float) -> None:
        self._answers = {key: each for key, each in self._answers.items() if now - each.at < self.seconds}


def _normalise(method: bytes, target: bytes, body: bytes | None) -> bytes | None:
    """Return the body of a read in one spelling for each question; ``None`` if it is no read."""
    if method == b"GET" and not body and _EMH.fullmatch(target):
        # Dots could lead out of /json/, to targets that change something.
        segments = unquote_to_bytes(target.partition(b"?")[0]).replace(b"\\", b"/").split(b"/")
        return None if {b".", b".."} & set(segments) else b""
    if method == b"POST" and body and _THEBEN.fullmatch(target):
        return _normalise_call(body)
    return None


def _normalise_call(body: bytes) -> bytes | None:
    """Return one spelling of a call of Theben's that only reads: libraries differ in blanks and order."""
    if len(body) > _LONGEST_QUESTION:
        return None
    try:
        call = json.loads(body.decode(), object_pairs_hook=_no_key_twice, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("method"), str) or call["method"] not in _METHODS:
        return None
    return json.dumps(call, sort_keys=True).encode()


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an ambiguous call: of two methods, the gateway may take the other one."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a key twice")
    return dict(pairs)


def _refuse(_number: str) -> None:
    """Refuse numbers that have more than one spelling; no known call has one."""
    raise ValueError("not a whole number")


def _prefers_json(accept: list[bytes]) -> bool:
    wanted = qualities(accept)
    if not wanted:
        return True
    ranges = (b"application/json", b"application/*", b"*/*")
    json_quality = next((wanted[each] for each in ranges if each in wanted), 0.0)
    return json_quality > 0 and json_quality >= max(wanted.values())
