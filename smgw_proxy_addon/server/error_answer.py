"""The answer that explains an error: its language and form by the request's headers, its body as page or JSON.

Shows the error's own facts and nothing else. What the error means is said by ``locales.explain``.
"""

import html
import json
import string
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from smgw_proxy_addon.errors import LoginRequiredError, ProxyError
from smgw_proxy_addon.http.headers import Headers, qualities, values
from smgw_proxy_addon.locales import Language
from smgw_proxy_addon.locales.de import errors as german
from smgw_proxy_addon.locales.en import errors as english
from smgw_proxy_addon.locales.explain import explain

_WHAT_TO_DO: Final[Mapping[Language, str]] = {"en": english.WHAT_TO_DO, "de": german.WHAT_TO_DO}


def choose_language(accept_language: str | None) -> Language:
    """Return the language that the client likes best (RFC 9110 section 12.5.4), English if it names neither."""
    weights = _qualities(accept_language)
    known = [tag for tag in weights if weights[tag] and tag.partition(b"-")[0] in (b"en", b"de")]
    return "de" if max(known, key=weights.__getitem__, default=b"en").startswith(b"de") else "en"


def wants_html(accept: str | None) -> bool:
    """Tell whether the client names text/html, as browsers do; ``*/*`` alone is a program."""
    return _qualities(accept).get(b"text/html", 0.0) > 0


def write(error: ProxyError, asked: Headers) -> tuple[Headers, bytes]:
    """Return headers and body of the answer to an error, as the request's headers (``asked``) want it."""
    content_type, text = body(error, accept=first(asked, b"accept"), accept_language=first(asked, b"accept-language"))
    headers = [
        (b"Content-Type", content_type.encode()),
        (b"Content-Length", b"%d" % len(text)),
        (b"Cache-Control", b"no-store"),
        (b"Date", formatdate(usegmt=True).encode()),
        (b"Server", b"smgw-proxy"),
    ]
    if error.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % error.retry_after))
    if isinstance(error, LoginRequiredError):
        headers.append((b"WWW-Authenticate", error.challenge.encode()))
    return headers, text


def first(headers: Headers, name: bytes) -> str | None:
    """Return the first value of a header, None if there is none."""
    found = values(headers, name)
    return found[0].decode("latin-1") if found else None


def body(error: ProxyError, *, accept: str | None, accept_language: str | None) -> tuple[str, bytes]:
    """Return content type and body of the answer: a page, or JSON.

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


def _qualities(header: str | None) -> dict[bytes, float]:
    return qualities([(header or "").encode(errors="replace")])


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
