"""The fuzzer's targets, without the fuzzer: on its seeds, on what hypothesis makes up, and on planted defects."""

from pathlib import Path
from typing import Final

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import front_door, gateway, tls_handshakes, tls_records
from fuzz.promises import BrokenPromiseError
from fuzz.run import CORPUS, main
from fuzz.targets import TARGETS
from fuzz.tls_rig import foreseeable, loop
from smgw_proxy_addon.gateway import compatible_tls
from smgw_proxy_addon.http import rewrite
from smgw_proxy_addon.http.messages import Answer
from tests.hostile_answers import ANSWERS
from tests.smuggling_cases import REFUSED
from tests.smuggling_passed import PASSED

SMALL: Final = 4096


SEEDS: Final = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), SEEDS, ids=lambda value: getattr(value, "name", value))
def test_a_seed_breaks_no_promise(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_break_a_promise(name: str) -> None:
    texts = st.text(st.sampled_from("\r\n :;,=/\"'<>[]{}%&?aA0\x00\xe4")).map(str.encode)

    @given(st.binary() | texts)
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


@given(
    st.sampled_from([*REFUSED.values(), *(case.sent for case in PASSED)]).filter(lambda sent: len(sent) < SMALL),
    st.integers(0, 255),
    st.integers(0, SMALL),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_no_change_of_a_request_makes_it_ambiguous(
    sent: bytes, size: int, at: int, added: bytes, removed: int
) -> None:
    at %= len(sent) + 1
    front_door.fuzz(bytes([size]) + sent[:at] + added + sent[at + removed :])


@given(
    st.sampled_from([answer.raw for answer in ANSWERS if len(answer.raw) < SMALL]),
    st.integers(0, 255),
    st.integers(0, SMALL),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_no_change_of_an_answer_makes_it_ambiguous(
    raw: bytes, size: int, at: int, added: bytes, removed: int
) -> None:
    at %= len(raw) + 1
    gateway.fuzz(bytes([size]) + raw[:at] + added + raw[at + removed :])


# How deep it gets


@pytest.mark.parametrize("seed", ["p256-gcm", "p384-gcm", "p256-cbc", "brainpool", "rsa", "asks-login", "impatient"])
def test_an_insider_comes_through_a_handshake(seed: str) -> None:
    bits, size, *said = (CORPUS / "tls_handshakes" / seed).read_bytes()
    with foreseeable(agreeing=True):
        proxy = loop().run_until_complete(tls_handshakes.shake_hands(bits, size, bytes(said)))
    assert proxy.above.received == b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.mark.parametrize("bits", [0, tls_records.CBC, tls_records.CBC | tls_records.MAC_LAST])
def test_a_record_comes_through(bits: int) -> None:
    with foreseeable(agreeing=False):
        proxy = loop().run_until_complete(tls_records.go_on(bits, 0, b"\x03\x02ok"))
    assert proxy.above.received == b"ok"


# What it must find


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: other\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\nGET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: gateway.example\r\nContent-Length:5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_an_ambiguous_request_is_found(wire: bytes) -> None:
    with pytest.raises((BrokenPromiseError, h11.RemoteProtocolError)):
        front_door.check_request(wire)


@pytest.mark.parametrize("wire", [b"nonsense", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx"])
def test_a_broken_answer_to_a_client_is_found(wire: bytes) -> None:
    with pytest.raises(BrokenPromiseError):
        front_door.check_answers(wire)


def test_an_answer_read_in_two_ways_is_found() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    gateway.check(b"GET", raw, Answer(200, b"OK", []), b"ok")
    with pytest.raises(BrokenPromiseError):
        gateway.check(b"GET", raw, Answer(200, b"OK", []), b"okstray")


def test_a_defect_in_the_code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "_HOP_BY_HOP", frozenset[bytes]())
    with pytest.raises(BrokenPromiseError):
        TARGETS["rewrite"](b"/\nKeep-Alive: 5")


def test_a_handshake_without_a_bound_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatible_tls, "_HANDSHAKE_LIMIT", 10**9)
    with pytest.raises(BrokenPromiseError, match="bytes are held"):
        tls_handshakes.fuzz((CORPUS / "tls_handshakes" / "endless").read_bytes())


def test_a_handshake_that_seems_whole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatible_tls.CompatibleObject, "do_handshake", lambda _: None)
    monkeypatch.setattr(compatible_tls.CompatibleObject, "getpeercert", lambda _, **__: b"")
    with pytest.raises(BrokenPromiseError, match="without the keys"):
        tls_handshakes.fuzz((CORPUS / "tls_handshakes" / "p256-gcm-outsider").read_bytes())


def test_a_record_that_nobody_checks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlslite.recordlayer.ct_check_cbc_mac_and_pad", lambda *_: True)
    with pytest.raises(BrokenPromiseError, match="what the gateway has sent"):
        tls_records.fuzz((CORPUS / "tls_records" / "blocks").read_bytes())


def test_an_unknown_target_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["60", "nobody"], ["rewrite"]):
        assert main(arguments) == 2
        assert "usage: script/fuzz [SECONDS [front_door|" in capsys.readouterr().err
