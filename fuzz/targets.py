"""What is fuzzed: functions that take any bytes and raise on a crash or on a broken promise.

They know nothing of the fuzzer, so that the tests run them, too.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from fuzz import front_door, gateway, tls_handshakes, tls_records
from fuzz.promises import promise
from smgw_proxy_addon import redaction
from smgw_proxy_addon.auth import client_login
from smgw_proxy_addon.config.accounts import Account
from smgw_proxy_addon.config.options import OptionError, from_command_line, from_file_text, summary
from smgw_proxy_addon.errors import BadRequestError, LoginRequiredError, RequestError
from smgw_proxy_addon.gateway import ppc_session
from smgw_proxy_addon.http import digest, rewrite
from smgw_proxy_addon.http.headers import Headers, by_name
from smgw_proxy_addon.proxy import cache
from smgw_proxy_addon.server.access import Access
from smgw_proxy_addon.trust import pin_file

SECRET: Final = "Hunter2-Hunter2"  # noqa: S105 - what must not be shown
_NAMES: Final = rewrite.GatewayNames.of("10.11.120.2", 443)
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


def _pairs(data: bytes) -> Headers:
    """Read header lines as a lenient parser might."""
    return [(name, value.strip(b" \t\r")) for name, _, value in (line.partition(b":") for line in data.split(b"\n"))]


def _lower(headers: Headers) -> list[bytes]:
    return [name.lower() for name, _ in headers]


def rewriting(data: bytes) -> None:
    """Rewrite a target and headers in both directions."""
    first, _, rest = data.partition(b"\n")
    with suppress(BadRequestError):
        promise(rewrite.origin_form(first).startswith((b"/", b"*")), "a target is a path or an asterisk")
    headers = _pairs(rest)
    with suppress(BadRequestError):
        framing = rewrite.request_framing(by_name(headers))
        promise(not (framing.chunked and framing.length is not None), "there is one framing")
        names = _lower(headers)
        promise(names.count(b"content-length") + names.count(b"transfer-encoding") <= 1, "two framings are refused")
    passed = rewrite.request_headers(headers, host=b"gateway")
    promise([value for name, value in passed if name.lower() == b"host"] == [b"gateway"], "there is one Host, ours")
    promise(_HOP_BY_HOP.isdisjoint(_lower(passed)), "hop-by-hop headers go")
    for plain in (False, True):
        answer = rewrite.response_headers(headers, gateway=_NAMES, plain=plain)
        promise(rewrite.response_headers(answer, gateway=_NAMES, plain=plain) == answer, "twice changes nothing")
        promise(_HOP_BY_HOP.isdisjoint(_lower(answer)), "hop-by-hop headers go")
        promise(b"strict-transport-security" not in _lower(answer), "no browser is bound to HTTPS")


def logins(data: bytes) -> None:
    """Parse challenges and logins."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(digest.DigestError):
        for challenge in digest.parse_challenges(text):
            usual = (challenge.algorithm or "MD5").replace("-", "").isalnum()
            promise(
                not usual or digest.parse_challenges(challenge.header()) == [challenge],
                "a challenge is written as it is read",
            )
    with suppress(digest.DigestError):
        digest.verify(digest.parse_authorization(text), password=SECRET, method="GET")


def options(data: bytes) -> None:
    """Read options from a file and from a command line."""
    text = data.decode("utf-8", "replace")
    with suppress(OptionError):
        read = from_file_text(text)
        promise(all(line.isprintable() for line in [*summary(read), *read.warnings]), "options print")
    with suppress(OptionError):
        from_command_line({"target": text})


def redacting(data: bytes) -> None:
    """Show bodies and targets."""
    secret = SECRET.encode()
    line = data.replace(b"\r", b"").replace(b"\n", b"")
    for shown in (
        redaction.redact_body(data),
        redaction.redact_body(data + b"&password=" + secret),
        redaction.redact_body(data + b"\npassword=" + secret),
        redaction.redact_target(data),
        redaction.redact_target(b"/x?" + line + b"&password=" + secret),
    ):
        promise(shown.isprintable(), "what is shown prints")
        promise(SECRET in data.decode("latin-1") or SECRET not in shown, "no secret is shown")


