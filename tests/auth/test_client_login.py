"""The login that clients have to give: the verdict on each kind of answer, and that none counts twice."""

import ast
import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.auth import client_login
from smgw_proxy_addon.auth.client_login import (
    LIFETIME,
    REALM,
    ChallengeReason,
    ClientLogin,
    read_login,
)
from smgw_proxy_addon.auth.used_logins import LOGINS, UsedLogins
from smgw_proxy_addon.config.accounts import Account as User
from smgw_proxy_addon.errors import LoginRequiredError
from smgw_proxy_addon.gateway.ppc_session import CGI
from smgw_proxy_addon.http.digest import Authorization, Challenge, authorize, parse_challenges, verify
from tests.http.test_digest import AskingAdapter

NOW = 1000.0
CNONCE = "0a4f113b"
HERE = "192.168.1.20"


IMPORT, FEED_IN = User("import", "hunter2"), User("feed-in", "correct horse")
UMLAUTS = User("Jürgen", "Schlüssel")
GREEK = User("Ωmega", "λ")


def random_bytes() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size)


def login(*users: User) -> ClientLogin:
    return ClientLogin(users or (IMPORT, FEED_IN), random_bytes())


def ask(
    login: ClientLogin,
    *values: bytes | str,
    method: str = "GET",
    target: str = "/a",
    now: float = NOW,
    address: str = HERE,
) -> object:
    """Give the account's position, or the reason why there is none."""
    raw = [value if isinstance(value, bytes) else value.encode() for value in values]
    try:
        return login.check(read_login(raw), method.encode(), target.encode(), now, address=address)
    except LoginRequiredError as error:
        return error.detail


def challenge_of(login: ClientLogin, now: float = NOW, address: str = HERE) -> Challenge:
    with pytest.raises(LoginRequiredError) as caught:
        login.check(ChallengeReason.MISSING, b"GET", b"/", now, address=address)
    (challenge,) = parse_challenges(caught.value.challenge)
    return challenge


def answer(
    challenge: Challenge,
    user: User = IMPORT,
    *,
    nc: int = 1,
    method: str = "GET",
    uri: str = "/a",
    cnonce: str = CNONCE,
) -> str:
    return authorize(
        challenge, username=user.username, password=user.password, method=method, uri=uri, cnonce=cnonce, nc=nc
    )


def test_the_challenge_is_one_that_every_client_understands() -> None:
    challenge = challenge_of(login())
    assert challenge == Challenge("smgw-proxy", challenge.nonce, "MD5", ("auth",), challenge.opaque)
    assert challenge.nonce.isalnum()
    assert challenge.opaque
    assert challenge.opaque.isalnum()


def test_each_account_is_known_by_its_own_password() -> None:
    gate = login()
    assert ask(gate, answer(challenge_of(gate), IMPORT)) == 0
    assert ask(gate, answer(challenge_of(gate), FEED_IN)) == 1
    assert ask(gate, answer(challenge_of(gate), User("import", "correct horse"))) is ChallengeReason.WRONG


def later(nonce: str) -> str:
    return f"{int(nonce[:16], 16) + 1:016x}{nonce[16:]}"


def sealed_otherwise(nonce: str) -> str:
    return nonce[:-1] + ("1" if nonce[-1] == "0" else "0")


