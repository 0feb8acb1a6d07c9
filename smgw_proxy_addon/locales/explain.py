"""What an error means and what to do about it, in English and German, for a person who is no technician.

Owns the choice of language and form by the request's headers, and which facts the words may use. Decides nothing
about the error itself, and never shows anything but the facts that the error carries.
"""

import html
import json
import re
import string
from collections.abc import Mapping
from typing import Final

from smgw_proxy_addon.errors import ProxyError
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.locales import Explanation, Language, day, known
from smgw_proxy_addon.locales.de import errors as german
from smgw_proxy_addon.locales.en import errors as english
from smgw_proxy_addon.text import printable

TEXTS: Final[Mapping[Language, Mapping[str, Explanation]]] = {"en": english.WORDS, "de": german.WORDS}
_WHAT_TO_DO: Final[Mapping[Language, str]] = {"en": english.WHAT_TO_DO, "de": german.WHAT_TO_DO}

FACTS: Final[Mapping[str, str]] = {
    "target": "the gateway's address as configured",
    "peer": "the address that the request came from",
    "host": "the name that the client used for the proxy",
    "limit": "the size that is allowed, in MB, without unit",
    "seconds": "how long was waited, without unit",
    "file": "the path of a stored certificate",
    "folder": "the path of the folder of stored certificates",
    "pinned": "SHA-256 fingerprint of the trusted or configured certificate, 64 hexadecimal digits",
    "presented": "SHA-256 fingerprint of the certificate that the gateway shows, 64 hexadecimal digits",
    "pinned_not_before": "start of validity of the trusted certificate",
    "pinned_not_after": "end of validity of the trusted certificate",
    "presented_not_before": "start of validity of the certificate that the gateway shows",
    "presented_not_after": "end of validity of the certificate that the gateway shows",
    "presented_subject": "subject of the certificate that the gateway shows",
}
"""The facts that the texts can use; each may be missing, then the words around it are left out."""

_FACT_LIMIT: Final = 200
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")
_QUALITY: Final = re.compile(r"q\s*=\s*(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)


def explain(error: ProxyError, language: str) -> Explanation:
    """Return the words for an error; an unknown language is answered in English."""
    return explain_code(error.code, language, error.facts)


def explain_code(code: str, language: str, values: Mapping[str, str]) -> Explanation:
    """Return the words for an error's code with the facts that are known; raises KeyError for an unknown code."""
    chosen = known(language)
    words = TEXTS[chosen][code]
    facts = {name: day(printable(value, _FACT_LIMIT), chosen) for name, value in values.items()}
    for name in ("pinned", "presented"):
        if _FINGERPRINT.fullmatch(facts.get(name, "")):
            facts[f"{name}_groups"] = grouped(facts[name].upper())
    return Explanation(_fill(words.title, facts), _fill(words.cause, facts), _fill(words.remedy, facts))


def choose_language(accept_language: str | None) -> Language:
    """Return the language that the client likes best (RFC 9110 section 12.5.4), English if it names neither."""
    best: Language = "en"
    highest = 0.0
    for tag, quality in _weighted(accept_language):
        primary = tag.partition("-")[0]
        if quality > highest and primary in ("en", "de"):
            best, highest = "de" if primary == "de" else "en", quality
    return best


def wants_html(accept: str | None) -> bool:
    """Tell whether the client names text/html, as browsers do; ``*/*`` alone is a program."""
    return any(kind == "text/html" and quality > 0 for kind, quality in _weighted(accept))


def body(error: ProxyError, *, accept: str | None, accept_language: str | None) -> tuple[str, bytes]:
    """Return content type and body of the answer that explains an error: a page, or JSON.

    ``accept`` and ``accept_language`` are the request's headers of these names.
    """
    language = choose_language(accept_language)
    words = explain(error, language)
    if wants_html(accept):
        page = _PAGE.substitute(
            language=language,
            title=html.escape(words.title),
            cause=html.escape(words.cause),
            remedy=html.escape(words.remedy),
            remedy_title=html.escape(_WHAT_TO_DO[language]),
            code=html.escape(error.code),
        )
        return "text/html; charset=utf-8", page.encode()
    answer = {"error": error.code, "title": words.title, "cause": words.cause, "remedy": words.remedy}
    return "application/json", json.dumps(answer, ensure_ascii=False).encode()


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Keep each part in square brackets if all its facts are known, else leave it out."""

    def part(match: re.Match[str]) -> str:
        needed = [name for _, name, _, _ in string.Formatter().parse(match[1]) if name]
        return match[1].format_map(facts) if all(facts.get(name) for name in needed) else ""

    return _OPTIONAL.sub(part, text)


def _weighted(header: str | None) -> list[tuple[str, float]]:
    """Read a header of values with weights (RFC 9110 section 12.4.2); one with a broken weight is left out."""
    values = []
    for entry in (header or "").split(","):
        value, *parameters = (part.strip() for part in entry.split(";"))
        weights = [part for part in parameters if part[:1] in ("q", "Q")]
        matches = [_QUALITY.fullmatch(part) for part in weights]
        if value and all(matches):
            values.append((value.lower(), min([float(match[1]) for match in matches if match], default=1.0)))
    return values


_PAGE: Final = string.Template("""<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; font: 1.05rem/1.5 system-ui, sans-serif;
       background: #fff; color: #1c1c1c }
h1 { font-size: 1.5rem; line-height: 1.25 }
h2 { font-size: 1.1rem }
p { white-space: pre-line; overflow-wrap: anywhere }
footer { margin-top: 2rem; border-top: 1px solid #767676; color: #595959; font-size: .9rem }
@media (prefers-color-scheme: dark) {
  body { background: #1c1c1c; color: #e6e6e6 }
  footer { color: #ababab }
}
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$cause</p>
<h2>$remedy_title</h2>
<p>$remedy</p>
</main>
<footer><p>smgw-proxy · <code>$code</code></p></footer>
</body>
</html>
""")