def access(data: bytes) -> None:
    """Ask to come in."""
    lines = [*data.split(b"\n"), b"", b"", b""][:4]
    headers = [(b"Host", lines[0]), (b"Origin", lines[1]), (b"Sec-Fetch-Site", lines[2])]
    method = lines[3].decode("latin-1") or "GET"
    for given in (headers, headers[:1], []):
        with suppress(RequestError):
            Access().check(peer="127.0.0.1", local="127.0.0.1", method=method, fields=by_name(given), http_11=True)
            promise(given, "HTTP/1.1 needs a Host")
    with suppress(RequestError):
        peer = lines[0].decode("latin-1")
        Access().check(peer=peer, local="192.168.1.2", method="GET", fields={}, http_11=False)


def pins(data: bytes) -> None:
    """Read a stored pin."""
    with suppress(ValueError):
        pin_file.decode(data)


def ppc_sessions(data: bytes) -> None:
    """Recognise requests to PPC's CGI, and read its answers."""
    cookie, _, rest = data.partition(b"\n")
    form, _, lines = rest.partition(b"\n")
    request = ppc_session.read_request(ppc_session.CGI + b"?" + form, [(b"Cookie", cookie)], form)
    promise(request is not None, "the CGI is recognised")
    if request is None:
        return
    for status in (200, 302, 401, 403, 500):
        headers = [(b"Set-Cookie", line) for line in lines.split(b"\n")]
        answer = ppc_session.read_answer(request, status, headers, page=data)
        session = ppc_session.PpcSession()
        session.begin(request)
        session.record_answer(request, answer, 0.0)
        session.end(request, 0.0)
        if answer.meaning is ppc_session.Meaning.OPENED:
            holder = ppc_session.CgiRequest((answer.opened,))
            promise(answer.opened and session.may_start(holder), "who opened the session holds it")
        session.expire(session.max_duration + session.idle_timeout, holder_waits=False)
        promise(session.free, "every session ends")
        promise(not answer.opened or repr(answer.opened) not in repr(answer), "no cookie is in a repr")


def shared_reads(data: bytes) -> None:
    """Recognise what may be shared."""
    target, _, rest = data.partition(b"\n")
    line, _, body = rest.partition(b"\n")
    headers = _pairs(line)
    for method in (b"GET", b"POST"):
        asked = body if method == b"POST" else None
        mine = cache.recognise_read("me", method, target, headers, asked)
        if mine is not None:
            theirs = cache.recognise_read("you", method, target, headers, asked)
            promise(theirs is not None and theirs.key != mine.key, "no account shares another's answers")
            promise(not cache.may_change(method, target, asked), "what is shared only reads")
            promise(method == b"GET" or json.loads(body)["method"] != "self-test", "no restart is shared")
            mine.accepts(headers)
    cache.may_be_shared(200, headers)


def client_logins(data: bytes) -> None:
    """Log in at the proxy: with any bytes, and with the right password for any target."""
    door = client_login.ClientLogin([Account("somebody", SECRET)], bytes)

    def ask(value: bytes, target: bytes, address: str = "192.168.1.20") -> int | LoginRequiredError:
        try:
            return door.check(client_login.read_login([value]), b"GET", target, 1000.0, address=address)
        except LoginRequiredError as error:
            return error

    refused = ask(data, b"/")
    promise(isinstance(refused, LoginRequiredError), "nobody comes in without the password")
    if not isinstance(refused, LoginRequiredError):
        return
    target = "/" + "".join(chr(each) for each in data if 0x21 <= each <= 0x7E)  # noqa: PLR2004 - what a target may hold
    value = digest.authorize(
        digest.parse_challenges(refused.challenge)[0],
        username="somebody",
        password=SECRET,
        method="GET",
        uri=target,
        cnonce="0a4f113b",
        nc=1,
    ).encode()
    other = ask(value, target.encode() + b"x")
    promise(isinstance(other, LoginRequiredError), "a login is for one target")
    promise(ask(value, target.encode()) == 0, "the right password comes in")
    for address in ("192.168.1.20", "192.168.1.21"):
        again = ask(value, target.encode(), address)
        promise(isinstance(again, LoginRequiredError), "a login counts once")


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "front_door": front_door.fuzz,
    "gateway": gateway.fuzz,
    "tls_handshakes": tls_handshakes.fuzz,
    "tls_records": tls_records.fuzz,
    "rewrite": rewriting,
    "digest": logins,
    "client_login": client_logins,
    "answers": shared_reads,
    "sessions": ppc_sessions,
    "options": options,
    "redaction": redacting,
    "access": access,
    "pins": pins,
}
