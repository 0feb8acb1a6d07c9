"""The look at a gateway that refuses OpenSSL's ClientHello, and at whoever behaves like one; on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Simulator
from simulator.certificates import CertificateOptions, make_identity
from simulator.client_hello import parse_client_hello
from smgw_network_addon import handshake
from smgw_network_addon.addresses import Address
from smgw_network_addon.client_hello import client_hello, content_length, first_certificate
from smgw_network_addon.handshake import Look, client_context, look

HERE: Final = Address("127.0.0.1")
REFUSAL: Final = bytes.fromhex("15 0303 0002 022f")
IDENTITY: Final = make_identity(CertificateOptions())
DER: Final = IDENTITY.der


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + vector(3, body)


def records(content: bytes, size: int = 2**14) -> bytes:
    """Cut messages into records of so many bytes."""
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    return b"".join(b"\x16\x03\x03" + vector(2, piece) for piece in pieces)


SERVER_HELLO: Final = message(2, b"\x03\x03" + bytes(32) + bytes.fromhex("00 c02c 00"))
CERTIFICATE: Final = message(11, vector(3, vector(3, DER) + vector(3, b"its issuer's")))


class Device:
    """Gives one answer to each connection, in segments of so many bytes, and waits until the client has closed."""

    def __init__(self, answers: Iterable[bytes], segment: int) -> None:
        self.connections = 0
        self._answers = iter(answers)
        self._segment = segment

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answer = next(self._answers)
        await reader.read(1000)
        with suppress(OSError):
            for at in range(0, len(answer), self._segment):
                writer.write(answer[at : at + self._segment])
                await asyncio.sleep(0)
            await reader.read()
        writer.close()


@asynccontextmanager
async def device(monkeypatch: pytest.MonkeyPatch, *answers: bytes, segment: int = 2**20) -> AsyncIterator[Device]:
    made = Device(answers, segment)
    async with await asyncio.start_server(made.serve, str(HERE), 0) as server:
        at(monkeypatch, server.sockets[0].getsockname()[1])
        yield made


def at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Have the app look at a port of the test's, without its pause."""
    monkeypatch.setattr(handshake, "HTTPS_PORT", port)
    monkeypatch.setattr(handshake, "_PAUSE", 0.0)


# The message


def test_the_hello_speaks_of_no_renegotiation() -> None:
    hello = parse_client_hello(client_hello(bytes(range(32))))
    assert hello is not None
    assert not hello.speaks_of_renegotiation
    assert {0xC023, 0xC02C} <= set(hello.cipher_suites)
    assert hello.extensions == (10, 11, 13)


def test_the_certificate_is_there_with_the_last_byte_of_its_message() -> None:
    messages = SERVER_HELLO + CERTIFICATE
    assert {first_certificate(messages[:end]) for end in range(len(messages))} == {None}
    assert first_certificate(messages) == first_certificate(messages + message(12, b"more")) == DER


@pytest.mark.parametrize(
    "messages",
    [
        CERTIFICATE,
        SERVER_HELLO + SERVER_HELLO,
        SERVER_HELLO.replace(b"\x03\x03", b"\x03\x01", 1) + CERTIFICATE,
        message(2, b"") + CERTIFICATE,
        SERVER_HELLO + message(11, b""),
        SERVER_HELLO + message(11, vector(3, b"")),
        SERVER_HELLO + message(11, vector(3, vector(3, b""))),
        SERVER_HELLO + message(11, vector(3, b"\x00\x01\x00" + DER[:255])),
        SERVER_HELLO + message(11, vector(3, vector(3, DER)) + b"\x00"),
    ],
)
def test_other_messages_are_an_error(messages: bytes) -> None:
    with pytest.raises(ValueError, match="another"):
        first_certificate(messages)


@pytest.mark.parametrize("head", ["15 0303 0002", "16 0203 0002", "16 0303 0000", "16 0303 4001", "474554202f", ""])
def test_other_records_are_an_error(head: str) -> None:
    with pytest.raises(ValueError, match="no record"):
        content_length(bytes.fromhex(head))


@given(st.binary(max_size=80), st.sampled_from([b"", SERVER_HELLO, SERVER_HELLO + CERTIFICATE[:10]]))
def test_any_bytes_are_a_certificate_nothing_yet_or_a_value_error(data: bytes, before: bytes) -> None:
    with suppress(ValueError):
        content_length(data[:5])
    with suppress(ValueError):
        first_certificate(before + data)


# The look


async def test_a_gateway_of_sagemcom_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(vendor="sagemcom") as sim:
        at(monkeypatch, sim.port)
        seen = await look(HERE, client_context())
        await sim.wait_for_open(0)
        assert seen.is_gateway
        assert seen.certificate is not None
        assert seen.certificate.maker == "Sagemcom Dr. Neuhaus"
        assert seen.certificate.fingerprint == sim.identity.fingerprint
        journal = sim.journal
        assert (journal.refused_hellos, journal.connections, journal.peak_connections) == (1, 2, 1)
        assert (journal.heads, journal.records) == (0, [])


async def test_another_alert_ends_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(vendor="sagemcom", hello_alert=40) as sim:
        at(monkeypatch, sim.port)
        assert await look(HERE, client_context()) == Look(answered=True)
        assert sim.connections == 1


async def test_the_same_alert_later_in_the_handshake_ends_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    incoming, outgoing, connections = ssl.MemoryBIO(), ssl.MemoryBIO(), 0
    gateway = IDENTITY.server_context().wrap_bio(incoming, outgoing, server_side=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        incoming.write(await reader.read(1000))
        with suppress(ssl.SSLWantReadError):
            gateway.do_handshake()
        writer.write(outgoing.read())
        await reader.read(1000)  # the client's half of the handshake
        writer.write(REFUSAL)
        writer.close()

    async with await asyncio.start_server(serve, str(HERE), 0) as server:
        at(monkeypatch, server.sockets[0].getsockname()[1])
        assert await look(HERE, client_context()) == Look(answered=True)
        assert connections == 1


@pytest.mark.parametrize(("size", "segment"), [(2**14, 1), (1, 2**14), (50, 7)])
async def test_the_answer_may_come_in_pieces(monkeypatch: pytest.MonkeyPatch, size: int, segment: int) -> None:
    answer = records(SERVER_HELLO + CERTIFICATE, size)
    async with device(monkeypatch, REFUSAL, answer, segment=segment):
        assert (await look(HERE, client_context())).is_gateway


@pytest.mark.parametrize(
    "answer",
    [
        REFUSAL,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        records(SERVER_HELLO + message(11, bytes(65536))),
        records(message(2, bytes(100_000)), 1),
        records(SERVER_HELLO + CERTIFICATE)[:-1],
    ],
    ids=["refused again", "no TLS", "too long", "many records", "silent"],
)
async def test_whoever_shows_no_certificate_is_looked_at_no_more(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_TIMEOUT", 1.0)
    async with asyncio.timeout(10), device(monkeypatch, REFUSAL, answer) as made:
        assert await look(HERE, client_context()) == Look(answered=True)
        assert made.connections == 2
