"""Values and lists read from raw headers."""

import pytest

from smgw_proxy_addon.http.headers import qualities, tokens, values

HEADERS = [(b"Accept", b" a "), (b"X-Accept", b"b"), (b"ACCEPT", b"\tc, D,,e \t")]


def test_the_values_of_one_name_keep_their_order_and_inner_bytes() -> None:
    assert values(HEADERS, b"accept") == [b"a", b"c, D,,e"]
    assert values(HEADERS, b"host") == []


def test_the_elements_of_a_list_are_split_and_in_lower_case() -> None:
    assert tokens(values(HEADERS, b"accept")) == {b"a", b"c", b"d", b"e"}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([], {}),
        ([b""], {}),
        ([b";;,,="], {b"=": 1.0}),
        ([b"gzip", b"br;q=0.5, *;q=0"], {b"gzip": 1.0, b"br": 0.5, b"*": 0.0}),
        ([b"Text/HTML ; charset=utf-8 ; Q = 0.001"], {b"text/html": 0.001}),
        ([b"a;q=1.000, b;q=1.001, c;q=2, d;q=x"], {b"a": 1.0, b"b": 0.0, b"c": 0.0, b"d": 0.0}),
        ([b"a;q=, b;q, c;q=.5, d;quality=2"], {b"a": 0.0, b"b": 0.0, b"c": 0.0, b"d": 1.0}),
        ([b"a;q=0.1;q=0.9"], {b"a": 0.1}),
    ],
)
def test_weights_are_read_and_a_malformed_one_is_zero(lists: list[bytes], expected: dict[bytes, float]) -> None:
    assert qualities(lists) == expected
