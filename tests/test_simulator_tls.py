"""What the simulated gateways speak below HTTP: versions, cipher suites, and the ClientHello that some refuse."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Iterable
from typing import Final

import httpx
import pytest

from simulator import Simulator
from simulator.client_hello import ClientHello, NotClientHelloError, parse_client_hello
from tests.test_simulator import reader_of, run, unverified, wire_to

AES128_SHA256: Final = 0xC023
AES256_GCM: Final = 0xC02C
OPENSSL_NAMES: Final = {AES128_SHA256: "ECDHE-ECDSA-AES128-SHA256", AES256_GCM: "ECDHE-ECDSA-AES256-GCM-SHA384"}
BRAINPOOL: Final = "brainpoolP256r1"

Extension = tuple[int, bytes]
NEEDED: Final[list[Extension]] = [
    (10, bytes.fromhex("0002001a")),  # supported_groups: brainpoolP256r1
    (11, bytes.fromhex("0100")),  # ec_point_formats: uncompressed
    (13, bytes.fromhex("000404030503")),  # signature_algorithms: ECDSA with SHA-256 and SHA-384
]
RENEGOTIATION_INFO: Final[Extension] = (0xFF01, b"\x00")
SCSV: Final = 0x00FF

ALERT: Final = 21
HANDSHAKE: Final = 22
SERVER_HELLO: Final = 2


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def client_hello(suites: Iterable[int], extensions: Iterable[Extension]) -> bytes:
    """Write the message, without a record around it."""
    body = b"\x03\x03" + bytes(32) + vector(1, b"")
    body += vector(2, b"".join(suite.to_bytes(2, "big") for suite in suites)) + vector(1, b"\x00")
    body += vector(2, b"".join(number.to_bytes(2, "big") + vector(2, content) for number, content in extensions))
    return b"\x01" + vector(3, body)


def records(message: bytes, size: int = 2**14) -> bytes:
    """Cut a message into handshake records of so many bytes."""
    pieces = (message[start : start + size] for start in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


ACCEPTABLE: Final = client_hello([AES128_SHA256, AES256_GCM], NEEDED)
WITH_EXTENSION: Final = client_hello([AES128_SHA256], [*NEEDED, RENEGOTIATION_INFO])
WITH_SCSV: Final = client_hello([AES128_SHA256, SCSV], NEEDED)


async def first_record(sim: Simulator, pieces: Iterable[bytes]) -> tuple[int, bytes]:
    """Send a client's first bytes, each piece in a segment of its own, and return the first record of the answer."""
    async with asyncio.timeout(10), wire_to(sim, tls=False) as wire:
        for piece in pieces:
            wire.writer.write(piece)
            await asyncio.sleep(0)  # TCP_NODELAY: what is written in one turn is one segment
        head = await wire.reader.readexactly(5)
        return head[0], await wire.reader.readexactly(int.from_bytes(head[3:], "big"))


def chosen_suite(server_hello: bytes) -> int:
    assert server_hello[0] == SERVER_HELLO
    session = server_hello[4 + 2 + 32]
    return int.from_bytes(server_hello[39 + session : 41 + session], "big")


def tls_of(answer: httpx.Response) -> ssl.SSLObject:
    tls: ssl.SSLObject = answer.extensions["network_stream"].get_extra_info("ssl_object")
    return tls


@pytest.mark.parametrize("hello", [WITH_EXTENSION, WITH_SCSV], ids=["extension", "scsv"])
async def test_sagemcom_refuses_a_client_that_speaks_of_renegotiation(hello: bytes) -> None:
    async with Simulator(vendor="sagemcom") as sim:
        assert await first_record(sim, [records(hello)]) == (ALERT, b"\x02\x2f")
        assert (sim.journal.refused_hellos, sim.journal.failed_handshakes, sim.handshakes) == (1, 1, 0)
        await sim.wait_for_open(0)


