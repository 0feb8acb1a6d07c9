"""``script/soak [seconds] [seed]``: twenty clients of three kinds before three gateways that break at random.

Everything runs in one process, so that its tasks can be counted. What each request got is compared: the gateway's
answer byte for byte, or an error of the proxy's own, or a connection that it closed because the gateway's was.
Exits with 1 when anything else was seen, when the gateway got a request twice, or when memory, tasks or descriptors
grow.
"""

import asyncio
import gc
import json
import logging
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from simulator.faults import How, Point
from simulator.gateway import Simulator
from simulator.ppc import CGI, METER_ID
from smgw_proxy_addon.auth import used_logins
from smgw_proxy_addon.errors import ABORT, ProxyError
from smgw_proxy_addon.logs import RequestRecord
from smgw_proxy_addon.server.acceptor import give_memory_back
from tests.faults.cable import Cable, Cut, End
from tests.faults.scene import Mode, known, options_of
from tests.rig import Rig, proxy_for

MODES: Final = [mode for mode in Mode if known(mode)]
VENDORS: Final = ("theben", "ppc", "emh")
SECONDS: Final = 120.0
HASTE: Final = 60
"""So many times as fast as here does time pass at the gateways: their sessions and nonces end within seconds."""
QUIET: Final = 0.3
"""Seconds at most between two faults, and that a client rests after an error."""
LASTING: Final = 0.8
"""Seconds at most that a fault lasts."""
PATIENCE: Final = 90
"""Seconds that a client waits: longer than the proxy lets it wait for its turn."""
RESTS: Final = (0.0, 0.2, 0.5)
"""Seconds without a login after closed connections: the proxy's own, in proportion to the faults'."""
PERSON: Final = 2.0
"""Seconds between two looks of a person who lets a stopped account be tried again."""
ANSWERED: Final = 1.0
"""Requests a second that have to be answered: with fewer, a soak shows little."""
SESSION_LEFT: Final = 0.5
"""Seconds after which a PPC client that a fault has stopped is taken to have left: in proportion to the faults."""
SAMPLES: Final = 40
"""Looks at memory, tasks and descriptors."""
GROWTH: Final = 0.05
"""How much larger the memory may be in the last quarter than in the second, in a soak of ``SETTLED`` and more."""
SETTLED: Final = 300.0
"""Seconds that a soak has to last before its memory is judged: until then Python's own pools still fill."""
OBJECTS: Final = 0.05
"""How many more objects may be there at the end; something left by each request would be far more."""
SLACK: Final = 4
"""Tasks and descriptors more than before that may be left: a connection that is kept at each gateway."""
SIMULATED: Final = (
    *("break", "break", "drop", "reset", "stall", "garbage", "truncate", "stall-body", "slow", "locked"),
    *("refuse-handshake", "idle-close"),
)
"""Faults of the simulator that happen at random."""
_BLOCK: Final = bytes(range(256))
_SENT_ONCE_MORE: Final = (b"GET ", b"HEAD ")
"""May reach a gateway twice: a kept connection ended before any answer (RFC 9110 section 9.2.2)."""
_PAGE_END: Final = "</body></html>"


@dataclass
class Place:
    """A gateway with its cable and its proxy."""

    sim: Simulator
    cable: Cable
    rig: Rig


@dataclass(frozen=True)
class Sample:
    """Resident memory in bytes without what glibc only keeps, tasks, open descriptors."""

    memory: int
    tasks: int
    descriptors: int

    @classmethod
    def now(cls) -> "Sample":
        # Clients' and gateways' bodies of up to 1 MB leave holes in glibc's heap, more of them for half an hour.
        give_memory_back()
        process = psutil.Process()
        return cls(process.memory_info().rss, len(asyncio.all_tasks()), process.num_fds())


