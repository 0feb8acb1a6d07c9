"""Digest: the vectors of the RFCs, two independent clients, odd headers, and no secret in a masked value."""

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from requests.auth import HTTPDigestAuth

from smgw_proxy_addon.http.digest import (
    Authorization,
    Challenge,
    DigestError,
    authorize,
    parse_authorization,
    parse_challenges,
    verify,
)

RFC_7616 = Challenge(
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    algorithm="MD5",
    qop=("auth", "auth-int"),
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
)
RFC_2617 = Challenge(
    realm="testrealm@host.com",
    nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
    algorithm=None,
    qop=("auth",),
    opaque="5ccc069c403ebaf9f0171e9517f40e41",
)
GATEWAY = Challenge("SmartMeterGateway", "abc", "MD5", ("auth",), "xyz")

ALGORITHMS = (
    None,
    "MD5",
    "md5-sess",
    "MD5-sess",
    "SHA-256",
    "SHA-256-sess",
    "SHA-512-256",
    "SHA-512-256-sess",
)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=30)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~", min_size=1, max_size=20)
# a value that occurs in none of the words of a header
SECRETS = st.integers(10**12, 10**13 - 1).map(lambda number: f"%{number}%")


def answer(
    challenge: Challenge,
    *,
    username: str = "Mufasa",
    password: str = "Circle of Life",
    method: str = "GET",
    uri: str = "/dir/index.html",
    cnonce: str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    nc: int = 1,
) -> Authorization:
    return parse_authorization(
        authorize(challenge, username=username, password=password, method=method, uri=uri, cnonce=cnonce, nc=nc)
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    result = answer(replace(RFC_7616, algorithm=algorithm))

    assert result == Authorization(
        username="Mufasa",
        realm="http-auth@example.org",
        nonce=RFC_7616.nonce,
        uri="/dir/index.html",
        response=response,
        algorithm=algorithm,
        qop="auth",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        opaque=RFC_7616.opaque,
    )


def test_rfc_2617_section_3_5() -> None:
    result = answer(RFC_2617, password="Circle Of Life", cnonce="0a4f113b")

    assert result.response == "6629fae49393a05397450978507c4ef1"


def test_without_qop_it_is_rfc_2069() -> None:
    result = answer(replace(RFC_2617, qop=()), password="Circle Of Life")

    assert result.response == "670fd8c2df070c60b045671b8b24ff02"
    assert (result.qop, result.nc, result.cnonce, result.algorithm) == (None, None, None, None)


def test_sha_512_256_is_the_hash_of_that_name_and_not_a_cut_sha_512() -> None:
    # RFC 7616 section 3.9.2 is wrong here: its example cuts a SHA-512 (erratum 4897)
    def hashed(text: str) -> str:
        return hashlib.new("sha512_256", text.encode()).hexdigest()

    secret, request = hashed("u:r:p"), hashed("POST:/x")

    result = answer(
        Challenge("r", "n", "SHA-512-256", ("auth",), None),
        username="u",
        password="p",
        method="POST",
        uri="/x",
        cnonce="c",
        nc=0x1F,
    )

    assert result.response == hashed(f"{secret}:n:0000001f:c:auth:{request}")


# --- independent peers


def httpx_header(challenge: Challenge, target: str) -> str:
    request = httpx.Request("POST", f"http://gateway{target}")
    flow = httpx.DigestAuth("user", "pass:wörd").auth_flow(request)
    next(flow)
    answered = flow.send(httpx.Response(401, headers={"WWW-Authenticate": challenge.header()}, request=request))
    return answered.headers["Authorization"]


class AskingAdapter(BaseAdapter):
    """Answers the first request of a session with a challenge and keeps the credentials of the second."""

    def __init__(self, challenge: Challenge) -> None:
        super().__init__()
        self.challenge = challenge
        self.authorization = ""

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        response = requests.Response()
        response.request, response.url = request, request.url or ""
        response.raw = io.BytesIO()
        self.authorization = str(request.headers.get("Authorization", ""))
        response.status_code = 200 if self.authorization else 401
        response.headers["WWW-Authenticate"] = self.challenge.header()
        # what requests' own adapter sets beside the declared attributes; its digest sends again through it
        vars(response)["connection"] = self
        return response

    def close(self) -> None:
        pass


def requests_header(challenge: Challenge, target: str) -> str:
    adapter = AskingAdapter(challenge)
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.post(f"http://gateway{target}", auth=HTTPDigestAuth("user", "pass:wörd"))
    return adapter.authorization


@pytest.mark.parametrize("peer", [httpx_header, requests_header])
@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [
        (algorithm, qop)
        for algorithm in (None, "MD5", "MD5-sess", "SHA-256")
        for qop in (("auth",), ("auth", "auth-int"), ())
        # without qop neither client sends the cnonce that its session key was made of
        if (algorithm, qop) != ("MD5-sess", ())
    ],
)
@pytest.mark.parametrize("target", ["/", "/a%2Fb?x=%20&y=a+b&&", "/smgw/m2m/ETHE0300186023.sm/json"])
def test_other_clients_compute_the_same(
    peer: Callable[[Challenge, str], str], algorithm: str | None, qop: tuple[str, ...], target: str
) -> None:
    # requests splits the list of qop at the bare comma only
    challenge = replace(GATEWAY, algorithm=algorithm, qop=qop if peer is httpx_header else qop[:1])

    theirs = parse_authorization(peer(challenge, target))

    assert theirs.uri == target
    assert verify(theirs, password="pass:wörd", method="POST")
    assert not verify(theirs, password="pass:word", method="POST")
    ours = answer(
        challenge,
        username="user",
        password="pass:wörd",
        method="POST",
        uri=target,
        cnonce=theirs.cnonce or "",
    )
    assert ours.response == theirs.response


