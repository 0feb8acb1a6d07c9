"""Faults of the gateway and of the way to it: no connection, no handshake, an exchange that breaks off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Any, Final

import httpx

from simulator.faults import FaultKind, How, Point
from smgw_proxy_addon.errors import ABORT
from tests.faults.cable import Cut, End
from tests.faults.scene import WRONG_LOGIN, Cause, Got, Mode, Request, Row, Scene

REFUSED: Final = Got(502, "gateway_refused")
NO_TLS: Final = Got(502, "gateway_tls_failed")
NOT_IN_TIME: Final = Got(504, "gateway_connect_timeout")
LOST: Final = Got(502, "gateway_connection_lost")
CLOSED: Final = Got(ABORT, "gateway_closed_without_answer")
NO_ANSWER: Final = Got(504, "gateway_timeout")
NO_HTTP: Final = Got(502, "gateway_bad_answer")
TRUNCATED: Final = Got(502, "gateway_answer_truncated")

HELD_BACK: Final = Got(429, "login_held_back")

SMALL: Final = Request("POST", "/sim/echo", b'{"secret":"s3cr3t-body"}')
LARGE: Final = Request("POST", "/sim/echo", b"s3cr3t-body" * 30_000)
LOGIN: Final = Request(login=True)
LENGTH: Final = Request(path="/sim/bytes/30000")
CHUNKED: Final = Request(path="/sim/bytes/30000?chunked=1")
UNTIL_CLOSE: Final = Request(path="/sim/bytes/30000?close=1")
HALF_A_HANDSHAKE: Final = 300
"""Bytes: the ServerHello and a part of the certificate."""


# Causes


def fault(kind: FaultKind, **arguments: Any) -> Cause:
    """Switch on a fault of the simulator."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        scene.sim.faults.set(kind, **arguments)
        yield
        scene.sim.faults.clear()

    return cause


def broken(at: Point, how: How) -> Cause:
    """Break off every exchange at one point."""
    breaking = fault(FaultKind.BREAK, at=at, how=how)

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        async with breaking(scene):
            yield
        if (at, how) == (Point.ANSWER, How.RESET):
            await scene.cable.wait_ended()  # the answer is through some turns of the event loop before the reset

    return cause


