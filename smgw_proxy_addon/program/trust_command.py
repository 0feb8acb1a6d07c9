"""``smgw-proxy trust show | accept | forget``: plain text for people, times in UTC.

Decides nothing about trust. Blocking: it runs in a process of its own.
"""

import shlex
import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Final, TextIO

from smgw_proxy_addon.errors import PinNotWrittenError, PinUnreadableError
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.trust.policy import Certificate, Origin, Pin, expiry, matches
from smgw_proxy_addon.trust.store import AcceptProblem, TrustCommandError, TrustStore

_WIDTH: Final = 39  # eight groups of a fingerprint
_ORIGIN: Final = {
    None: "written by the Go proxy",
    Origin.FIRST_USE: "learnt on first use",
    Origin.ACCEPTED: "accepted by you",
}
_PROBLEM: Final = {
    AcceptProblem.NOTHING_REFUSED: "Nothing to accept: no certificate of this gateway was refused.",
    AcceptProblem.ALREADY_TRUSTED: "Nothing to accept: this certificate is trusted already.",
    AcceptProblem.OTHER_REFUSED: "Not accepted: another certificate was refused last.",
}


def run_trust(
    action: str, store: TrustStore, folder: Path, fingerprint: str | None, out: TextIO, now: datetime
) -> int:
    """Do ``show``, ``accept`` or ``forget``, write to ``out`` and return the exit code: 0, or 1 if it failed.

    ``folder`` is the store's, ``fingerprint`` belongs to ``accept``.
    Raises KeyError for another action. Must be run in executor.
    """
    options = f"--target {shlex.quote(store.name)} --cert-dir {shlex.quote(str(folder.absolute()))}"
    actions: dict[str, Callable[[], Iterator[str]]] = {
        "show": lambda: _show(store, options, now),
        "accept": lambda: _accept(store, fingerprint, now),
        "forget": lambda: _forget(store),
    }
    try:
        lines, code = list(actions[action]()), 0
    except PinUnreadableError as error:
        lines, code = list(_unreadable(error, options)), 1
    except PinNotWrittenError as error:
        lines, code = [f"Cannot write in {error.facts['folder']}: {error.facts['problem']}."], 1
    except TrustCommandError as error:
        lines, code = list(_not_accepted(error)), 1
    except ValueError as error:
        lines, code = [f"Not accepted: {error}."], 1
    out.writelines(f"{line}\n" for line in lines)
    return code


def _show(store: TrustStore, options: str, now: datetime) -> Iterator[str]:
    pin, refused = store.load(), store.refused()
    if refused and matches(pin, refused.certificate.fingerprint):
        refused = None  # accepted since
    yield f"Gateway {store.name}"
    yield ""
    if pin is None:
        yield "No certificate is stored. The first one that the gateway shows will be trusted."
    if pin or refused:
        yield from _table(pin, refused, now)
    if refused:
        yield ""
        yield "If you know why the gateway has a new certificate (replaced or serviced device), trust it with"
        yield f"  smgw-proxy trust accept {options} --fingerprint {refused.certificate.fingerprint}"
        yield "If you do not, ask your metering point operator first: somebody may be in between."


def _accept(store: TrustStore, fingerprint: str | None, now: datetime) -> Iterator[str]:
    before = store.load()
    pin = store.accept(fingerprint, now)
    yield f"Gateway {store.name}: this certificate is trusted now, a running proxy notices by itself."
    yield f"  {grouped(pin.certificate.fingerprint)}"
    if before:
        yield "It replaces"
        yield f"  {grouped(before.certificate.fingerprint)}"


def _forget(store: TrustStore) -> Iterator[str]:
    if store.forget():
        yield f"Gateway {store.name}: forgotten. The next certificate that it shows will be trusted."
    else:
        yield f"Gateway {store.name}: nothing was stored."


def _unreadable(error: PinUnreadableError, options: str) -> Iterator[str]:
    yield f"Cannot read {error.facts['file']}: {error.facts['problem']}."
    yield "Until this is repaired nothing goes to the gateway. Restore the file from a backup, or remove it"
    yield "(the next certificate that the gateway shows will be trusted then) with"
    yield f"  smgw-proxy trust forget {options}"


def _not_accepted(error: TrustCommandError) -> Iterator[str]:
    yield _PROBLEM[error.problem]
    for label, value in (("asked for", error.asked), ("refused  ", error.refused)):
        if value:
            yield f"  {label}  {grouped(value)}"


def _table(pin: Pin | None, refused: Pin | None, now: datetime) -> Iterator[str]:
    columns = {title: each for title, each in (("trusted", pin), ("refused", refused)) if each}
    shown = [each.certificate for each in columns.values()]
    rows = [
        ("", list(columns)),
        ("fingerprint", [grouped(each.fingerprint) for each in shown]),
        ("subject", [each.subject for each in shown]),
        ("issuer", [each.issuer for each in shown]),
        ("names", [", ".join(each.dns_names) for each in shown]),
        ("valid from", [_date(each.not_before) for each in shown]),
        ("valid to", [_date(each.not_after) + _remark(each, now) for each in shown]),
        ("first seen", [_date(each.first_seen) for each in columns.values()]),
        ("last seen", [_date(each.last_seen) for each in columns.values()]),
    ]
    if pin:
        rows.append(("trusted as", [_ORIGIN[pin.origin]]))
    for label, cells in rows:
        wrapped = [textwrap.wrap(cell, _WIDTH) or ["-"] for cell in cells]
        for number, line in enumerate(zip_longest(*wrapped, fillvalue="")):
            text = "  ".join(f"{cell:{_WIDTH}}" for cell in line)
            yield f"  {'' if number else label:11}  {text}".rstrip()


def _remark(certificate: Certificate, now: datetime) -> str:
    state = expiry(certificate, now)
    return f" ({state})" if state else ""


def _date(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""
