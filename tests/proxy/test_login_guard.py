"""Which refused logins count, and for how long further ones are held back."""

import pytest

from smgw_proxy_addon.proxy.login_guard import FORGOTTEN, LONGEST, MOST, NEW, SHORTEST, TRUSTED, LoginGuard

HERE = "192.168.1.20"


class Played:
    """One user name at one address; ``now`` goes on by a second with each refusal."""

    def __init__(self, username: bytes = b"demo") -> None:
        self.guard = LoginGuard(bytes(32))
        self.who = self.guard.identify(HERE, username)
        self.now = 1000.0
        self.nonces = 0

    def fail(self, nonce: str | None = "new") -> float:
        """Have a login refused, with a nonce that was handed out just before, or with another one."""
        self.now += 1
        if nonce == "new":
            self.nonces += 1
            nonce = f"nonce {self.nonces}"
            self.guard.handed_out(nonce, self.now)
        return self.guard.refused(self.who, nonce, self.now)

    def left(self) -> float:
        return self.guard.seconds_left(self.who, self.now)


def test_three_refusals_in_a_row_hold_logins_back_for_twice_as_long_each_time() -> None:
    played = Played()
    assert [played.fail() for _ in range(3)] == [0, 0, SHORTEST]
    assert played.left() == SHORTEST
    holds = []
    for _ in range(6):
        played.now += played.left()
        assert played.left() == 0
        holds.append(played.fail())
    assert holds == [120, 240, 480, LONGEST, LONGEST, LONGEST]


def test_an_old_nonce_after_a_hold_leaves_a_corrected_password_its_chance() -> None:
    played = Played()
    for _ in range(2):
        played.fail()
    played.now += 1
    played.guard.handed_out("kept", played.now)
    assert played.fail("kept") == SHORTEST
    for seconds in (120, 240):
        played.now += played.left()
        assert played.fail("kept") == 0
        assert played.left() == 0, "the next one, with a new nonce, reaches the gateway"
        assert played.fail() == seconds


def test_a_success_in_between_begins_the_count_anew() -> None:
    played = Played()
    for _ in range(5):
        assert [played.fail(), played.fail()] == [0, 0]
        played.guard.accepted(played.who, played.now)
    assert played.guard.addresses(played.now) == ()


def test_a_success_ends_a_hold() -> None:
    played = Played()
    for _ in range(3):
        played.fail()
    assert played.guard.addresses(played.now) == (HERE,)
    played.guard.accepted(played.who, played.now)
    assert played.left() == 0
    assert played.guard.addresses(played.now) == ()


def test_a_name_that_was_accepted_lately_is_not_held_back() -> None:
    played = Played()
    played.guard.accepted(played.who, played.now)
    assert [played.fail() for _ in range(50)] == [0] * 50
    assert not played.guard.trusts(played.who, played.now)
    played.now += TRUSTED
    assert played.fail() == SHORTEST


def test_an_old_nonce_may_be_what_is_refused() -> None:
    played = Played()
    assert [played.fail(f"old {number}") for number in range(4)] == [0, 0, 0, SHORTEST]
    played = Played()
    assert [played.fail("kept"), played.fail("kept"), played.fail("kept")] == [0, 0, 0], "the first is no proof"
    assert played.fail("kept") == SHORTEST


def test_a_client_that_keeps_the_first_nonce_has_three_logins() -> None:
    played = Played()
    played.guard.handed_out("first", played.now)
    seconds = []
    for _ in range(3):
        seconds.append(played.fail("first"))
        played.guard.handed_out("ignored", played.now)
    assert seconds == [0, 0, SHORTEST]


def test_a_nonce_is_new_for_a_minute_and_only_the_newest() -> None:
    played = Played()
    for age in (NEW, 1.0):
        played.guard.handed_out("a", played.now)
        if age < NEW:
            played.guard.handed_out("b", played.now)
        played.now += age
        assert played.guard.refused(played.who, "a" if age < NEW else "b", played.now) == 0
    assert [played.fail(), played.fail()] == [0, SHORTEST], "the first two count in all only"


def test_a_close_that_may_be_a_fault_counts_in_all() -> None:
    played = Played()
    assert [played.fail(None) for _ in range(4)] == [0, 0, 0, SHORTEST]


def test_others_are_not_concerned() -> None:
    played = Played()
    for _ in range(3):
        played.fail()
    for address, name in ((HERE, b"other"), ("192.168.1.21", b"demo"), (HERE, b"")):
        assert played.guard.seconds_left(played.guard.identify(address, name), played.now) == 0


def test_a_login_without_a_name_is_forgiven_by_any_success_from_there() -> None:
    played = Played(b"")
    for _ in range(3):
        played.fail()
    assert played.left() == SHORTEST
    played.guard.accepted(played.guard.identify(HERE, b"demo"), played.now)
    assert played.left() == 0


def test_what_is_long_ago_is_forgotten() -> None:
    played = Played()
    assert [played.fail() for _ in range(3)] == [0, 0, SHORTEST]
    played.now += SHORTEST + FORGOTTEN
    assert played.guard.addresses(played.now) == ()
    assert [played.fail() for _ in range(3)] == [0, 0, SHORTEST]


def test_the_memory_is_bounded_and_holds_no_name() -> None:
    guard = LoginGuard(bytes(32))
    for number in range(MOST + 10):
        guard.refused(guard.identify(HERE, b"secret %d" % number), None, 1000.0)
    assert guard.size == MOST
    assert "secret" not in repr(vars(guard))


@pytest.mark.parametrize("now", [0.0, 1.0, 1e9])
def test_it_works_soon_after_the_start_of_the_computer(now: float) -> None:
    played = Played()
    played.now = now
    assert [played.fail() for _ in range(3)] == [0, 0, SHORTEST]
