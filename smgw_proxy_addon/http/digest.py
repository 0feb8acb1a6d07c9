"""HTTP Digest authentication (RFC 7616; RFC 2069 where no ``qop`` is offered): parse, compute, verify.

Pure: randomness (``cnonce``, ``nonce``) and counters come from the caller. Nothing here may put a user name,
a password, a nonce or a response into an error message or a ``repr``.

Strings are header values decoded as UTF-8 with ``surrogateescape``, so that every received byte survives.
``auth-int`` is not supported: no gateway asks for it, and it would need the whole body in memory.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - the grammar's token (RFC 9110 section 5.6.2)
_VALUE_ENDS: Final = r"(?=[ \t]*(?:,|\Z))"
_ELEMENT: Final = re.compile(
    rf"[ \t,]*(?:(?P<name>{_TOKEN})[ \t]*=[ \t]*+"  # possessive: spaces are looked at once
    rf'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s",]*)){_VALUE_ENDS}'
    rf"|(?P<scheme>{_TOKEN})[ \t]+(?=[^ \t,])"
    # a scheme's token68, a scheme without anything, or the rest of an unquoted list (qop=auth,auth-int)
    rf"|[A-Za-z0-9\-._~+/]+=*{_VALUE_ENDS})",
    re.DOTALL,
)

_ALGORITHMS: Final[dict[str, Callable[[bytes], str]]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "sha-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
}
_SESSION: Final = "-sess"
_UNQUOTED: Final = frozenset({"algorithm", "qop", "nc", "stale"})
"""Parameters that are tokens (RFC 7616 section 3.4); a challenge's ``qop`` is a list in quotes."""


class DigestError(ValueError):
    """A header that is no valid Digest header, or a challenge that cannot be answered; holds no secrets."""


@dataclass(frozen=True)
class Challenge:
    """A challenge of ``WWW-Authenticate``; ``algorithm`` as received, None means MD5."""

    realm: str
    nonce: str = field(repr=False)
    algorithm: str | None
    qop: tuple[str, ...]
    opaque: str | None = field(repr=False)
    stale: bool = False

    def header(self) -> str:
        """Return the ``WWW-Authenticate`` value."""
        return _header(
            realm=self.realm,
            qop=_quote(", ".join(self.qop)) if self.qop else None,
            algorithm=self.algorithm,
            nonce=self.nonce,
            opaque=self.opaque,
            stale="true" if self.stale else None,
        )


@dataclass(frozen=True)
class Authorization:
    """The credentials of ``Authorization``: the values as received, without quotes and escapes."""

    username: str = field(repr=False)
    realm: str
    nonce: str = field(repr=False)
    uri: str
    response: str = field(repr=False)
    algorithm: str | None
    qop: str | None
    nc: str | None
    cnonce: str | None = field(repr=False)
    opaque: str | None = field(repr=False)

    def header(self) -> str:
        """Return the ``Authorization`` value."""
        return _header(**vars(self))


def parse_challenges(value: str) -> list[Challenge]:
    """Return the Digest challenges of one ``WWW-Authenticate`` value, in order.

    Skipped are other schemes, challenges without realm or nonce, and a value that cannot be parsed.
    """
    try:
        parsed = [parameters for scheme, parameters in _parse(value) if scheme.lower() == "digest"]
    except DigestError:
        return []
    return [
        Challenge(
            realm=parameters["realm"],
            nonce=parameters["nonce"],
            algorithm=parameters.get("algorithm"),
            qop=tuple(option.strip() for option in parameters.get("qop", "").split(",") if option.strip()),
            opaque=parameters.get("opaque"),
            stale=parameters.get("stale", "").lower() == "true",
        )
        for parameters in parsed
        if "realm" in parameters and "nonce" in parameters
    ]


def parse_authorization(value: str) -> Authorization:
    """Return the credentials of one ``Authorization`` value.

    Raises DigestError if it is of another scheme, malformed, or lacks a mandatory field.
    """
    parsed = _parse(value)
    if len(parsed) != 1 or parsed[0][0].lower() != "digest":
        raise DigestError("not one set of Digest credentials")
    parameters = parsed[0][1]
    missing = [name for name in ("username", "realm", "nonce", "uri", "response") if name not in parameters]
    if missing:
        raise DigestError(f"Digest credentials without {', '.join(missing)}")
    given: dict[str, Any] = {each.name: parameters.get(each.name) for each in fields(Authorization)}
    return Authorization(**given)