CHANGES = {
    "another user": (lambda c: answer(c, User("nobody", "hunter2")), ChallengeReason.WRONG),
    "another password": (lambda c: answer(c, User("import", "hunter3")), ChallengeReason.WRONG),
    "no password": (lambda c: answer(c, User("import", "")), ChallengeReason.WRONG),
    "user in capitals": (lambda c: answer(c, User("Import", "hunter2")), ChallengeReason.WRONG),
    "another realm": (lambda c: answer(replace(c, realm="SmartMeterGateway")), ChallengeReason.WRONG),
    "another method": (lambda c: answer(c, method="POST"), ChallengeReason.WRONG),
    "another target": (lambda c: answer(c, uri="/b"), ChallengeReason.WRONG),
    "a question mark more": (lambda c: answer(c, uri="/a?"), ChallengeReason.WRONG),
    "decoded": (lambda c: answer(c, uri="/%61"), ChallengeReason.WRONG),
    "a forged nonce": (lambda c: answer(replace(c, nonce="00" * 32)), ChallengeReason.STALE),
    "a nonce that is no number": (lambda c: answer(replace(c, nonce="dcd98b7102dd2f0e")), ChallengeReason.STALE),
    "a short nonce": (lambda c: answer(replace(c, nonce=c.nonce[:32])), ChallengeReason.STALE),
    "no nonce": (lambda c: answer(replace(c, nonce="")), ChallengeReason.STALE),
    "a later nonce": (lambda c: answer(replace(c, nonce=later(c.nonce))), ChallengeReason.STALE),
    "another seal": (lambda c: answer(replace(c, nonce=sealed_otherwise(c.nonce))), ChallengeReason.STALE),
    "another opaque": (lambda c: answer(replace(c, opaque="00" * 16)), ChallengeReason.STALE),
    "no qop": (lambda c: answer(replace(c, qop=())), ChallengeReason.MALFORMED),
    "MD5-sess": (lambda c: answer(replace(c, algorithm="MD5-sess")), ChallengeReason.MALFORMED),
    "SHA-256": (lambda c: answer(replace(c, algorithm="SHA-256")), ChallengeReason.MALFORMED),
    "auth-int": (lambda c: answer(c).replace("qop=auth", "qop=auth-int"), ChallengeReason.MALFORMED),
    "a short counter": (lambda c: answer(c).replace("nc=00000001", "nc=1"), ChallengeReason.MALFORMED),
    "a counter with a sign": (lambda c: answer(c).replace("nc=00000001", "nc=+0000001"), ChallengeReason.MALFORMED),
    "a counter that is none": (lambda c: answer(c).replace("nc=00000001", "nc=0000000g"), ChallengeReason.MALFORMED),
    "another counter": (lambda c: answer(c).replace("nc=00000001", "nc=00000002"), ChallengeReason.WRONG),
    "no cnonce": (lambda c: answer(c).replace(f', cnonce="{CNONCE}"', ""), ChallengeReason.MALFORMED),
    "another cnonce": (lambda c: answer(c).replace(CNONCE, "0a4f113c"), ChallengeReason.WRONG),
    "Basic": (lambda _: "Basic aW1wb3J0Omh1bnRlcjI=", ChallengeReason.MALFORMED),
    "Bearer": (lambda _: "Bearer hunter2", ChallengeReason.MALFORMED),
    "nothing": (lambda _: "", ChallengeReason.MALFORMED),
    "a word": (lambda _: "Digest", ChallengeReason.MALFORMED),
    "broken": (lambda c: answer(c)[:-5], ChallengeReason.MALFORMED),
    "twice in one": (lambda c: f"{answer(c)}, {answer(c)}", ChallengeReason.MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_what_is_no_login(change: Callable[[Challenge], str], reason: ChallengeReason) -> None:
    gate = login()
    challenge = challenge_of(gate)
    assert ask(gate, change(challenge)) is reason
    assert ask(gate, answer(challenge)) == 0, "the challenge is still good"


def test_more_than_one_authorization_is_none() -> None:
    gate = login()
    challenge = challenge_of(gate)
    assert ask(gate, answer(challenge, nc=1), answer(challenge, nc=2)) is ChallengeReason.MALFORMED
    assert ask(gate, answer(challenge), "Basic x") is ChallengeReason.MALFORMED


@pytest.mark.parametrize("reason", [ChallengeReason.STALE, ChallengeReason.REPLAYED])
def test_only_who_knows_the_password_is_told_to_try_again_without_a_person(reason: ChallengeReason) -> None:
    gate = login()
    challenge = challenge_of(gate)
    now = NOW + (LIFETIME if reason is ChallengeReason.STALE else 0)
    ask(gate, answer(challenge))
    for user, stale in ((IMPORT, True), (User("import", "wrong"), False)):
        with pytest.raises(LoginRequiredError) as caught:
            gate.check(read_login([answer(challenge, user).encode()]), b"GET", b"/a", now, address=HERE)
        assert caught.value.detail is (reason if stale else ChallengeReason.WRONG)
        (again,) = parse_challenges(caught.value.challenge)
        assert again.stale is stale
        assert again.nonce != challenge.nonce
        assert ask(gate, answer(again), now=now) == 0


@pytest.mark.parametrize("start", [0.0, NOW, 1e7])
def test_a_nonce_lives_for_five_minutes(start: float) -> None:
    gate = login()
    challenge = challenge_of(gate, start)
    assert ask(gate, answer(challenge, nc=1), now=start + 299.9) == 0
    assert ask(gate, answer(challenge, nc=2), now=start + 300) is ChallengeReason.STALE
    assert ask(gate, answer(challenge, nc=1), now=start + 300) is ChallengeReason.STALE


def test_a_nonce_of_another_run_is_stale() -> None:
    secret = iter(range(7, 99))
    other = ClientLogin([IMPORT], lambda size: next(secret).to_bytes(size))
    assert ask(login(), answer(challenge_of(other))) is ChallengeReason.STALE


def test_an_answer_counts_once() -> None:
    gate = login()
    header = answer(challenge_of(gate))
    assert [ask(gate, header) for _ in range(3)] == [0, ChallengeReason.REPLAYED, ChallengeReason.REPLAYED]


def test_a_wrong_answer_uses_nothing_up() -> None:
    gate = login()
    challenge = challenge_of(gate)
    ask(gate, answer(challenge, User("import", "wrong")))
    assert ask(gate, answer(challenge)) == 0


@pytest.mark.parametrize("opaque", [None, ""])
def test_a_client_need_not_return_the_opaque(opaque: str | None) -> None:
    gate = login()
    assert ask(gate, answer(replace(challenge_of(gate), opaque=opaque))) == 0


@pytest.mark.parametrize(
    ("method", "target", "right"),
    [
        ("POST", CGI.decode(), True),
        ("POST", f"{CGI.decode()}?x", True),
        ("PUT", CGI.decode(), False),
        ("POST", f"{CGI.decode()}/", False),
        ("POST", "/a", False),
    ],
)
def test_a_post_may_be_signed_as_get_at_the_cgi_of_ppc_alone(method: str, target: str, right: bool) -> None:
    gate = login()
    signed = answer(challenge_of(gate), method="GET", uri=target)
    assert ask(gate, signed, method=method, target=target) == (0 if right else ChallengeReason.WRONG)
    assert ask(gate, answer(challenge_of(gate), method="POST", uri=target), target=target) is ChallengeReason.WRONG


def test_the_address_that_got_the_nonce_may_count_badly() -> None:
    gate = login()
    challenge = challenge_of(gate)
    runs = [answer(challenge, cnonce=cnonce) for cnonce in ("a1", "b2", "c3")]
    assert [ask(gate, run) for run in runs] == [0, 0, 0]
    assert {ask(gate, run) for run in runs} == {ChallengeReason.REPLAYED}
    assert ask(gate, answer(challenge, cnonce="d4"), address="192.168.1.21") is ChallengeReason.REPLAYED
    assert ask(gate, answer(challenge, nc=2, cnonce="d4"), address="192.168.1.21") == 0, "it counts"
    assert ask(gate, answer(challenge, nc=2, cnonce="e5")) == 0


@given(st.lists(st.integers(0, 40) | st.integers(0, 2**32 - 1), max_size=60))
def test_a_counter_never_counts_twice(counters: list[int]) -> None:
    gate = login()
    challenge = challenge_of(gate)
    used: set[int] = set()
    for counter in counters:
        verdict = ask(gate, answer(challenge, nc=counter))
        assert verdict == (ChallengeReason.REPLAYED if counter in used else 0)
        used.add(counter)


def test_parallel_requests_may_overtake_each_other() -> None:
    gate = login()
    challenge = challenge_of(gate)
    order = [5, 1, 3, 2, 4, 200, 199, 6]
    assert [ask(gate, answer(challenge, nc=nc)) for nc in order] == [0] * len(order)
    assert {ask(gate, answer(challenge, nc=nc)) for nc in order} == {ChallengeReason.REPLAYED}


@pytest.mark.parametrize("each_nonce", [1, 2, 100, LOGINS // 2, LOGINS + 10])
def test_the_memory_is_bounded_and_what_is_forgotten_cannot_be_replayed(each_nonce: int) -> None:
    used = UsedLogins(0)
    nonces = range(1, 3 * LOGINS // each_nonce + 2)
    for issued in nonces:
        for counter in range(each_nonce):
            if not used.is_too_old(issued):
                assert used.take(b"%d" % issued, issued, 0, counter, CNONCE, owner=True)
            assert used.size <= LOGINS
    kept = [issued for issued in nonces if not used.is_too_old(issued)]
    assert kept == list(nonces[len(nonces) - len(kept) :]), "the newest are kept"
    for issued in kept:
        assert used.account_of(b"%d" % issued) == 0
        assert not used.take(b"%d" % issued, issued, 0, 0, CNONCE, owner=True)
    assert used.account_of(b"1") is None


def test_what_has_expired_is_dropped() -> None:
    used = UsedLogins(0)
    for issued in range(1, 101):
        used.take(b"%d" % issued, issued, 0, 1, CNONCE, owner=True)
    assert used.size == 100
    used.forget(99)
    assert used.size == 1


@pytest.mark.parametrize(
    ("uri", "target", "right"),
    [
        ("/a%2Fb?x=%7E&y=a+b&&", "/a%2Fb?x=%7E&y=a+b&&", True),
        ("/a?", "/a?", True),
        ("//a", "//a", True),
        ("*", "*", True),
        ("/gr\u00fc\u00dfe", "/gr\u00fc\u00dfe", True),
        ("http://smgw:8080/a?b", "/a?b", True),
        ("http://smgw:8080", "/", True),
        ("http://smgw:8080/b", "/a", False),
        ("smgw:8080", "/a", False),
        ("", "/", False),
        ("/a", "/A", False),
        ("/a", "/a/", False),
    ],
)
def test_a_login_is_for_one_target(uri: str, target: str, right: bool) -> None:
    gate = login()
    assert ask(gate, answer(challenge_of(gate), uri=uri), target=target) == (0 if right else ChallengeReason.WRONG)


def test_only_a_nonce_that_was_right_for_the_same_account_is_no_guess() -> None:
    gate = login(IMPORT, FEED_IN, UMLAUTS)
    challenge, other = challenge_of(gate), challenge_of(gate)

    def guessed(value: str | bytes) -> str | None:
        read = read_login([value if isinstance(value, bytes) else value.encode()])
        assert not isinstance(read, ChallengeReason)
        return gate.find_guessed_user(read)

    assert guessed(answer(challenge)) == "import"
    ask(gate, answer(challenge, User("import", "wrong")))
    assert guessed(answer(challenge, nc=2)) == "import"
    ask(gate, answer(challenge, nc=3))
    assert guessed(answer(challenge, nc=4)) is None
    assert guessed(answer(other)) == "import"
    assert guessed(answer(challenge, FEED_IN)) == "feed-in", "one account's password is no key to the other's"
    assert guessed(answer(challenge, User("nobody", "hunter2"))) == "nobody"
    for made_up in ("", "xyz", "00" * 32, "00"):
        assert guessed(answer(replace(challenge, nonce=made_up))) == "import"
    latin = challenge_of(gate)
    ask(gate, spelled(latin, UMLAUTS, "latin-1", "latin-1"))
    assert guessed(spelled(latin, UMLAUTS, "utf-8", "utf-8")) is None


# --- letters outside ASCII


def spelled(challenge: Challenge, user: User, encoding: str, header: str) -> bytes:
    """Write a login as a client does that computes with one encoding, and sends the name in the same or another."""
    computed = User(
        *(text.encode(encoding).decode("utf-8", "surrogateescape") for text in (user.username, user.password))
    )
    written = answer(challenge, computed).encode("utf-8", "surrogateescape")
    return written.replace(user.username.encode(encoding), user.username.encode(header))


@pytest.mark.parametrize(
    ("user", "encoding", "header"),
    [
        (UMLAUTS, "utf-8", "utf-8"),
        (UMLAUTS, "latin-1", "latin-1"),
        (UMLAUTS, "utf-8", "latin-1"),  # what requests does
        (GREEK, "utf-8", "utf-8"),
    ],
)
def test_names_and_passwords_in_both_encodings(user: User, encoding: str, header: str) -> None:
    gate = login(user)
    assert ask(gate, spelled(challenge_of(gate), user, encoding, header)) == 0


def requests_value(challenge: Challenge, user: User) -> bytes:
    adapter = AskingAdapter(challenge)
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.get("http://gateway/a", auth=requests.auth.HTTPDigestAuth(user.username, user.password))
    return adapter.authorization.encode("latin-1")  # http.client's encoding of headers


def httpx_value(challenge: Challenge, user: User) -> bytes:
    request = httpx.Request("GET", "http://gateway/a")
    flow = httpx.DigestAuth(user.username, user.password).auth_flow(request)
    next(flow)
    answered = flow.send(httpx.Response(401, headers={"WWW-Authenticate": challenge.header()}, request=request))
    return dict(answered.headers.raw)[b"Authorization"]


@pytest.mark.parametrize("write", [requests_value, httpx_value])
@pytest.mark.parametrize("user", [IMPORT, UMLAUTS], ids=["plain", "umlauts"])
def test_the_clients_of_others(write: Callable[[Challenge, User], bytes], user: User) -> None:
    gate = login(user)
    assert ask(gate, write(challenge_of(gate), user)) == 0


# --- what must not be told


@pytest.mark.parametrize("user", [IMPORT, User("import", "x"), User("nobody", "x"), UMLAUTS, User("", "")])
def test_an_unknown_user_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    computed: list[str] = []

    def counted(given: Authorization, *, password: str, method: str) -> bool:
        computed.append(password)
        return verify(given, password=password, method=method)

    monkeypatch.setattr("smgw_proxy_addon.auth.client_login.verify", counted)
    gate = login(IMPORT, FEED_IN, UMLAUTS)
    ask(gate, answer(challenge_of(gate), user))
    assert len(computed) == 2


def test_secrets_are_compared_in_constant_time_only() -> None:
    tree = ast.parse(inspect.getsource(client_login))
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            compared = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
            assert not compared & {"password", "response", "_secrets", "_key", "_names"}, ast.unparse(node)
            names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            assert not names & {"seal", "name", "password"}, ast.unparse(node)
    assert inspect.getsource(client_login).count("hmac.compare_digest(") == 4


def test_a_result_shows_nothing_in_a_repr() -> None:
    gate = login()
    challenge = challenge_of(gate)
    with pytest.raises(LoginRequiredError) as caught:
        gate.check(read_login([b"Basic hunter2"]), b"GET", b"/", NOW, address=HERE)
    shown = f"{caught.value!r} {caught.value} {gate!r}"
    assert not any(secret in shown for secret in ("hunter2", "import", challenge.nonce, "nonce"))
    assert REALM not in shown


@given(
    st.lists(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"Digest {text}".encode()), max_size=3)
)
def test_nothing_that_comes_in_breaks_it(values: list[bytes]) -> None:
    assert ask(login(), *values) in (ChallengeReason.MISSING, ChallengeReason.MALFORMED, ChallengeReason.WRONG)


@given(st.from_regex(rb'username="import", realm="smgw-proxy", nonce="[0-9a-f]{0,64}", uri="/a", nc=[0-9]{8}, '
                     rb'cnonce="[^"\\]{0,4}", qop=auth, response="[0-9a-f]{32}"', fullmatch=True))  # fmt: skip
def test_no_made_up_response_is_right(value: bytes) -> None:
    assert ask(login(), b"Digest " + value) in (ChallengeReason.WRONG, ChallengeReason.MALFORMED)
