"""One connection to a gateway with the TLS engine that is written in Python, and what it promises.

The transport is the real one; the socket is a stand-in, and so is the protocol above. Nothing is random and no
thread runs, so that the same bytes do the same again.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Final

from tlslite import recordlayer, tlsconnection
from tlslite.keyexchange import ECDHKeyExchange, KeyExchange

from fuzz.front_door import Wire
from fuzz.promises import promise
from simulator.certificates import CertificateOptions, make_identity
from smgw_proxy_addon.gateway.compatible_tls import CompatibleContext, CompatibleTransport

RECORD: Final = 16384
"""Bytes of the longest record, before it is encrypted."""
MOST: Final = 64
"""Pieces of what is taken at once."""
FINISHED: Final = b"verify data!"
"""What is right at the end of a handshake that agrees to everything."""
_UNDECIDED: Final = 65536
_HELD: Final = RECORD + 2048 + 5
"""Bytes that may be kept in a handshake, and after it: of the longest record that any cipher may make."""
_REQUEST: Final = b"GET / HTTP/1.1\r\n\r\n"
_TURNS: Final = 4


class Socket(Wire):
    """Brings nothing while reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False

    def pause_reading(self) -> None:
        """Do so."""
        self.paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self.paused = False


class Proxy:
    """A connection and the protocol above it. ``prepare`` changes the engine before it begins."""

    def __init__(
        self,
        prepare: Callable[[Any], None],
        *,
        login: bool = False,
        answers: bool = False,
    ) -> None:
        self.chosen: tuple[Any, ...] = ()
        """Version, suite and curve, once the connection is made."""
        self.above = Above(self, answers=answers)
        self.wire = Socket()
        self.tls = CompatibleTransport(_context(login=login), "gateway", self.above)
        self._engine: Any = self.tls._tls  # noqa: SLF001 - what it holds is to be measured
        prepare(self._engine)
        self.wire.lost = lambda: self.tls.connection_lost(None)
        self._problems: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self._problems.append(repr(context)))
        self.tls.connection_made(self.wire)

    async def take(self, data: bytes, size: int, *, patient: bool = True) -> None:
        """Take bytes in pieces of this size (0: at once), each in a turn of the loop or as many in one as may be."""
        size = max(size or len(data), len(data) // MOST + 1)
        for at in range(0, len(data), size):
            if not self.wire.is_closing():
                self.tls.data_received(data[at : at + size])
                self._check_memory()
            if patient or self.wire.paused:
                await turns()
                promise(not self.wire.paused or self.wire.is_closing(), "reading goes on")

    async def end(self) -> None:
        """Have the gateway leave, and look at what is left behind."""
        await turns()
        failed = self.tls.handshake.done() and self.tls.handshake.exception()
        promise(not failed or self.wire.is_closing(), "what has failed is aborted")
        if not self.wire.is_closing():
            self.tls.eof_received()
        self.wire.close()
        await turns()
        asyncio.get_running_loop().set_exception_handler(None)  # the loop is kept, too
        promise(not self._problems, f"nothing is left to the event loop: {self._problems}")
        promise(self.tls.handshake.done(), "a handshake ends with its connection")
        problem = self.tls.handshake.exception()
        promise(isinstance(problem, ssl.SSLError | ConnectionResetError | None), f"{problem!r} is an error of TLS")
        promise((problem is None) == self.above.made, "what has failed was never made")
        promise(self.above.lost == self.above.made, "the end of a connection is told")

    def note_chosen(self) -> None:
        """Keep what was chosen, when the connection is made: its end forgets it."""
        tls = self._engine._tls  # noqa: SLF001 - the engine tells nobody else what was chosen
        self.chosen = tls.version, tls.session and tls.session.cipherSuite, tls.ecdhCurve

    def _check_memory(self) -> None:
        if not self.wire.is_closing():
            # What is held is held in private, by the transport and by the engine.
            halves = self._engine._tls._defragmenter.buffers.values()  # noqa: SLF001 - it counts none of them
            unread = self.tls._incoming.pending  # noqa: SLF001 - what the engine has not taken yet is told nowhere else
            held = unread + self._engine.pending() + sum(map(len, halves))
            promise(held <= (_HELD if self.above.made else _UNDECIDED), f"{held} bytes are held")


class Above(asyncio.Protocol):
    """The protocol above, which is told of nothing before the handshake is complete."""

    def __init__(self, proxy: Proxy, *, answers: bool) -> None:
        self._proxy = proxy
        self._answers = answers
        self.received = b""
        self.made = self.lost = False

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        """Hold it against the promises, as all the others do."""
        promise(not self.made, "a connection is made once")
        self._proxy.note_chosen()
        self.made = True

    def data_received(self, data: bytes) -> None:
        """Keep it, and perhaps ask again."""
        promise(data and self.made and not self.lost, "bytes come between begin and end")
        self.received += data
        if self._answers:
            self.ask()

    def eof_received(self) -> None:
        """Note it."""
        promise(self.made and not self.lost, "the end comes after the begin")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        promise(self.made and not self.lost, "what was made is lost once")
        promise(isinstance(exc, ssl.SSLError | None), f"{exc!r} is an error of TLS")
        self.lost = True

    def ask(self) -> None:
        """Write as ``Connection`` does: never behind the end."""
        tls = self._proxy.tls
        if self.made and not tls.ended and not tls.is_closing():
            tls.write(_REQUEST)


async def turns() -> None:
    """Let the loop run what waits."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of all connections."""
    return _Loop()


class _Loop(asyncio.SelectorEventLoop):
    """Runs at once and in place what would run in a thread."""

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        future = self.create_future()
        future.set_result(func(*args))
        return future


@contextmanager
def foreseeable(*, agreeing: bool) -> Iterator[None]:
    """Draw no random numbers, calculate nothing twice, and perhaps agree to each signature and to ``FINISHED``."""

    def key(version: object, secret: object, suite: object, label: bytes, **given: Any) -> bytearray:
        if label == b"server finished" and agreeing:
            return bytearray(FINISHED)
        return calc_key(version, secret, suite, label, **given)  # type: ignore[no-any-return]

    calc_key = tlsconnection.calc_key
    changes = [
        (tlsconnection, "getRandomBytes", bytearray),
        (recordlayer, "getRandomBytes", bytearray),
        (tlsconnection, "calc_key", key),
        (ECDHKeyExchange, "get_random_private_key", lambda self: _private_key(self.group)),
        (ECDHKeyExchange, "calc_public_value", lambda self, _key, *_format: bytearray(_public_value(self.group))),
        (
            ECDHKeyExchange,
            "calc_shared_key",
            lambda self, _key, share, *_formats: bytearray(_shared_key(self.group, bytes(share))),
        ),
    ]
    if agreeing:
        changes.append((KeyExchange, "verifyServerKeyExchange", staticmethod(lambda *_: None)))
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


_VERSION: Final = (3, 3)
_DRAW: Final = ECDHKeyExchange.get_random_private_key
_PUBLISH: Final = ECDHKeyExchange.calc_public_value
_SHARE: Final = ECDHKeyExchange.calc_shared_key


@cache
def _private_key(group: int) -> Any:
    return type(_DRAW(ECDHKeyExchange(group, _VERSION))).from_secret_exponent(2**200 + 1, _curve(group))


def _curve(group: int) -> Any:
    return _DRAW(ECDHKeyExchange(group, _VERSION)).curve


@cache
def _public_value(group: int) -> bytes:
    return bytes(_PUBLISH(ECDHKeyExchange(group, _VERSION), _private_key(group)))


@lru_cache(256)
def _shared_key(group: int, share: bytes) -> bytes:
    return bytes(_SHARE(ECDHKeyExchange(group, _VERSION), _private_key(group), bytearray(share)))


@cache
def _context(*, login: bool) -> CompatibleContext:
    if not login:
        return CompatibleContext()
    identity = make_identity(CertificateOptions())
    return CompatibleContext((identity.certificate_pem, identity.key_pem))
