"""A played hour: what each make of gateway sees of three clients that poll it all day. Real sockets, real TLS.

All delays are scaled down alike, those of the gateway (1.2 s per handshake, 0.3 s per request, one thing at a time),
of the clients (a poll per minute, 10 s of patience) and of the proxy (idle limit, session, door, patience), because
it is the event loop's clock that runs faster, and the proxy is given that clock.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulator.gateway import Simulator
from tests.household import TAG, Browser, Client, Fresh, Kept, Wire
from tests.played_time import play
from tests.rig import proxy_for

SPEED: Final = 600.0
"""An hour of waiting is 6 seconds, the work comes on top."""
MINUTE: Final = 60.0
BEGIN: Final = datetime(2026, 1, 10, 10, tzinfo=UTC)
NIGHT: Final = frozenset(range(24, 35))
"""Minutes in which the household of the EMH is silent: longer than a connection is kept (540 s)."""
VISITS: Final = 5
"""Minutes from one look of the browser to the next."""


@dataclass(frozen=True)
class Seen:
    """What a gateway has recorded after the hour, and for how many polls of each client.

    ``answered`` are requests with an accepted login, ``challenges`` those that were asked for it.
    """

    polls: tuple[int, int, int]
    handshakes: int
    answered: int
    challenges: int
    sessions: int = 0


EXPECTED: Final = {
    # A fresh login for each request of the first client, one for each nonce (5 minutes) or visit of the others.
    ("theben", False): Seen((60, 60, 12), 1, 432, 204),
    ("theben", True): Seen((60, 60, 12), 1, 432, 12),
    ("ppc", False): Seen((60, 60, 12), 1, 612, 264, 132),
    ("ppc", True): Seen((60, 60, 12), 1, 612, 12, 132),
    # Silent from 10:23 to 10:35: the proxy closes its connection, and makes a new one afterwards.
    ("emh", False): Seen((49, 49, 10), 2, 256, 118),
    ("emh", True): Seen((49, 49, 10), 2, 256, 10),
}
"""By make and whether the proxy logs in once: six gateways, 636, 444, 876, 624, 374 and 266 requests in all."""


async def _poll_every(client: Client, minutes: list[int], second: float) -> None:
    """Poll at a second of the given minutes; the loop's time began with 0."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for minute in minutes:
        await asyncio.sleep(begin + minute * MINUTE + second - loop.time())
        await client.poll()


async def _hour(vendor: str, folder: Path, *, login_once: bool, **options: Any) -> Seen:
    """Play the hour of one household and look at the gateway's record."""
    loop = asyncio.get_running_loop()
    wire = Wire()
    sim = Simulator(
        vendor=vendor,
        handshake_delay=1.2,
        request_delay=0.3,
        serial=True,
        clock=lambda: BEGIN + timedelta(seconds=loop.time()),
    )
    if login_once:
        options["accounts"] = [{"username": sim.user, "password": sim.password}]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sim)
        rig = await stack.enter_async_context(proxy_for(sim, folder, clock=loop.time, **options))
        # Only the proxy that logs in itself can log out for somebody who forgot it, and that takes 30 s.
        forgetful = login_once and vendor == "ppc"
        clients = [Fresh(rig.http, sim, wire), Kept(rig.http, sim, wire), Browser(rig.http, sim, wire, forgetful)]
        for client in clients:
            stack.push_async_callback(client.close)
        minutes = [minute for minute in range(60) if not (vendor == "emh" and minute in NIGHT)]
        async with asyncio.TaskGroup() as household:
            for client in clients[:2]:
                household.create_task(_poll_every(client, minutes, 0))
            visits = [minute for minute in minutes if minute % VISITS == 0]
            household.create_task(_poll_every(clients[2], visits, 20 if forgetful else 0))
        await asyncio.sleep(MINUTE)
        assert {report.code for report in rig.reports} <= {None, "login_required"}
    _check_record(sim, wire, login_once=login_once)
    forgotten = len(visits) if forgetful else 0
    untagged = [record for record in sim.records if not record.header(TAG.encode())]
    assert [each.body for each in untagged if each.authorized] == [b"action=logout"] * forgotten
    answered = sum(record.authorized for record in sim.records)
    fresh, kept, browser = (client.polls for client in clients)
    challenges = len(sim.records) - answered
    return Seen((fresh, kept, browser), sim.handshakes, answered, challenges, sim.device.sessions_opened)


def _check_record(sim: Simulator, wire: Wire, *, login_once: bool) -> None:
    """Fail if there was ever more than one of what there may be one of."""
    journal = sim.journal
    assert (journal.peak_working, journal.peak_connections, journal.open_connections) == (1, 1, 0)
    assert (journal.connections, journal.failed_handshakes) == (journal.handshakes, 0)
    assert all(record.complete for record in sim.records)
    assert sim.device.sessions_refused == 0
    assert sim.device.sessions_opened == sim.device.sessions_ended
    arrived = Counter(
        (tag.decode(), record.authorized) for record in sim.records for tag in record.all_headers(TAG.encode())
    )
    assert set(arrived.values()) == {1}, [each for each, count in arrived.items() if count > 1]
    assert None not in wire.statuses.values()
    answered = {tag for tag, status in wire.statuses.items() if status != 401}
    assert {tag for tag, accepted in arrived if accepted} == answered
    asked_for_login = {tag for tag, accepted in arrived if not accepted}
    if login_once:
        # Only the answer to the gateway's own question is sent again, and a client's 401 is the proxy's.
        assert asked_for_login <= answered
    else:
        assert asked_for_login == wire.statuses.keys() - answered


async def _all_hours(folder: Path) -> dict[tuple[str, bool], Seen]:
    """Play the hours of all gateways, in both modes, at the same time."""
    which = [(vendor, login_once) for vendor in ("theben", "ppc", "emh") for login_once in (False, True)]
    hours = [_hour(vendor, folder / f"{vendor}-{login_once}", login_once=login_once) for vendor, login_once in which]
    return dict(zip(which, await asyncio.gather(*hours), strict=True))


def test_three_clients_look_like_one_calm_client_for_an_hour(tmp_path: Path) -> None:
    seen = play(_all_hours(tmp_path), speed=SPEED)
    assert seen == EXPECTED
