"""What one side sends is what the other receives, byte for byte, but for what must change on the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from simulator.endpoints import ODD_HEADERS
from simulator.gateway import Simulator
from smgw_proxy_addon.http.digest import authorize, parse_challenges
from smgw_proxy_addon.server.request_body import WHOLE_BODY
from tests.rig import headers_of, proxy_for, send, status_of

NASTY_TARGETS = [
    b"/a%2Fb?x=%7E&y=a+b&&",
    b"//x",
    b"/?",
    b"/a/../b/./c",
    b"/%zz?%",
    b"/x;y=z,(1)'*!$@:",
    b"/q?a=b?c=d/e#f",
    b'/json?{"a":["b"]}|^`\\',
    b"/long?" + b"x" * 8192,
]


def ask(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    head = [method + b" " + target + b" HTTP/1.1", b"Host: proxy", *headers, b"Connection: close", b"", b""]
    return b"\r\n".join(head)


@pytest.mark.parametrize("target", NASTY_TARGETS, ids=lambda target: repr(target[:16]))
async def test_nasty_targets_arrive_byte_for_byte_with_a_valid_login(tmp_path: Path, target: bytes) -> None:
    async with Simulator(vendor="emh", protect_all=True) as sim, proxy_for(sim, tmp_path) as rig:
        challenged = await send(rig.port, ask(target))
        assert status_of(challenged) == 401
        header = dict(headers_of(challenged))[b"WWW-Authenticate"].decode()
        login = authorize(
            parse_challenges(header)[0],
            username=sim.user,
            password=sim.password,
            method="GET",
            uri=target.decode("utf-8", "surrogateescape"),
            cnonce="0a4f113b",
            nc=1,
        )
        answer = await send(rig.port, ask(target, b"Authorization: " + login.encode("utf-8", "surrogateescape")))
        assert [record.target for record in sim.records] == [target, target]
        assert status_of(answer) == 200
        assert sim.records[1].authorized


async def test_an_absolute_target_is_sent_in_origin_form(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        await send(rig.port, ask(b"http://proxy:8080/a%2Fb?"))
        assert sim.records[0].target == b"/a%2Fb?"


async def test_the_request_s_headers_keep_their_order_case_and_repetitions(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        headers = [
            b"X-First: 1",
            b"cOOkie: session=a; session=b",
            b"Cookie: Cookie=session=a",
            b"x-content-LENGTH: 7",
            b"X-Twice: one",
            b"X-Twice: two",
            b"X-Empty:",
            b"X-Bytes: gr\xfc\xdfe",
            b"Accept-Encoding: gzip",
        ]
        hops = [b"Keep-Alive: timeout=5", b"TE: trailers", b"Upgrade: h2c", b"Proxy-Connection: keep-alive"]
        request = [b"GET /sim/status/200 HTTP/1.1", headers[0], b"HOST: proxy:8080", *headers[1:], *hops]
        await send(rig.port, b"\r\n".join([*request, b"Connection: close, X-Named", b"X-Named: 1", b"", b""]))
        received = sim.records[0].raw_head.split(b"\r\n")
        expected = [headers[0], b"HOST: " + sim.authority.encode(), *headers[1:]]
        assert [line.rstrip() for line in received if line] == [b"GET /sim/status/200 HTTP/1.1", *expected]


async def test_the_configured_host_header_is_sent(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, host_header="smgw.local") as rig:
        await send(rig.port, ask(b"/"))
        assert dict(sim.records[0].headers)[b"Host"] == b"smgw.local"


async def test_the_answer_s_headers_keep_their_order_case_and_bytes(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        answer = await send(rig.port, ask(b"/sim/headers"))
        changed = {b"first=1; Path=/; Domain=gateway.example; Secure; HttpOnly": b"first=1; Path=/; HttpOnly"}
        changed[b"second=2 ;SECURE;  sameSite=Strict;domain=.example"] = b"second=2 ;  sameSite=Strict"
        gone = {b"strict-transport-security", b"keep-alive", b"connection", b"x-hop"}
        expected = [(name, changed.get(value, value)) for name, value in ODD_HEADERS if name.lower() not in gone] + [
            (b"Content-Length", b"4"),
            (b"Connection", b"close"),
        ]
        assert headers_of(answer) == expected


async def test_the_https_listener_keeps_secure_cookies(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path, https_port="0") as rig:
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            answer = await client.get(rig.https + "/sim/headers")
        assert answer.headers.get_list("set-cookie") == [
            "first=1; Path=/; Secure; HttpOnly",
            "second=2 ;SECURE;  sameSite=Strict",
        ]
        assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ("/smgw/m2m/demo.sm", "/smgw/m2m/demo.sm"),
        ("https://{gateway}/smgw/m2m/demo.sm?a=b#c", "/smgw/m2m/demo.sm?a=b#c"),
        ("https://example.org/x", "https://example.org/x"),
        ("next", "next"),
    ],
)
async def test_a_location_at_the_gateway_becomes_a_path(tmp_path: Path, sent: str, received: str) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            to = sent.format(gateway=sim.authority)
            answer = await client.get(f"{rig.http}/sim/redirect", params={"to": to, "status": "307"})
        assert (answer.status_code, answer.headers["location"]) == (307, received)


@pytest.mark.parametrize(
    ("method", "path", "status", "length"),
    [
        (b"HEAD", b"/sim/bytes/1000", 200, b"1000"),
        (b"HEAD", b"/sim/bytes/1000?chunked=1", 200, None),
        (b"GET", b"/sim/status/204", 204, None),
        (b"GET", b"/sim/status/304", 304, None),
        (b"POST", b"/sim/status/200", 200, b"11"),
    ],
)
async def test_answers_with_and_without_a_body_end_where_they_should(
    tmp_path: Path, method: bytes, path: bytes, status: int, length: bytes | None
) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        request = method + b" " + path + b" HTTP/1.1\r\nHost: proxy\r\n"
        request += b"Content-Length: 0\r\n\r\n" if method == b"POST" else b"\r\n"
        answers = await send(rig.port, request + ask(b"/sim/status/200?last"))
        first, _, rest = answers.partition(b"\r\n\r\n")
        assert status_of(first) == status
        if length is not None:
            assert dict(headers_of(answers))[b"Content-Length"] == length
        body = b"status 200\n" if method == b"POST" else b""
        assert rest.startswith(body + b"HTTP/1.1 200")
        assert sim.connections == 1


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_arrive_whole_in_their_own_framing(tmp_path: Path, size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 50_000):
            yield body[start : start + 50_000]

    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(rig.http + "/sim/echo", content=pieces() if chunked else body)
        assert answer.json() == {"size": size, "sha256": hashlib.sha256(body).hexdigest()}
        names = {name.lower() for name, _ in sim.records[0].headers}
        stays_chunked = chunked and size > WHOLE_BODY  # some firmware knows nothing but a length
        assert (b"transfer-encoding" in names, b"content-length" in names) == (stays_chunked, not stays_chunked)


@pytest.mark.parametrize("query", ["", "?chunked=1", "?close=1"])
async def test_answers_of_each_framing_arrive_whole(tmp_path: Path, query: str) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{rig.http}/sim/bytes/300000{query}")
        assert answer.content == bytes(range(256)) * 1171 + bytes(range(300000 - 256 * 1171))


@pytest.mark.parametrize("query", [b"", b"?chunked=1"])
async def test_an_http_1_0_client_is_served_without_chunks(tmp_path: Path, query: bytes) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        request = b"GET /sim/bytes/1000" + query + b" HTTP/1.0\r\nHost: proxy\r\n\r\n"
        answer = await send(rig.port, request)
        assert answer.startswith(b"HTTP/1.0 200")
        assert len(answer.partition(b"\r\n\r\n")[2]) == 1000
        assert b"chunked" not in answer[:200].lower()


async def test_100_continue_is_answered_here_and_not_passed_on(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(
            b"POST /sim/echo HTTP/1.1\r\nHost: proxy\r\nExpect: 100-Continue\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not sim.records
        writer.write(b"abc")
        assert status_of(await reader.read()) == 200
        writer.close()
        assert b"expect" not in sim.records[0].raw_head.lower()


async def test_another_expectation_fails(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        assert status_of(await send(rig.port, ask(b"/", b"Expect: the-unexpected"))) == 417
        assert not sim.records


async def test_compressed_bodies_pass_as_they_are(tmp_path: Path) -> None:
    packed = b"not really gzip"
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(rig.http + "/sim/echo", content=packed, headers={"Content-Encoding": "gzip"})
        assert sim.records[0].body == packed


async def test_interim_answers_and_pipelined_requests_keep_their_order(tmp_path: Path) -> None:
    async with Simulator() as sim, proxy_for(sim, tmp_path) as rig:
        one = b"GET /sim/status/201 HTTP/1.1\r\nHost: proxy\r\n\r\n"
        answers = await send(rig.port, one + one.replace(b"201", b"202") + ask(b"/sim/status/203"))
        assert [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]] == [201, 202, 203]
        assert sim.connections == 1
