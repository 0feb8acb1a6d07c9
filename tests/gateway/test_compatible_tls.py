"""The compatible TLS promises what OpenSSL does here: the same suites and curves, TLS 1.2, the key proven, an end."""

import asyncio
import inspect
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tlslite.api import HandshakeSettings
from tlslite.constants import ContentType

from simulator.certificates import RSA, CertificateOptions, ClientCertificates, Identity, make_identity
from simulator.gateway import Simulator
from smgw_proxy_addon.gateway import compatible_tls
from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext, CompatibleObject
from smgw_proxy_addon.gateway.tls import GatewayTls, client_context
from smgw_proxy_addon.status.findings import Step
from tests.gateway.hellos import SCSV, Hello, parse_hello
from tests.gateway.tlslite_server import HELLO_REQUEST, Server
from tests.process import ROOT
from tests.rig import Rig, proxy_for

CURVES: Final = {
    "prime256v1": 23,
    "secp384r1": 24,
    "brainpoolP256r1": 26,
    "brainpoolP384r1": 27,
    "brainpoolP512r1": 28,
}
"""OpenSSL's name and the number of each curve of TR-03116-3 (RFC 8422, RFC 7027)."""
KINDS: Final = ("P-256", "P-384", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1", RSA)
NO_ENCRYPT_THEN_MAC: Final = 1 << 19
"""OpenSSL's SSL_OP_NO_ENCRYPT_THEN_MAC."""
CBC: Final = "AES256-SHA384", "AES128-SHA256"
GCM: Final = "AES256-GCM-SHA384", "AES128-GCM-SHA256"
REQUEST: Final = b"GET / HTTP/1.1\r\n\r\n"
APPLICATION_DATA: Final = 0x17
SERVER_NAME: Final = 0
"""The number of the extension (RFC 6066 section 3)."""


@cache
def identity_of(kind: str) -> Identity:
    return make_identity(CertificateOptions(curve=kind))


class Client:
    """The proxy's side in memory."""

    def __init__(self, context: CompatibleContext | None = None, server_name: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or CompatibleContext()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def shake_hands(self, data: bytes = b"") -> bytes:
        """Take what the gateway has sent, and return what is sent to it; raises what ended the handshake."""
        self._incoming.write(data)
        self.tls.advance()
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def write(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self._outgoing.read()

    def read(self, data: bytes) -> bytes:
        """Return all that can be read."""
        self._incoming.write(data)
        pieces = b""
        with suppress(ssl.SSLWantReadError):
            while self._incoming.pending or self.tls.pending():
                pieces += self.tls.read(16384)
        return pieces

    def take(self) -> bytes:
        return self._outgoing.read()


class OpenSsl:
    """The gateway's side in memory, by OpenSSL."""

    def __init__(self, kind: str, ciphers: str, curve: str, *, encrypt_then_mac: bool = True) -> None:
        context = identity_of(kind).server_context()
        context.set_ciphers(ciphers)
        context.set_ecdh_curve(curve)
        context.options |= 0 if encrypt_then_mac else NO_ENCRYPT_THEN_MAC
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def feed(self, data: bytes) -> bytes:
        self._incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def read(self, data: bytes) -> bytes:
        self._incoming.write(data)
        pieces = b""
        while self._incoming.pending or self.tls.pending():
            pieces += self.tls.read(16384)
        return pieces

    def answer(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self._outgoing.read()


def connected(gateway: OpenSsl | Server, context: CompatibleContext | None = None) -> Client:
    """Return the proxy's side after its handshake with the gateway."""
    client = Client(context)
    client.shake_hands(gateway.feed(client.shake_hands(gateway.feed(client.shake_hands()))))
    return client


@contextmanager
def failing(reason: str) -> Iterator[None]:
    """Expect the error of OpenSSL's kind that has this reason."""
    with pytest.raises(ssl.SSLError) as raised:
        yield
    assert raised.value.reason == reason


# What is offered


def openssl_hello(server_name: str | None = None) -> Hello:
    outgoing = ssl.MemoryBIO()
    context = client_context(newest=ssl.TLSVersion.TLSv1_2)
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name).do_handshake()
    return parse_hello(outgoing.read())


def test_the_clienthello_lacks_what_these_gateways_refuse_and_offers_the_same() -> None:
    hello, other = parse_hello(Client().shake_hands()), openssl_hello()
    assert other.asks_for_renegotiation_info
    assert not hello.asks_for_renegotiation_info
    assert hello.version == 0x0303
    assert hello.suites == [suite for suite in other.suites if suite != SCSV]
    assert {0xC023, 0xC02C} < set(hello.suites)
    assert hello.groups == list(CURVES.values())
    assert hello.extensions.keys() <= other.extensions.keys()
    assert not any(signature >> 8 in (1, 2) for signature in hello.signatures)  # MD5, SHA-1


@pytest.mark.parametrize("name", ["gateway.example", "smart_meter"])
def test_the_name_is_sent_that_openssl_sends(name: str) -> None:
    client, gateway = Client(server_name=name), OpenSsl("P-256", "ECDHE+ECDSA", "prime256v1")
    record = client.shake_hands()
    assert parse_hello(record).extensions[SERVER_NAME] == openssl_hello(name).extensions[SERVER_NAME]
    client.shake_hands(gateway.feed(client.shake_hands(gateway.feed(record))))
    assert gateway.read(client.write(REQUEST)) == REQUEST


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    ("suite", "encrypt_then_mac"),
    [*((suite, True) for suite in GCM + CBC), *((suite, False) for suite in CBC)],
)
@pytest.mark.parametrize("signed", ["ECDSA", RSA])
def test_each_suite_completes_on_each_curve(curve: str, suite: str, signed: str, *, encrypt_then_mac: bool) -> None:
    kind = RSA if signed == RSA else curve.replace("prime256v1", "P-256").replace("secp384r1", "P-384")
    name = f"ECDHE-{signed}-{suite}"
    gateway = OpenSsl(kind, name, curve, encrypt_then_mac=encrypt_then_mac)
    client = connected(gateway)
    assert (gateway.tls.cipher() or ("",))[0] == name
    assert client.tls.getpeercert(binary_form=True) == identity_of(kind).der
    data = bytes(range(256)) * 160
    for _ in range(2):
        assert gateway.read(client.write(data)) == data
        assert client.read(gateway.answer(data)) == data
    decrypts = client.tls._tls._recordLayer._readState.encContext  # noqa: SLF001 - the engine does not tell
    assert isinstance(decrypts, compatible_tls._Gcm | compatible_tls._Cbc)  # noqa: SLF001 - and not tlslite-ng's own


# Which version


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0304])
def test_a_server_that_chooses_another_version_is_refused(version: int) -> None:
    client = Client()
    flight = OpenSsl("P-256", "ECDHE+ECDSA", "prime256v1").feed(client.shake_hands())
    assert flight[9:11] == b"\x03\x03"
    with failing("PROTOCOL_VERSION"):
        client.shake_hands(flight[:9] + version.to_bytes(2) + flight[11:])