@dataclass
class Report:
    """What was seen."""

    seconds: float = 0.0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    """Stopped accounts that a person let be tried again."""
    problems: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    objects: tuple[int, int] = (0, 0)
    """Python's objects before and after, without garbage."""
    before: Sample | None = None
    after: Sample | None = None

    def note(self, kind: str, outcome: str) -> None:
        """Count what a client got."""
        self.outcomes.setdefault(kind, Counter())[outcome] += 1

    def memory(self) -> tuple[float, float]:
        """Return the memory (bytes) in the second and in the last quarter."""
        quarter = max(len(self.samples) // 4, 1)
        second, last = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        return statistics.median(each.memory for each in second), statistics.median(each.memory for each in last)

    def judge(self) -> None:
        """Add what the figures say to the problems."""
        assert self.before
        assert self.after
        earlier, later = self.memory()
        if self.seconds >= SETTLED and later > earlier * (1 + GROWTH):
            self.problems.append(f"memory grew from {earlier / 1e6:.1f} to {later / 1e6:.1f} MB")
        for name in ("tasks", "descriptors"):
            then, now = getattr(self.before, name), getattr(self.after, name)
            if now > then + SLACK:
                self.problems.append(f"{now} {name} are left of {then} at the start")
        if self.objects[1] > self.objects[0] * (1 + OBJECTS):
            self.problems.append(f"{self.objects[1]} objects are left of {self.objects[0]} at the start")
        answered = sum(outcomes["answered"] for outcomes in self.outcomes.values())
        if answered < ANSWERED * self.seconds:
            self.problems.append(f"only {answered} requests were answered")
        closed = sum(outcomes["closed or broken off"] for outcomes in self.outcomes.values())
        if closed > sum(self.codes.values()):
            self.problems.append(
                f"{closed} connections were closed, but only {sum(self.codes.values())} have a reason"
            )

    def markdown(self) -> str:
        """Return the figures as tables."""
        names = sorted({name for outcomes in self.outcomes.values() for name in outcomes})
        lines = [f"| {self.seconds:.0f} s | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
        lines += [
            f"| {kind} | {' | '.join(str(outcomes[name]) for name in names)} |"
            for kind, outcomes in sorted(self.outcomes.items())
        ]
        earlier, later = self.memory()
        assert self.before
        assert self.after
        lines += [
            "",
            f"- faults: {sum(self.faults.values())} ({_counts(self.faults)})",
            f"- errors in the log: {_counts(self.codes)}",
            f"- stopped accounts that a person let be tried again: {self.retries}",
            f"- memory: {earlier / 1e6:.1f} MB in the second quarter, {later / 1e6:.1f} MB in the last",
            f"- objects: {self.objects[0]} before, {self.objects[1]} after",
            f"- tasks: {self.before.tasks} before, {self.after.tasks} after",
            f"- descriptors: {self.before.descriptors} before, {self.after.descriptors} after",
            f"- problems: {'; '.join(self.problems[:10]) or 'none'}",
        ]
        return "\n".join(lines) + "\n"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())


def _codes(kind: type[ProxyError]) -> set[str]:
    return {kind.code}.union(*(_codes(each) for each in kind.__subclasses__()))


OUR_CODES: Final = _codes(ProxyError) - {ProxyError.code}
"""All but "internal error", which would be a fault of the proxy itself."""


class Soak:
    """The clients, the faults and the auditor, until ``seconds`` are over."""

    def __init__(self, places: list[Place], seconds: float, seed: int) -> None:
        self.report = Report()
        self._places = places
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._until = 0.0
        self._asked = 0
        self._secret = "gateway"

    async def run(self) -> Report:
        """Run it."""
        await asyncio.gather(*(self._warm_up(place) for place in self._places))
        objects = _objects()
        self.report.before = Sample.now()
        began = time.monotonic()
        self._until = began + self._seconds
        clients = [self._digest(number) for number in range(7)]
        clients += [self._session() for _ in range(7)]
        clients += [self._browser(secure=number % 2 == 0) for number in range(6)]
        async with asyncio.TaskGroup() as group:
            for each in (
                *clients,
                self._watch(),
                self._look_after(),
                *(self._break(place) for place in self._places),
            ):
                group.create_task(each)
        self.report.seconds = time.monotonic() - began
        await self._settle()
        self.report.objects = (objects, _objects())
        self.report.judge()
        return self.report

    @property
    def _over(self) -> bool:
        return time.monotonic() >= self._until

    def _target(self, size: int) -> str:
        self._asked += 1
        chunked = self._chance.choice(("", "&chunked=1"))
        return f"/sim/bytes/{size}?id={self._asked}{chunked}"

    # Clients

    async def _warm_up(self, place: Place) -> None:
        async with self._client() as client:
            answer = await client.get(place.rig.http + self._target(10))
            assert answer.status_code == 200, answer.text

    def _client(self, **settings: Any) -> httpx.AsyncClient:
        login = httpx.DigestAuth("demo", self._secret)
        return httpx.AsyncClient(trust_env=False, timeout=PATIENCE, auth=login, verify=False, **settings)

    async def _digest(self, number: int) -> None:
        """Poll as the integrations for Theben and EMH do: a new client each time, six requests."""
        place = self._places[number % 2 * 2]
        while not self._over:
            async with self._client() as client:
                for _ in range(6):
                    size = self._chance.choice((0, 300, 5_000, 200_000))
                    await self._ask("Digest", client, "GET", place.rig.http + self._target(size), size=size)
            await asyncio.sleep(self._chance.uniform(0, 0.2))

    async def _session(self) -> None:
        """Poll as the integration for PPC does: log in, read, log out, one cookie throughout."""
        url = self._places[1].rig.http + CGI.decode()
        while not self._over:
            async with self._client() as client:
                for action in ("", "meterform", "showMeterProfile", "logout"):
                    form = {"action": action, "mid": METER_ID} if action else None
                    answer = await self._ask("PPC session", client, "POST" if form else "GET", url, form=form)
                    if answer is None or "id='error'" in answer.text:
                        break
            await asyncio.sleep(self._chance.uniform(0, 0.2))

    async def _browser(self, *, secure: bool) -> None:
        """Fetch a few things at once as a browser does, and leave now and then in the middle."""
        headers = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "de,en;q=0.5"}
        while not self._over:
            rig = self._chance.choice(self._places).rig
            async with self._client(headers=headers) as client:
                sizes = [self._chance.choice((300, 5_000, 1_000_000)) for _ in range(3)]
                base = rig.https if secure else rig.http
                asking = [self._ask("browser", client, "GET", base + self._target(size), size=size) for size in sizes]
                try:
                    async with asyncio.timeout(self._chance.choice((None, None, 0.05))):
                        await asyncio.gather(*asking)
                except TimeoutError:
                    self.report.note("browser", "left")
            await asyncio.sleep(self._chance.uniform(0, 0.3))

    async def _ask(
        self,
        kind: str,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        *,
        size: int | None = None,
        form: dict[str, str] | None = None,
    ) -> httpx.Response | None:
        """Ask once and look at what came; None if it is no answer of the gateway."""
        try:
            answer = await client.request(method, url, data=form)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            self.report.note(kind, "closed or broken off")
            return None
        except httpx.TimeoutException as error:
            self._wrong(kind, f"{method} {url}: {type(error).__name__}")
            return None
        if answer.headers.get("server") == "smgw-proxy":
            code = _code(answer)
            if code in OUR_CODES:
                self.report.note(kind, f"{answer.status_code} of ours")
            else:
                self._wrong(kind, f"{answer.status_code} {code}")
            await asyncio.sleep(self._chance.uniform(0, QUIET))
            return None
        if size is None:
            right = answer.status_code == httpx.codes.OK and answer.text.endswith(_PAGE_END)
        else:
            right = answer.status_code == httpx.codes.OK and answer.content == _expected(size)
        # A gateway that was restarted does not know its nonces any more, which a second challenge would tell.
        if right:
            self.report.note(kind, "answered")
            return answer
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self.report.note(kind, "401 of the gateway")
            return None
        self._wrong(kind, f"{method} {url}: {answer.status_code}, {len(answer.content)} bytes")
        return None

    def _wrong(self, kind: str, what: str) -> None:
        self.report.note(kind, "WRONG")
        self.report.problems.append(f"{kind}: {what}")

    async def _look_after(self) -> None:
        """Let accounts be tried again that were stopped, as a person does who knows that the password is right."""
        while not self._over:
            await asyncio.sleep(PERSON)
            self.report.retries += sum(
                place.rig.proxy.logins.retry(0) for place in self._places if place.rig.proxy.logins
            )

    # Faults

    async def _break(self, place: Place) -> None:
        """Break one thing after the other."""
        while not self._over:
            await asyncio.sleep(self._chance.uniform(0, QUIET))
            act = self._chance.choice((self._simulated, self._simulated, self._cut, self._pull, self._other))
            self.report.faults[await act(place, self._chance.uniform(0.05, LASTING))] += 1

    async def _simulated(self, place: Place, seconds: float) -> str:
        faults = place.sim.faults
        kind = self._chance.choice(SIMULATED)
        at, how = self._chance.choice(list(Point)), self._chance.choice(list(How))
        faults.set(kind, seconds=seconds, at=at, how=how)
        await asyncio.sleep(seconds)
        faults.clear(kind)
        return kind

    async def _cut(self, place: Place, seconds: float) -> str:
        place.cable.cut = Cut(self._chance.choice(list(End)), self._chance.choice((0, 100, 500, 2_000)))
        await place.cable.reset()
        await asyncio.sleep(seconds)
        place.cable.cut = None
        return "handshake cut"

    async def _pull(self, place: Place, seconds: float) -> str:
        place.cable.pull()
        if self._chance.random() < 0.5:
            place.cable.forget()
        await asyncio.sleep(seconds)
        place.cable.plug()
        return "cable pulled"

    async def _other(self, place: Place, seconds: float) -> str:
        match self._chance.randrange(4):
            case 0:
                await place.cable.close_port()
                await asyncio.sleep(seconds)
                await place.cable.start()
                return "port closed"
            case 1:
                await place.sim.stop()
                await asyncio.sleep(seconds)
                await place.sim.start()
                return "gateway restarted"
            case 2:
                old = place.sim.identity
                await place.sim.rotate_certificate()
                place.sim.close_connections()
                await asyncio.sleep(seconds)
                await place.sim.use_identity(old)
                return "certificate changed"
            case _:
                place.sim.close_connections(reset=self._chance.random() < 0.5)
                return "connections closed"

    # Figures

    async def _watch(self) -> None:
        while not self._over:
            await asyncio.sleep(self._seconds / SAMPLES)
            self._audit()
            self.report.samples.append(Sample.now())

    def _audit(self) -> None:
        """Note requests that came too often, gather the errors, and forget both: this process must stay small."""
        for place in self._places:
            records = place.sim.journal.records
            heads = Counter(record.raw_head for record in records if b"id=" in record.target)
            self.report.problems += [
                f"{number} times the same request: {head[:60]!r}"
                for head, number in heads.items()
                if number > (2 if head.startswith(_SENT_ONCE_MORE) else 1)
            ]
            records.clear()
            self.report.codes.update(record.code or "closed" for record in place.rig.reports if _failed(record))
            place.rig.reports.clear()

    async def _settle(self) -> None:
        """Wait until everything that is over is gone, then look for the last time."""
        for place in self._places:
            place.sim.faults.clear()
        assert self.report.before
        for _ in range(100):
            await asyncio.sleep(0.05)
            self.report.after = now = Sample.now()
            if now.tasks <= self.report.before.tasks and now.descriptors <= self.report.before.descriptors:
                break
        self._audit()