# --- verify


@given(
    challenge=st.builds(
        Challenge,
        realm=PRINTABLE,
        nonce=PRINTABLE,
        algorithm=st.sampled_from(ALGORITHMS),
        qop=st.sampled_from([(), ("auth",), ("auth", "auth-int"), ("auth-int", "AUTH")]),
        opaque=st.none() | PRINTABLE,
        stale=st.booleans(),
    ),
    username=PRINTABLE,
    password=st.text(max_size=30),
    uri=PRINTABLE,
    cnonce=TOKENS,
    nc=st.integers(1, 2**32 - 1),
)
def test_what_authorize_wrote_survives_the_wire_and_verifies(
    challenge: Challenge, username: str, password: str, uri: str, cnonce: str, nc: int
) -> None:
    assert parse_challenges(challenge.header()) == [challenge]

    result = answer(challenge, username=username, password=password, method="GET", uri=uri, cnonce=cnonce, nc=nc)

    assert (result.username, result.realm, result.uri) == (username, challenge.realm, uri)
    assert (result.nonce, result.opaque) == (challenge.nonce, challenge.opaque)
    assert verify(result, password=password, method="GET")
    assert not verify(result, password=password + "x", method="GET")
    assert not verify(result, password=password, method="POST")
    assert not verify(replace(result, uri=uri + "?"), password=password, method="GET")
    assert not verify(replace(result, response=result.response[:-1]), password=password, method="GET")


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "SHA-1"},
        {"algorithm": ""},
        {"qop": "auth-int"},
        {"qop": "auth", "nc": None},
        {"qop": "auth", "cnonce": None},
        {"algorithm": "MD5-sess", "qop": None, "nc": None, "cnonce": None},
        {"response": ""},
        {"response": "\udcff"},
    ],
)
def test_what_cannot_be_computed_is_wrong(changes: dict[str, Any]) -> None:
    assert not verify(replace(answer(GATEWAY), **changes), password="Circle of Life", method="GET")


@pytest.mark.parametrize(
    "challenge",
    [
        replace(GATEWAY, algorithm="SHA-1"),
        replace(GATEWAY, qop=("auth-int",)),
        replace(GATEWAY, realm="a\r\nb"),
    ],
)
def test_a_challenge_that_cannot_be_answered(challenge: Challenge) -> None:
    with pytest.raises(DigestError) as caught:
        answer(challenge, username="secret-user", password="secret-word")

    assert "secret" not in str(caught.value)


