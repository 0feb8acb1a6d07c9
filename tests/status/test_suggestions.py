"""The file of SMGW Network as hostile input: what is taken, what is refused, and what the log says."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.config.target import Target
from smgw_proxy_addon.status.suggestions import REPOSITORY, STORE_LINK, SuggestionFile, Suggestions, parse
from tests.suggested import RELAYED, THEBEN, write


def refusal(data: bytes) -> str:
    """Return why the content is refused: one printable line."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse(data)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 300
    return line


def test_gateways_are_read_with_their_own_names(tmp_path: Path) -> None:
    path = write(tmp_path / "gateways.json", THEBEN, {**RELAYED, "maker": None, "new in another version": {}})
    found = SuggestionFile(path).read()
    assert (found.there, found.broken) == (True, False)
    theben, emh = found.gateways
    assert (theben.target, theben.target.text) == (Target("192.168.1.200"), "192.168.1.200")
    assert (theben.interface, theben.way, theben.maker) == ("end0", "peer", "Theben")
    assert (theben.name, theben.fingerprint) == ("ETHE0300186023.SMGW", "ab" * 32)
    assert (emh.target.name, emh.target.text) == ("fe80::2", "fe80::2 via 172.30.32.1:18443")
    assert emh.maker == ""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"target": "8.8.8.8", "host": "8.8.8.8"}, "8.8.8.8"),
        ({"target": "127.0.0.1", "host": "127.0.0.1"}, "127.0.0.1"),
        ({"target": "172.30.33.7", "host": "172.30.33.7"}, "172.30.33.7"),
        ({"target": "evil.example", "host": "evil.example"}, "no address"),
        ({"target": "10.11.120.3"}, "does not lead to"),
        ({"target": "192.168.1.200:8443"}, "does not lead to"),
        ({"target": "fe80::2", "host": "fe80::2"}, "does not lead to"),
        ({"target": "172.30.32.1:18443", "host": "fe80::2%eth0", "way": "relay"}, "no address of a gateway"),
        ({"way": "relay"}, "no relay"),
        ({"way": "relay", "target": "172.30.33.7:18443"}, "no relay"),
        ({"way": "relay", "target": "172.30.32.1:443"}, "no relay"),
        ({"way": "relay", "target": "172.30.32.1:99999"}, "no relay"),
        ({"way": "relay", "target": "172.30.32.1:18443 via 10.0.0.1"}, "no relay"),
        ({"way": "magic"}, "way"),
        ({"name": "a\nb"}, "cannot be printed"),
        ({"name": "\N{RIGHT-TO-LEFT OVERRIDE}WGMS"}, "cannot be printed"),
        ({"maker": "x" * 65}, "maker: length of value must be at most 64"),
        ({"interface": ["end0"]}, "interface"),
        ({"fingerprint": "ab"}, "fingerprint"),
        ({"host": None}, "host"),
    ],
)
def test_a_gateway_that_cannot_be_one_spoils_the_whole_file(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    path = write(tmp_path / "gateways.json", THEBEN, {**THEBEN, **change})
    assert problem in refusal(path.read_bytes())
    assert SuggestionFile(path).read() == Suggestions(there=True, broken=True)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff", b"7", b"[]", b"[" * 50_000, b"9" * 5000, b'{"version": 1}'),
        *(b'{"version": %b, "gateways": []}' % version for version in (b"2", b"[]", b"null")),
        *(b'{"version": 1, "gateways": %b}' % given for given in (b"null", b'"ab"', b"[" + b"{}," * 40 + b"{}]")),
        b'{"version": 1, "gateways": []}' + b" " * 65_536,
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    refusal(data)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:1 versiongatw\\', max_size=80).map(str.encode))
def test_nothing_else_is_ever_raised(data: bytes) -> None:
    with suppress(ValueError):
        parse(data)


def test_the_log_says_once_why_a_file_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "gateways.json"
    file = SuggestionFile(path)
    assert file.read() == Suggestions()
    assert caplog.messages == []
    for _ in range(3):
        path.write_text("{")
        assert file.read().broken
    assert caplog.messages == [f"What SMGW Network suggests in {path} is ignored: not a JSON text"]
    write(path)
    assert file.read() == Suggestions(there=True)
    path.write_text("{")
    assert file.read().broken
    assert len(caplog.messages) == 2


@pytest.mark.timeout(10)
def test_no_link_and_no_pipe_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "other.json", THEBEN)
    (tmp_path / "link").symlink_to(tmp_path / "other.json")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        assert SuggestionFile(tmp_path / name).read().broken


def test_the_link_is_to_this_repository() -> None:
    repository = yaml.safe_load((Path(__file__).parents[2] / "repository.yaml").read_text())
    assert repository["url"] == REPOSITORY
    assert STORE_LINK == (
        "https://my.home-assistant.io/redirect/supervisor_addon/?addon=8d369d19_smgw_network"
        "&repository_url=https%3A%2F%2Fgithub.com%2Fklacol%2Fsmgw-proxy-addon"
    )