def authorize(
    challenge: Challenge, *, username: str, password: str, method: str, uri: str, cnonce: str, nc: int
) -> str:
    """Return the ``Authorization`` value that answers ``challenge`` for one request.

    ``uri`` is the request target exactly as sent; ``nc`` counts the requests with this nonce, from 1.
    Raises DigestError for an algorithm or a ``qop`` that is not supported, and for control characters in a
    value (they would break the header).
    """
    offered = [option.lower() for option in challenge.qop]
    if offered and "auth" not in offered:
        raise DigestError("the challenge offers no qop that is supported")
    qop = "auth" if offered else None
    if any(ord(char) < ord(" ") for text in (username, challenge.realm, uri, cnonce) for char in text):
        raise DigestError("control characters in a Digest value")
    answer = Authorization(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        qop=qop,
        nc=f"{nc:08x}" if qop else None,
        # RFC 2069 has no cnonce, but a session key cannot be computed without one
        cnonce=cnonce if qop or _is_session(challenge.algorithm) else None,
        opaque=challenge.opaque,
    )
    return replace(answer, response=_response(answer, password=password, method=method)).header()


def verify(authorization: Authorization, *, password: str, method: str) -> bool:
    """Tell whether ``response`` is right for its own ``uri``, nonce and counter, in constant time.

    The caller checks that the ``uri`` is the request's target and that it issued the nonce.
    """
    try:
        expected = _response(authorization, password=password, method=method)
    except DigestError:
        return False
    return hmac.compare_digest(expected.encode(), _encode(authorization.response))


def _response(authorization: Authorization, *, password: str, method: str) -> str:
    """Compute the response (RFC 7616 section 3.4.1); ``authorization.response`` is not read."""
    algorithm = "md5" if authorization.algorithm is None else authorization.algorithm.lower()
    digest = _ALGORITHMS.get(algorithm.removesuffix(_SESSION))
    if digest is None:
        raise DigestError("a Digest algorithm that is not supported")

    def hashed(*parts: str | None) -> str:
        present = [part for part in parts if part is not None]
        if len(present) < len(parts):
            raise DigestError("Digest values without nc or cnonce")
        return digest(_encode(":".join(present)))

    secret = hashed(authorization.username, authorization.realm, password)
    if _is_session(algorithm):
        secret = hashed(secret, authorization.nonce, authorization.cnonce)
    request = hashed(method, authorization.uri)
    if authorization.qop is None:
        return hashed(secret, authorization.nonce, request)
    if authorization.qop.lower() != "auth":
        raise DigestError("a Digest qop that is not supported")
    return hashed(secret, authorization.nonce, authorization.nc, authorization.cnonce, authorization.qop, request)


def _is_session(algorithm: str | None) -> bool:
    return algorithm is not None and algorithm.lower().endswith(_SESSION)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _header(**parameters: str | None) -> str:
    """Return the value of a header with the parameters that are not None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return "Digest " + ", ".join(
        f"{name}={value if name in _UNQUOTED else _quote(value)}" for name, value in given.items()
    )


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parse(value: str) -> list[tuple[str, dict[str, str]]]:
    """Return each scheme with its parameters, names in lower case (RFC 9110 sections 11.3 and 11.4).

    Raises DigestError for a syntax error and for a name that is repeated within a scheme.
    """
    parsed: list[tuple[str, dict[str, str]]] = []
    value = value.rstrip(" \t,")
    position = 0
    while position < len(value):
        element = _ELEMENT.match(value, position)
        if element is None:
            raise DigestError("malformed authentication header")
        position = element.end()
        if element["scheme"]:
            parsed.append((element["scheme"], {}))
        elif element["name"]:
            if not parsed:
                raise DigestError("a parameter without a scheme")
            name, quoted = element["name"].lower(), element["quoted"]
            if name in parsed[-1][1]:
                raise DigestError("a parameter that comes twice")
            text = element["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            parsed[-1][1][name] = text
    return parsed
