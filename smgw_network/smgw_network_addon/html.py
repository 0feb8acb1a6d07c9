"""The page's HTML, made from what the program knows. Pure; everything that comes from outside is escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.locales import TEXTS, Language

_GROUP: Final = 4
_TONES: Final = {Trouble.NO_CARRIER: "bad", Trouble.NO_PERMISSION: "bad", Trouble.NO_INTERFACE: "bad"}
_HOUSE: Final = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3 2 12h3v9h6v-6h2v6h6v-9h3z"/></svg>'  # the app's sign
)


@dataclass(frozen=True, slots=True)
class View:
    """What is shown; ``local`` turns a moment into the user's time zone."""

    gateways: Sequence[Gateway]
    trouble: Trouble | None
    searching: bool
    given: bool
    sent: Mapping[str, int]
    token: str = ""
    notice: str = ""
    local: Callable[[datetime], datetime] = datetime.astimezone


def page(view: View, language: Language, style: str, script: str) -> str:
    """Return the whole page."""
    texts = TEXTS[language]
    links = "".join(
        f'<a href="./?language={each}" lang="{each}"{" aria-current=true" if each == language else ""}>'
        f"{texts[each]}</a>"
        for each in ("de", "en")
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{texts["title"]}</title><link rel="icon" href="data:,"><style>{style}</style></head><body>'
        f'<a class="skip" href="#content">{texts["skip"]}</a>'
        f'<header class="top"><p class="brand">{_HOUSE}{texts["title"]}</p>'
        f'<nav class="languages" aria-label="{texts["language"]}">{links}</nav></header>'
        f'<p class="callout warn" id="stale" role="status" hidden>{texts["stale"]}</p>'
        f'<main id="content" tabindex="-1">{content(view, language)}</main><script>{script}</script></body></html>\n'
    )


def content(view: View, language: Language) -> str:
    """Return what changes: the verdict, the gateways, the search."""
    texts = TEXTS[language]
    notice = f'<p class="callout warn" role="alert">{texts[view.notice]}</p>' if view.notice else ""
    cards = "".join(_gateway(each, texts, view.local) for each in view.gateways)
    return f"{notice}{_verdict(view, texts)}{cards}{_search(view, texts)}"


def _verdict(view: View, texts: Mapping[str, str]) -> str:
    if view.trouble:
        tone = _TONES.get(view.trouble, "warn")
        title, text = texts[f"trouble.{view.trouble}"], texts[f"remedy.{view.trouble}"]
    elif not view.gateways:
        tone, title, text = "idle", texts["verdict.searching"], texts["verdict.searching.text"]
    elif all(each.reached for each in view.gateways):
        tone, title, text = "good", texts["verdict.reached"], texts["verdict.reached.text"]
    else:
        tone, title, text = "warn", texts["verdict.trouble"], texts["verdict.trouble.text"]
    return (
        f'<section class="card verdict {tone}"><h1><span class="badge">{texts[f"badge.{tone}"]}</span>'
        f"{title}</h1><p>{text}</p></section>"
    )


def _gateway(gateway: Gateway, texts: Mapping[str, str], local: Callable[[datetime], datetime]) -> str:
    certificate = gateway.certificate
    maker = certificate.maker if certificate else ""
    title = texts["gateway.by"].format(maker=maker) if maker else texts["gateway.title"]
    none = texts["gateway.certificate.none"]
    facts = [
        ("gateway.address", _code(gateway.host), False),
        ("gateway.interface", escape(gateway.interface) or texts["gateway.router"], False),
        ("gateway.name", escape(certificate.name) if certificate else none, False),
        ("way", texts[f"way.{gateway.way}"], True),
    ]
    if gateway.local:
        facts.append(("gateway.local", _code(str(gateway.local)), False))
    if gateway.since:
        facts.append(("gateway.since", _time(local(gateway.since)), False))
    if gateway.way is not Way.NONE:
        relayed = f"{gateway.host} via {gateway.target}"
        facts.append(("gateway.target", _code(relayed if gateway.way is Way.RELAY else gateway.target), False))
    if certificate:
        facts.append(("gateway.fingerprint", _code(_groups(certificate.fingerprint)), True))
    trouble = f'<p class="callout warn">{texts[f"gateway.{gateway.trouble}"]}</p>' if gateway.trouble else ""
    steps = "".join(f"<li>{_time(local(at))}<span>{texts[f'step.{step}']}</span></li>" for at, step in gateway.steps)
    history = f"<h3>{texts['steps']}</h3><ul>{steps}</ul>" if steps else ""
    return f'<section class="card"><h2>{escape(title)}</h2>{trouble}{_facts(facts, texts)}{history}</section>'


def _facts(facts: Iterable[tuple[str, str, bool]], texts: Mapping[str, str]) -> str:
    rows = (
        f"<div{' class=wide' if wide else ''}><dt>{texts[name]}</dt><dd>{value}</dd></div>"
        for name, value, wide in facts
    )
    return f'<dl class="facts">{"".join(rows)}</dl>'


def _search(view: View, texts: Mapping[str, str]) -> str:
    state = "off" if view.given else "active" if view.searching else "idle"
    sent = " ".join(
        texts["search.sent"].format(interface=escape(name), count=count) + "." for name, count in view.sent.items()
    )
    return (
        f'<section class="card"><h2>{texts["search.title"]}</h2><p>{texts[f"search.{state}"]}</p>'
        f'<p class="note">{sent}</p><form method="post" action="search">'
        f'<input type="hidden" name="token" value="{escape(view.token)}">'
        f"<button>{texts['search.again']}</button></form></section>"
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _groups(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + _GROUP] for at in range(0, len(fingerprint), _GROUP))


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S}</time>'
