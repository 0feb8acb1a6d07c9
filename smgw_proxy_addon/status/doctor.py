"""The network diagnosis: name, address, connection, encryption, certificate, answer, each with verdict and remedy.

Asks the gateway through the proxy's pool: waits in its queue, uses a kept connection if there is one, and never opens
a second one beside it. Its requests carry no login.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from smgw_proxy_addon.errors import (
    ConnectionLostError,
    NameUnknownError,
    ProxyError,
    ReadTimeoutError,
)
from smgw_proxy_addon.fingerprint import grouped
from smgw_proxy_addon.gateway.bodies import DRAIN_LIMIT, discard
from smgw_proxy_addon.gateway.connection import Connection
from smgw_proxy_addon.gateway.pool import Lease, Pool
from smgw_proxy_addon.gateway.ppc_session import CGI
from smgw_proxy_addon.http.messages import Answer, GatewayRequest
from smgw_proxy_addon.locales.explain import explain_finding, name_step
from smgw_proxy_addon.server.interfaces import Interface
from smgw_proxy_addon.status.findings import (
    SMGW_LOCAL,
    WANTS_SMGW_LOCAL,
    Destination,
    Finding,
    Step,
    judge_address,
    judge_answer,
    judge_failure,
)
from smgw_proxy_addon.trust.pinning import FirstContactError, GatewayTrust
from smgw_proxy_addon.trust.policy import Certificate, expiry

PATHS: Final = (b"/", CGI, b"/smgw/m2m")
"""Where gateways ask for a login: the page for people, PPC's path, Theben's. One after the other, until one does."""

ANSWER_SECONDS: Final = 30.0
"""How long an answer may take: shorter than for clients, because a person waits."""

_NAME_SECONDS: Final = 10.0
_BAD_REQUEST: Final = "400"


@dataclass(frozen=True)
class StepReport:
    """A finding in words: ``ok`` is None for a warning, which has a remedy, and for a step that was not tried."""

    name: str
    ok: bool | None
    seconds: float | None
    sentence: str
    remedy: str


@dataclass
class _Examination:
    """What one run has found so far."""

    destination: Destination
    interfaces: Sequence[Interface] | None
    found: dict[Step, Finding] = field(default_factory=dict)
    done: dict[Step, float] = field(default_factory=dict)

    def step(self, name: str, seconds: float) -> None:
        """Note the duration of a step of a new connection."""
        self.done[Step(name)] = seconds

    def note(self, finding: Finding) -> None:
        """Keep a finding; the first one of a step stays."""
        self.found.setdefault(finding.step, finding)


class Doctor:
    """Examines the way to one gateway.

    ``interfaces`` returns those of the host, or None; ``now`` is the time for the dates of certificates, ``clock``
    gives seconds for durations. ``stores``: the trust would keep a first certificate, so a first contact must end
    before that.
    """

    def __init__(
        self,
        pool: Pool,
        trust: GatewayTrust,
        destination: Destination,
        *,
        interfaces: Callable[[], Awaitable[Sequence[Interface] | None]],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        stores: bool = True,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._pool = pool
        self._trust = trust
        self._destination = destination
        self._interfaces = interfaces
        self._now = now
        self._clock = clock
        self._stores = stores
        self._answer_seconds = answer_seconds

    async def diagnose(self, language: str) -> list[StepReport]:
        """Examine everything and put it into words of a language, ``en`` or ``de``. Raises only CancelledError."""
        return report_findings(await self.examine(), language)

    async def examine(self) -> list[Finding]:
        """Take all steps and return their findings in order; after a failure the rest is not tried."""
        run = _Examination(self._destination, await self._interfaces())
        if run.destination.address is None:
            run.note(await self._resolve(run))
        if run.destination.address is not None:
            await self._ask(run)
            await self._try_smgw_local(run)
        return list(_ordered(run))

    async def _resolve(self, run: _Examination) -> Finding:
        begun, target = self._clock(), run.destination.target.endpoint
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_NAME_SECONDS):
                entries = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            return judge_failure(NameUnknownError(str(error)), run.destination, {}, own_address=False)
        addresses = [str(address[0]).partition("%")[0] for *_, address in entries]
        run.destination = replace(run.destination, resolved=ipaddress.ip_address(addresses[0]))
        facts = {**run.destination.facts, "addresses": ", ".join(dict.fromkeys(addresses))}
        return Finding(Step.NAME, True, "name_ok", facts, self._clock() - begun)

    async def _ask(self, run: _Examination) -> None:
        """Ask the gateway over a connection of the pool; once more if a kept one turned out to be dead."""
        while True:
            reused = False
            begun = self._clock()
            try:
                first_contact = await self._is_first_contact()
                gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                with self._never_learning():
                    async with self._pool.lease(gone, run.step) as lease:
                        reused = lease.reused
                        await self._examine_lease(run, lease, first_contact=first_contact)
            except FirstContactError as found:
                self._note_steps(run)
                run.note(self._judge_certificate(run.destination, found.certificate, new=True))
            except ConnectionLostError as error:
                if reused:
                    run.found = {step: each for step, each in run.found.items() if step is Step.NAME}
                    continue
                self._fail(run, error, begun)
            except ProxyError as error:
                self._fail(run, error, begun)
            return

    async def _examine_lease(self, run: _Examination, lease: Lease, *, first_contact: bool) -> None:
        if lease.reused:
            for step in (Step.TCP, Step.TLS):
                run.note(Finding(step, True, "kept", run.destination.facts))
        else:
            self._note_steps(run)
        certificate = lease.connection.certificate
        new = first_contact and not self._stores
        run.note(self._judge_certificate(run.destination, certificate, new=new))
        for path in PATHS:
            begun = self._clock()
            answer = await self._request(lease.connection, path, self._destination.host_header)
            finding = judge_answer(answer.status, answer.headers, run.destination, subject=certificate.subject)
            finding = replace(finding, seconds=self._clock() - begun)
            if finding.code != "http_not_a_gateway" or path == PATHS[-1] or not lease.connection.reusable:
                run.note(finding)
                return

    async def _try_smgw_local(self, run: _Examination) -> None:
        """Ask once more as ``smgw.local`` after a bare 400: some gateways by EMH take no other Host header."""
        refused = run.found.get(Step.HTTP)
        if (
            refused is None
            or refused.facts.get("status") != _BAD_REQUEST
            or run.destination.host_header == SMGW_LOCAL
        ):
            return
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with suppress(ProxyError, FirstContactError), self._never_learning():
            async with self._pool.lease(gone) as lease:
                answer = await self._request(lease.connection, PATHS[0], SMGW_LOCAL)
                if judge_answer(answer.status, answer.headers, run.destination, subject="").ok:
                    run.found[Step.HTTP] = replace(refused, code=WANTS_SMGW_LOCAL)

    def _never_learning(self) -> AbstractContextManager[None]:
        return self._trust.without_learning() if self._stores else nullcontext()

    async def _request(self, connection: Connection, path: bytes, host: str) -> Answer:
        headers = [
            (b"Host", host.encode()),
            (b"User-Agent", b"smgw-proxy"),
            (b"Accept", b"*/*"),
        ]
        request = GatewayRequest(b"GET", path, headers, None, chunked=False, has_login=False)
        try:
            async with asyncio.timeout(self._answer_seconds):
                answer = await connection.exchange(request)
                await discard(connection.body(), limit=DRAIN_LIMIT)  # a broken body is a finding, too
                return answer
        except TimeoutError:
            raise ReadTimeoutError(seconds=f"{self._answer_seconds:g}") from None

    async def _is_first_contact(self) -> bool:
        await self._trust.refresh()
        return self._trust.learns

    def _fail(self, run: _Examination, error: ProxyError, begun: float) -> None:
        own = judge_address(run.destination, run.interfaces, reached=None)
        finding = judge_failure(error, run.destination, run.done, own_address=own.code == "address_ok")
        self._note_steps(run)
        # In TLS 1.3 the gateway judges the proxy's certificate behind a handshake that was noted as fine.
        run.found[finding.step] = replace(finding, seconds=self._clock() - begun - sum(run.done.values()))

    def _note_steps(self, run: _Examination) -> None:
        for step, seconds in run.done.items():
            run.note(Finding(step, True, f"{step}_ok", run.destination.facts, seconds))

    def _judge_certificate(self, destination: Destination, certificate: Certificate, *, new: bool) -> Finding:
        facts = {
            **destination.facts,
            "groups": grouped(certificate.fingerprint),
            "subject": certificate.subject or "-",
            "not_after": f"{certificate.not_after:%Y-%m-%d}" if certificate.not_after else "-",
        }
        state = expiry(certificate, self._now())
        if new:
            return Finding(Step.CERTIFICATE, None, "certificate_new", facts)
        if state is not None:
            return Finding(Step.CERTIFICATE, None, f"certificate_{state.value}", facts)
        return Finding(Step.CERTIFICATE, True, "certificate_ok", facts)


def _ordered(run: _Examination) -> Iterator[Finding]:
    tcp = run.found.get(Step.TCP)
    # A refusal is an answer too, perhaps through a router: the lack of an own address is then no failure.
    reached = tcp.ok if tcp and tcp.code not in {"tcp_busy", "tcp_refused", "tcp_refused_port"} else None
    run.note(judge_address(run.destination, run.interfaces, reached=reached))
    for step in Step:
        if step in run.found:
            yield run.found[step]
        elif step is not Step.NAME:
            yield Finding(step, None, "not_tried")


def report_findings(findings: Iterable[Finding], language: str) -> list[StepReport]:
    """Put findings into words; an unknown language is answered in English."""
    reports = []
    for each in findings:
        words = explain_finding(each.code, language, each.facts)
        name = name_step(each.step, language)
        reports.append(StepReport(name, each.ok, each.seconds, words.sentence, words.remedy))
    return reports