def test_a_warning_that_the_name_is_unknown_ends_no_handshake() -> None:
    gateway, client = OpenSsl("P-256", "ECDHE+ECDSA", "prime256v1"), Client()
    flight = gateway.feed(client.shake_hands())
    warning = bytes([ContentType.alert, 3, 3, 0, 2, 1, 112])
    client.shake_hands(gateway.feed(client.shake_hands(warning + flight)))
    assert gateway.read(client.write(REQUEST)) == REQUEST


# Who it is


def test_a_certificate_whose_key_the_gateway_lacks_is_refused() -> None:
    thief = make_identity(CertificateOptions())
    client, gateway = Client(), Server(identity_of("P-256"), thief)
    with failing("DECRYPT_ERROR"):
        client.shake_hands(gateway.feed(client.shake_hands()))
    assert not gateway.complete


# How it ends


def test_a_hello_request_ends_the_connection() -> None:
    gateway = Server(identity_of("P-256"))
    client = connected(gateway)
    gateway.feed(client.write(REQUEST))
    assert (gateway.received, gateway.complete) == (REQUEST, True)
    with failing("NO_RENEGOTIATION"):
        client.read(gateway.answer(b"HTTP/1.1 ") + gateway.say(ContentType.handshake, HELLO_REQUEST))
    assert client.take() == b""


@pytest.mark.parametrize("half", [b"\x00", HELLO_REQUEST[:3], b"\x0b\x00\xff\xff" + bytes(1000)])
def test_half_a_message_of_a_handshake_behind_it_ends_the_connection(half: bytes) -> None:
    gateway = Server(identity_of("P-256"))
    client = connected(gateway)
    with failing("UNEXPECTED_MESSAGE"):
        client.read(gateway.say(ContentType.handshake, half))


