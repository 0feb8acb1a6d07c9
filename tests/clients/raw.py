"""Clients with a Digest login of their own, each with the habits of one program that a public report names.

They carry their requests by httpx, which has no part in the login.
"""

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

import httpx

from tests.clients.libraries import TIMEOUT, Client, Reply


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


class NoOpaqueError(Exception):
    """The challenge lacks ``opaque``."""


class Raw(Client):
    """Keeps the nonce, counts its requests, signs MD5 alone, and gives up after ``tries`` logins in a row."""

    tries = 5

    def __init__(self, user: str, password: str, folder: Path) -> None:
        super().__init__(user, password, folder)
        self.session = httpx.AsyncClient(verify=False, trust_env=False, timeout=TIMEOUT)
        self.challenge: dict[str, str] = {}
        self.count = 0

    async def ask(self, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        method = "GET" if body is None else "POST"
        for _ in range(1 + self.tries):
            login = {"Authorization": self.authorization(method, url)} if self.challenge else {}
            answer = await self.session.request(method, url, content=body, headers={**(headers or {}), **login})
            if answer.status_code != 401:
                break
            self.accept(answer.headers["www-authenticate"])
        return Reply(answer.status_code, answer.text, answer.headers.get("location", ""))

    def accept(self, header: str) -> None:
        """Take a new challenge."""
        self.challenge, self.count = parse_keqv_list(parse_http_list(header.removeprefix("Digest "))), 0

    def counter(self) -> int:
        """Return the ``nc`` of the next request."""
        self.count += 1
        return self.count

    def authorization(self, method: str, url: str) -> str:
        """Sign a request."""
        parts = urlsplit(url)
        uri = parts.path + (f"?{parts.query}" if parts.query else "")
        realm, nonce = self.challenge["realm"], self.challenge["nonce"]
        nc, cnonce = f"{self.counter():08x}", secrets.token_hex(8)
        secret = _md5(self.user, realm, self.password)
        response = _md5(secret, nonce, nc, cnonce, "auth", _md5(method, uri))
        header = (
            f'Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5, '
            f'qop=auth, nc={nc}, cnonce="{cnonce}", response="{response}"'
        )
        return header + "".join(
            f', opaque="{self.challenge[name]}"' for name in ("opaque",) if name in self.challenge
        )

    async def close(self) -> None:
        await self.session.aclose()


class Trudi(Raw):
    """TRuDI's HAN adapters: they stop at a challenge without ``opaque``."""

    def accept(self, header: str) -> None:
        super().accept(header)
        if "opaque" not in self.challenge:
            raise NoOpaqueError(header)


class TrudiForPpc(Trudi):
    """TRuDI's adapter for PPC: it signs each request as GET."""

    def authorization(self, method: str, url: str) -> str:
        return super().authorization("GET", url)


class IpSymcon(Raw):
    """The module of IP-Symcon for EMH: it keeps its first nonce over its runs, and each of them counts from 1."""

    def accept(self, header: str) -> None:
        if not self.challenge:
            super().accept(header)

    def counter(self) -> int:
        return 1


class NodeRed(Raw):
    """The nodes of Node-RED for PPC: they do not return ``opaque`` and never log out."""

    def accept(self, header: str) -> None:
        super().accept(header)
        self.challenge.pop("opaque", None)
