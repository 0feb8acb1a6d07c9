from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.program.trust_command import run_trust
from smgw_proxy_addon.trust.policy import Origin, Pin, describe
from smgw_proxy_addon.trust.store import TrustStore
from tests.pins import GO_PIN, LATER, NAME, NOW

OLD = describe(b"old")._replace(
    subject="CN=ETHE0300000000.SM,O=SMGW,C=DE",
    issuer="CN=A.very.long.name.of.a.certification.authority.CA,O=SMGW,C=DE",
    not_before=datetime(2025, 3, 1, tzinfo=UTC),
    not_after=datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC),
)
NEW = describe(b"new")._replace(dns_names=("smgw.local", "a.example"))


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "certs", NAME)


def run(
    action: str, store: TrustStore, fingerprint: str | None = None, folder: Path = Path("/certs")
) -> tuple[int, str]:
    out = StringIO()
    code = run_trust(action, store, folder, fingerprint, out, LATER)
    return code, out.getvalue()


def test_show_nothing(store: TrustStore) -> None:
    assert run("show", store) == (
        0,
        "Gateway 10.11.120.2\n\nNo certificate is stored. The first one that the gateway shows will be trusted.\n",
    )


def test_show_a_pin(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    assert run("show", store) == (
        0,
        f"""\
Gateway 10.11.120.2

               trusted
  fingerprint  {grouped(OLD.fingerprint)[:39]}
               {grouped(OLD.fingerprint)[40:]}
  subject      CN=ETHE0300000000.SM,O=SMGW,C=DE
  issuer       CN=A.very.long.name.of.a.certification.
               authority.CA,O=SMGW,C=DE
  names        -
  valid from   2025-03-01 00:00 UTC
  valid to     2026-03-01 23:59 UTC (expired)
  first seen   2026-11-22 12:00 UTC
  last seen    2026-11-22 12:00 UTC
  trusted as   learnt on first use
""",
    )


def test_show_a_pin_of_the_go_proxy(store: TrustStore, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / f"{NAME}.json").write_text(GO_PIN % OLD.fingerprint)
    code, text = run("show", store)
    assert code == 0
    assert "valid to     2032-03-01 23:59 UTC\n" in text
    assert "last seen    -\n" in text
    assert "trusted as   written by the Go proxy\n" in text


def test_show_a_pin_and_a_refused_certificate_side_by_side(store: TrustStore, tmp_path: Path) -> None:
    store.learn(OLD, NOW)
    store.refuse(NEW, LATER)
    code, text = run("show", store, folder=tmp_path / "certs")
    assert code == 0
    lines = text.splitlines()
    assert lines[2].split() == ["trusted", "refused"]
    both = f"{grouped(OLD.fingerprint)[:39]}  {grouped(NEW.fingerprint)[:39]}"
    assert lines[3] == f"  fingerprint  {both}"
    assert lines[2].index("refused") == lines[3].index(grouped(NEW.fingerprint)[:39])
    assert (
        f"smgw-proxy trust accept --target {NAME} --cert-dir {tmp_path}/certs --fingerprint {NEW.fingerprint}" in text
    )
    assert "smgw.local, a.example" in text
    assert max(len(line) for line in lines if "smgw-proxy" not in line) <= 110


def test_show_what_only_a_configured_fingerprint_refused(store: TrustStore) -> None:
    store.refuse(NEW, NOW)
    _, text = run("show", store)
    assert "No certificate is stored." in text
    assert "refused" in text
    assert "trusted as" not in text


def test_a_certificate_that_was_accepted_is_not_shown_as_refused(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    store.refuse(OLD, NOW)  # what a command that was killed leaves
    assert "refused" not in run("show", store)[1]


@pytest.mark.parametrize("fingerprint", [None, grouped(NEW.fingerprint).upper()])
def test_accept(store: TrustStore, fingerprint: str | None) -> None:
    store.learn(OLD, NOW)
    store.refuse(NEW, NOW)
    code, text = run("accept", store, fingerprint)
    assert code == 0
    assert text == (
        "Gateway 10.11.120.2: this certificate is trusted now, a running proxy notices by itself.\n"
        f"  {grouped(NEW.fingerprint)}\n"
        "It replaces\n"
        f"  {grouped(OLD.fingerprint)}\n"
    )
    assert store.load() == Pin(NEW, NOW, NOW, Origin.ACCEPTED)
    assert "trusted as   accepted by you\n" in run("show", store)[1]


def test_accept_without_a_pin(store: TrustStore) -> None:
    store.refuse(NEW, NOW)
    code, text = run("accept", store)
    assert code == 0
    assert "replaces" not in text


def test_nothing_to_accept(store: TrustStore) -> None:
    assert run("accept", store) == (
        1,
        "Nothing to accept: no certificate of this gateway was refused.\n",
    )


def test_another_one_was_refused(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    store.refuse(NEW, NOW)
    assert run("accept", store, "a" * 64) == (
        1,
        (
            "Not accepted: another certificate was refused last.\n"
            f"  asked for  {grouped('a' * 64)}\n"
            f"  refused    {grouped(NEW.fingerprint)}\n"
        ),
    )
    assert store.load() == Pin(OLD, NOW, NOW, Origin.FIRST_USE)


def test_the_trusted_one_is_accepted_already(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    code, text = run("accept", store, OLD.fingerprint)
    assert code == 1
    assert text.startswith("Nothing to accept: this certificate is trusted already.\n")


def test_what_is_no_fingerprint_is_said_without_an_echo(store: TrustStore) -> None:
    assert run("accept", store, "\x1b[2J") == (
        1,
        "Not accepted: a fingerprint is a SHA-256 in 64 hexadecimal digits.\n",
    )


def test_forget(store: TrustStore) -> None:
    store.learn(OLD, NOW)
    assert run("forget", store) == (
        0,
        "Gateway 10.11.120.2: forgotten. The next certificate that it shows will be trusted.\n",
    )
    assert store.load() is None
    assert run("forget", store) == (0, "Gateway 10.11.120.2: nothing was stored.\n")


@pytest.mark.parametrize("action", ["show", "accept"])
def test_a_damaged_pin_is_named_with_the_way_out(store: TrustStore, tmp_path: Path, action: str) -> None:
    path = tmp_path / "certs" / f"{NAME}.json"
    path.parent.mkdir()
    path.write_text("{")
    code, text = run(action, store, folder=tmp_path / "certs")
    assert code == 1
    assert text.startswith(f"Cannot read {path}: not a JSON text.\n")
    assert text.endswith(f"\n  smgw-proxy trust forget --target {NAME} --cert-dir {tmp_path}/certs\n")
    assert run("forget", store)[0] == 0
    assert run("show", store)[0] == 0


def test_a_folder_that_cannot_be_written_is_named(store: TrustStore, tmp_path: Path) -> None:
    (tmp_path / "certs").touch()
    assert run("forget", store) == (1, f"Cannot write in {tmp_path / 'certs'}: Not a directory.\n")


def test_another_action_is_a_mistake_of_the_caller(store: TrustStore) -> None:
    with pytest.raises(KeyError):
        run("frobnicate", store)
