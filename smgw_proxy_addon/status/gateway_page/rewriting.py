"""Rewrites the gateway's pages: links get the prefix under which the browser sees the gateway.

Pure. Only what has to change is replaced, all other bytes stay. Nothing here confines a page: the browser does that
(``policy``). So a page that browsers read in another way than this module has broken links and nothing more.
``html.parser`` is used because it gives the position of each tag: parsers that build a tree lose the page's bytes.
"""

import html
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

from smgw_proxy_addon.http.rewrite import GatewayNames

BRIDGE: Final = "smgwProxy"
"""The one global name of the script that is added to each page."""

_ATTRIBUTE: Final = re.compile(
    r"""(?P<name>[^\s"'<>/=]+)(?:\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s>"'][^\s>]*))?""", re.DOTALL
)
_URL: Final = re.compile(r"(?:https?:)?//(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_CSS_URL: Final = re.compile(r"""(\burl\(\s*|@import\s+(?=["']))("[^"\n]*"|'[^'\n]*'|[^\s"'()]+)""", re.IGNORECASE)
_CANDIDATE: Final = re.compile(r"[^\s,]\S*")
_REFRESH: Final = re.compile(r"(\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?['\"]?)([^'\"]*)(.*)", re.IGNORECASE | re.DOTALL)
_OBJECT: Final = r"(?<![\w$.'\"-])(?<!var )(?<!let )(?<!const )(?:(?:window|document|self|top|parent)\.)*location"
_ASSIGNED: Final = re.compile(_OBJECT + r"(?:\.href)?(?=\s*=(?![=>]))")
_CALLED: Final = re.compile(_OBJECT + r"\.(assign|replace|reload)(?=\s*\()")
_RUNS: Final = re.compile(r"\s*javascript:", re.IGNORECASE)
_IGNORED: Final = re.compile(r"[\t\n\r]")
"""Browsers drop these inside of URLs."""

_LINKS: Final = frozenset({"href", "action", "formaction", "src", "data", "background", "poster", "cite", "longdesc"})
_SOURCES: Final = frozenset({"src", "background", "poster"})


@dataclass(frozen=True)
class Rewriter:
    """Rewrites one page or style sheet.

    ``prefix`` has no slash at its end; ``target`` is the page's own path at the gateway, ``names`` are those of the
    gateway in absolute URLs; ``loaded`` has the ``data:`` URL for each target that the page loads.
    """

    prefix: str
    target: str
    names: GatewayNames
    loaded: Mapping[str, str] = field(default_factory=dict)

    def link(self, value: str) -> str:
        """Return a URL with the prefix if it is absolute and leads to the gateway, else as it is."""
        url = _IGNORED.sub("", value).strip("\0\x01\x02\x1f ")
        begin = len(url) - len(url.lstrip("/\\"))
        url = url[:begin].replace("\\", "/") + url[begin:]
        if match := _URL.fullmatch(url):
            if not self.names.include(match["authority"]):
                return value
            url = match["rest"] if match["rest"].startswith("/") else f"/{match['rest']}"
        if not url.startswith("/") or f"{url}/".startswith(f"{self.prefix}/"):
            return value
        return self.prefix + normalise(url)

    def source(self, value: str) -> str:
        """Return what the browser is to load in place of a URL."""
        target = self.resolve(value)
        loaded = None if target is None else self.loaded.get(target)
        return self.link(value) if loaded is None else loaded

    def resolve(self, value: str) -> str | None:
        """Return the gateway's target that a URL of this page leads to, None if it leads elsewhere."""
        if not value or value.startswith("#"):
            return None
        try:
            url = urlsplit(urljoin(f"http://gateway{self.target}", self.link(value).removeprefix(self.prefix)))
        except ValueError:
            return None
        if url.scheme != "http" or url.netloc != "gateway":
            return None
        return normalise(url.path or "/") + (f"?{url.query}" if url.query else "")

    def css(self, text: str) -> str:
        """Rewrite a style sheet."""

        def rewrite(found: re.Match[str]) -> str:
            quote = found[2][0] if found[2][0] in "\"'" else ""
            return found[1] + quote + self.source(found[2].strip("\"'")) + quote

        return _CSS_URL.sub(rewrite, text)

    def script(self, text: str) -> str:
        """Rewrite where a script sends its page: the browser lets nobody else watch that."""
        return _CALLED.sub(rf"{BRIDGE}.\1", _ASSIGNED.sub(f"{BRIDGE}.location", text))

    def page(self, text: str, insert: str = "") -> str:
        """Rewrite a page, and ``insert`` an element as the first one of its head."""
        parser = _Page(text, self)
        if insert:
            at = parser.head if parser.head is not None else len(text)
            parser.edits.append((at, at, insert))
        parts, done = [], 0
        for start, end, new in sorted(parser.edits):
            parts += [text[done:start], new]
            done = end
        return "".join([*parts, text[done:]])


def normalise(path: str) -> str:
    """Take dot segments out of an absolute path, as browsers do: it must not lead above the prefix."""
    bare, mark, rest = _split_query(path)
    decoded = re.sub("%2e", ".", bare, flags=re.IGNORECASE).replace("\\", "/")
    if not re.search(r"/\.\.?(/|$)", decoded):
        return path
    slash = "/" if decoded.endswith(("/", "/.", "/..")) else ""
    return (posixpath.normpath("/" + decoded.lstrip("/")).rstrip("/") + slash or "/") + mark + rest


def list_sources(text: str, rewriter: Rewriter) -> list[str]:
    """Return the targets at the gateway that a page loads, each once, in their order."""
    found: dict[str, None] = {}
    _Page(text, _Listing(rewriter.prefix, rewriter.target, rewriter.names, found=found))
    return list(found)


def list_css_sources(text: str, rewriter: Rewriter) -> list[str]:
    """Return the targets at the gateway that a style sheet loads."""
    return [target for each in _CSS_URL.finditer(text) if (target := rewriter.resolve(each[2].strip("\"'")))]


@dataclass(frozen=True)
class _Listing(Rewriter):
    found: dict[str, None] = field(default_factory=dict)

    def source(self, value: str) -> str:
        if target := self.resolve(value):
            self.found.setdefault(target)
        return value


class _Page(HTMLParser):
    """Finds what to replace in a page: ``edits`` are start, end and new text."""

    def __init__(self, text: str, rewriter: Rewriter) -> None:
        super().__init__(convert_charrefs=False)
        self.edits: list[tuple[int, int, str]] = []
        self.head: int | None = None
        """Where the first element of the head may be put."""
        self._rewriter = rewriter
        self._text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._code: tuple[int, Callable[[str], str]] | None = None
        """Where a script or style begins, and what rewrites it."""
        self.feed(text)
        self.close()
        self._end_code(len(text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        raw = self.get_starttag_text() or ""
        start = self._at()
        if tag in ("html", "head"):
            self.head = start + len(raw)
        elif self.head is None:
            self.head = start
        given = {name: value or "" for name, value in attrs}
        for found in _ATTRIBUTE.finditer(raw, len(tag) + 1):
            self._attribute(tag, found, start, given)
        if tag == "style":
            self._code = (start + len(raw), self._rewriter.css)
        elif tag == "script" and "src" not in given and _is_script(given.get("type", "")):
            self._code = (start + len(raw), self._rewriter.script)

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        """See ``HTMLParser``."""
        if tag in ("script", "style"):
            self._end_code(self._at())

    def _end_code(self, end: int) -> None:
        if self._code:
            start, rewrite = self._code
            self._replace(start, end, rewrite(self._text[start:end]))
            self._code = None

    def _attribute(self, tag: str, found: re.Match[str], start: int, given: Mapping[str, str]) -> None:
        name, raw = found["name"].lower(), found["value"]
        refreshes = tag == "meta" and given.get("http-equiv", "").strip().lower() == "refresh"
        if refreshes and name == "http-equiv":
            # The browser would follow it without the page around the frame: the script of the page does it instead.
            self.edits.append((start + found.start("name"), start + found.end("name"), "data-smgw-refresh"))
            return
        if not raw:
            return
        value = html.unescape(raw[1:-1] if raw[0] in "\"'" else raw)
        new = self._new_value(tag, name, value, given, refreshes=refreshes)
        if new != value:
            self._replace(start + found.start("value"), start + found.end("value"), f'"{html.escape(new)}"')

    def _new_value(self, tag: str, name: str, value: str, given: Mapping[str, str], *, refreshes: bool) -> str:
        rewriter = self._rewriter
        if name.startswith("on") or (name in _LINKS and _RUNS.match(value)):
            return rewriter.script(value)
        if name == "style":
            return rewriter.css(value)
        if name == "srcset":
            return _CANDIDATE.sub(lambda one: _keep_comma(one[0], rewriter.source), value)
        if refreshes and name == "content" and (parts := _REFRESH.fullmatch(value)):
            return parts[1] + rewriter.link(parts[2]) + parts[3]
        relation = given.get("rel", "").lower()
        if (name in _SOURCES and tag != "iframe") or (name == "href" and tag == "link" and "stylesheet" in relation):
            return rewriter.source(value)
        return rewriter.link(value) if name in _LINKS else value

    def _replace(self, start: int, end: int, new: str) -> None:
        if new != self._text[start:end]:
            self.edits.append((start, end, new))

    def _at(self) -> int:
        line, offset = self.getpos()
        return self._lines[line - 1] + offset


def _is_script(kind: str) -> bool:
    return not kind or "javascript" in kind.lower() or "ecmascript" in kind.lower() or kind.lower() == "module"


def _keep_comma(candidate: str, source: Callable[[str], str]) -> str:
    bare = candidate.rstrip(",")
    # A number with a unit is a descriptor; no image of a gateway is named so.
    return candidate if re.fullmatch(r"[\d.]+[wxh]", bare) else source(bare) + candidate[len(bare) :]


def _split_query(path: str) -> tuple[str, str, str]:
    found = re.search("[?#]", path)
    return (path[: found.start()], path[found.start()], path[found.end() :]) if found else (path, "", "")
