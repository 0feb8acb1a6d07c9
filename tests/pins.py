"""Pins and certificates that several tests speak of."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import strategies as st

from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.trust.policy import Certificate, Origin, Pin, describe

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
UNSET = datetime(2024, 2, 1, tzinfo=UTC)
NAME = "10.11.120.2"
ALIAS = "10.11.120.2:443"
OLD, NEW, THIRD = describe(b"old"), describe(b"new"), describe(b"third")

# What the Go proxy writes.
GO_PIN = """{
  "fingerprint": "%s",
  "subject": "CN=ETHE0300000000.SM,O=SMGW,C=DE",
  "issuer": "CN=TEST.CA,O=SMGW,C=DE",
  "not_before": "2025-03-01 00:00:00 +0000 UTC",
  "not_after": "2032-03-01 23:59:59 +0000 UTC",
  "dns_names": null
}"""

fingerprints = st.text("0123456789abcdef", min_size=64, max_size=64)
words = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
times = st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0))
ders = st.none() | st.binary(min_size=1, max_size=200)


@st.composite
def certificates(draw: st.DrawFn) -> Certificate:
    der = draw(ders)
    return Certificate(
        fingerprint=sha256(der).hexdigest() if der else draw(fingerprints),
        subject=draw(words),
        issuer=draw(words),
        not_before=draw(times),
        not_after=draw(times),
        dns_names=tuple(draw(st.lists(words, max_size=3))),
        pem=describe(der).pem if der else None,
    )


pins = st.builds(Pin, certificates(), times, times, st.none() | st.sampled_from(Origin))


def names(folder: Path) -> set[str]:
    """Return the names of the files in a folder of pins, without that of the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"}


def fact(raised: pytest.ExceptionInfo[PinUnreadableError] | pytest.ExceptionInfo[PinNotWrittenError]) -> str:
    """Return what an error says is wrong."""
    return raised.value.facts["problem"]