@pytest.mark.parametrize("suite", GCM + CBC)
@pytest.mark.parametrize("at", [5, 40, -1])
@pytest.mark.parametrize("encrypt_then_mac", [True, False])
def test_a_record_that_was_changed_ends_the_connection(suite: str, at: int, *, encrypt_then_mac: bool) -> None:
    gateway = OpenSsl("P-256", f"ECDHE-ECDSA-{suite}", "prime256v1", encrypt_then_mac=encrypt_then_mac)
    client = connected(gateway)
    record = bytearray(gateway.answer(b"x" * 1000))
    record[at] ^= 1
    with failing("BAD_RECORD_MAC"):
        client.read(bytes(record))


@pytest.mark.parametrize("handshake", [True, False])
def test_a_record_that_is_too_long_is_not_waited_for(*, handshake: bool) -> None:
    gateway = OpenSsl("P-256", "ECDHE+ECDSA", "prime256v1")
    client = Client() if handshake else connected(gateway)
    if handshake:
        client.shake_hands()
    kind = ContentType.handshake if handshake else ContentType.application_data
    read = client.shake_hands if handshake else client.read
    with failing("RECORD_OVERFLOW"):
        read(bytes([kind, 3, 3]) + (2**14 + 2049).to_bytes(2))


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """Run a gateway that does with each connection what ``talk`` does; yield its address."""
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with suppress(ConnectionError):
                await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            running = [task for task in tasks if task and task.cancel()]
            await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def proxy_before(talk: Talk, folder: Path, **options: Any) -> AsyncIterator[Rig]:
    """Run a proxy with the compatible TLS for such a gateway."""
    async with listening(talk) as target, proxy_for(target, folder, tls="compatible", **options) as rig:
        yield rig


async def get(rig: Rig) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(f"{rig.http}/sim/status/200")


async def test_a_handshake_without_an_end_is_bounded(tmp_path: Path) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(4096)
        for _ in range(1000):
            piece = b"\x02\xff\xff\xff" + bytes(996) if not sent else bytes(1000)  # a ServerHello of 16 MB
            writer.write(bytes([ContentType.handshake, 3, 3]) + len(piece).to_bytes(2) + piece)
            sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with proxy_before(talk, tmp_path) as rig:
        [failed] = [each for each in await rig.proxy.doctor.examine() if each.step is Step.TLS]
        assert failed.facts["reason"] == "excessive message size"


async def test_a_handshake_in_a_trickle_ends_in_time(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes([ContentType.handshake, 3, 3, 0x40, 0]))
        while not reader.at_eof():
            writer.write(b"\x02")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with proxy_before(talk, tmp_path, hasten={"connect_timeout": 0.5}) as rig:
        answer = await get(rig)
        assert (answer.status_code, answer.json()["error"]) == (504, "gateway_connect_timeout")


# A login by certificate