def cut(end: End, after: int = 0) -> Cause:
    """End every new connection, after so many bytes of the gateway."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        scene.cable.cut = Cut(end, after)
        yield
        scene.cable.cut = None

    return cause


@asynccontextmanager
async def port_closed(scene: Scene) -> AsyncIterator[None]:
    await scene.cable.close_port()
    yield
    await scene.cable.start()


@asynccontextmanager
async def name_unknown(scene: Scene) -> AsyncIterator[None]:
    scene.names.address = None
    yield
    scene.names.address = scene.cable.host


@asynccontextmanager
async def name_server_silent(scene: Scene) -> AsyncIterator[None]:
    scene.names.silent = True
    yield
    scene.names.silent = False


@asynccontextmanager
async def no_route(scene: Scene) -> AsyncIterator[None]:
    scene.names.address = "224.0.0.1"  # TCP has no way to a group: ENETUNREACH, whatever the machine's network
    yield
    scene.names.address = scene.cable.host


@asynccontextmanager
async def moved(scene: Scene) -> AsyncIterator[None]:
    """Give the gateway another address; until its name is known to have it, nobody is at the old one."""
    await scene.cable.close_port()
    yield
    scene.cable.host = scene.names.address = "127.0.0.2"
    await scene.cable.start()


@asynccontextmanager
async def pulled(scene: Scene) -> AsyncIterator[None]:
    """Pull the cable."""
    scene.cable.pull()
    yield
    scene.cable.plug()


@asynccontextmanager
async def pulled_in_a_request(scene: Scene) -> AsyncIterator[None]:
    """Pull the cable once the gateway has the request and before it answers."""
    gate = asyncio.Event()
    scene.sim.faults.set(FaultKind.SLOW, gate=gate, times=1)
    heads = scene.sim.journal.heads

    async def pull() -> None:
        await scene.sim.wait_for_heads(heads + 1)
        scene.cable.pull()
        gate.set()

    pulling = asyncio.create_task(pull())
    yield
    await pulling
    scene.cable.plug()


@asynccontextmanager
async def pulled_in_an_answer(scene: Scene) -> AsyncIterator[None]:
    """Pull the cable once half of the answer is through."""
    gate = asyncio.Event()
    scene.sim.faults.set(FaultKind.STALL_BODY, gate=gate, times=1)
    yield
    scene.cable.pull()
    gate.set()
    scene.cable.plug()


@asynccontextmanager
async def rebooted_in_a_request(scene: Scene) -> AsyncIterator[None]:
    """Restart the gateway once it has the request."""
    scene.sim.faults.set(FaultKind.SLOW, gate=asyncio.Event(), times=1)
    heads = scene.sim.journal.heads

    async def stop() -> None:
        await scene.sim.wait_for_heads(heads + 1)
        await scene.sim.stop()

    stopping = asyncio.create_task(stop())
    yield
    await stopping
    await scene.sim.start()


@asynccontextmanager
async def rebooted_while_idle(scene: Scene) -> AsyncIterator[None]:
    """Restart the gateway, with its port closed in between."""
    await scene.sim.stop()
    await scene.cable.close_port()
    yield
    await scene.sim.start()
    await scene.cable.start()


@asynccontextmanager
async def rebooted_unnoticed(scene: Scene) -> AsyncIterator[None]:
    """Restart the gateway while the cable is pulled: it knows nothing of the connection that the proxy keeps."""
    scene.cable.forget()
    yield


@asynccontextmanager
async def certificate_renewed(scene: Scene) -> AsyncIterator[None]:
    """Show another certificate to new connections; then the old one again."""
    old = scene.sim.identity
    await scene.sim.rotate_certificate()
    yield
    await scene.sim.use_identity(old)
    scene.sim.close_connections()


def wrong_logins(how: How | None) -> Cause:
    """Have a client log in with a wrong password until its logins are held back; ``how`` the gateway refuses them."""

    @asynccontextmanager
    async def cause(scene: Scene) -> AsyncIterator[None]:
        if how:
            scene.sim.faults.set(FaultKind.BREAK, at=Point.REQUEST, how=how)
        async with httpx.AsyncClient(base_url=scene.rig.http, trust_env=False) as client:
            for _ in range(4):
                with suppress(httpx.RemoteProtocolError):
                    await client.get("/json/metering/origin/", headers={"Authorization": WRONG_LOGIN})
        scene.sim.faults.clear()
        tried = [record for record in scene.sim.records if record.login == "wrong"]
        assert len(tried) == (4 if scene.mode is Mode.TRANSPARENT else 0)
        records = len(scene.sim.records)
        yield
        held = scene.mode is Mode.TRANSPARENT
        assert scene.lines.count("are held back for 60 s") == held
        assert len(scene.sim.records) == records or not held

    return cause


# Rows

_WORDS: Final = {
    How.CLOSE: "closed",
    How.RESET: "reset",
    How.STALL: "stalled",
    How.GARBAGE: "garbage",
}


def exchange(
    at: Point,
    where: str,
    request: Request,
    kept: str,
    *,
    sent: int = 1,
    login_once: Got | None = None,
    **results: Got,
) -> list[Row]:
    """Make a row for each way in which an exchange may break off at one point."""
    return [
        Row(
            f"{where}: {_WORDS[how]} ({kept} connection)",
            broken(at, how),
            got,
            request,
            sent=sent,
            fresh=kept == "fresh",
            short=how is How.STALL,
            login_once=login_once,
        )
        for how, got in ((How[name.upper()], got) for name, got in results.items())
    ]


_CONNECTING: Final = [
    Row("Port closed", port_closed, REFUSED, visits=2, sent=0),
    Row("First contact: port closed", port_closed, REFUSED, visits=2, sent=0, first=True),
    Row("Name unknown", name_unknown, Got(502, "gateway_name_unknown"), visits=2, sent=0, fresh=True),
    Row("Name server silent", name_server_silent, NOT_IN_TIME, sent=0, fresh=True, short=True),
    Row("No route", no_route, Got(502, "gateway_unreachable"), visits=2, sent=0, fresh=True),
    Row("Address moved", moved, REFUSED, visits=2, sent=0),
]

_HANDSHAKE: Final = [
    Row("Accepts and closes", cut(End.CLOSE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Accepts and resets", cut(End.RESET), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Accepts and stays silent", cut(End.SILENCE), NOT_IN_TIME, sent=0, fresh=True, short=True),
    Row("HAN port locked", fault(FaultKind.LOCKED), NOT_IN_TIME, sent=0, fresh=True, short=True),
    Row("Answers with garbage at once", cut(End.GARBAGE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Refuses the handshake", fault(FaultKind.REFUSE_HANDSHAKE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Handshake: closed", cut(End.CLOSE, HALF_A_HANDSHAKE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Handshake: reset", cut(End.RESET, HALF_A_HANDSHAKE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("Handshake: stalled", cut(End.SILENCE, HALF_A_HANDSHAKE), NOT_IN_TIME, sent=0, fresh=True, short=True),
    Row("Handshake: garbage", cut(End.GARBAGE, HALF_A_HANDSHAKE), NO_TLS, visits=2, sent=0, fresh=True),
    Row("First contact: reset in the handshake", cut(End.RESET, HALF_A_HANDSHAKE), NO_TLS, sent=0, first=True),
]

_EXCHANGE: Final = list(
    chain(
        *(
            exchange(
                Point.HEAD,
                "After the request's head",
                SMALL,
                kept,
                close=LOST,
                reset=LOST,
                stall=NO_ANSWER,
                garbage=NO_HTTP,
            )
            for kept in ("fresh", "kept")
        ),
        exchange(
            Point.BODY,
            "In the request's body",
            LARGE,
            "fresh",
            close=LOST,
            reset=LOST,
            stall=NO_ANSWER,
            garbage=NO_HTTP,
        ),
        *(
            exchange(
                Point.REQUEST,
                "After the request",
                Request(),
                kept,
                sent=1 if kept == "fresh" else 2,
                close=LOST,
                reset=LOST,
                stall=NO_ANSWER,
                garbage=NO_HTTP,
            )
            for kept in ("fresh", "kept")
        ),
        # To a client it would mean "wrong password", which the proxy knows to be right if it is its own login.
        exchange(
            Point.REQUEST, "After a request with a login", LOGIN, "fresh", close=CLOSED, reset=CLOSED, login_once=LOST
        ),
        exchange(
            Point.HALF_HEAD,
            "In the answer's head",
            LOGIN,
            "kept",
            close=TRUNCATED,
            reset=TRUNCATED,
            stall=NO_ANSWER,
            garbage=NO_HTTP,
        ),
        exchange(
            Point.ANSWER_HEAD,
            "After the answer's head",
            LENGTH,
            "kept",
            close=Got(200, "gateway_answer_truncated", whole=False),
            reset=Got(200, "gateway_answer_truncated", whole=False),
            stall=Got(200, "gateway_timeout", whole=False),
        ),
        exchange(
            Point.HALF_BODY,
            "In an answer with a length",
            LENGTH,
            "kept",
            close=Got(200, "gateway_answer_truncated", whole=False),
            reset=Got(200, "gateway_answer_truncated", whole=False),
            stall=Got(200, "gateway_timeout", whole=False),
        ),
        exchange(
            Point.HALF_BODY,
            "In an answer in chunks",
            CHUNKED,
            "kept",
            close=Got(200, "gateway_answer_truncated", whole=False),
            reset=Got(200, "gateway_answer_truncated", whole=False),
            stall=Got(200, "gateway_timeout", whole=False),
            garbage=Got(200, "gateway_answer_truncated", whole=False),
        ),
        exchange(
            Point.HALF_BODY,
            "In an answer that lasts until the close",
            UNTIL_CLOSE,
            "kept",
            reset=Got(200, "gateway_answer_truncated", whole=False),
            stall=Got(200, "gateway_timeout", whole=False),
        ),
        exchange(Point.ANSWER, "After the answer", Request(), "kept", close=Got(), reset=Got(), garbage=Got()),
    )
)

_TIME: Final = [
    Row("Answers later than the read timeout", fault(FaultKind.SLOW, seconds=30), NO_ANSWER, short=True),
    Row("Cable pulled while idle", pulled, NO_ANSWER, sent=1, short=True),
    Row("Cable pulled before the handshake", pulled, NOT_IN_TIME, sent=0, fresh=True, short=True),
    Row("Cable pulled in a request", pulled_in_a_request, NO_ANSWER, short=True),
    Row(
        "Cable pulled in an answer",
        pulled_in_an_answer,
        Got(200, "gateway_timeout", whole=False),
        LENGTH,
        short=True,
    ),
    # It is asked once more, and does not answer at all.
    Row("Gateway reboots in a request", rebooted_in_a_request, NO_TLS, login_once=LOST),
    Row("Gateway reboots in a POST", rebooted_in_a_request, LOST, SMALL),
    Row("Gateway reboots while idle", rebooted_while_idle, REFUSED, visits=2, sent=0),
    Row("Gateway rebooted, connection half open", rebooted_unnoticed, Got(), login_once=LOST),
    Row("Gateway rebooted, connection half open: POST", rebooted_unnoticed, LOST, SMALL, sent=0),
    # With login once each has a login, which a close right after an answer refuses.
    Row("Kept connection ends under a GET", fault(FaultKind.DROP_KEPT, times=1), Got(), sent=2, login_once=LOST),
    Row(
        "Kept connection ends under a HEAD",
        fault(FaultKind.DROP_KEPT, times=1),
        Got(),
        Request("HEAD"),
        sent=2,
        modes=(Mode.TRANSPARENT,),
    ),
    Row("Kept connection ends under a POST", fault(FaultKind.DROP_KEPT, times=1), LOST, SMALL),
    Row(
        "Kept connection ends under a GET with a client's login",
        fault(FaultKind.DROP_KEPT, times=1),
        CLOSED,
        LOGIN,
        modes=(Mode.TRANSPARENT,),
    ),
    Row(
        "Gateway closes 50 ms after each answer",
        fault(FaultKind.CLOSE_UNANNOUNCED, seconds=0.05),
        Got(),
        visits=5,
        first=True,
        lines=("closes its connection after each answer",),
    ),
    Row("Gateway closes after each second of silence", fault(FaultKind.IDLE_CLOSE, seconds=0.05), Got(), visits=3),
    Row(
        "Certificate renewed",
        certificate_renewed,
        Got(502, "certificate_changed"),
        visits=2,
        sent=0,
        fresh=True,
        lines=("refused (certificate_changed)", "shows the trusted certificate again"),
    ),
]

_LOGINS: Final = [
    Row(f"Wrong password in a client, {what}", wrong_logins(how), HELD_BACK, LOGIN, visits=2, login_once=Got())
    for what, how in (("refused with 401", None), ("refused with a close", How.CLOSE))
]

CONNECTED: Final = [*_HANDSHAKE, *_EXCHANGE, *_TIME]
"""Those in which a connection has begun."""

ROWS: Final = [*_CONNECTING, *_HANDSHAKE, *_EXCHANGE, *_TIME, *_LOGINS]