def _objects() -> int:
    """Count Python's objects, but for used logins, of which each proxy keeps a bounded number for 5 minutes."""
    gc.collect()
    found = gc.get_objects()
    used = [each for each in found if isinstance(each, used_logins._Used)]  # noqa: SLF001 - to leave them out
    return len(found) - sum(2 + len(each.logins) for each in used)  # each, its mapping, and a list for each login


def _failed(record: RequestRecord) -> bool:
    return record.code is not None or record.status == ABORT


def _code(answer: httpx.Response) -> str | None:
    if answer.headers["content-type"].startswith("application/json"):
        code: str | None = json.loads(answer.content).get("error")
        return code
    return next((code for code in OUR_CODES if re.search(rf"\b{code}\b", answer.text)), None)


def _expected(size: int) -> bytes:
    return (_BLOCK * (size // len(_BLOCK) + 1))[:size]


def _hurried(since: datetime) -> datetime:
    return since + (datetime.now(UTC) - since) * HASTE


@asynccontextmanager
async def stage(folder: Path, mode: Mode) -> AsyncIterator[list[Place]]:
    """Set up three gateways of three makes, each with a cable and a proxy."""
    since = datetime.now(UTC)
    hasten = {"connect_timeout": 0.5, "read_timeout": 0.7}
    async with AsyncExitStack() as stack:
        places = []
        for vendor in VENDORS:
            sim = Simulator(vendor=vendor, protect_all=True, clock=lambda: _hurried(since))
            await stack.enter_async_context(sim)
            cable = await stack.enter_async_context(Cable((sim.host, sim.port)))
            rig = await stack.enter_async_context(
                proxy_for(
                    f"127.0.0.1:{cable.port}",
                    folder / vendor,
                    hasten=hasten,
                    https_port=0,
                    host_header=sim.authority,
                    login_pauses=RESTS,
                    **options_of(mode, sim.user, sim.password),
                )
            )
            rig.proxy.pool.session.idle_timeout = SESSION_LEFT
            places.append(Place(sim, cable, rig))
        yield places


async def soak(folder: Path, seconds: float, seed: int, mode: Mode) -> Report:
    """Run everything."""
    async with stage(folder, mode) as places:
        return await Soak(places, seconds, seed).run()


class _Faults(logging.Handler):
    """Keeps the tracebacks that are logged, each once."""

    def __init__(self) -> None:
        super().__init__()
        self.tracebacks: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.tracebacks[logging.Formatter().formatException(record.exc_info)] = None


def main(arguments: list[str]) -> int:
    """Run for so many seconds, half of them in each mode, and print the tables; returns the exit code."""
    seconds = float(arguments[0]) if arguments else SECONDS
    seed = int(arguments[1]) if len(arguments) > 1 else random.randrange(10**6)
    logging.disable(logging.WARNING)
    faults = _Faults()
    logging.getLogger().handlers[:] = [faults]
    code = 0
    for mode in MODES:
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(soak(Path(folder), seconds / len(MODES), seed, mode))
        sys.stdout.write(f"{mode.value}, seed {seed}:\n\n{report.markdown()}\n")
        sys.stdout.write("".join(f"{traceback}\n\n" for traceback in faults.tracebacks))
        faults.tracebacks.clear()
        sys.stdout.flush()
        code = code or int(bool(report.problems))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
