"""A client's request as it is read, piece by piece, and the head of an answer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.errors import BadRequestError, HeadersTooLargeError, ProxyError, RequestLineTooLongError
from smgw_proxy_addon.http.messages import chunk
from smgw_proxy_addon.server.messages import (
    LARGEST_HEAD,
    LONGEST_LINE,
    MOST_AHEAD,
    READ_AHEAD,
    Request,
    RequestReader,
    answer_head,
)

GET = b"GET /a%2Fb? HTTP/1.1\r\nhOST: proxy\r\nX: \t y \r\nx:\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: proxy\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def read(*pieces: bytes) -> RequestReader:
    reader = RequestReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


def bodies(reader: RequestReader) -> list[bytes]:
    return [b"".join(request.pieces) for request in reader.requests]


@given(st.lists(st.integers(0, len(GET + POST + CHUNKED + GET))))
def test_requests_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    wire = GET + POST + CHUNKED + GET
    at = [0, *sorted(cuts), len(wire)]
    reader = read(*(wire[start:end] for start, end in pairwise(at)))
    assert [request.method for request in reader.requests] == [b"GET", b"POST", b"POST", b"GET"]
    assert all(request.complete and request.keeps_alive and request.http_11 for request in reader.requests)
    assert bodies(reader) == [b"", b"hello", b"hello", b""]
    for request in (reader.requests[0], reader.requests[-1]):
        assert request.target == b"/a%2Fb?"
        assert request.headers == [(b"hOST", b"proxy"), (b"X", b"y"), (b"x", b"")]
    assert (reader.heads, reader.waiting, reader.settled, reader.ended) == (4, 10, True, False)


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("request_", [POST, CHUNKED])
def test_the_body_of_a_request_that_asks_for_another_protocol_is_read(request_: bytes, piece: int) -> None:
    wire = request_.replace(b"\r\n\r\n", b"\r\n" + UPGRADE, 1) + GET
    reader = read(*(wire[at : at + piece] for at in range(0, len(wire), piece)))
    assert bodies(reader) == [b"hello"]
    assert [(request.complete, request.keeps_alive) for request in reader.requests] == [(True, False)]
    assert reader.ended


def test_a_body_that_breaks_off_is_a_problem_of_its_own_request() -> None:
    reader = read(GET + CHUNKED.replace(b"3;x=y", b"3;x\n"))
    first, second = reader.requests
    assert (first.problem, first.complete) == (None, True)
    assert isinstance(second.problem, BadRequestError)
    assert not second.complete
    assert reader.ended
    assert not reader.settled


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        (b"GET /" + b"x" * LONGEST_LINE, RequestLineTooLongError),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1100, HeadersTooLargeError),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * LARGEST_HEAD, HeadersTooLargeError),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", HeadersTooLargeError),
        (b"GET * HTTP/1.1\r\n\r\n", BadRequestError),
        (b"GET / HTTP/1.1\r\n\r", None),
        (b"\r\n\r\n", None),
        (CHUNKED[:-2] + b"X: y\r\n" * 30_000, BadRequestError),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 150_000, BadRequestError),
    ],
)
@pytest.mark.parametrize("piece", [1000, 16_384])
def test_what_cannot_become_a_request_is_refused(wire: bytes, problem: type[ProxyError] | None, piece: int) -> None:
    reader = read(*(wire[at : at + piece] for at in range(0, len(wire), piece)))
    found = [request.problem for request in reader.requests]
    assert [type(each) for each in found] == ([problem] if problem else [])
    assert reader.ended is (problem is not None)


def test_what_comes_behind_the_last_request_is_not_read() -> None:
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    reader = read(last + GET, b"rubbish")
    assert len(reader.requests) == reader.heads == 1
    assert reader.ended
    assert reader.settled


def test_it_says_when_enough_is_read_ahead() -> None:
    assert not read(GET * (MOST_AHEAD - 1)).full
    assert read(GET * MOST_AHEAD).full
    head = b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"
    assert not read(head, bytes(READ_AHEAD)).full
    assert read(head, bytes(READ_AHEAD), b"x").full


def test_a_closed_one_reads_nothing() -> None:
    reader = read(GET)
    reader.close()
    reader.feed(GET)
    assert not reader.requests


@pytest.mark.parametrize(
    ("method", "status", "headers", "http_11", "keeps_alive", "framing"),
    [
        (b"GET", 200, [(b"Content-Length", b"5")], True, True, []),
        (b"GET", 200, [(b"content-LENGTH", b"5")], True, False, [b"Connection: close"]),
        (b"GET", 200, [], True, True, [b"Transfer-Encoding: chunked"]),
        (b"GET", 200, [], True, False, [b"Connection: close", b"Transfer-Encoding: chunked"]),
        (b"GET", 200, [], False, True, []),
        (b"GET", 200, [(b"Content-Length", b"5")], False, True, [b"Connection: keep-alive"]),
        (b"GET", 200, [(b"Content-Length", b"5")], False, False, []),
        (b"HEAD", 200, [], True, True, []),
        (b"HEAD", 200, [], False, True, [b"Connection: keep-alive"]),
        (b"GET", 204, [], True, True, []),
        (b"GET", 304, [], True, True, []),
    ],
)
def test_the_framing_of_an_answer(
    method: bytes,
    status: int,
    headers: list[tuple[bytes, bytes]],
    http_11: bool,
    keeps_alive: bool,
    framing: list[bytes],
) -> None:
    request = Request(method, b"/", [], http_11=http_11, keeps_alive=keeps_alive)
    head, chunked = answer_head(request, status, b"So be it", headers)
    version = b"HTTP/1.1" if http_11 else b"HTTP/1.0"
    lines = [version + b" %d So be it" % status, *(b"%b: %b" % header for header in headers), *framing]
    assert head == b"\r\n".join([*lines, b"", b""])
    assert chunked is (b"Transfer-Encoding: chunked" in framing)
    ends_with_connection = not (headers or chunked) and method == b"GET" and status == 200
    assert request.keeps_alive is (keeps_alive and not ends_with_connection)


def test_an_empty_chunk_is_no_end() -> None:
    assert (chunk(b""), chunk(b"0123456789")) == (b"", b"a\r\n0123456789\r\n")
