"""The pin of a running proxy: in memory, kept in step with its file, compared in each handshake.

A handshake is synchronous, so ``judge`` decides from memory. Files are read before the handshake (``refresh``) and
written after it (``settle``), in an executor; a connection carries requests only once the pin is on disk.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from smgw_proxy_addon.errors import (
    CertificateChangedError,
    CertificateNotAllowedError,
    GatewayError,
    OutOfDescriptorsError,
    PinNotWrittenError,
    PinUnreadableError,
    TargetIsProxyError,
)
from smgw_proxy_addon.trust.policy import (
    Certificate,
    Decision,
    Engine,
    Expiry,
    Pin,
    Policy,
    describe,
    expiry,
    judge_certificate,
)
from smgw_proxy_addon.trust.store import TrustStore

_LOGGER: Final = logging.getLogger(__name__)

_EXPIRY_WORDS: Final = {
    Expiry.EXPIRED: "has expired",
    Expiry.EXPIRES_SOON: "expires soon",
    Expiry.NOT_YET_VALID: "is not valid yet",
}


@contextmanager
def _naming_exhaustion() -> Iterator[None]:
    """Raise ``OutOfDescriptorsError`` for a lack of descriptors: an error about the pin might get it deleted."""
    try:
        yield
    except (PinUnreadableError, PinNotWrittenError) as error:
        if OutOfDescriptorsError.is_behind(error.__cause__):
            raise OutOfDescriptorsError(error.detail) from None
        raise


class FirstContactError(Exception):
    """Nothing is pinned yet and nothing may be learnt now; ``certificate`` is what the gateway showed."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate.fingerprint)
        self.certificate = certificate