@pytest.mark.parametrize("suite", [AES128_SHA256, AES256_GCM])
async def test_sagemcom_answers_a_client_that_does_not(suite: int) -> None:
    async with Simulator(vendor="sagemcom", ciphers=OPENSSL_NAMES[suite]) as sim:
        kind, message = await first_record(sim, [records(ACCEPTABLE)])
        assert (kind, chosen_suite(message)) == (HANDSHAKE, suite)
        other = client_hello({AES128_SHA256, AES256_GCM} - {suite}, NEEDED)
        assert await first_record(sim, [records(other)]) == (ALERT, b"\x02\x28")
        assert sim.journal.refused_hellos == 0


@pytest.mark.parametrize("size", [1, 7, 2**14], ids="records of {}".format)
async def test_a_hello_may_come_in_pieces(size: int) -> None:
    async with Simulator(vendor="sagemcom") as sim:
        for hello, kind in ((ACCEPTABLE, HANDSHAKE), (WITH_EXTENSION, ALERT)):
            sent = records(hello, size)
            assert (await first_record(sim, [sent[at : at + 1] for at in range(len(sent))]))[0] == kind
            assert (await first_record(sim, [sent[:50], sent[50:]]))[0] == kind
        assert sim.journal.refused_hellos == 2


async def test_openssl_is_refused() -> None:
    async with Simulator(vendor="sagemcom") as sim:
        with pytest.raises(ssl.SSLError, match=r"(?i)alert.illegal.parameter"):
            await asyncio.open_connection(sim.host, sim.port, ssl=unverified(BRAINPOOL))
        assert sim.journal.refused_hellos == 1


async def test_curl_is_refused(require: Callable[[str], None]) -> None:
    require("curl")
    async with Simulator(vendor="sagemcom") as sim:
        program = await asyncio.create_subprocess_exec("curl", "-ksS", sim.url, stderr=-1)
        _, errors = await program.communicate()
        assert b"alert illegal parameter" in errors
        assert sim.journal.refused_hellos == 1


async def test_any_gateway_may_refuse_it_with_either_alert() -> None:
    async with Simulator(vendor="emh", refuses_renegotiation_info=True, hello_alert=40) as sim:
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
            await asyncio.open_connection(sim.host, sim.port, ssl=unverified())
        assert sim.journal.refused_hellos == 1


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", records(b"\x02\0\0\0"), bytes(100_000)], ids=["http", "server", "zeros"]
)
async def test_what_is_no_hello_is_refused_by_openssl(garbage: bytes) -> None:
    async with Simulator(vendor="sagemcom") as sim, wire_to(sim, tls=False) as wire:
        wire.writer.write(garbage)
        await sim.wait_until(lambda: sim.journal.failed_handshakes == 1)
        await sim.wait_for_open(0)
        assert sim.journal.refused_hellos == 0


async def test_a_slow_client_keeps_nobody_waiting() -> None:
    async with Simulator(vendor="sagemcom") as sim, wire_to(sim, tls=False) as slow:
        sent = records(ACCEPTABLE)
        slow.writer.write(sent[:60])
        async with wire_to(sim, tls=False) as leaver:
            leaver.writer.write(sent[:60])
        await sim.wait_until(lambda: sim.journal.failed_handshakes == 1)
        assert (await first_record(sim, [sent]))[0] == HANDSHAKE
        slow.writer.write(sent[60:])
        assert await slow.reader.readexactly(1) == bytes([HANDSHAKE])


async def test_a_silent_client_does_not_keep_the_gateway_from_stopping() -> None:
    sim = Simulator(vendor="sagemcom")
    await sim.start()
    async with wire_to(sim, tls=False) as silent:
        await sim.wait_for_connections(1)
        await sim.stop()
        assert await silent.reader.read() == b""


async def test_a_gateway_without_tls_does_not_look_for_a_hello() -> None:
    async with Simulator(vendor="sagemcom") as sim:
        sim.faults.set("no-tls")
        async with wire_to(sim, tls=False) as wire:
            assert b" 200 " in await wire.ask()