def files_of(identity: Identity, folder: Path) -> dict[str, Any]:
    (folder / "pem").write_bytes(identity.certificate_pem + identity.key_pem)
    return {"client_certfile": str(folder / "pem"), "client_keyfile": str(folder / "pem"), "allow": ["127.0.0.1"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_gateway_is_shown_a_certificate_with_any_kind_of_key(tmp_path: Path, kind: str) -> None:
    known = identity_of(kind)
    files = await asyncio.to_thread(files_of, known, tmp_path)
    clients = ClientCertificates(trusted=known.certificate_pem.decode(), demanded=True)
    async with (
        Simulator(client_certificates=clients, curve="P-256" if kind == RSA else kind) as sim,
        proxy_for(sim, tmp_path, tls="compatible", **files) as rig,
    ):
        assert (await get(rig)).status_code == 200
        assert sim.journal.client_certificates == [known.fingerprint]


def test_the_key_is_in_no_text_about_it() -> None:
    known = identity_of("P-256")
    tls = GatewayTls(client_context(), login=(known.certificate_pem, known.key_pem))
    assert "PRIVATE KEY" not in f"{tls} {tls.compatible} {tls.compatible()}"  # asyncio logs what it could not call


@pytest.mark.parametrize("kind", [None, "P-256", "P-384", "brainpoolP512r1"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_gateway_that_takes_ecdsa_alone_is_shown_a_certificate(kind: str | None, digest: str) -> None:
    settings = HandshakeSettings()
    settings.rsaSigHashes = settings.dsaSigHashes = settings.more_sig_schemes = []
    settings.ecdsaSigHashes = [digest]
    login = identity_of(kind) if kind else None
    gateway = Server(identity_of("P-256"), asks=True, settings=settings)
    client = connected(gateway, CompatibleContext((login.certificate_pem, login.key_pem) if login else None))
    gateway.feed(client.write(REQUEST))
    assert (gateway.received, gateway.ended) == (REQUEST, None)
    assert gateway.client_certificate == (login.der if login else None)


# Beside the event loop, and only when needed


@asynccontextmanager
async def turning(clock: Callable[[], float]) -> AsyncIterator[list[float]]:
    """Yield the seconds of ``clock`` that turns of the event loop take, from now on."""
    turns: list[float] = []

    async def turn() -> None:
        while True:
            before = clock()
            await asyncio.sleep(0.001)
            turns.append(clock() - before)

    task = asyncio.create_task(turn())
    try:
        yield turns
    finally:
        task.cancel()


async def test_a_slow_handshake_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = CompatibleObject.advance

    def slow(tls: CompatibleObject) -> None:
        time.sleep(0.5)
        advance(tls)

    monkeypatch.setattr(CompatibleObject, "advance", slow)
    async with (
        Simulator() as sim,
        proxy_for(sim, tmp_path, tls="compatible") as rig,
        turning(time.monotonic) as turns,
    ):
        assert (await get(rig)).status_code == 200
        assert sum(turns) > 1
        assert max(turns) < 0.4


async def test_an_answer_in_many_small_records_blocks_nobody(tmp_path: Path) -> None:
    # The slowest kind of suite: tlslite-ng checks its padding in a time that does not depend on it.
    gateway = OpenSsl("P-256", "ECDHE-ECDSA-AES128-SHA256", "prime256v1", encrypt_then_mac=False)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not gateway.tls.version() and not reader.at_eof():
            writer.write(gateway.feed(await reader.read(65536)))
        await reader.read(65536)
        head = gateway.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 25000\r\n\r\n")
        writer.write(head + b"".join(gateway.answer(b"x" * 50) for _ in range(500)))
        await reader.read()

    async with proxy_before(talk, tmp_path) as rig, turning(time.thread_time) as turns:
        assert len((await get(rig)).content) == 25_000
        assert max(turns) < sum(turns) / 5


async def test_an_alert_that_comes_with_the_end_of_the_connection_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = CompatibleObject.advance

    def slow(tls: CompatibleObject) -> None:
        advance(tls)
        time.sleep(0.2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes([ContentType.alert, 3, 3, 0, 2, 2, 80]))
        writer.close()
        await writer.wait_closed()

    monkeypatch.setattr(CompatibleObject, "advance", slow)
    async with proxy_before(talk, tmp_path) as rig:
        found = await rig.proxy.doctor.examine()
        assert "tls_internal_error" in {each.code for each in found}


async def test_a_gateway_that_speaks_first_is_read_when_the_clienthello_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = HandshakeSettings.validate

    def slowly(settings: HandshakeSettings) -> HandshakeSettings:
        time.sleep(0.2)
        return make(settings)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([ContentType.alert, 3, 3, 0, 2, 2, 80]))
        await reader.read()

    monkeypatch.setattr(HandshakeSettings, "validate", slowly)
    async with proxy_before(talk, tmp_path) as rig:
        found = await rig.proxy.doctor.examine()
        assert "tls_internal_error" in {each.code for each in found}


SCRIPT: Final = """
import asyncio, sys, tempfile
from pathlib import Path
import httpx
from simulator.gateway import Simulator
from tests.rig import proxy_for

async def main(tls):
    async with Simulator() as sim, proxy_for(sim, Path(tempfile.mkdtemp(dir=sys.argv[2])), tls=tls) as rig:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(rig.http + "/sim/status/200")).status_code == 200
    print("tlslite" in sys.modules)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(("chosen", "imported"), [("auto", False), ("openssl", False), ("compatible", True)])
def test_it_is_imported_only_when_needed(tmp_path: Path, chosen: str, *, imported: bool) -> None:
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT, chosen, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{imported}\n"


# The names of tlslite-ng that it reaches for


def test_tlslite_ng_has_the_private_names_that_are_changed_here() -> None:
    for ours in vars(compatible_tls).values():
        if not inspect.isclass(ours) or ours.__module__ != compatible_tls.__name__:
            continue
        base, *_ = ours.__bases__
        if not base.__module__.startswith("tlslite."):
            continue
        changed = [name for name in vars(ours) if name[0] == "_" and name[:2] != "__"]
        assert changed
        for name in changed:
            theirs, own = (inspect.signature(inspect.getattr_static(each, name)) for each in (base, ours))
            assert "arguments" in own.parameters or own.parameters.keys() == theirs.parameters.keys(), name