# --- parsing


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('Digest realm="a", nonce="b"', [Challenge("a", "b", None, (), None)]),
        ("digest realm=a,nonce=b", [Challenge("a", "b", None, (), None)]),
        (
            ' DIGEST\trealm = "a" ,, nonce\t=\t"b" , stale=TRUE, ',
            [Challenge("a", "b", None, (), None, stale=True)],
        ),
        (
            # quoted where the RFC wants a token, as Theben does, and fields nobody knows
            'Digest Realm="a", domain="/ /x", NONCE="b==", algorithm="SHA-256", qop="auth,auth-int", x=UTF-8',
            [Challenge("a", "b==", "SHA-256", ("auth", "auth-int"), None)],
        ),
        (
            r'Digest realm="a \"b\", nonce=\\c", nonce="n", opaque=""',
            [Challenge('a "b", nonce=\\c', "n", None, (), "")],
        ),
        (
            "Digest qop=auth,auth-int, realm=a, nonce=b==, opaque=",
            [Challenge("a", "b==", None, ("auth",), "")],
        ),
        (
            'Negotiate, Basic realm="x", Digest realm="a", nonce="b", NTLM a==, Digest realm="c", nonce="d"',
            [Challenge("a", "b", None, (), None), Challenge("c", "d", None, (), None)],
        ),
        ('Digest realm="a"', []),
        ('Digest nonce="b"', []),
        ('Basic realm="a", nonce="b"', []),
        ('realm="a", nonce="b"', []),
        ('Digest realm="a", nonce="b', []),
        ('Digest realm="a" nonce="b"', []),
        ('Digest realm="a", realm="b", nonce="c"', []),
        ("Digest", []),
        ("", []),
    ],
)
def test_challenges(value: str, expected: list[Challenge]) -> None:
    assert parse_challenges(value) == expected


def test_credentials_in_odd_spelling() -> None:
    value = (
        r'dIGEST uRI="/x?a=\"b\"" ,USERNAME=ab\c,realm="", nonce=n,'
        r'response="0" , QOP="auth",nc=00000001,cnonce=""'
    )

    assert parse_authorization(value) == Authorization(
        username="ab\\c",
        realm="",
        nonce="n",
        uri='/x?a="b"',
        response="0",
        algorithm=None,
        qop="auth",
        nc="00000001",
        cnonce="",
        opaque=None,
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "secret",
        "Digest",
        "Digest secret",
        "Basic c2VjcmV0",
        'username="secret"',
        'Digest username="secret", realm="a", nonce="b", uri="/"',
        'Digest username="secret", username="secret", realm="a", nonce="b", uri="/", response="0"',
        'Digest username="secret, realm="a", nonce="b", uri="/", response="0"',
        'Digest username="secret", realm="a", nonce="b", uri="/", response="0", Digest realm="a"',
        'Digest username="secret", realm="a", nonce="b", uri="/", response="secret"\n',
    ],
)
def test_no_credentials(value: str) -> None:
    with pytest.raises(DigestError) as caught:
        parse_authorization(value)

    assert "secret" not in str(caught.value)


@given(st.text())
def test_arbitrary_text_never_breaks_the_parser(value: str) -> None:
    parse_challenges(f"Digest {value}")
    with pytest.raises(DigestError):
        parse_authorization(f'{value}"')


def test_a_repr_shows_no_secret() -> None:
    challenge = Challenge("realm", "secret", "MD5", ("auth",), "secret")
    result = answer(challenge, username="secret", cnonce="secret")

    assert "secret" not in f"{challenge!r} {result!r}"
    assert re.search(r"[0-9a-f]{32}", repr(result)) is None


def test_spaces_without_end_are_looked_at_once() -> None:
    with pytest.raises(DigestError):
        parse_authorization(f'Digest username={" " * 300_000}"x')
