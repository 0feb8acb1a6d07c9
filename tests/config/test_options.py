"""The allowed values of options, and the one line for a wrong one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smgw_proxy_addon.config.accounts import Account
from smgw_proxy_addon.config.options import OptionError, Options, from_app, from_command_line, from_file_text, summary
from smgw_proxy_addon.config.schema import APP_OPTIONS, COMMAND_LINE_OPTIONS, NO_SUBSTITUTE
from smgw_proxy_addon.config.target import Target

FINGERPRINT = "0123456789abcdef" * 4


Given = TypeVar("Given")
Read = TypeVar("Read")


def outcome(read: Callable[[Given], Read], value: Given) -> Read | None:
    """Return what was read, None after one printable line with the reason."""
    try:
        return read(value)
    except OptionError as error:
        line = str(error)
    assert line.isprintable()
    return None


def test_defaults_of_the_app() -> None:
    options = from_app({"target": "10.11.120.2"})
    assert options == Options(
        target=Target("10.11.120.2"),
        host_header=None,
        certificate_fingerprint=None,
        certfile=None,
        keyfile=None,
        client_certfile=None,
        client_keyfile=None,
        tls="auto",
        tls_max="1.3",
        max_connections=1,
        connect_timeout=10,
        read_timeout=75,
        cache_seconds=0,
        log_level="info",
        log_dir=Path("/share/smgw-proxy"),
        log_file="proxy.log",
        log_rotation_hours=24,
        log_retention_days=3,
        log_bodies=False,
        allow=(),
        allowed_hosts=(),
        accounts=(),
        digest_algorithm="auto",
        check_origin=True,
        hold_back_logins=True,
        max_body_mb=16,
        port=8080,
        https_port=443,
        bind=(),
        cert_dir=Path("/data/certs"),
        status_port=8099,
        gateway_page_for_all=False,
        notifications=True,
        notify_after_minutes=30,
    )


def test_defaults_of_the_command_line_differ_in_what_only_the_app_knows() -> None:
    app, command_line = from_app({"target": "10.11.120.2"}), from_command_line({})
    different = {name for name in Options._fields if getattr(app, name) != getattr(command_line, name)}
    assert different == {"log_dir", "cert_dir", "https_port", "status_port", "notifications"}
    assert (command_line.log_dir, command_line.cert_dir) == (Path("logs"), Path("certs"))
    assert command_line.https_port is None
    assert command_line.status_port is None


def test_all_options_of_the_app() -> None:
    options = from_app(
        {
            "target": "smgw.local",
            "host_header": "[fe80::1]:443",
            "certificate_fingerprint": ":".join(FINGERPRINT.upper()[at : at + 2] for at in range(0, 64, 2)),
            "certfile": "fullchain.pem",
            "keyfile": "/ssl/sub/privkey.pem",
            "client_certfile": "/ssl/login.pem",
            "client_keyfile": "login.key",
            "max_connections": 8,
            "read_timeout": 5,
            "cache_seconds": 900,
            "log_level": "debug",
            "log_dir": "logs of mine",
            "log_file": "gateway.log",
            "log_rotation_hours": 720,
            "log_retention_days": 365,
            "log_bodies": True,
            "allowed_hosts": ["Meter.Example.org.", "", "*", "fe80::1", "meter.example.org"],
            "accounts": [
                {"username": "import", "password": "hunter2"},
                {"username": "Jürgen's", "password": " a:b "},
            ],
            "digest_algorithm": "sha-256",
            "check_origin": False,
            "hold_back_logins": False,
            "max_body_mb": 1024,
            "allow": ["192.168.178.20/24", "", "2001:DB8::5", "::ffff:10.0.0.0/104", "192.168.178.0/24"],
            "notifications": False,
            "notify_after_minutes": 1440,
        }
    )
    assert options.host_header == "[fe80::1]:443"
    assert options.certificate_fingerprint == FINGERPRINT
    assert (options.certfile, options.keyfile) == (Path("/ssl/fullchain.pem"), Path("/ssl/sub/privkey.pem"))
    assert (options.client_certfile, options.client_keyfile) == (Path("/ssl/login.pem"), Path("/ssl/login.key"))
    assert options.log_dir == Path("/share/logs of mine")
    assert options.cache_seconds == 900
    assert options.allowed_hosts == ("meter.example.org", "*", "fe80::1")
    assert options.accounts == (Account("import", "hunter2"), Account("Jürgen's", " a:b "))
    assert options.digest_algorithm == "sha-256"
    assert (options.notifications, options.notify_after_minutes) == (False, 1440)
    assert (options.check_origin, options.hold_back_logins, options.max_body_mb) == (False, False, 1024)
    assert list(map(str, options.allow)) == [
        *("192.168.178.0/24", "2001:db8::5/128", "10.0.0.0/8"),
        "172.30.32.0/23",  # Home Assistant itself, and its apps
    ]


def test_an_empty_text_in_the_app_means_not_set() -> None:
    raw = {name: "" for name in (each.name for each in APP_OPTIONS) if name != "target"}
    assert from_app({"target": "10.11.120.2"} | raw) == from_app({"target": "10.11.120.2"})


def test_the_command_line_gives_texts() -> None:
    options = from_command_line(
        {
            "target": None,
            "port": "0",
            "https_port": "8443",
            "connect_timeout": "2.5",
            "read_timeout": " 600 ",
            "bind": ["127.0.0.1", "[::1]", "fe80::1%eth0"],
            "cert_dir": "/etc/smgw-proxy/certs",
            "certfile": "../a.pem",
            "keyfile": "../a.key",
            "allowed_hosts": "a.example,b.example,",
            "allow": "0.0.0.0/0,::/0",
        }
    )
    assert (options.port, options.https_port) == (0, 8443)
    assert (options.connect_timeout, options.read_timeout) == (2.5, 600)
    assert options.bind == ("127.0.0.1", "::1", "fe80::1%eth0")
    assert options.certfile == Path("../a.pem")
    assert options.allowed_hosts == ("a.example", "b.example")
    assert list(map(str, options.allow)) == ["0.0.0.0/0", "::/0"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (
            {"max_connections": 12},
            'Option "max_connections": 12 is too large; allowed: a whole number from 1 to 8.',
        ),
        (
            {"max_connections": 0},
            'Option "max_connections": 0 is too small; allowed: a whole number from 1 to 8.',
        ),
        (
            {"read_timeout": 75.5},
            'Option "read_timeout": 75.5 is not a whole number; allowed: a whole number from 5 to 600.',
        ),
        (
            {"read_timeout": True},
            'Option "read_timeout": true is not a whole number; allowed: a whole number from 5 to 600.',
        ),
        (
            {"read_timeout": "1_0"},
            'Option "read_timeout": "1_0" is not a whole number; allowed: a whole number from 5 to 600.',
        ),
        (
            {"read_timeout": 10**5000},
            'Option "read_timeout": this number is too large; allowed: a whole number from 5 to 600.',
        ),
        (
            {"cache_seconds": 901},
            'Option "cache_seconds": 901 is too large; allowed: a whole number from 0 to 900.',
        ),
        (
            {"cache_seconds": -1},
            'Option "cache_seconds": -1 is too small; allowed: a whole number from 0 to 900.',
        ),
        (
            {"log_level": "loud"},
            'Option "log_level": "loud" is not known; allowed: one of debug, info, warning, error.',
        ),
        (
            {"log_bodies": "yes"},
            'Option "log_bodies": "yes" is neither true nor false; allowed: true or false.',
        ),
        (
            {"certfile": "a.pem"},
            (
                'Option "keyfile": missing, although "certfile" is given; '
                "allowed: the name of a file in /ssl, such as privkey.pem."
            ),
        ),
        (
            {"keyfile": "a.pem"},
            (
                'Option "certfile": missing, although "keyfile" is given; '
                "allowed: the name of a file in /ssl, such as fullchain.pem."
            ),
        ),
        (
            {"client_certfile": "a.pem", "allow": ["192.168.1.0/24"]},
            (
                'Option "client_keyfile": missing, although "client_certfile" is given; '
                "allowed: the name of a file in /ssl, such as gateway-login.key."
            ),
        ),
        (
            {"client_certfile": "a.pem", "client_keyfile": "a.key", "allow": [], "accounts": []},
            (
                'Option "client_certfile": needs "accounts" or "allow" beside it: whoever may reach the proxy acts '
                "with this certificate; allowed: the name of a file in /ssl, such as gateway-login.pem."
            ),
        ),
        (
            {"certfile": "../data/options.json"},
            (
                'Option "certfile": "../data/options.json" is not inside /ssl; '
                "allowed: the name of a file in /ssl, such as fullchain.pem."
            ),
        ),
        (
            {"log_dir": "/share/../etc"},
            'Option "log_dir": "/share/../etc" is not inside /share; allowed: a folder inside /share.',
        ),
        (
            {"log_dir": "/data"},
            'Option "log_dir": "/data" is not inside /share; allowed: a folder inside /share.',
        ),
        (
            {"log_dir": "/share"},
            'Option "log_dir": "/share" is not inside /share; allowed: a folder inside /share.',
        ),
        (
            {"log_file": "a/b"},
            (
                'Option "log_file": "a/b" is not a plain file name; '
                "allowed: a file name without folders, such as proxy.log."
            ),
        ),
        (
            {"log_file": "a\nb\x1b"},
            (
                'Option "log_file": "a\\nb\\x1b" holds characters that cannot be printed; '
                "allowed: a file name without folders, such as proxy.log."
            ),
        ),
        (
            {"host_header": {"a": 1}},
            (
                'Option "host_header": a group of values is not a text; '
                "allowed: a name or address, with a port if needed, such as smgw.local."
            ),
        ),
        (
            {"host_header": "fe80::1"},
            (
                'Option "host_header": "fe80::1" cannot be sent as a Host header; '
                "allowed: a name or address, with a port if needed, such as smgw.local."
            ),
        ),
        (
            {"certificate_fingerprint": "12:34"},
            (
                'Option "certificate_fingerprint": "12:34" is not a SHA-256 fingerprint; '
                "allowed: 64 hexadecimal digits (SHA-256), with or without colons."
            ),
        ),
        (
            {"allowed_hosts": 5},
            'Option "allowed_hosts": 5 is not a list; allowed: a list of host names, or "*" for any.',
        ),
        (
            {"allowed_hosts": [[]]},
            'Option "allowed_hosts": a list is not a text; allowed: a list of host names, or "*" for any.',
        ),
    ],
)
def test_a_bad_option_is_one_plain_line(raw: dict[str, object], line: str) -> None:
    given = {"target": "10.11.120.2"} | raw
    if raw.keys() - NO_SUBSTITUTE:
        (warning,) = from_app(given).warnings
        assert warning.startswith(line.removesuffix(".") + "; used instead: ")
        return
    with pytest.raises(OptionError) as caught:
        from_app(given)
    assert str(caught.value) == line
    error = caught.value
    assert line == f'Option "{error.option}": {error.problem}; allowed: {error.allowed}.'


WRONG_VALUES: dict[str, object] = {
    "target": "http://gateway/",
    "certfile": "../fullchain.pem",
    "client_certfile": "../fullchain.pem",
    "client_keyfile": "../fullchain.pem",
    "keyfile": "../privkey.pem",
    "log_dir": "/data",
    "host_header": "http://gateway/",
    "certificate_fingerprint": "12:34",
    "tls": "schannel",
    "tls_max": "1.1",
    "max_connections": 99,
    "hold_back_logins": "perhaps",
    "read_timeout": 601,
    "cache_seconds": 901,
    "log_level": "trace",
    "log_file": "a/b",
    "log_rotation_hours": 0,
    "log_retention_days": 400,
    "log_bodies": "yes",
    "allowed_hosts": ["http://proxy"],
    "check_origin": "no",
    "max_body_mb": 2048,
    "accounts": [{"username": "somebody"}],
    "digest_algorithm": "sha-512",
    "allow": ["home"],
    "gateway_page_for_all": "no",
    "notifications": "no",
    "notify_after_minutes": 0,
}
OTHER_THAN_THE_DEFAULT = {"log_retention_days": (365, "365")}


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES.items())
def test_a_wrong_value_in_the_app_is_replaced_where_that_protects_no_less(name: str, value: object) -> None:
    given = {"target": "10.11.120.2"}
    if name in NO_SUBSTITUTE:
        with pytest.raises(OptionError, match=f'^Option "{name}": '):
            from_app(given | {name: value})
        return
    default = from_app(given)
    used, spelt = OTHER_THAN_THE_DEFAULT.get(name, (getattr(default, name), None))
    expected: dict[str, Any] = {name: used}
    options = from_app(given | {name: value})
    assert options._replace(warnings=()) == default._replace(**expected)
    (warning,) = options.warnings
    assert warning.startswith(f'Option "{name}": ')
    if spelt is None:
        spelt = next(line for line in summary(default) if line.startswith(f"{name}: ")).partition(": ")[2]
    assert warning.endswith(f"; used instead: {spelt}.")


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES.items())
def test_a_wrong_value_on_the_command_line_is_never_replaced(name: str, value: object) -> None:
    if name in {"certfile", "keyfile", "client_certfile", "client_keyfile", "log_dir"}:
        value = "\x00"  # any path is right there
    with pytest.raises(OptionError, match=f'^Option "{name}": '):
        from_command_line({name: value})


def test_what_stops_the_app() -> None:
    assert WRONG_VALUES.keys() == {option.name for option in APP_OPTIONS}
    assert WRONG_VALUES.keys() >= NO_SUBSTITUTE


SECRETS = {"username": "user-of-mine", "password": "hunter2"}


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        ("hunter2", "not a list"),
        (SECRETS, "not a list"),
        (["hunter2"], 'entry 1 is not a "username" with a "password" and nothing else'),
        ([SECRETS, {"username": "hunter2"}], 'entry 2 is not a "username" with a "password" and nothing else'),
        ([{**SECRETS, "realm": "r"}], 'entry 1 is not a "username" with a "password" and nothing else'),
        ([SECRETS, {**SECRETS, "username": ""}], "the user name of entry 2 is empty"),
        ([{**SECRETS, "password": ""}], "the password of entry 1 is empty"),
        ([{**SECRETS, "password": "  "}], "the password of entry 1 is empty"),
        ([{**SECRETS, "password": 123456}], "the password of entry 1 is not a text"),
        ([{**SECRETS, "username": None}], "the user name of entry 1 is not a text"),
        ([{**SECRETS, "username": "hunter2:"}], "the user name of entry 1 holds a colon"),
        ([{**SECRETS, "username": "hunter2\n"}], "the user name of entry 1 holds characters that cannot be printed"),
        ([{**SECRETS, "password": "hunter2\x00"}], "the password of entry 1 holds characters that cannot be printed"),
        ([{**SECRETS, "password": "\ud800"}], "the password of entry 1 holds characters that cannot be printed"),
        ([SECRETS, {**SECRETS, "password": "x"}], "entry 2 has the user name of an earlier entry"),
    ],
)
def test_a_bad_account_is_named_by_its_position_alone(accounts: object, problem: str) -> None:
    for read in (from_app, from_command_line):
        with pytest.raises(OptionError) as caught:
            read({"target": "10.11.120.2", "accounts": accounts})
        assert (caught.value.option, caught.value.problem) == ("accounts", problem)
        shown = f"{caught.value} {caught.value!r}"
        assert not any(secret in shown for secret in ("user-of-mine", "hunter2"))


def test_accounts_are_never_shown() -> None:
    options = from_app({"target": "10.11.120.2", "accounts": [SECRETS, {**SECRETS, "username": "other-user"}]})
    assert "accounts: 2" in summary(options)
    shown = f"{options!r} {options} {options.accounts[0]!r} {summary(options)}"
    assert not any(secret in shown for secret in ("hunter2", "user-of-mine", "other-user"))
    assert "accounts: not set" in summary(from_app({"target": "10.11.120.2"}))


@pytest.mark.parametrize("raw", [{}, {"target": None}, {"target": " "}])
def test_the_app_needs_a_target(raw: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=r'^Option "target": missing; allowed: a name or an address'):
        from_app(raw)


@pytest.mark.parametrize("target", ["", "  "])
def test_an_empty_target_on_the_command_line_is_not_the_default(target: str) -> None:
    with pytest.raises(OptionError, match=r'^Option "target": empty'):
        from_command_line({"target": target})


@pytest.mark.parametrize("bind", ["localhost", "10.0.0.1%eth0", "fe80::1%", "fe80::1%a b"])
def test_only_addresses_can_be_bound(bind: str) -> None:
    with pytest.raises(OptionError, match="is not an IPv4 or IPv6 address"):
        from_command_line({"bind": [bind]})


def test_an_unknown_option_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(OptionError) as caught:
        from_command_line({"target": "10.11.120.2", "max_conections": 1})
    assert caught.value.option == "max_conections"
    assert caught.value.problem == 'there is no such option, the nearest is "max_connections"'
    assert caught.value.allowed.startswith("target, ")
    with pytest.raises(OptionError, match=r'Option "\\n\\x00": there is no such option; allowed: target, '):
        from_command_line({"target": "10.11.120.2", "\n\x00": 1})


def test_an_unknown_option_of_the_app_is_ignored_with_a_warning() -> None:
    known = {"target": "10.11.120.2", "max_connections": 2}
    options = from_app(known | {"max_conections": 1, "\n\x00": 1, "log_level": "loud", "dropped": "", "gone": None})
    assert options._replace(warnings=()) == from_app(known)
    assert options.warnings == (
        'Option "log_level": "loud" is not known; allowed: one of debug, info, warning, error; used instead: info.',
        'Option "max_conections": there is no such option, the nearest is "max_connections"; it is ignored.',
        'Option "\\n\\x00": there is no such option; it is ignored.',
    )


def test_an_unknown_option_of_the_app_that_protects_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smgw_proxy_addon.config.options.NO_SUBSTITUTE", {"gone"})  # of an earlier or a later version
    with pytest.raises(OptionError, match=r'^Option "gone": there is no such option'):
        from_app({"target": "10.11.120.2", "gone": "x"})


def test_the_app_does_not_take_what_it_fixes() -> None:
    for name in {each.name for each in COMMAND_LINE_OPTIONS} - {each.name for each in APP_OPTIONS}:
        options = from_app({"target": "10.11.120.2", name: "1"})
        assert options._replace(warnings=()) == from_app({"target": "10.11.120.2"})
        assert len(options.warnings) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON at line 1, column 1"),
        ('{"target": "x",\n}', "not valid JSON at line 2, column 1"),
        ("[]", "not a JSON object"),
        ('{"max_connections": ' + "9" * 5000 + "}", "not readable as JSON"),
        ("[" * 200_000, "not readable as JSON"),
    ],
)
def test_a_broken_options_file_is_one_plain_line(text: str, problem: str) -> None:
    with pytest.raises(OptionError) as caught:
        from_file_text(text)
    assert str(caught.value) == (
        f"The options: {problem}; allowed: a JSON object, as the app's Configuration tab saves it."
    )


def test_the_options_file_is_read() -> None:
    assert from_file_text('{"target": "10.11.120.2", "log_level": "debug"}').log_level == "debug"


def test_every_field_has_its_definition() -> None:
    fields = [name for name in Options._fields if name != "warnings"]
    only_in_the_app = {"gateway_page_for_all", "notifications", "notify_after_minutes"}
    assert set(fields) == {each.name for each in COMMAND_LINE_OPTIONS} | only_in_the_app
    assert {each.name for each in APP_OPTIONS} < set(fields)
    assert [each.name for each in APP_OPTIONS if each.required] == ["target"]


def test_the_table_holds_what_the_reader_holds() -> None:
    for option in COMMAND_LINE_OPTIONS:
        if option.low is None or option.high is None:
            continue
        for value in (option.low, option.high, str(option.low)):
            assert getattr(from_command_line({option.name: value}), option.name) == float(value)
        for outside in (option.low - 1, option.high + 1):
            with pytest.raises(OptionError, match=f'"{option.name}"'):
                from_command_line({option.name: outside})


def test_the_summary_has_one_line_for_each_option() -> None:
    lines = summary(from_command_line({"bind": ["127.0.0.1", "::1"], "log_bodies": True, "target": "smgw:8443"}))
    assert len(lines) == len(Options._fields) - 1  # without the warnings
    assert lines[0] == "target: smgw:8443"
    assert {"bind: 127.0.0.1, ::1", "log_bodies: yes", "host_header: not set", "log_dir: logs"} <= set(lines)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([each.name for each in APP_OPTIONS]) | st.text(), JSON_VALUES))
@example({"log_file": "\ud800"})
@example({"certificate_fingerprint": 10**5000})
@example({"allowed_hosts": ["*", None, 10**5000]})
def test_any_json_gives_options_or_an_option_error(raw: dict[str, object]) -> None:
    for read in (from_app, from_command_line):
        options = outcome(read, {"target": "10.11.120.2"} | raw)
        if isinstance(options, Options):
            assert all(line.isprintable() for line in [*summary(options), *options.warnings])


@given(st.text() | JSON_VALUES.map(json.dumps))
def test_any_text_of_a_file_gives_options_or_an_option_error(text: str) -> None:
    outcome(from_file_text, text)


@pytest.mark.parametrize("text", ["https://smgw.example", "smgw.example:8080"])
def test_an_allowed_host_is_a_name_alone(text: str) -> None:
    with pytest.raises(OptionError, match="leave out http:// and the port"):
        from_command_line({"target": "10.11.120.2", "allowed_hosts": [text]})


@pytest.mark.parametrize("written", ["sha256:{}", "SHA256 Fingerprint={}", "{}"])
def test_a_fingerprint_may_be_pasted_as_tools_print_it(written: str) -> None:
    pasted = written.format(":".join(["AB"] * 32))
    assert from_app({"target": "10.11.120.2", "certificate_fingerprint": pasted}).certificate_fingerprint == "ab" * 32


@pytest.mark.parametrize(
    "guard", [{"allow": "192.168.1.0/24"}, {"accounts": [{"username": "u", "password": "p"}]}], ids=str
)
def test_a_certificate_for_the_gateway_wants_clients_to_be_chosen(guard: dict[str, object]) -> None:
    given = {"client_certfile": "a.pem", "client_keyfile": "a.key"}
    assert from_command_line({**given, **guard}).client_certfile == Path("a.pem")
    assert from_command_line(given, listens=False).client_keyfile == Path("a.key")
    assert outcome(from_command_line, given) is None