class GatewayTrust:
    """The pin of one gateway in memory.

    Call ``refresh`` before a connection is made, and now and then while it is used; ``judge`` inside its handshake,
    ``settle`` before its first request, ``report`` when its certificate was refused. ``is_own`` recognises a
    certificate of the proxy's own listeners.
    """

    def __init__(
        self,
        store: TrustStore,
        policy: Policy,
        *,
        target: str,
        now: Callable[[], datetime],
        is_own: Callable[[bytes], bool] = lambda _der: False,
    ) -> None:
        self._store = store
        self._is_own = is_own
        self._policy = policy
        self._target = target
        self._now = now
        self._pin: Pin | None = None
        self._candidate: Certificate | None = None
        self._handshakes = 0
        self._not_learning: set[asyncio.Task[Any] | None] = set()
        self._signature: object = None  # equal to no signature: the next refresh reads the file
        self._file_lock = asyncio.Lock()
        self._accepted: Certificate | None = None
        self._refused: str | None = None
        self._warned: tuple[str, Expiry] | None = None
        self._unwritable = False

    @property
    def pin(self) -> Pin | None:
        """The pin as last read or learnt."""
        return self._pin

    @property
    def policy(self) -> Policy:
        """The configured policy."""
        return self._policy

    @property
    def shown(self) -> str | None:
        """The fingerprint of the certificate that was shown last, trusted or not; None before the first."""
        if self._refused is not None:
            return self._refused
        return self._accepted.fingerprint if self._accepted else None

    @property
    def learns(self) -> bool:
        """Whether the next certificate will be trusted, because none is pinned or configured."""
        return self._pin is None and self._policy.fingerprint is None

    @property
    def accepted(self) -> Certificate | None:
        """The trusted certificate that the gateway showed last."""
        return self._accepted

    @property
    def refused(self) -> str | None:
        """The fingerprint of the certificate that was refused last, until a trusted one is shown again."""
        return self._refused

    async def refresh(self) -> None:
        """Read the pin again if its file changed, as it does under the ``trust`` command.

        Raises ``PinUnreadableError`` or ``OutOfDescriptorsError``: nothing may be forwarded then.
        """
        if self._policy.fingerprint is not None:
            return
        async with self._file_lock:
            signature = await asyncio.to_thread(self._store.signature)
            if signature != self._signature:
                with _naming_exhaustion():
                    pin = await asyncio.to_thread(self._store.load)
                if pin is None and self._pin and await asyncio.to_thread(self._store.gone):
                    # The disk is not mounted: the pin still exists, so nothing may be learnt.
                    raise PinUnreadableError(file=self._target, problem="its folder is gone")
                self._pin, self._signature = pin, signature

    def accepts(self, certificate: Certificate) -> bool:
        """Tell whether a connection with this certificate may still be used."""
        return judge_certificate(self._pin, certificate, self._policy) is Decision.ACCEPT

    @contextmanager
    def handshake(self) -> Iterator[None]:
        """Keep the first contact's certificate from ``judge`` to ``settle``; if it was not stored, forget it."""
        self._handshakes += 1
        try:
            yield
        finally:
            self._handshakes -= 1
            if not self._handshakes:
                self._candidate = None

    @contextmanager
    def without_learning(self) -> Iterator[None]:
        """End each first contact of the current task with ``FirstContactError``; nothing is stored then."""
        task = asyncio.current_task()
        self._not_learning.add(task)
        try:
            yield
        finally:
            self._not_learning.discard(task)

    def judge(self, der: bytes) -> None:
        """Accept a certificate for now; called inside the handshake.

        Raises ``CertificateChangedError``, ``CertificateNotAllowedError`` or ``TargetIsProxyError``.
        """
        if self._is_own(der):
            raise TargetIsProxyError(target=self._target)
        certificate = describe(der, self._pin)
        known = self._pin or (Pin(self._candidate) if self._candidate else None)
        decision = judge_certificate(known, certificate, self._policy)
        if decision.rejects:
            raise self._rejection(decision, known, certificate)
        if decision is Decision.LEARN:
            # Handshakes that end before it is on disk are compared with it, too.
            self._candidate = certificate

    async def settle(self, der: bytes, engine: Engine = Engine.OPENSSL) -> Certificate:
        """Store what ``judge`` accepted, and which engine saw it. Only after this may requests be sent.

        Raises ``PinNotWrittenError`` or ``OutOfDescriptorsError``, ``CertificateChangedError`` when another process
        learnt another one, and ``FirstContactError`` inside ``without_learning``.
        """
        certificate = describe(der, self._pin)
        if self.learns and asyncio.current_task() in self._not_learning:
            raise FirstContactError(certificate)
        if self._policy.fingerprint is None:
            with _naming_exhaustion():
                async with self._file_lock:
                    known = self._pin or await self._learn(certificate, engine)
                    # The pin may have changed since the handshake.
                    decision = judge_certificate(known, certificate, self._policy)
                    if decision.rejects:
                        raise self._rejection(decision, known, certificate)
                    await self._note(self._store.seen, certificate, engine)
        if self._refused is not None:
            _LOGGER.warning("The gateway %s shows the trusted certificate again", self._target)
            self._refused = None
        self._accepted = certificate
        self._warn_of_expiry(certificate)
        return certificate

    async def report(self, problem: GatewayError, der: bytes, engine: Engine = Engine.OPENSSL) -> None:
        """Store a refused certificate for ``trust accept``, and log it if it is another one than the last."""
        if isinstance(problem, TargetIsProxyError):
            return  # nobody is to trust it
        certificate = describe(der)
        if certificate.fingerprint != self._refused:
            self._refused = certificate.fingerprint
            _LOGGER.error(
                "Certificate of the gateway %s refused (%s): shown %s, expected %s. Nothing was sent to it.",
                self._target,
                problem.code,
                certificate.fingerprint,
                problem.facts["pinned"],
            )
        if isinstance(problem, CertificateChangedError):
            await self._note(self._store.refuse, certificate, engine)

    async def _learn(self, certificate: Certificate, engine: Engine) -> Pin:
        """Store the first certificate; returns the pin, which another process may have stored before."""
        self._pin = await asyncio.to_thread(self._store.learn, certificate, self._now(), engine)
        # The next refresh must read the file: it may have changed since, or be missing as before.
        self._signature = None
        if self.accepts(certificate):
            _LOGGER.warning(
                "First contact with the gateway %s: its certificate is trusted from now on: %s (%s)",
                self._target,
                certificate.fingerprint,
                certificate.subject,
            )
        return self._pin

    async def _note(
        self, change: Callable[[Certificate, datetime, Engine], None], certificate: Certificate, engine: Engine
    ) -> None:
        """Store what no decision depends on. A failure is logged once, and its end."""
        try:
            await asyncio.to_thread(change, certificate, self._now(), engine)
        except PinNotWrittenError as error:
            if not self._unwritable:
                _LOGGER.warning(
                    "What the gateway showed could not be stored: %s; the stored certificate stays in force",
                    error.detail,
                )
            self._unwritable = True
        else:
            if self._unwritable:
                _LOGGER.warning("What the gateway shows can be stored again")
            self._unwritable = False

    def _warn_of_expiry(self, certificate: Certificate) -> None:
        state = expiry(certificate, self._now())
        if state is None or self._warned == (certificate.fingerprint, state):
            return
        self._warned = (certificate.fingerprint, state)
        _LOGGER.warning(
            "The certificate of the gateway %s %s (valid from %s to %s); it stays trusted",
            self._target,
            _EXPIRY_WORDS[state],
            certificate.not_before,
            certificate.not_after,
        )

    def _rejection(self, decision: Decision, pin: Pin | None, shown: Certificate) -> GatewayError:
        facts = {
            "target": self._target,
            "presented": shown.fingerprint,
            "presented_subject": shown.subject,
            "presented_not_before": str(shown.not_before or ""),
            "presented_not_after": str(shown.not_after or ""),
        }
        if decision is Decision.NOT_ALLOWED or pin is None:
            return CertificateNotAllowedError(pinned=self._policy.fingerprint or "", **facts)
        return CertificateChangedError(
            pinned=pin.certificate.fingerprint,
            pinned_not_before=str(pin.certificate.not_before or ""),
            pinned_not_after=str(pin.certificate.not_after or ""),
            **facts,
        )
