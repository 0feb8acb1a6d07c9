"""The page's HTML, made from what the program knows. Pure; everything that comes from outside is escaped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from string import Template
from typing import Final

from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.locales import TEXTS, Language

_GROUP: Final = 4
_BAD: Final = (Trouble.NO_CARRIER, Trouble.NO_PERMISSION, Trouble.NO_INTERFACE)

Texts = Mapping[str, str]


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


def page(view: View, language: Language, frame: Template, **inline: str) -> str:
    """Return the whole page: ``frame`` with ``inline`` style and script."""
    texts = TEXTS[language]
    links = "".join(
        f'<a href="./?language={each}" lang="{each}"{" aria-current=true" if each == language else ""}>'
        f"{texts[each]}</a>"
        for each in ("de", "en")
    )
    return frame.substitute(texts, shown=language, links=links, content=content(view, language), **inline)


def content(view: View, language: Language) -> str:
    """Return what changes: the verdict, the gateways, the search."""
    texts = TEXTS[language]
    notice = f'<p class="callout warn" role="alert">{texts[view.notice]}</p>' if view.notice else ""
    cards = "".join(_gateway(each, texts, view.local) for each in view.gateways)
    return f"{notice}{_verdict(view, texts)}{cards}{_search(view, texts)}"


def _verdict(view: View, texts: Texts) -> str:
    if view.trouble:
        tone, title, text = "warn", f"trouble.{view.trouble}", f"remedy.{view.trouble}"
        tone = "bad" if view.trouble in _BAD else "warn"
    else:
        tone, name = "warn", "trouble"
        if all(each.reached for each in view.gateways):
            tone, name = ("good", "reached") if view.gateways else ("idle", "searching")
        title, text = f"verdict.{name}", f"verdict.{name}.text"
    return (
        f'<section class="card verdict {tone}"><h1><span class="badge">{texts[f"badge.{tone}"]}</span>'
        f"{texts[title]}</h1><p>{texts[text]}</p></section>"
    )


def _gateway(gateway: Gateway, texts: Texts, local: Callable[[datetime], datetime]) -> str:
    certificate = gateway.certificate
    maker = certificate.maker if certificate else ""
    title = texts["gateway.by"].format(maker=escape(maker)) if maker else texts["gateway.title"]
    facts = {
        "gateway.address": _code(gateway.host),
        "gateway.interface": escape(gateway.interface),
        "gateway.name": escape(certificate.name) if certificate else texts["gateway.certificate.none"],
        "way": texts[f"way.{gateway.way}"],
        "gateway.local": _code(str(gateway.local)) if gateway.local else "",
        "gateway.since": _time(local(gateway.since)) if gateway.since else "",
        "gateway.target": _code(gateway.target) if gateway.way is not Way.NONE else "",
        "gateway.fingerprint": _code(_groups(certificate.fingerprint)) if certificate else "",
    }
    rows = "".join(
        f"<div{' class=wide' if name in ('way', 'gateway.fingerprint') else ''}>"
        f"<dt>{texts[name]}</dt><dd>{value}</dd></div>"
        for name, value in facts.items()
        if value
    )
    trouble = f'<p class="callout warn">{texts[f"gateway.{gateway.trouble}"]}</p>' if gateway.trouble else ""
    steps = "".join(f"<li>{_time(local(at))}<span>{texts[f'step.{step}']}</span></li>" for at, step in gateway.steps)
    history = f"<h3>{texts['steps']}</h3><ul>{steps}</ul>" if steps else ""
    return f'<section class="card"><h2>{title}</h2>{trouble}<dl class="facts">{rows}</dl>{history}</section>'


def _search(view: View, texts: Texts) -> str:
    state = "off" if view.given else "active" if view.searching else "idle"
    sent = (texts["search.sent"].format(interface=escape(name), count=count) for name, count in view.sent.items())
    return (
        f'<section class="card"><h2>{texts["search.title"]}</h2><p>{texts[f"search.{state}"]}</p>'
        f'<p class="note">{" ".join(f"{each}." for each in sent)}</p><form method="post" action="search">'
        f'<input type="hidden" name="token" value="{escape(view.token)}">'
        f"<button>{texts['search.again']}</button></form></section>"
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _groups(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + _GROUP] for at in range(0, len(fingerprint), _GROUP))


def _time(moment: datetime) -> str:
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S}</time>'