@pytest.mark.parametrize("cut", range(0, len(records(ACCEPTABLE, 40)), 9))
def test_a_hello_without_its_end_is_not_one_yet(cut: int) -> None:
    assert parse_client_hello(records(ACCEPTABLE, 40)[:cut]) is None


def test_a_hello_is_taken_apart() -> None:
    assert parse_client_hello(records(WITH_SCSV) + b"more") == ClientHello((AES128_SHA256, SCSV), (10, 11, 13))
    old = ACCEPTABLE[4 : -2 - sum(4 + len(content) for _, content in NEEDED)]
    assert parse_client_hello(records(b"\x01" + vector(3, old))) == ClientHello((AES128_SHA256, AES256_GCM), ())


def test_a_broken_hello_is_told_from_a_whole_one() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        broken = bytearray(records(WITH_EXTENSION, 30))
        for _ in range(chance.randrange(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with contextlib.suppress(NotClientHelloError):
            parse_client_hello(bytes(broken))


@pytest.mark.parametrize(
    ("spoken", "client", "agreed"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_3, "TLSv1.2"),
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("both", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ("both", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
    ],
)
async def test_a_gateway_speaks_the_versions_that_it_is_told(
    spoken: str, client: ssl.TLSVersion, agreed: str
) -> None:
    context = unverified()
    context.maximum_version = client
    async with Simulator(vendor="emh", tls=spoken) as sim:
        async with httpx.AsyncClient(verify=context) as client_:
            answer = await client_.get(f"{sim.url}/sim/bytes/5")
        assert tls_of(answer).version() == agreed


async def test_a_gateway_of_tls_1_3_refuses_an_older_client() -> None:
    async with Simulator(vendor="emh", tls="1.3") as sim:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            await asyncio.open_connection(sim.host, sim.port, ssl=unverified())
    with pytest.raises(ValueError, match="unknown version"):
        Simulator(tls="1.1")
    with pytest.raises(ssl.SSLError):
        await Simulator(ciphers="none-such").start()


async def test_sagemcom_wants_its_headers_and_answers_in_gzip() -> None:
    headers = {"Request-ID": "1", "Device-ID": "EDNT0012345678", "Transport-Version": "1.0"}
    async with (
        Simulator(vendor="sagemcom", refuses_renegotiation_info=False, curve="P-256") as sim,
        reader_of(sim) as client,
    ):
        for missing in headers:
            rest = {name: value for name, value in headers.items() if name != missing}
            assert (await client.get("/smgw/hgp/readings", headers=rest)).status_code == 403
        assert [record.login for record in sim.records] == ["none"] * 3
        plain = {**headers, "Accept-Encoding": "identity"}
        answer = await client.get("/smgw/hgp/readings", headers=plain)
        assert set(answer.json()["registers"]) == {"0100010800ff", "0100020800ff"}
        assert answer.headers["content-encoding"] == "gzip"
        assert (await client.get("/smgw/hgp/info", headers=headers)).json()["device"] == "EDNT0012345678"
        assert (await client.get("/smgw/hgp/other", headers=headers)).status_code == 404
        assert "kWh" in (await client.get("/")).text


async def test_the_program_takes_what_a_gateway_speaks() -> None:
    program = await run(
        *("--vendor=sagemcom", "--handshake-delay=0", "--request-delay=0", "--curve=P-256", "--tls=both"),
        *("--ciphers", OPENSSL_NAMES[AES256_GCM], "--no-refuse-renegotiation-info"),
    )
    assert program.stdout
    url = (await program.stdout.readline()).decode().split()[3]
    async with httpx.AsyncClient(verify=unverified()) as client:
        answer = await client.get(f"{url}/sim/bytes/5")
        assert (
            answer.extensions["network_stream"].get_extra_info("ssl_object").cipher()[0] == OPENSSL_NAMES[AES256_GCM]
        )
    program.terminate()
    await program.communicate()
