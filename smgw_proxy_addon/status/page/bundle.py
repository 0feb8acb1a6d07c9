"""The diagnosis file: all that others need to help, as one text without secrets."""

import platform
import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import aiohttp

from smgw_proxy_addon import __version__
from smgw_proxy_addon.config.options import Options, summary
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.redaction import MASK
from smgw_proxy_addon.status.history import BUCKET, Entry
from smgw_proxy_addon.status.page.state import State
from smgw_proxy_addon.status.page.texts import Texts
from smgw_proxy_addon.status.page.verdict import explain_verdict, judge
from smgw_proxy_addon.trust.policy import Pin

# The user's id at the operator is no password, but private.
_USER: Final = re.compile(r"(/smgw/m2m/)[^\s/?#\"']+")
# Written with the option log_bodies: may hold a login form of an unknown kind.
_BODY: Final = re.compile(r"Body of the (request|answer) \(")


def write_bundle(state: State, options: Options, lines: Sequence[str]) -> str:
    """Return the file's text, in English: for those who help, not for the user who sends it."""
    parts = [
        ("Versions", _versions()),
        ("Options", iter([*summary(options), *options.warnings])),
        ("State", _state(state)),
        ("Certificate", _certificates(state)),
        (f"Last 24 hours, {BUCKET // 60} minutes a line", _day(state)),
        ("Clients", (f"{each.address}: {each.requests} requests, {each.errors} failed" for each in state.clients)),
        ("Requests, the newest first", map(_entry, state.entries)),
        ("Log, the newest last", (line for line in lines if not _BODY.search(line))),
    ]
    text = "\n".join(line for title, body in parts for line in ("", f"== {title}", *body))
    return _USER.sub(rf"\1{MASK}", f"Diagnosis of smgw-proxy, {state.now:%Y-%m-%d %H:%M:%S} UTC\n{text}\n")


def _versions() -> Iterator[str]:
    yield f"smgw-proxy {__version__}"
    yield f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, aiohttp {aiohttp.__version__}"
    yield f"{platform.machine()}, {sys.platform}"


def _state(state: State) -> Iterator[str]:
    verdict = judge(state)
    yield f"{verdict.level}: {explain_verdict(verdict, 'en', Texts('en')).sentence}"
    yield f"started: {state.started:%Y-%m-%d %H:%M:%S} UTC"
    pool = state.pool
    yield f"at the gateway: {pool.active} of {pool.places}, waiting: {pool.waiting}, kept for: {pool.kept_for}"
    if pool.closes_each:
        yield "the gateway closes its connection after each answer"
    clients = state.connections
    yield (
        f"connections of clients: {clients.open}, closed for newer ones: {clients.displaced}, refused: "
        f"{clients.refused}, too slow: {clients.slow}, head too large: {clients.oversized}"
    )
    if state.suggestions:
        found = ", ".join(f"{each.target.text} ({each.way})" for each in state.suggestions.gateways)
        nothing = "a file that cannot be used" if state.suggestions.broken else "no gateway"
        yield f"SMGW Network: {(found or nothing) if state.suggestions.there else 'no file'}"
    yield f"make: {state.vendor.value if state.vendor else 'unknown'}"
    yield f"last failure: {_entry(state.last_failure) if state.last_failure else 'none'}"


def _certificates(state: State) -> Iterator[str]:
    trust = state.trust
    if trust.configured:
        yield f"configured: {grouped(trust.configured)}"
    yield f"shown last: {grouped(trust.shown) if trust.shown else 'none yet'}"
    if trust.unreadable:
        yield f"stored: cannot be read ({trust.unreadable.facts.get('problem', '')})"
    yield from _pin("trusted", trust.pin)
    yield from _pin("refused", trust.changed)


def _pin(name: str, pin: Pin | None) -> Iterator[str]:
    if pin:
        certificate = pin.certificate
        yield f"{name}: {grouped(certificate.fingerprint)}"
        validity = f"valid {certificate.not_before} to {certificate.not_after}"
        yield f"  {certificate.subject}, issued by {certificate.issuer}, {validity}"
        seen = f"first seen {pin.first_seen}, last seen {pin.last_seen}"
        yield f"  {seen}, {pin.origin and pin.origin.value}, TLS of {pin.engine.value}"


def _day(state: State) -> Iterator[str]:
    for each in state.day.buckets:
        if each.requests:
            mean = each.answer_mean or 0.0
            yield (
                f"{each.start:%Y-%m-%d %H:%M} UTC: {each.requests} requests, {each.errors} failed, "
                f"{each.polls} polls, answers {mean:.2f} s on average, {each.answer_max:.2f} s at most"
            )


def _entry(entry: Entry) -> str:
    connection = {True: "kept", False: "new", None: "-"}[entry.reused]
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S} {entry.client} {entry.method} {entry.target} {entry.status or 'closed'} "
        f"waiting={entry.waiting:.2f} connecting={entry.connecting:.2f} answering={entry.answering:.2f} "
        f"{connection} {entry.code or ''}".rstrip()
    )
