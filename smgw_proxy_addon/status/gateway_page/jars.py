"""What the proxy keeps for each browser that shows the gateway's page: the gateway's cookies, and what pages load.

In memory only, bounded in number, size and age. Pure: ``now`` is in seconds of one clock, ``random`` gives texts that
nobody can guess.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from smgw_proxy_addon.gateway.ppc_session import deletes_cookie
from smgw_proxy_addon.http.headers import Headers, values
from smgw_proxy_addon.http.messages import Answer, GatewayRequest

MOST_JARS: Final = 16
LONGEST_IDLE: Final = 1800.0
"""Seconds after which a jar that is not used is dropped."""
MOST_COOKIES: Final = 32
LONGEST_COOKIE: Final = 4096
MOST_LOADED: Final = 2_000_000
"""Bytes of ``data:`` URLs and their targets in one jar."""
MOST_HELD: Final = 4
MOST_PAGES: Final = 8
MOST_PAGE_BYTES: Final = 1_000_000
"""Of all pages that are kept together; the newest one is kept in any case."""


@dataclass(frozen=True)
class KeptPage:
    """A page as the gateway sent it, decoded: head and body."""

    answer: Answer
    body: bytes = field(repr=False)


@dataclass(eq=False)
class Jar:
    """One browser of one Home Assistant user (``owner``), who looks at the gateway with one account.

    ``key`` is part of the addresses below which this browser sees the gateway, ``secret`` is in its cookie.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    owner: str
    account: int
    used: float
    loaded: dict[str, str] = field(default_factory=dict, repr=False)
    """The ``data:`` URL for each target that pages load."""
    held: dict[str, GatewayRequest] = field(default_factory=dict, repr=False)
    """Requests that wait for the person's confirmation, by their number that nobody can guess."""
    pages: dict[str, KeptPage] = field(default_factory=dict, repr=False)
    """The answers to forms, by the number in their address."""
    _cookies: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict, repr=False)
    """Values by name and path."""

    def cookies_for(self, target: bytes) -> bytes:
        """Return the value of ``Cookie`` for a target, empty without any."""
        path = target.partition(b"?")[0]
        matching = [(scope, name, value) for (name, scope), value in self._cookies.items() if _covers(scope, path)]
        matching.sort(key=lambda each: -len(each[0]))  # the longest path first (RFC 6265 section 5.4)
        return b"; ".join(b"%b=%b" % (name, value) for _, name, value in matching)

    def take_cookies(self, headers: Headers, target: bytes) -> None:
        """Keep the cookies of an answer. ``Secure`` says nothing here: the way to the gateway is always TLS."""
        for given in values(headers, b"set-cookie"):
            pair, *attributes = given.split(b";")
            name, equals, value = (part.strip(b" \t") for part in pair.partition(b"="))
            key = (name, _path(attributes, target))
            if not equals or not name or len(pair) + len(key[1]) > LONGEST_COOKIE:
                continue
            self._cookies.pop(key, None)
            if not deletes_cookie(attributes) and len(self._cookies) < MOST_COOKIES:
                self._cookies[key] = value

    def keep_loaded(self, target: str, url: str) -> None:
        """Keep what a page loads, so that the gateway is asked once for it."""
        if sum(len(key) + len(value) for key, value in self.loaded.items()) + len(target) + len(url) <= MOST_LOADED:
            self.loaded[target] = url

    def keep_page(self, number: str, page: KeptPage) -> None:
        """Keep the answer to a form in the place of the oldest ones."""
        self.pages[number] = page
        while len(self.pages) > 1 and (
            len(self.pages) > MOST_PAGES or sum(len(each.body) for each in self.pages.values()) > MOST_PAGE_BYTES
        ):
            del self.pages[next(iter(self.pages))]

    def hold(self, number: str, request: GatewayRequest) -> None:
        """Hold a request until it is confirmed, in the place of the oldest one if there are many."""
        if len(self.held) >= MOST_HELD:
            del self.held[next(iter(self.held))]
        self.held[number] = request


class Jars:
    """The jars of all browsers, the one that was used last at the end."""

    def __init__(self, random: Callable[[], str]) -> None:
        self._random = random
        self._jars: dict[str, Jar] = {}

    def open(self, secret: str, owner: str, account: int, now: float) -> Jar:
        """Return this browser's jar for an account, by its cookie, empty without one; a new one if it has none."""
        self._expire(now)
        own = [each for each in self._jars.values() if _is_of(each, secret, owner)]
        jar = next((each for each in own if each.account == account), None)
        if jar is None:
            while len(self._jars) >= MOST_JARS:
                del self._jars[next(iter(self._jars))]
            jar = Jar(self._random(), secret if own else self._random(), owner, account, now)
        self._touch(jar, now)
        return jar

    def find(self, key: str, secret: str, owner: str, now: float) -> Jar | None:
        """Return the jar of a request, None unless key, cookie and user all belong to the same one."""
        self._expire(now)
        jar = self._jars.get(key)
        if jar is None or not _is_of(jar, secret, owner):
            return None
        self._touch(jar, now)
        return jar

    def _touch(self, jar: Jar, now: float) -> None:
        jar.used = now
        self._jars.pop(jar.key, None)
        self._jars[jar.key] = jar

    def _expire(self, now: float) -> None:
        for jar in [each for each in self._jars.values() if now - each.used > LONGEST_IDLE]:
            del self._jars[jar.key]


def _is_of(jar: Jar, secret: str, owner: str) -> bool:
    return hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), jar.secret.encode()) and jar.owner == owner


def _path(attributes: list[bytes], target: bytes) -> bytes:
    """Return the path of a cookie (RFC 6265 section 5.1.4 and 5.2.4)."""
    for attribute in reversed(attributes):
        name, _, value = (part.strip(b" \t") for part in attribute.partition(b"="))
        if name.lower() == b"path" and value.startswith(b"/"):
            return value
    return target.partition(b"?")[0].rpartition(b"/")[0] or b"/"


def _covers(scope: bytes, path: bytes) -> bool:
    return path == scope or path.startswith(scope if scope.endswith(b"/") else scope + b"/")
