"""Shared answers, against a source that answers when a test says so, and a clock that stands still."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from smgw_proxy_addon.errors import (
    BusyError,
    ClientGoneError,
    ProxyError,
    ReadTimeoutError,
    TruncatedAnswerError,
    UnreachableError,
)
from smgw_proxy_addon.http.headers import Headers
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.proxy.cache import LARGEST
from smgw_proxy_addon.proxy.coalescing import SharedAnswers
from smgw_proxy_addon.proxy.source import Client

SELF_TEST: Final = (b"POST", b"/smgw/m2m/a.sm/json", b'{"method":"self-test"}')


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Asked:
    """One request that came to the source."""

    request: GatewayRequest
    client: Client
    head: asyncio.Future[Answer]
    pieces: asyncio.Queue[bytes | ProxyError | None] = field(default_factory=asyncio.Queue)
    ended: bool = False

    def answer(self, body: bytes = b"[]", status: int = 200, headers: Headers | None = None) -> None:
        """Answer all at once."""
        self.head.set_result(Answer(status, b"OK", headers or [], body))
        self.say(body, None)

    def begin(self, *pieces: bytes, headers: Headers | None = None) -> None:
        """Begin an answer."""
        self.head.set_result(Answer(200, b"OK", headers or []))
        self.say(*pieces)

    def say(self, *pieces: bytes | ProxyError | None) -> None:
        """Go on with it; ``None`` ends it."""
        for piece in pieces:
            self.pieces.put_nowait(piece)

    async def body(self) -> AsyncIterator[bytes]:
        """Give the body as it is said."""
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, ProxyError):
                raise piece
            yield piece


class Source:
    """Stands for the gateway; while ``queueing``, a request whose client leaves is given up at once."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.queueing = False

    @asynccontextmanager
    async def ask(
        self, request: GatewayRequest, client: Client
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        asked = Asked(request, client, asyncio.get_running_loop().create_future())
        self.asked.append(asked)
        record = client.record
        record.waiting += 1.5
        record.connecting, record.reused = 0.5, True
        try:
            if self.queueing:
                waiting: set[asyncio.Future[Any]] = {asked.head, client.gone}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if client.gone.done():
                    raise ClientGoneError
            yield await asked.head, asked.body()
        finally:
            record.answering = 0.25
            asked.ended = True


class Asker:
    """A client that asks once."""

    def __init__(
        self, house: "House", question: tuple[bytes, bytes, bytes | None], account: str, **more: str
    ) -> None:
        method, target, body = question
        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.record = RequestRecord()
        self.answer: Answer | None = None
        self.received = b""
        self.answering = 0.0
        """What the log would say at the end."""
        self._request = GatewayRequest(method, target, headers, body, chunked=False, has_login=False)
        self._house, self._account = house, account
        self.task = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        house = self._house
        client = Client("192.0.2.1", self.gone, self.record)
        async with house.shared.ask(self._account, self._request, client, house.source.ask) as given:
            self.answer, body = given
            async for piece in body:
                self.received += piece
        self.answering = self.record.answering

    def header(self, name: bytes) -> bytes | None:
        assert self.answer
        return dict(self.answer.headers).get(name)


class House:
    """Shared answers before a source."""

    def __init__(self, cache_seconds: float) -> None:
        self.clock = Clock()
        self.source = Source()
        self.shared = SharedAnswers(cache_seconds, self.clock, slowest=60)

    def come(
        self, question: tuple[bytes, bytes, bytes | None] | bytes = b"/json/a", /, account: str = "a", **headers: str
    ) -> Asker:
        return Asker(self, (b"GET", question, None) if isinstance(question, bytes) else question, account, **headers)

    async def asked(self, count: int) -> Asked:
        """Wait until the source was asked so often; returns the last one."""
        await until(lambda: len(self.source.asked) >= count)
        await rest()
        assert len(self.source.asked) == count
        return self.source.asked[-1]


@asynccontextmanager
async def house(cache_seconds: float = 0) -> AsyncIterator[House]:
    before = asyncio.all_tasks()
    one = House(cache_seconds)
    try:
        yield one
    finally:
        assert not asyncio.all_tasks() - before


async def rest() -> None:
    """Let everything go on that does not wait for a test."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - turns of the loop, there is no event for all of it
            await asyncio.sleep(0)


async def finished(*askers: Asker) -> None:
    async with asyncio.timeout(5):
        await asyncio.gather(*(each.task for each in askers))


async def outcome(task: Awaitable[None]) -> BaseException:
    async with asyncio.timeout(5):
        (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(result, BaseException)
    return result


async def test_identical_reads_in_flight_are_asked_once() -> None:
    async with house() as one:
        askers = [one.come(User_Agent=f"client {number}") for number in range(10)]
        (await one.asked(1)).answer(b'["meter"]')
        await finished(*askers)
        assert [each.received for each in askers] == [b'["meter"]'] * 10
        assert [each.record.shared for each in askers] == [None] + ["collapsed"] * 9
        assert askers[0].header(b"Cache-Status") == b"smgw-proxy; fwd=uri-miss"
        assert askers[9].header(b"Cache-Status") == b"smgw-proxy; fwd=uri-miss; collapsed"
        assert askers[9].header(b"Age") is None
        assert (askers[0].record.waiting, askers[0].record.reused, askers[0].answering) == (1.5, True, 0.25)
        assert [each.record.reused for each in askers[1:]] == [None] * 9
        later = one.come()
        (await one.asked(2)).answer()
        await finished(later)


async def test_a_kept_answer_tells_its_age_until_its_time_is_over() -> None:
    async with house(60) as one:
        first = one.come()
        (await one.asked(1)).answer(b"[1]", headers=[(b"Content-Type", b"application/json"), (b"age", b"7")])
        await finished(first)
        assert first.record.shared == "stored"
        assert first.header(b"Cache-Status") == b"smgw-proxy; fwd=uri-miss; stored"
        one.clock.now += 18.7
        second = one.come()
        await finished(second)
        assert (second.received, second.record.shared, second.record.reused) == (b"[1]", "hit", None)
        assert second.answer
        assert second.answer.headers == [
            (b"Content-Type", b"application/json"),
            (b"Age", b"18"),
            (b"Cache-Status", b"smgw-proxy; hit; ttl=41"),
        ]
        one.clock.now += 41.3
        third = one.come()
        (await one.asked(2)).answer(b"[2]")
        await finished(third)
        assert third.received == b"[2]"


async def test_the_age_counts_from_when_the_request_was_sent() -> None:
    async with house(60) as one:
        first = one.come()
        asked = await one.asked(1)
        one.clock.now += 5  # 1.5 s of it in the queue and 0.5 s for the connection
        asked.answer()
        await finished(first)
        second = one.come()
        await finished(second)
        assert second.header(b"Age") == b"3"


async def test_an_answer_is_for_its_account_only() -> None:
    async with house(60) as one:
        askers = [one.come(account=name) for name in ("import", "feed-in", "")]
        await one.asked(3)
        for number, asked in enumerate(one.source.asked):
            asked.answer(b"%d" % number)
        await finished(*askers)
        assert [each.received for each in askers] == [b"0", b"1", b"2"]
        again = [one.come(account=name) for name in ("feed-in", "import", "other")]
        (await one.asked(4)).answer(b"3")
        await finished(*again)
        assert [each.received for each in again] == [b"1", b"0", b"3"]


@pytest.mark.parametrize(
    "question",
    [
        (b"GET", b"/", None),
        (b"HEAD", b"/json/a", None),
        (b"POST", b"/cgi-bin/hanservice.cgi", b"action=meterform"),
        SELF_TEST,
    ],
    ids=["page", "head", "ppc", "self-test"],
)
async def test_what_is_no_read_is_asked_each_time(question: tuple[bytes, bytes, bytes | None]) -> None:
    async with house(60) as one:
        askers = [one.come(question) for _ in range(3)]
        await one.asked(3)
        for asked in one.source.asked:
            asked.answer()
        await finished(*askers)
        assert all(each.header(b"Cache-Status") is None and each.record.shared is None for each in askers)
        assert [each.client.gone for each in one.source.asked] == [each.gone for each in askers]


async def test_a_large_body_that_comes_in_pieces_passes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"method":"readings"}'

    async with house(60) as one:
        request = GatewayRequest(
            b"POST", b"/smgw/m2m/a/json", [], None, chunked=True, has_login=False, stream=pieces()
        )
        client = Client("192.0.2.1", asyncio.get_running_loop().create_future())

        async def ask() -> None:
            async with one.shared.ask("a", request, client, one.source.ask):
                pass

        task = asyncio.create_task(ask())
        asked = await one.asked(1)
        assert asked.request is request
        asked.answer()
        await task


@pytest.mark.parametrize("cache_seconds", [0, 60])
async def test_an_error_of_the_gateway_goes_to_the_one_who_asked_and_the_others_ask_for_themselves(
    cache_seconds: float,
) -> None:
    async with house(cache_seconds) as one:
        askers = [one.come() for _ in range(4)]
        for count, status in enumerate((500, 404, 200), start=1):
            (await one.asked(count)).answer(b"%d" % status, status)
        await finished(*askers)
        assert [each.answer.status for each in askers if each.answer] == [500, 404, 200, 200]
        assert [each.received for each in askers] == [b"500", b"404", b"200", b"200"]


@pytest.mark.parametrize("headers", [[(b"Set-Cookie", b"a=b")], [(b"Vary", b"User-Agent")]])
async def test_what_belongs_to_one_client_is_not_shared(headers: Headers) -> None:
    async with house(60) as one:
        askers = [one.come() for _ in range(2)]
        for count in (1, 2):
            (await one.asked(count)).answer(b"%d" % count, headers=headers)
        await finished(*askers)
        assert [each.received for each in askers] == [b"1", b"2"]
        assert len(one.source.asked) == 2


async def test_nobody_gets_a_coding_that_he_does_not_accept() -> None:
    gzipped = [(b"Content-Encoding", b"gzip")]
    async with house(60) as one:
        askers = [one.come(Accept_Encoding="gzip"), one.come(), one.come(Accept_Encoding="br, gzip")]
        (await one.asked(1)).answer(b"zip", headers=gzipped)
        (await one.asked(2)).answer(b"plain")
        await finished(*askers)
        assert [each.received for each in askers] == [b"zip", b"plain", b"zip"]
        assert askers[1].header(b"Cache-Status") == b"smgw-proxy; fwd=vary-miss; stored"
        again = one.come(Accept_Encoding="gzip")
        await finished(again)
        assert again.received == b"plain"


async def test_a_kept_answer_is_not_for_who_does_not_accept_its_coding() -> None:
    async with house(60) as one:
        first = one.come(Accept_Encoding="gzip")
        (await one.asked(1)).answer(b"zip", headers=[(b"Content-Encoding", b"gzip")])
        second = one.come()
        (await one.asked(2)).answer(b"plain")
        await finished(first, second)
        assert (first.received, second.received) == (b"zip", b"plain")
        assert second.header(b"Cache-Status") == b"smgw-proxy; fwd=vary-miss; stored"


async def test_an_error_of_ours_reaches_each_as_an_object_of_its_own() -> None:
    async with house(60) as one:
        askers = [one.come() for _ in range(10)]
        error = UnreachableError("no route", target="10.0.0.1")
        error.retry_after = 7
        (await one.asked(1)).head.set_exception(error)
        errors = [await outcome(each.task) for each in askers]
        assert {type(each) for each in errors} == {UnreachableError}
        assert {str(each.facts) for each in errors if isinstance(each, ProxyError)} == {"{'target': '10.0.0.1'}"}
        assert {each.retry_after for each in errors if isinstance(each, ProxyError)} == {7}
        assert {str(each) for each in errors} == {"no route"}
        assert len({id(each) for each in errors}) == 10
        assert len(one.source.asked) == 1


@pytest.mark.parametrize("error", [BusyError("full"), ZeroDivisionError("a fault of ours")])
async def test_what_may_be_the_first_ones_own_trouble_is_not_shared(error: Exception) -> None:
    async with house() as one:
        askers = [one.come() for _ in range(3)]
        (await one.asked(1)).head.set_exception(error)
        (await one.asked(2)).answer(b"[]")
        assert await outcome(askers[0].task) is error
        await finished(*askers[1:])
        assert [each.received for each in askers[1:]] == [b"[]"] * 2


async def test_every_reader_gets_the_answer_when_it_is_whole() -> None:
    async with house(60) as one:
        first, second = one.come(), one.come()
        asked = await one.asked(1)
        asked.begin(b"[1,")
        await rest()
        assert first.answer is None
        assert second.answer is None
        asked.say(b"2]", None)
        await finished(first, second)
        assert first.received == second.received == b"[1,2]"
        assert first.record.shared == "stored"
        assert first.header(b"Cache-Status") == b"smgw-proxy; fwd=uri-miss; stored"
        assert (await one.asked(1)).ended


async def test_an_answer_that_breaks_off_is_an_error_for_all() -> None:
    async with house(60) as one:
        askers = [one.come() for _ in range(3)]
        asked = await one.asked(1)
        asked.begin(b"[1,")
        asked.say(TruncatedAnswerError("reset"))
        errors = [await outcome(each.task) for each in askers]
        assert {type(each) for each in errors} == {TruncatedAnswerError}
        assert [each.received for each in askers] == [b"", b"", b""]
        later = one.come()
        (await one.asked(2)).answer()
        await finished(later)


@pytest.mark.parametrize("announced", [False, True])
async def test_a_large_answer_streams_to_the_one_who_asked_and_the_others_ask_for_themselves(announced: bool) -> None:
    piece = bytes(LARGEST // 4)
    headers = [(b"Content-Length", b"%d" % (8 * len(piece)))] if announced else []
    async with house(60) as one:
        askers = [one.come() for _ in range(3)]
        for count, asker in enumerate(askers, start=1):
            asked = await one.asked(count)
            asked.begin(*[piece] * 5, headers=headers)
            await until(lambda asker=asker: len(asker.received) == 5 * len(piece))  # type: ignore[misc] # bound early
            assert not asked.ended
            asked.say(*[piece] * 3, None)
            await finished(asker)
            assert len(asker.received) == 8 * len(piece)
            assert asked.ended
            assert asker.answering == 0.25
        assert len(one.source.asked) == 3


async def test_the_first_one_may_leave_without_harm_to_the_others() -> None:
    async with house() as one:
        first, second = one.come(), one.come()
        asked = await one.asked(1)
        first.gone.set_result(None)
        asked.answer(b"[1]")
        await finished(first, second)
        assert second.received == b"[1]"
        assert len(one.source.asked) == 1


@pytest.mark.parametrize("where", ["head", "body"])
async def test_the_others_ask_for_themselves_if_the_first_one_is_cancelled(where: str) -> None:
    async with house() as one:
        first, second = one.come(), one.come()
        asked = await one.asked(1)
        if where == "body":
            asked.begin(b"[1,")
            await until(asked.pieces.empty)
        first.task.cancel()
        await asyncio.wait({first.task})
        assert asked.ended
        (await one.asked(2)).answer(b"[2]")
        await finished(second)
        assert second.received == b"[2]"


async def test_one_who_waits_may_leave() -> None:
    async with house() as one:
        first, second, third = (one.come() for _ in range(3))
        asked = await one.asked(1)
        second.gone.set_result(None)
        assert isinstance(await outcome(second.task), ClientGoneError)
        asked.answer()
        await finished(first, third)


async def test_who_has_left_already_is_given_up() -> None:
    async with house() as one:
        one.source.queueing = True
        asker = one.come()
        asker.gone.set_result(None)
        assert isinstance(await outcome(asker.task), ClientGoneError)
        await until(lambda: all(each.ended for each in one.source.asked))


async def test_who_leaves_the_queue_gives_up_his_place_and_the_next_one_asks() -> None:
    async with house() as one:
        one.source.queueing = True
        askers = [one.come() for _ in range(3)]
        for count, asker in enumerate(askers, start=1):
            asked = await one.asked(count)
            assert not asked.ended
            asker.gone.set_result(None)
            assert isinstance(await outcome(asker.task), ClientGoneError)
            assert asked.ended


async def test_what_the_gateway_was_asked_is_heard_out_and_kept_when_all_have_left() -> None:
    async with house(60) as one:
        asker = one.come()
        asked = await one.asked(1)
        asker.gone.set_result(None)
        asked.answer(b"[1]")
        await until(lambda: asked.ended)
        later = one.come()
        await finished(asker, later)
        assert (later.received, later.record.shared) == (b"[1]", "hit")


async def test_one_who_comes_back_joins_what_he_has_left() -> None:
    async with house() as one:
        asker = one.come()
        asked = await one.asked(1)
        asker.gone.set_result(None)
        again = one.come()
        await one.asked(1)
        asked.answer(b"[1]")
        await finished(asker, again)
        assert again.received == b"[1]"


async def test_an_error_that_nobody_waits_for_makes_no_noise() -> None:
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))

    async def fail() -> None:
        async with house() as one:
            asker = one.come()
            asked = await one.asked(1)
            asked.head.set_exception(UnreachableError())
            await outcome(asker.task)
            await rest()

    await fail()
    gc.collect()
    assert noise == []


@pytest.mark.parametrize("header", ["Cache_Control", "Pragma"])
async def test_a_fresh_answer_is_asked_for_and_then_everybodys(header: str) -> None:
    async with house(60) as one:
        first = one.come()
        (await one.asked(1)).answer(b"[1]")
        await finished(first)
        one.clock.now += 1
        fresh = one.come(**{header: "no-cache"})
        (await one.asked(2)).answer(b"[2]")
        await finished(fresh)
        assert fresh.header(b"Cache-Status") == b"smgw-proxy; fwd=request; stored"
        later = one.come()
        await finished(later)
        assert later.received == b"[2]"


async def test_a_fresh_answer_is_not_another_ones_and_is_not_replaced_by_an_older_one() -> None:
    async with house(60) as one:
        first = one.come()
        slow = await one.asked(1)
        one.clock.now += 5
        fresh = one.come(Cache_Control="no-cache")
        quick = await one.asked(2)
        joined = one.come()
        await rest()
        quick.answer(b"[2]")
        await finished(fresh, joined)
        slow.answer(b"[1]")
        await finished(first)
        later = one.come()
        await finished(later)
        assert [each.received for each in (first, fresh, joined, later)] == [b"[1]", b"[2]", b"[2]", b"[2]"]


@pytest.mark.parametrize("stays", [True, False])
async def test_a_slow_answer_is_shared_while_its_client_stays(stays: bool) -> None:
    async with house(60) as one:
        first = one.come()
        slow = await one.asked(1)
        joined = one.come()
        await rest()
        slow.begin()
        slow.say(b"[1")
        await rest()
        if not stays:
            first.gone.set_result(None)
        one.clock.now += 1000
        slow.say(b"]", None)
        if stays:
            await finished(first, joined)
        else:
            (await one.asked(2)).answer(b"[2]")
            await finished(joined)
        assert joined.received == (b"[1]" if stays else b"[2]")


async def test_one_that_was_replaced_ends_without_harm_to_the_newer_one() -> None:
    async with house() as one:
        first = one.come()
        slow = await one.asked(1)
        fresh = one.come(Cache_Control="no-cache")
        newer = await one.asked(2)
        slow.answer(b"[1]")
        await finished(first)
        joined = one.come()
        await one.asked(2)
        newer.answer(b"[2]")
        await finished(fresh, joined)
        assert joined.received == b"[2]"


async def test_what_must_not_be_stored_is_not() -> None:
    async with house(60) as one:
        for count in (1, 2):
            asker = one.come(Cache_Control="no-store")
            (await one.asked(count)).answer()
            await finished(asker)
            assert asker.header(b"Cache-Status") is None


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_change_of_the_gateway_makes_all_forget(fresh: bool) -> None:
    async with house(60) as one:
        kept = one.come()
        (await one.asked(1)).answer(b"[1]")
        await finished(kept)
        wish = {"Cache_Control": "no-cache"} if fresh else {}
        begun = one.come(b"/json/b", "b", **wish)
        slow = await one.asked(2)
        if fresh:  # a later one, which takes the place of the first
            other = one.come(b"/json/b", account="b", Cache_Control="no-cache")
            (await one.asked(3)).answer(b"x")
            await finished(other)
        count = len(one.source.asked)
        change = one.come(SELF_TEST, account="c")
        (await one.asked(count + 1)).answer()
        await finished(change)
        slow.answer(b"old")
        await finished(begun)
        askers = [one.come(), one.come(b"/json/b", account="b")]
        await one.asked(count + 3)
        for asked in one.source.asked[-2:]:
            asked.answer(b"new")
        await finished(*askers)
        assert [each.received for each in (begun, *askers)] == [b"old", b"new", b"new"]


async def test_while_the_gateway_is_changed_nothing_from_before_is_given_and_nothing_kept_for_after() -> None:
    async with house(60) as one:
        before = one.come()
        (await one.asked(1)).answer(b"before")
        await finished(before)
        begun = one.come(b"/json/b")
        slow = await one.asked(2)
        change = one.come(SELF_TEST)
        changing = await one.asked(3)
        meanwhile = [one.come(), one.come(b"/json/b")]
        await one.asked(5)
        for asked in one.source.asked[3:]:
            asked.answer(b"meanwhile")
        await finished(*meanwhile)
        changing.answer()
        slow.answer(b"before")
        await finished(change, begun)
        after = [one.come(), one.come(b"/json/b")]
        await one.asked(7)
        for asked in one.source.asked[5:]:
            asked.answer(b"after")
        await finished(*after)
        assert [each.received for each in (*meanwhile, *after)] == [b"meanwhile"] * 2 + [b"after"] * 2


async def test_the_entry_of_theben_changes_nothing() -> None:
    async with house(60) as one:
        kept = one.come()
        (await one.asked(1)).answer(b"[1]")
        await finished(kept)
        entry = one.come((b"POST", b"/smgw/m2m", None))
        (await one.asked(2)).answer(status=307)
        await finished(entry)
        again = one.come()
        await finished(again)
        assert again.record.shared == "hit"


async def test_the_wait_for_anothers_answer_is_in_the_log() -> None:
    async with house() as one:
        first, second, third = (one.come() for _ in range(3))
        asked = await one.asked(1)
        one.clock.now += 4
        asked.answer(status=500)
        await one.asked(2)
        one.clock.now += 3
        one.source.asked[1].head.set_exception(ReadTimeoutError(seconds="75"))
        assert isinstance(await outcome(second.task), ReadTimeoutError)
        assert isinstance(await outcome(third.task), ReadTimeoutError)
        await finished(first)
        assert (second.record.waiting, third.record.waiting) == (4 + 1.5, 7)


@pytest.mark.parametrize(("cache_seconds", "most"), [(60, 60), (900, 4)])
async def test_ten_impatient_clients_are_one_for_the_gateway(cache_seconds: float, most: int) -> None:
    async with house(cache_seconds) as one:
        # Each client polls once a minute, each at its own second.
        polls: list[Any] = sorted(60.0 * minute + 5.7 * client for minute in range(60) for client in range(10))
        begin = one.clock.now
        for second in polls:
            one.clock.now = begin + second
            asker, asked = one.come(), len(one.source.asked)
            await rest()
            if len(one.source.asked) > asked:
                one.source.asked[-1].answer(b"%d" % second)
            await finished(asker)
            assert second - int(asker.received) <= cache_seconds
        assert len(polls) == 600
        assert len(one.source.asked) == most
