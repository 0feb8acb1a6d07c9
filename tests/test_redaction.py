"""Nothing that is shown holds a control character or a secret, whatever comes in."""

import json
import subprocess
import sys
import time
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smgw_proxy_addon.redaction import (
    is_secret_name,
    redact_body,
    redact_target,
)

SECRET = st.text("ghjkqvwxyzGHJKQVWXYZ", min_size=12, max_size=30)
"""Cannot be mistaken for a name, an escape or a mask."""
MESSY_SECRET = st.tuples(SECRET, st.text(max_size=20)).map("".join)
SECRET_NAME = st.sampled_from(
    [
        *("password", "PassWd", "Passwort", "pwd", "pin", "PIN", "user_pin", "userPin", "token", "tokens[]", "tkn"),
        *("session", "JSESSIONID", "sid", "secret", "client.secret", "auth", "x-api-key", "apiKey", "credentials"),
    ]
)
HARMLESS_NAME = st.sampled_from(["action", "mid", "obis", "shopping", "opinion", "compass", "fromtime", "id"])


# names


@given(SECRET_NAME)
def test_secret_names_are_known(name: str) -> None:
    assert is_secret_name(name)


@given(HARMLESS_NAME)
def test_other_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


# targets


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/a%2Fb?x=%7E&y=a+b&&", "/a%2Fb?x=%7E&y=a+b&&"),
        ("//x", "//x"),
        ("/?", "/?"),
        ("*", "*"),
        ("/a?pin=1234&x=1", "/a?pin=***&x=1"),
        ("/a?x=1&PassWord=p=q", "/a?x=1&PassWord=***"),
        ("/a?p%61ssword=x", "/a?p%61ssword=***"),
        ("/a?user+pin=x", "/a?user+pin=***"),
        ("/a?x=1;token=p;q&y=2", "/a?x=1;token=***&y=2"),
        ("/a?b?token=x", "/a?b?token=***"),
        ("/a;jsessionid=x/b;v=1?c", "/a;jsessionid=***/b;v=1?c"),
        ("/a?next=%2Flogin%3Fpassword%3Dx&b", "/a?next=***&b"),
        ("/password%3Dx", "/***"),
        ("/a?shopping=1&token", "/a?shopping=1&token"),
        ("http://user:pass@host/p?q=1", "http://***@host/p?q=1"),
        ("user:pass@host:443", "***@host:443"),
        ("//user:pass@host/p", "//***@host/p"),
        ("/p/user@host", "/p/user@host"),
        ("/\x1b[2J", "/\\x1b[2J"),
    ],
)
def test_targets(target: bytes | str, shown: str) -> None:
    assert redact_target(target) == shown


@given(SECRET_NAME, MESSY_SECRET, HARMLESS_NAME, st.sampled_from(["/a?", "http://h/b?", "/c;"]))
@example("password", "ghjkqvwxyzgh;&x", "id", "/a?")
def test_no_secret_survives_in_a_target(name: str, secret: str, other: str, start: str) -> None:
    coded = "".join(f"%{ord(letter):02x}" for letter in name)
    value = quote(secret.encode("utf-8", "surrogatepass"))
    for spelled in (name, coded):
        for target in (f"{start}{spelled}={value}&{other}=1", f"{start}{other}=1&{spelled}={value}"):
            shown = redact_target(target.replace("&", ";") if start == "/c;" else target)
            assert secret[:12] not in shown
            assert shown.isprintable()


@given(st.text() | st.binary())
@example("%25" * 3000 + "3Dx")
def test_any_target_can_be_shown_and_twice_changes_nothing(target: bytes | str) -> None:
    shown = redact_target(target)
    assert shown.isprintable()
    assert redact_target(shown) == shown


# bodies


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b'{"method":"readings"}', '{"method": "readings"}'),
        (b'{"a":[{"Password":"x","b":1}],"token":[1,2]}', '{"a": [{"Password": "***", "b": 1}], "token": "***"}'),
        (b'{"query":"a=1&pin=2","n":null}', '{"query": "a=1&pin=***", "n": null}'),
        (b"action=login&tkn=abc&mid=1", "action=login&tkn=***&mid=1"),
        (b"a=1\r\npassword=x\r\nb=2", "a=1\\r\\npassword=***"),
        (
            b'<p>ok</p><input type=hidden name="tkn" value="a>b"><input name=mid value=1>',
            "<p>ok</p><input ***><input name=mid value=1>",
        ),
        (b"<INPUT value='x' type=password", "<input ***>"),
        (b'<input value="x" name="token', "<input ***>"),
        (b'{"method":"login","password":"abc', '{"method":"login","password ***'),
        (b"<token>abc</token>\n<b>1</b>", "<token ***\\n<b>1</b>"),
        (b"password: abc\nid: 1", "password ***\\nid: 1"),
        (b"your password is safe", "your password is safe"),
        (b'--x\r\nContent-Disposition: form-data; name="pin"\r\n\r\n1', "(52 bytes, not shown)"),
        (b"\x1f\x8b\x08\x00", "(4 bytes, not shown)"),
        (b"Z\xe4hler \x7f", "Z\\xe4hler \\x7f"),
    ],
)
def test_bodies(body: bytes, shown: str) -> None:
    assert redact_body(body) == shown


def test_a_password_longer_than_what_is_shown_is_masked() -> None:
    assert redact_target(f"http://user:{'p' * 2000}@host/") == "http://***@host/"


def test_deep_and_long_json_is_shown_as_far_as_it_goes() -> None:
    assert redact_body(b"[" * 100_000, 10) == "[" * 9 + "…"
    assert redact_body(b"1" * 10_000, 10) == "1" * 9 + "…"


@given(SECRET_NAME, MESSY_SECRET, HARMLESS_NAME, st.integers(0, 40))
def test_no_secret_survives_in_a_body(name: str, secret: str, other: str, cut: int) -> None:
    safe = secret.encode("utf-8", "replace").decode()
    document = json.dumps({other: 1, "inner": [{name: secret, other: "x"}]}).encode()
    form = urlencode({other: "1", name: safe, "z": "2"}).encode()
    page = f'<form><input name="{name}" value="{quote(safe)}"><input name="{other}" value="1"></form>'.encode()
    for body in (document, document[: len(document) - cut], form, form[: len(form) - cut], page):
        shown = redact_body(body)
        assert secret[:12] not in shown
        assert shown.isprintable()


@given(st.binary())
def test_any_body_can_be_shown(body: bytes) -> None:
    assert redact_body(body).isprintable()


@pytest.mark.parametrize("piece", [b"a", b"<input ", b'<input "', b"'", b"a.", b";", b"=", b"%25", b"a=&", b'"'])
def test_a_nasty_body_takes_no_long_time(piece: bytes) -> None:
    body = piece * (64_000 // len(piece))
    started = time.process_time()
    redact_body(b"x " + body)
    redact_body(body)
    redact_target(body)
    assert time.process_time() - started < 2


def test_nothing_is_loaded_for_the_first_character_that_does_not_print() -> None:
    # When no file can be opened any more, the log has to say so.
    program = "import sys, smgw_proxy_addon.redaction; sys.exit('encodings.unicode_escape' not in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
