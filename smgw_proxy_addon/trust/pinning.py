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
)
from smgw_proxy_addon.trust.policy import (
    Accept,
    Certificate,
    Expiry,
    Pin,
    Policy,
    Reason,
    Reject,
    decide,
    describe,
    expiry,
)
from smgw_proxy_addon.trust.store import TrustStore

_LOGGER: Final = logging.getLogger(__name__)

_EXPIRY_WORDS: Final = {
    Expiry.EXPIRED: "has expired",
    Expiry.EXPIRES_SOON: "expires soon",
    Expiry.NOT_YET_VALID: "is not valid yet",
}


@contextmanager
def _blaming_no_pin() -> Iterator[None]:
    """Name a lack of descriptors as what it is: told that the pin is broken, a person might forget it."""
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

    Call ``refresh`` before a connection is made or used, ``judge`` inside its handshake, ``settle`` before its first
    request, ``report`` when its certificate was refused.
    """

    def __init__(self, store: TrustStore, policy: Policy, *, target: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._policy = policy
        self._target = target
        self._now = now
        self._pin: Pin | None = None
        self._candidate: Certificate | None = None
        self._handshakes = 0
        self._not_learning: set[asyncio.Task[Any] | None] = set()
        self._signature: object = None  # none is equal to no signature: the file is read
        self._files = asyncio.Lock()
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
        """The policy that is in force."""
        return self._policy

    @property
    def shown(self) -> str | None:
        """The fingerprint of the certificate that the gateway showed last, trusted or not; None before the first."""
        if self._refused is not None:
            return self._refused
        return self._accepted.fingerprint if self._accepted else None

    @property
    def learns(self) -> bool:
        """Tell whether the next certificate will be trusted because none is."""
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
        async with self._files:
            signature = await asyncio.to_thread(self._store.signature)
            if signature != self._signature:
                with _blaming_no_pin():
                    pin = await asyncio.to_thread(self._store.load)
                if pin is None and self._pin and await asyncio.to_thread(self._store.gone):
                    # Not forgotten, but out of reach: a disk that is not mounted is no reason to learn again.
                    raise PinUnreadableError(file=self._target, problem="its folder is gone")
                self._pin, self._signature = pin, signature

    def unchanged(self) -> bool:
        """Tell whether the pin's file is the one that was read; only within a second after ``refresh``.

        Looks in the caller's thread, on every request of a burst: a thread costs a hundred times as much. Names that
        the kernel has just looked up do not reach the disk again, so that there is nothing to wait for.
        """
        return self._policy.fingerprint is not None or self._store.signature() == self._signature

    def accepts(self, certificate: Certificate) -> bool:
        """Tell whether a connection that was made with this certificate may still be used."""
        return isinstance(decide(self._pin, certificate, self._policy), Accept)

    @contextmanager
    def handshake(self) -> Iterator[None]:
        """Hold the verdict of a first contact from ``judge`` to ``settle``; without a pin by then it is void."""
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

        Raises ``CertificateChangedError`` or ``CertificateNotAllowedError``.
        """
        certificate = describe(der, self._pin)
        known = self._pin or (Pin(self._candidate) if self._candidate else None)
        decision = decide(known, certificate, self._policy)
        if isinstance(decision, Reject):
            raise self._rejection(decision.reason, known, certificate)
        if not isinstance(decision, Accept):
            # Handshakes that end before this one is on disk are compared with it all the same.
            self._candidate = certificate

    async def settle(self, der: bytes) -> Certificate:
        """Make the verdict last: after this, and only after this, requests may be sent.

        Raises ``PinNotWrittenError`` or ``OutOfDescriptorsError``, ``CertificateChangedError`` when another process
        learnt another one, and ``FirstContactError`` inside ``without_learning``.
        """
        certificate = describe(der, self._pin)
        if self.learns and asyncio.current_task() in self._not_learning:
            raise FirstContactError(certificate)
        if self._policy.fingerprint is None:
            with _blaming_no_pin():
                async with self._files:
                    known = self._pin or await self._learn(certificate)
                    # Since the handshake, the pin may have become another one.
                    decision = decide(known, certificate, self._policy)
                    if isinstance(decision, Reject):
                        raise self._rejection(decision.reason, known, certificate)
                    await self._note(self._store.seen, certificate)
        if self._refused is not None:
            _LOGGER.warning("The gateway %s shows the trusted certificate again", self._target)
            self._refused = None
        self._accepted = certificate
        self._warn_of_expiry(certificate)
        return certificate

    async def report(self, problem: GatewayError, der: bytes) -> None:
        """Keep a refused certificate for ``trust accept`` and log it: once per change, not once per request."""
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
            await self._note(self._store.refuse, certificate)

    async def _learn(self, certificate: Certificate) -> Pin:
        """Store the certificate of a first contact; returns the pin, which is another program's if that was first."""
        self._pin = await asyncio.to_thread(self._store.learn, certificate, self._now())
        # The next refresh has to read the file again: it may have changed since, or even be gone as it was before.
        self._signature = None
        if self.accepts(certificate):
            _LOGGER.warning(
                "First contact with the gateway %s: its certificate is trusted from now on: %s (%s)",
                self._target,
                certificate.fingerprint,
                certificate.subject,
            )
        return self._pin

    async def _note(self, change: Callable[[Certificate, datetime], None], certificate: Certificate) -> None:
        """Keep what is nice to know; that it cannot be kept is said once, and once that it can again."""
        try:
            await asyncio.to_thread(change, certificate, self._now())
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

    def _rejection(self, reason: Reason, pin: Pin | None, shown: Certificate) -> GatewayError:
        facts = {
            "target": self._target,
            "presented": shown.fingerprint,
            "presented_subject": shown.subject,
            "presented_not_before": str(shown.not_before or ""),
            "presented_not_after": str(shown.not_after or ""),
        }
        if reason is Reason.NOT_ALLOWED or pin is None:
            return CertificateNotAllowedError(pinned=self._policy.fingerprint or "", **facts)
        return CertificateChangedError(
            pinned=pin.certificate.fingerprint,
            pinned_not_before=str(pin.certificate.not_before or ""),
            pinned_not_after=str(pin.certificate.not_after or ""),
            **facts,
        )
