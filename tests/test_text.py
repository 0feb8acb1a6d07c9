"""Escaped text is on one line and holds no control character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.text import printable


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"/smgw/m2m?x=%7E", "/smgw/m2m?x=%7E"),
        (b"", ""),
        ("Zähler", "Zähler"),
        ("Zähler".encode(), "Zähler"),
        (b"Z\xe4hler", "Z\\xe4hler"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b[31mred\x7f\x9b", "\\x1b[31mred\\x7f\\x9b"),
        ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("\udcff\U000e0001", "\\udcff\\U000e0001"),
        (b"\xc2\x85", "\\x85"),
    ],
)
def test_what_does_not_print_is_escaped(value: bytes | str, shown: str) -> None:
    assert printable(value) == shown


@given(st.text() | st.binary(), st.integers(1, 30))
def test_printable_prints_is_short_and_changes_nothing_twice(value: bytes | str, limit: int) -> None:
    shown = printable(value, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert printable(shown, limit) == shown


def test_what_is_too_long_is_cut() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"
