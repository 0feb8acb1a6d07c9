"""The file format of a pin: our files, those of the Go proxy, damaged ones."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given

from smgw_proxy_addon.trust.pin_file import decode, encode
from smgw_proxy_addon.trust.policy import Pin, describe
from tests.pins import GO_PIN, pins

A = "a" * 64


@given(pins)
def test_a_pin_survives_its_file(stored: Pin) -> None:
    assert decode(encode(stored)) == stored


@given(pins)
def test_go_can_read_the_file(stored: Pin) -> None:
    document = json.loads(encode(stored))
    assert list(document)[:6] == ["fingerprint", "subject", "issuer", "not_before", "not_after", "dns_names"]
    assert all(isinstance(value, str) for value in list(document.values())[:5])
    assert document["dns_names"] is None or document["dns_names"]


def test_a_go_pin_is_written_again_in_its_spelling() -> None:
    go = (GO_PIN % A).splitlines()
    assert encode(decode((GO_PIN % A).encode())).decode().splitlines()[:7] == [*go[:6], go[6] + ","]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-03-01 01:00:00 +0100 CET", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01 00:00:00.123456789 +0000 UTC m=+0.01", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01T00:00:00Z", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01T00:00:00", datetime(2025, 3, 1, tzinfo=UTC)),
        ("0001-01-01 00:00:00 +0000 UTC", datetime(1, 1, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_spellings_of_time(text: str | None, time: datetime | None) -> None:
    stored = decode(json.dumps({"fingerprint": A, "not_after": text}).encode())
    assert stored.certificate.not_after == time


PEM = describe(b"x").pem or ""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fingerprint": None}, "64 hexadecimal"),
        ({"fingerprint": 1}, "fingerprint is not a text"),
        ({"fingerprint": A[1:]}, "64 hexadecimal"),
        ({"subject": ["x"]}, "subject is not a text"),
        ({"not_before": 0}, "not_before is not a text"),
        ({"not_before": "yesterday"}, "not_before is not a time"),
        ({"last_seen": "0001-01-01 00:00:00 +0100 UTC"}, "last_seen is not a time"),
        ({"first_seen": True}, "first_seen is not a text"),
        ({"dns_names": "x"}, "dns_names"),
        ({"dns_names": False}, "dns_names"),
        ({"dns_names": ["x", 1]}, "dns_names"),
        ({"pem": PEM}, "not the one of the fingerprint"),
        ({"pem": ""}, "not a certificate in PEM"),
        ({"pem": PEM.replace("\n-----END", "!\n-----END")}, "not a certificate in PEM"),
        ({"pem": PEM.replace("\n-----END", "\ud800\n-----END")}, "not a certificate in PEM"),
        ({"trusted_by": {}}, "trusted_by is not a text"),
    ],
)
def test_a_pin_that_is_not_whole_is_an_error(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(json.dumps(json.loads(GO_PIN % A) | change).encode())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not a JSON text"),
        (b"\x00" * 600, "not a JSON text"),
        (b"\xff{}", "not a JSON text"),
        ((GO_PIN % A).encode()[:-1], "not a JSON text"),
        (b"[" * 200_000, "not a JSON text"),
        (b"1" * 10_000, "not a JSON text"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{}", "64 hexadecimal"),
    ],
)
def test_a_file_that_is_no_pin_is_an_error(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(data)


def test_fields_of_a_later_version_are_ignored() -> None:
    document = json.loads(GO_PIN % A) | {"trusted_by": "the moon", "colour": [1]}
    assert decode(json.dumps(document).encode()) == decode((GO_PIN % A).encode())


def test_a_file_cannot_write_control_characters() -> None:
    document = {"fingerprint": A, "subject": "a\r\n\ud800", "dns_names": ["\x1b"]}
    certificate = decode(json.dumps(document).encode()).certificate
    assert (certificate.subject, certificate.dns_names) == ("a\\r\\n\\ud800", ("\\x1b",))
