"""Which engine speaks TLS with a gateway: found out by the alert that answers the ClientHello, and remembered."""

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from simulator.certificates import CertificateOptions, ClientCertificates, make_identity
from simulator.gateway import Simulator
from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext
from smgw_proxy_addon.gateway.tls import GatewayTls
from smgw_proxy_addon.trust.store import TrustStore
from tests.gateway.hellos import parse_hello
from tests.rig import proxy_for
from tests.status.test_doctor import examine, fault, options_for

HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, PROTOCOL_VERSION = 40, 47, 70
OPENSSL, COMPATIBLE = "openssl", "compatible"
SILENCE: Final = "silence"
RESET: Final = "reset"

Answer = bytes | str | None


def alert(number: int) -> bytes:
    return bytes([21, 3, 3, 0, 2, 2, number])


class Picky:
    """Stands before a gateway and answers the ClientHello of an engine by itself; None: it goes on to the gateway."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.target = ""
        self.answers: dict[str, Answer] = {}
        self.hellos: list[str] = []
        self.after_server_hello = b""
        """What is said behind the gateway's ServerHello."""
        self.open = self.peak = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Picky"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            self.target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            writer.transport.abort()
            self.open -= 1

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await read_record(reader)
        engine = OPENSSL if parse_hello(hello).asks_for_renegotiation_info else COMPATIBLE
        self.hellos.append(engine)
        answer = self.answers.get(engine)
        if answer == SILENCE:
            await reader.read()
        elif isinstance(answer, bytes):
            writer.write(answer)
            writer.write_eof()
            await reader.read()
        elif answer is None:
            await self._join(hello, reader, writer)

    async def _join(self, hello: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_gateway = await asyncio.open_connection(self.sim.host, self.sim.port)
        to_gateway.write(hello)
        try:
            if self.after_server_hello:
                writer.write(await read_record(behind) + self.after_server_hello)
                await reader.read()
            pumps = [asyncio.ensure_future(pump(*ends)) for ends in ((reader, to_gateway), (behind, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for each in pumps:
                each.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            to_gateway.transport.abort()


async def read_record(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[3:]))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


@pytest.fixture
async def picky() -> AsyncIterator[Picky]:
    async with Simulator() as sim, Picky(sim).listening() as listening:
        yield listening


async def ask(picky: Picky, folder: Path, times: int = 1, **options: Any) -> list[str]:
    """Start a proxy and ask through it, on a new connection each time; return the errors' codes, "" for none."""
    codes = []
    async with (
        proxy_for(picky.target, folder, hasten={"connect_timeout": 2}, **options) as rig,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        for _ in range(times):
            answer = await client.get(f"{rig.http}/sim/status/200")
            codes.append("" if answer.status_code == 200 else answer.json()["error"])
            picky.sim.close_connections()
            await picky.sim.wait_for_open(0)
    return codes


def pinned(picky: Picky, folder: Path) -> str:
    pin = json.loads((folder / "certs" / f"{picky.target}.json").read_text())
    return str(pin["tls"])


@pytest.mark.parametrize("number", [ILLEGAL_PARAMETER, HANDSHAKE_FAILURE])
async def test_a_gateway_that_refuses_openssl_is_read_and_that_remembered(
    tmp_path: Path, picky: Picky, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    picky.answers[OPENSSL] = alert(number)
    assert await ask(picky, tmp_path, times=3) == ["", "", ""]
    assert picky.hellos == [OPENSSL, COMPATIBLE, COMPATIBLE, COMPATIBLE]
    assert picky.peak == 1
    assert caplog.text.count("which is used from now on") == 1
    assert pinned(picky, tmp_path) == COMPATIBLE
    picky.hellos.clear()
    assert await ask(picky, tmp_path, times=2) == ["", ""]
    assert picky.hellos == [COMPATIBLE, COMPATIBLE]


@pytest.mark.parametrize(
    "answer",
    [
        alert(PROTOCOL_VERSION),
        alert(10),
        alert(80),
        alert(112),
        bytes([21, 3, 3, 0, 2, 1, 0]),  # close_notify
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        SILENCE,
        RESET,
    ],
)
async def test_nothing_else_is_a_reason_for_the_other_engine(tmp_path: Path, picky: Picky, answer: Answer) -> None:
    picky.answers[OPENSSL] = answer
    [code] = await ask(picky, tmp_path)
    assert code == ("gateway_connect_timeout" if answer == SILENCE else "gateway_tls_failed")
    assert picky.hellos == [OPENSSL]


@pytest.mark.parametrize("chosen", ["auto", COMPATIBLE])
@pytest.mark.parametrize("number", [ILLEGAL_PARAMETER, HANDSHAKE_FAILURE])
async def test_an_alert_behind_the_server_hello_is_no_reason(
    tmp_path: Path, picky: Picky, number: int, chosen: str
) -> None:
    picky.after_server_hello = alert(number)
    assert await ask(picky, tmp_path, tls=chosen) == ["gateway_tls_failed"]
    assert len(picky.hellos) == 1


async def test_it_is_remembered_before_the_first_contact_is_allowed(
    tmp_path: Path, picky: Picky, caplog: pytest.LogCaptureFixture
) -> None:
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    async with proxy_for(picky.target, tmp_path) as rig:
        for _ in range(2):
            assert "certificate_new" in {each.code for each in await rig.proxy.doctor.examine()}
    assert picky.hellos == [OPENSSL, COMPATIBLE, COMPATIBLE]
    assert caplog.text.count("which is used from now on") == 1


async def test_what_has_worked_is_given_up_for_illegal_parameter_alone(tmp_path: Path, picky: Picky) -> None:
    assert await ask(picky, tmp_path) == [""]
    assert pinned(picky, tmp_path) == OPENSSL
    picky.answers[OPENSSL] = alert(HANDSHAKE_FAILURE)
    assert await ask(picky, tmp_path) == ["gateway_tls_failed"]
    assert COMPATIBLE not in picky.hellos
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    assert await ask(picky, tmp_path) == [""]
    assert pinned(picky, tmp_path) == COMPATIBLE


@pytest.mark.parametrize("number", [HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, PROTOCOL_VERSION])
async def test_a_gateway_that_begins_to_demand_renegotiation_info_or_tls_13_is_read_with_openssl(
    tmp_path: Path, picky: Picky, number: int
) -> None:
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    assert await ask(picky, tmp_path) == [""]
    picky.answers = {COMPATIBLE: alert(number)}
    picky.hellos.clear()
    assert await ask(picky, tmp_path, times=2) == ["", ""]
    assert picky.hellos == [COMPATIBLE, OPENSSL, OPENSSL]
    assert pinned(picky, tmp_path) == OPENSSL


async def test_it_is_kept_when_another_certificate_is_accepted(tmp_path: Path, picky: Picky) -> None:
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    assert await ask(picky, tmp_path) == [""]
    presented = await picky.sim.rotate_certificate()
    assert await ask(picky, tmp_path) == ["certificate_changed"]
    store = TrustStore(tmp_path / "certs", picky.target)
    await asyncio.to_thread(store.accept, presented, datetime.now(UTC))
    picky.hellos.clear()
    assert await ask(picky, tmp_path) == [""]
    assert picky.hellos == [COMPATIBLE]
    assert pinned(picky, tmp_path) == COMPATIBLE


@pytest.mark.parametrize("engine", [OPENSSL, COMPATIBLE])
@pytest.mark.parametrize("number", [ILLEGAL_PARAMETER, HANDSHAKE_FAILURE])
async def test_an_engine_that_the_user_chose_is_the_only_one(
    tmp_path: Path, picky: Picky, engine: str, number: int
) -> None:
    picky.answers[engine] = alert(number)
    assert await ask(picky, tmp_path, tls=engine) == ["gateway_tls_failed"]
    assert picky.hellos == [engine]


@pytest.mark.parametrize("other", [alert(HANDSHAKE_FAILURE), alert(80), b""])
async def test_of_two_refusals_the_first_is_told(tmp_path: Path, picky: Picky, other: bytes) -> None:
    picky.answers = {OPENSSL: alert(ILLEGAL_PARAMETER), COMPATIBLE: other}
    found = fault(await examine(options_for(picky.target, tmp_path)))
    assert found.code == "tls_illegal_parameter"
    assert picky.hellos == [OPENSSL, COMPATIBLE]


async def test_what_the_gateway_wants_from_the_other_engine_is_told(tmp_path: Path) -> None:
    known = await asyncio.to_thread(make_identity, CertificateOptions())
    clients = ClientCertificates(trusted=known.certificate_pem.decode(), demanded=True)
    async with Simulator(client_certificates=clients) as sim, Picky(sim).listening() as picky:
        picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
        assert await ask(picky, tmp_path) == ["gateway_wants_certificate"]


async def test_an_engine_that_cannot_be_loaded_for_a_lack_of_descriptors_is_tried_again(
    tmp_path: Path, picky: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = GatewayTls.compatible
    shortage = iter([OSError(errno.EMFILE, os.strerror(errno.EMFILE))])

    def load_if_possible(tls: GatewayTls) -> CompatibleContext:
        for error in shortage:
            raise error
        return load(tls)

    monkeypatch.setattr(GatewayTls, "compatible", load_if_possible)
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    assert await ask(picky, tmp_path, times=2) == ["out_of_descriptors", ""]


async def test_a_certificate_that_is_not_the_pinned_one_ends_the_other_engine_s_handshake(
    tmp_path: Path, picky: Picky
) -> None:
    picky.answers[OPENSSL] = alert(ILLEGAL_PARAMETER)
    assert await ask(picky, tmp_path, certificate_fingerprint="ab" * 32) == ["certificate_not_allowed"]
    assert picky.sim.journal.heads == 0


async def test_a_refused_certificate_costs_one_connection_for_each_request(tmp_path: Path) -> None:
    async with (
        Simulator(vendor="sagemcom") as sim,
        proxy_for(sim, tmp_path, certificate_fingerprint="ab" * 32) as rig,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        for _ in range(3):
            assert (await client.get(rig.http)).json()["error"] == "certificate_not_allowed"
        assert sim.connections == 1 + 3, "the ClientHello of OpenSSL is refused once"
