"""The forms of a gateway's address that a user may enter, and those that are made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.config.options import OptionError, from_command_line
from smgw_proxy_addon.config.target import Target


def parse_target(text: str) -> Target:
    return from_command_line({"target": text}).target


@pytest.mark.parametrize(
    ("text", "target", "name", "authority", "url"),
    [
        ("10.11.120.2", Target("10.11.120.2"), "10.11.120.2", "10.11.120.2", "https://10.11.120.2"),
        ("  10.0.0.1\n", Target("10.0.0.1"), "10.0.0.1", "10.0.0.1", "https://10.0.0.1"),
        ("https://10.0.0.1/", Target("10.0.0.1"), "10.0.0.1", "10.0.0.1", "https://10.0.0.1"),
        ("HTTPS://smgw", Target("smgw"), "smgw", "smgw", "https://smgw"),
        (
            "Gw.Local.:8443",
            Target("gw.local", 8443),
            "gw.local:8443",
            "gw.local:8443",
            "https://gw.local:8443",
        ),
        ("my_gateway:443", Target("my_gateway"), "my_gateway", "my_gateway", "https://my_gateway"),
        ("FE80:0:0::1", Target("fe80::1"), "fe80::1", "[fe80::1]", "https://[fe80::1]"),
        ("::ffff:10.0.0.1", Target("10.0.0.1"), "10.0.0.1", "10.0.0.1", "https://10.0.0.1"),
        (
            "fe80::1%eth0",
            Target("fe80::1", zone="eth0"),
            "fe80::1%eth0",
            "[fe80::1]",
            "https://[fe80::1%25eth0]",
        ),
        (
            "https://[fe80::1%25eth0]:8443/",
            Target("fe80::1", 8443, "eth0"),
            "[fe80::1%eth0]:8443",
            "[fe80::1]:8443",
            "https://[fe80::1%25eth0]:8443",
        ),
        ("[fe80::1%25]", Target("fe80::1", zone="25"), "fe80::1%25", "[fe80::1]", "https://[fe80::1%2525]"),
    ],
)
def test_a_target_is_read(text: str, target: Target, name: str, authority: str, url: str) -> None:
    read = parse_target(text)
    assert read == target
    assert read.given == text.strip()
    assert (read.name, read.authority, read.url) == (name, authority, url)


def test_a_relay_is_only_where_connections_go() -> None:
    target = parse_target("smgw.local:8443  via [fe80::5%eth1]:18443 ")
    assert target.text == "smgw.local:8443 via [fe80::5%eth1]:18443"
    assert (target.endpoint.connect_host, target.endpoint.port) == ("fe80::5%eth1", 18443)
    direct = parse_target("smgw.local:8443")
    assert direct.endpoint is direct
    assert (target.name, target.aliases, target.authority, target.server_name) == (
        *(direct.name, direct.aliases, direct.authority, direct.server_name),
    )


@pytest.mark.parametrize(
    ("text", "connect_host", "server_name"),
    [
        ("10.11.120.2:8443", "10.11.120.2", None),
        ("[fe80::1%eth0]:8443", "fe80::1%eth0", None),
        ("smgw.local:8443", "smgw.local", "smgw.local"),
    ],
)
def test_the_zone_is_for_the_socket_and_the_name_for_sni(
    text: str, connect_host: str, server_name: str | None
) -> None:
    target = parse_target(text)
    assert (target.connect_host, target.server_name) == (connect_host, server_name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("http://10.11.120.2", "HTTPS only"),
        ("ftp://10.11.120.2", "HTTPS only"),
        ("10.11.120.2/smgw/m2m", "only the gateway's address"),
        ("10.11.120.2//", "only the gateway's address"),
        ("10.11.120.2?x", "only the gateway's address"),
        ("10.11.120.2\\x", "only the gateway's address"),
        ("user:secret@10.11.120.2", "user name"),
        ("10.11. 120.2", "not a complete"),
        ("my gateway", "not a valid name"),
        ("10.0.0.1 via", "not a valid name"),
        ("10.0.0.1 via 10.0.0.2 via 10.0.0.3", "one relay only"),
        ("10.0.0.1 via http://10.0.0.2", "HTTPS only"),
        ("10.11.120", "not a complete"),
        ("10.11.120.256", "not a complete"),
        ("010.11.120.2", "not a complete"),
        ("0x7f", "not a complete"),
        ("fe80::1::2", "not a complete"),
        ("0.0.0.0", "one device"),
        ("::", "one device"),
        ("ff02::fb%eth0", "one device"),
        ("10.11.120.2:0", "not a port"),
        ("10.11.120.2:65536", "not a port"),
        ("10.11.120.2:", "not a port"),
        ("10.11.120.2:٤٤٣", "not a port"),
        ("[fe80::1]:x", "not a port"),
        ("[fe80::1", "brackets"),
        ("[10.11.120.2]", "brackets"),
        ("[fe80::1]443", "brackets"),
        ("fe80::1%", "after %"),
        ("fe80::1%eth0/1", "only the gateway's address"),
        ("fe80::1%a%b", "after %"),
        ("fe80::1%eth0:443", "after %"),
        ("10.11.120.2%eth0", "zone"),
        ("::ffff:10.0.0.1%eth0", "zone"),
        ("-gateway", "not a valid name"),
        ("a..b", "not a valid name"),
        ("ga\x00teway", "cannot be printed"),
        ("zähler", "not a valid name"),
        ("\N{KELVIN SIGN}elvin", "not a valid name"),
        ("a" * 64, "not a valid name"),
        (".".join(["a" * 60] * 5), "not a valid name"),
    ],
)
def test_what_is_no_target_is_refused_in_one_plain_line(text: str, problem: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_target(text)
    assert problem in caught.value.problem
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "aliases"),
    [
        ("10.11.120.2", {"10.11.120.2:443"}),
        ("https://10.11.120.2:443/", {"10.11.120.2:443"}),
        ("10.11.120.2:8443", set()),
        ("SMGW.local", {"SMGW.local", "smgw.local:443"}),
        ("[FE80::1%eth0]", {"[FE80::1%eth0]", "[fe80::1%eth0]", "[fe80::1%eth0]:443"}),
    ],
)
def test_aliases_are_the_names_the_predecessor_may_have_used(text: str, aliases: set[str]) -> None:
    assert set(parse_target(text).aliases) == aliases


def outcome(text: str) -> Target | str:
    """Return a target, or the line with the reason why it is none."""
    try:
        return parse_target(text)
    except OptionError as error:
        return str(error)


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="https:/[]%.0123456789abcdefx-_@ \n", max_size=40),
        st.ip_addresses().map(str),
        st.builds("[{}%{}]:{}".format, st.ip_addresses(v=6), st.text("abc0129._-"), st.integers(0, 70000)),
        st.builds("{}:{}".format, st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), st.integers(0, 70000)),
    )
)
def test_a_target_round_trips_or_is_an_option_error(text: str) -> None:
    target = outcome(text)
    if isinstance(target, str):
        assert target.isprintable()
        return
    for form in (target.name, target.url, *target.aliases):
        assert parse_target(form) == target
    assert "%" not in target.authority
    for name in (target.name, *target.aliases):
        assert "/" not in name
        assert not name.startswith(".")
