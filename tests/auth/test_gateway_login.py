"""The proxy's own login at the gateway: which challenge it answers, how, and when it must stop."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smgw_proxy_addon.auth.gateway_login import FORGETFUL, PAUSES, Attempt, DigestAlgorithm, GatewayLogin, LoginStatus
from smgw_proxy_addon.config.accounts import LoginOutcomes
from smgw_proxy_addon.http.digest import Authorization, Challenge, parse_authorization, verify

PASSWORD = "hunter2"
NOW = 1000.0


def random_bytes() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size)


def login(algorithm: DigestAlgorithm = "auto") -> GatewayLogin:
    return GatewayLogin("import", PASSWORD, algorithm=algorithm, random=random_bytes())


def asked(
    nonce: str, algorithm: str | None = "MD5", qop: tuple[str, ...] = ("auth",), *, stale: bool = False
) -> list[bytes]:
    return [Challenge("gateway", nonce, algorithm, qop, "xyz", stale).header().encode()]


def attempt(
    gateway: GatewayLogin, method: str = "GET", target: str = "/a", now: float = NOW
) -> tuple[Attempt, Authorization]:
    made = gateway.attempt(method.encode(), target.encode(), now)
    assert made
    return made, parse_authorization(made.authorization.decode())


def status_of(gateway: GatewayLogin) -> LoginStatus:
    """Read it anew: mypy takes a property for one value."""
    return gateway.status


def test_nothing_is_said_before_the_gateway_has_asked() -> None:
    gateway = login()
    assert gateway.attempt(b"GET", b"/", NOW) is None
    assert gateway.status is LoginStatus.UNKNOWN


@pytest.mark.parametrize("algorithm", [None, "MD5", "md5", "MD5-sess", "SHA-256", "sha-256-SESS"])
@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int", "auth")])
def test_every_kind_of_challenge_is_answered(algorithm: str | None, qop: tuple[str, ...]) -> None:
    gateway = login()
    gateway.challenged(asked("n", algorithm, qop), None, NOW)
    cnonces = set()
    for count in (1, 2, 3):
        _, said = attempt(gateway, "POST", "/x%2F?y")
        assert verify(said, password=PASSWORD, method="POST")
        assert (said.username, said.realm, said.nonce, said.uri) == ("import", "gateway", "n", "/x%2F?y")
        assert (said.algorithm, said.opaque) == (algorithm, "xyz")
        assert (said.qop, said.nc) == (("auth", f"{count:08x}") if qop else (None, None))
        cnonces.add(said.cnonce)
    assert len(cnonces) == 1, "a session key is that of the first request"


@pytest.mark.parametrize(
    ("setting", "offered", "answered"),
    [
        ("auto", ["MD5"], "MD5"),
        ("auto", [None], None),
        ("auto", ["MD5", "SHA-256"], "SHA-256"),
        ("auto", ["SHA-256", "MD5"], "SHA-256"),
        ("auto", ["MD5-sess", "MD5"], "MD5-sess"),
        ("auto", ["SHA-512-256", "MD5"], "MD5"),
        ("auto", ["SHA-512-256"], "nothing"),
        ("auto", ["unheard-of", "MD5"], "MD5"),
        ("auto", ["unheard-of"], "nothing"),
        ("auto", [], "nothing"),
        ("md5", ["SHA-256"], "MD5"),
        ("md5", ["SHA-256-sess"], "MD5"),
        ("md5", ["unheard-of"], "MD5"),
        ("md5", ["SHA-256", "MD5-sess"], "MD5-sess"),
        ("md5", [None], None),
        ("sha-256", ["MD5", "SHA-256"], "SHA-256"),
        ("sha-256", ["MD5", "SHA-256-sess"], "SHA-256-sess"),
        ("sha-256", ["MD5"], "nothing"),
        ("sha-256", [None], "nothing"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_which_challenge_is_answered(
    setting: DigestAlgorithm, offered: list[str | None], answered: str | None, *, together: bool
) -> None:
    gateway = login(setting)
    values = [value for number, each in enumerate(offered) for value in asked(f"n{number}", each)]
    gateway.challenged([b", ".join(values)] if together else [b'Basic realm="x"', *values], None, NOW)
    if answered == "nothing":
        assert gateway.attempt(b"GET", b"/a", NOW) is None
        return
    _, said = attempt(gateway)
    assert said.algorithm == answered
    assert verify(said, password=PASSWORD, method="GET")


@pytest.mark.parametrize(
    "value", [b"", b"Digest", b'Basic realm="x"', b'Digest realm="r", nonce="n", qop="auth-int"']
)
def test_what_cannot_be_answered_counts_for_nothing(value: bytes) -> None:
    gateway = login()
    assert not gateway.challenged([value], None, NOW)
    assert gateway.attempt(b"GET", b"/", NOW) is None
    assert gateway.status is LoginStatus.UNKNOWN


def test_a_stale_nonce_is_no_refusal() -> None:
    gateway = login()
    gateway.challenged(asked("n1"), None, NOW)
    for number in range(2, 9):
        made, said = attempt(gateway)
        assert (said.nonce, said.nc) == (f"n{number - 1}", "00000001")
        assert not gateway.challenged(asked(f"n{number}", stale=True), made, NOW)
    assert not gateway.stopped


def test_a_gateway_that_calls_every_nonce_stale_is_not_asked_without_end() -> None:
    gateway = login()
    said = 0
    for number in range(50):
        made = gateway.attempt(b"GET", b"/a", NOW)
        said += made is not None
        gateway.challenged(asked(f"n{number}", stale=made is not None), made, NOW)
    assert gateway.stopped
    assert said <= 2 * FORGETFUL + 2
    gateway.retry()
    assert status_of(gateway) is LoginStatus.UNKNOWN


def test_two_refusals_in_a_row_stop_it_until_a_person_says_so() -> None:
    gateway = login()
    for refusals, status in ((1, LoginStatus.REFUSED), (2, LoginStatus.STOPPED)):
        gateway.challenged(asked(f"a{refusals}"), None, NOW)
        made, _ = attempt(gateway)
        assert gateway.challenged(asked(f"b{refusals}"), made, NOW)
        assert gateway.status is status
        assert gateway.attempt(b"GET", b"/a", NOW) is None, "the next one begins without a login"
    assert gateway.stopped
    gateway.challenged(asked("c"), None, NOW)
    assert gateway.attempt(b"GET", b"/a", NOW) is None

    gateway.retry()
    assert status_of(gateway) is LoginStatus.UNKNOWN
    gateway.challenged(asked("d"), None, NOW)
    made, _ = attempt(gateway)
    gateway.accepted([], made)
    assert status_of(gateway) is LoginStatus.ACCEPTED


def test_an_old_nonce_that_is_refused_tells_nothing_and_the_new_one_is_tried_at_once() -> None:
    gateway = login()
    gateway.challenged(asked("n0"), None, NOW)
    for number in range(1, 9):
        made, _ = attempt(gateway)
        gateway.accepted([], made)
        made, _ = attempt(gateway)
        assert not gateway.challenged(asked(f"n{number}"), made, NOW), "PPC's gateways do not say that it is stale"
        made, said = attempt(gateway)
        assert (said.nonce, said.nc, made.fresh) == (f"n{number}", "00000001", True)
    assert status_of(gateway) is LoginStatus.ACCEPTED
    assert gateway.challenged(asked("n"), made, NOW)
    assert status_of(gateway) is LoginStatus.REFUSED


@pytest.mark.parametrize("how", ["401 without stale", "closed"])
def test_a_nonce_that_the_gateway_forgets_is_not_used_again_after_so_long(how: str) -> None:
    gateway = login()
    now = NOW

    def poll(pause: float) -> str:
        """Ask after a pause, as a gateway that forgets nonces after a minute answers; tell what was sent first."""
        nonlocal now
        now += pause
        made = gateway.attempt(b"GET", b"/a", now)
        first = "login" if made else "no login"
        if made and pause > 60:
            first = "refused"
            if how == "closed":
                assert not gateway.closed_silently(made, now)
                return first
            assert not gateway.challenged(asked("n"), made, now)
            made = gateway.attempt(b"GET", b"/a", now)
        if made is None:
            gateway.challenged(asked("n"), None, now)
            made = gateway.attempt(b"GET", b"/a", now)
        assert made
        gateway.accepted([], made)
        return first

    assert [poll(pause) for pause in (0, 1, 50, 900)] == ["no login", "login", "login", "refused"]
    if how == "closed":
        assert poll(1) == "no login"
    # Not after 80 % of those 900 seconds, and for a day.
    assert [poll(pause) for pause in (1, 50, 900, 50, 800)] == ["login", "login", "no login", "login", "no login"]
    assert poll(24 * 3600) == "refused"
    assert status_of(gateway) is not LoginStatus.STOPPED


def test_a_refusal_within_seconds_is_no_reason_to_forget_a_nonce() -> None:
    gateway = login()
    gateway.challenged(asked("n"), None, NOW)
    gateway.accepted([], attempt(gateway)[0])
    gateway.closed_silently(attempt(gateway, now=NOW + 29)[0], NOW + 29)
    gateway.challenged(asked("m"), None, NOW + 30)
    gateway.accepted([], attempt(gateway, now=NOW + 30)[0])
    assert gateway.attempt(b"GET", b"/a", NOW + 3600)


def test_a_challenge_that_was_left_alone_is_not_fresh() -> None:
    gateway = login()
    gateway.challenged(asked("n"), None, NOW)
    made, _ = attempt(gateway, now=NOW + 31)
    assert not made.fresh
    assert not gateway.closed_silently(made, NOW + 31)


def test_requests_on_their_way_with_one_old_nonce_agree_on_the_new_one() -> None:
    gateway = login()
    gateway.challenged(asked("n1"), None, NOW)
    gateway.accepted([], attempt(gateway)[0])
    together = [attempt(gateway)[0] for _ in range(5)]
    for number, made in enumerate(together):
        gateway.challenged(asked(f"m{number}"), made, NOW)
    assert [attempt(gateway)[1].nonce for _ in together] == ["m0"] * 5


def test_a_success_in_between_begins_the_count_anew() -> None:
    gateway = login()
    for _ in range(5):
        gateway.challenged(asked("n"), None, NOW)
        made, _ = attempt(gateway)
        gateway.challenged(asked("m"), made, NOW)
        gateway.challenged(asked("o"), None, NOW)
        gateway.accepted([], attempt(gateway)[0])
    assert gateway.status is LoginStatus.ACCEPTED


def test_a_silent_close_refuses_only_what_was_asked_for_just_before() -> None:
    gateway = login()
    gateway.challenged(asked("n1"), None, NOW)
    gateway.accepted([], attempt(gateway)[0])
    for _ in range(5):
        made = gateway.attempt(b"GET", b"/a", NOW)
        if made is None:
            gateway.challenged(asked("n2"), None, NOW)
            gateway.accepted([], attempt(gateway)[0])
        else:
            assert not gateway.closed_silently(made, NOW)
            assert gateway.attempt(b"GET", b"/a", NOW) is None
    assert status_of(gateway) is LoginStatus.ACCEPTED


def closed(gateway: GatewayLogin, now: float) -> tuple[bool, float, LoginStatus]:
    """Ask, be asked for the login, and be closed on; tell whether it refuses, the rest after it, and the status."""
    assert not gateway.pause_left(now)
    gateway.challenged(asked(f"n{now}"), None, now)
    refused = gateway.closed_silently(attempt(gateway, now=now)[0], now)
    return refused, gateway.pause_left(now), gateway.status


def test_a_password_that_was_never_taken_is_refused_by_two_closes_a_minute_apart() -> None:
    gateway = login()
    assert closed(gateway, NOW) == (True, 60, LoginStatus.REFUSED)
    assert gateway.pause_left(NOW + 59.5) == 0.5
    assert closed(gateway, NOW + 60)[::2] == (True, LoginStatus.STOPPED)


def test_a_password_that_was_right_before_is_refused_only_by_closes_over_minutes() -> None:
    gateway = login()
    gateway.challenged(asked("n"), None, NOW)
    gateway.accepted([], attempt(gateway)[0])
    for _ in range(2):
        assert closed(gateway, NOW) == (False, 0, LoginStatus.DOUBTED)
        assert closed(gateway, NOW) == (False, 60, LoginStatus.DOUBTED)
        assert closed(gateway, NOW + 60) == (True, 300, LoginStatus.REFUSED)
        # A success begins the count anew, whenever it comes.
        gateway.challenged(asked("m"), None, NOW + 61)
        gateway.accepted([], attempt(gateway, now=NOW + 61)[0])
        assert (gateway.status, gateway.pause_left(NOW + 61)) == (LoginStatus.ACCEPTED, 0)
    for now in (NOW, NOW, NOW + 60):
        closed(gateway, now)
    assert closed(gateway, NOW + 360)[::2] == (True, LoginStatus.STOPPED)
    gateway.retry()
    assert (status_of(gateway), gateway.pause_left(NOW + 360)) == (LoginStatus.UNKNOWN, 0)


def test_a_password_that_was_right_before_a_restart_has_the_same_chances() -> None:
    gateway = login()
    gateway.restore(LoginOutcomes(taken=True), NOW)
    assert status_of(gateway) is LoginStatus.UNKNOWN
    assert [closed(gateway, NOW + later) for later in (0, 0, 60)] == [
        (False, 0, LoginStatus.DOUBTED),
        (False, 60, LoginStatus.DOUBTED),
        (True, 300, LoginStatus.REFUSED),
    ]
    assert gateway.outcomes == LoginOutcomes(taken=True, refusals=1, closed=3)
    again = login()
    again.restore(gateway.outcomes, NOW)
    assert again.pause_left(NOW) == 300, "a restart makes no pause shorter"
    assert closed(again, NOW + 300)[::2] == (True, LoginStatus.STOPPED), "and gives no new chances"
    again.retry()
    assert again.outcomes == LoginOutcomes()
    assert closed(again, NOW) == (True, 60, LoginStatus.REFUSED), "a person may have changed it"


def test_closes_forgive_no_refusal() -> None:
    gateway = login()
    gateway.challenged(asked("n"), None, NOW)
    gateway.accepted([], attempt(gateway)[0])
    for step in ("401", "close", "401"):
        gateway.challenged(asked("m"), None, NOW)
        if step == "401":
            gateway.challenged(asked("o"), attempt(gateway)[0], NOW)
        else:
            assert not gateway.closed_silently(attempt(gateway)[0], NOW)
    assert gateway.stopped


def test_one_account_is_not_another() -> None:
    one, other = login(), login()
    for gateway in (one, one, other):
        gateway.challenged(asked("n"), None, NOW)
        gateway.challenged(asked("m"), attempt(gateway)[0], NOW)
    assert (one.status, other.status) == (LoginStatus.STOPPED, LoginStatus.REFUSED)


@pytest.mark.parametrize(
    ("value", "nonce"),
    [
        (b'nextnonce="n2"', "n2"),
        (b'qop=auth, rspauth="0", NextNonce = "n2", cnonce="c"', "n2"),
        (b'rspauth="nextnonce=1"', "n1"),
        (b"nextnonce=", "n1"),
        (b"", "n1"),
    ],
)
def test_the_next_nonce_is_taken_where_there_is_one(value: bytes, nonce: str) -> None:
    gateway = login()
    gateway.challenged(asked("n1"), None, NOW)
    gateway.accepted([value], attempt(gateway)[0])
    made, said = attempt(gateway)
    assert (said.nonce, said.nc, made.fresh) == (nonce, "00000001" if nonce == "n2" else "00000002", False)
    assert verify(said, password=PASSWORD, method="GET")


@given(st.lists(st.sampled_from(["ask", "accept", "refuse", "stale", "close", "retry"]), max_size=30))
def test_no_login_after_two_refusals_and_no_counter_twice(steps: list[str]) -> None:
    gateway = login()
    said: set[tuple[str, str | None]] = set()
    refused_in_a_row = 0
    for number, step in enumerate(steps):
        if step == "retry":
            gateway.retry()
            refused_in_a_row = 0
            continue
        made = gateway.attempt(b"GET", b"/a", NOW)
        if made:
            assert refused_in_a_row < 2
            written = parse_authorization(made.authorization.decode())
            assert (written.nonce, written.nc) not in said
            said.add((written.nonce, written.nc))
        if step == "ask" or made is None:
            gateway.challenged(asked(f"n{number}"), None, NOW)
        elif step == "accept":
            gateway.accepted([], made)
            refused_in_a_row = 0
        elif step == "close":
            refused_in_a_row += gateway.closed_silently(made, NOW)
        else:
            refused_in_a_row += gateway.challenged(asked(f"n{number}", stale=step == "stale"), made, NOW)
        assert gateway.stopped == (refused_in_a_row >= 2)
        assert gateway.pause_left(NOW) in PAUSES


def test_nothing_secret_is_in_a_repr() -> None:
    gateway = login()
    gateway.challenged(asked("the-nonce"), None, NOW)
    made, _ = attempt(gateway)
    shown = f"{gateway!r} {made!r}"
    assert not any(secret in shown for secret in (PASSWORD, "import", "the-nonce", "response"))
