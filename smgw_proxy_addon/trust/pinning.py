"""The pin of a running proxy: in memory, kept in step with its file, compared with each handshake.

Files are read before the handshake (``refresh``) and written after it (``settle``), in an executor; a connection
carries requests only once its certificate was compared and the pin is on disk.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
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
from smgw_proxy_addon.trust.policy import Certificate, Engine, Expiry, Pin, describe, expiry, matches
from smgw_proxy_addon.trust.store import TrustStore

_LOGGER: Final = logging.getLogger(__name__)


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


@dataclass(eq=False, repr=False)
class GatewayTrust:
    """The pin of one gateway in memory.

    Call ``refresh`` before a connection is made, and now and then while it is used; ``settle`` behind its handshake,
    before its first request. ``configured`` is the fingerprint of the only certificate that is accepted, None if the
    first one that is shown is to be learnt; ``is_own`` recognises a certificate of the proxy's own listeners.

    ``pin`` is what was last read or learnt, ``accepted`` the trusted certificate that the gateway showed last,
    ``refused`` the fingerprint of the one that was refused last, until a trusted one is shown again.
    """

    store: TrustStore
    _: KW_ONLY
    configured: str | None
    target: str
    now: Callable[[], datetime]
    is_own: Callable[[bytes], bool] = lambda _der: False
    pin: Pin | None = field(default=None, init=False)
    accepted: Certificate | None = field(default=None, init=False)
    refused: str | None = field(default=None, init=False)
    _not_learning: set[asyncio.Task[Any] | None] = field(default_factory=set, init=False)
    _signature: object = field(default=None, init=False)  # equal to no signature: the next refresh reads
    _file_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _warned: tuple[str, Expiry] | None = field(default=None, init=False)
    _unwritable: bool = field(default=False, init=False)

    @property
    def shown(self) -> str | None:
        """The fingerprint of the certificate that was shown last, trusted or not; None before the first."""
        return self.refused or (self.accepted and self.accepted.fingerprint)

    @property
    def learns(self) -> bool:
        """Whether the next certificate will be trusted, because none is pinned or configured."""
        return self.pin is None and self.configured is None

    async def refresh(self) -> None:
        """Read the pin again if its file changed, as it does under the ``trust`` command.

        Raises ``PinUnreadableError`` or ``OutOfDescriptorsError``: nothing may be forwarded then.
        """
        if self.configured is not None:
            return
        async with self._file_lock:
            signature = await asyncio.to_thread(self.store.signature)
            if signature != self._signature:
                with _naming_exhaustion():
                    pin = await asyncio.to_thread(self.store.load)
                if pin is None and self.pin and await asyncio.to_thread(self.store.gone):
                    # The disk is not mounted: the pin still exists, so nothing may be learnt.
                    raise PinUnreadableError(file=self.target, problem="its folder is gone")
                self.pin, self._signature = pin, signature

    def accepts(self, certificate: Certificate) -> bool:
        """Tell whether a connection with this certificate may still be used."""
        return matches(self.pin, certificate.fingerprint, self.configured)

    @contextmanager
    def without_learning(self) -> Iterator[None]:
        """End each first contact of the current task with ``FirstContactError``; nothing is stored then."""
        task = asyncio.current_task()
        self._not_learning.add(task)
        try:
            yield
        finally:
            self._not_learning.discard(task)

    async def settle(self, der: bytes, engine: Engine = Engine.OPENSSL) -> Certificate:
        """Decide about the certificate of a new connection, and store it if it is the first.

        Only after this may requests be sent. ``engine`` is what has seen it. Raises ``CertificateChangedError``,
        ``CertificateNotAllowedError`` or ``TargetIsProxyError``; ``PinNotWrittenError``, ``PinUnreadableError`` or
        ``OutOfDescriptorsError``; ``FirstContactError`` inside ``without_learning``.
        """
        if self.is_own(der):
            raise TargetIsProxyError(target=self.target)  # and nobody is to trust it: it is not stored as refused
        certificate = describe(der, self.pin)
        # One at a time: of two first certificates one is stored, and the other one is compared with it.
        with _naming_exhaustion():
            async with self._file_lock:
                if self.learns:
                    await self._learn(certificate, engine)
                if not self.accepts(certificate):
                    raise await self._refuse(certificate, engine)
                if self.configured is None:
                    await self._note(self.store.seen, certificate, engine)
        if self.refused is not None:
            _LOGGER.warning("The gateway %s shows the trusted certificate again", self.target)
            self.refused = None
        self.accepted = certificate
        self._warn_of_expiry(certificate)
        return certificate

    async def _refuse(self, certificate: Certificate, engine: Engine) -> GatewayError:
        """Store a refused certificate for ``trust accept``, and log it if it is another one than the last.

        Returns the error, and does not raise it: it would refer to the frame here, and this to it.
        """
        problem = self._rejection(certificate)
        if certificate.fingerprint != self.refused:
            self.refused = certificate.fingerprint
            _LOGGER.error(
                "Certificate of the gateway %s refused (%s): shown %s, expected %s. Nothing was sent to it.",
                self.target,
                problem.code,
                certificate.fingerprint,
                problem.facts["pinned"],
            )
        if isinstance(problem, CertificateChangedError):
            await self._note(self.store.refuse, certificate, engine)
        return problem

    async def _learn(self, certificate: Certificate, engine: Engine) -> None:
        """Pin the first certificate, or the one that another process has stored before."""
        if asyncio.current_task() in self._not_learning:
            raise FirstContactError(certificate)
        self.pin = await asyncio.to_thread(self.store.learn, certificate, self.now(), engine)
        # The next refresh must read the file: it may have changed since, or be missing as before.
        self._signature = None
        if self.accepts(certificate):
            _LOGGER.warning(
                "First contact with the gateway %s: its certificate is trusted from now on: %s (%s)",
                self.target,
                certificate.fingerprint,
                certificate.subject,
            )

    async def _note(
        self, change: Callable[[Certificate, datetime, Engine], None], certificate: Certificate, engine: Engine
    ) -> None:
        """Store what no decision depends on. A failure is logged once, and its end."""
        try:
            await asyncio.to_thread(change, certificate, self.now(), engine)
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
        state = expiry(certificate, self.now())
        if state is None or self._warned == (certificate.fingerprint, state):
            return
        self._warned = (certificate.fingerprint, state)
        _LOGGER.warning(
            "The certificate of the gateway %s is trusted, but %s (valid from %s to %s)",
            self.target,
            state,
            certificate.not_before,
            certificate.not_after,
        )

    def _rejection(self, shown: Certificate) -> GatewayError:
        facts = {
            "target": self.target,
            "presented": shown.fingerprint,
            "presented_subject": shown.subject,
            "presented_not_before": str(shown.not_before or ""),
            "presented_not_after": str(shown.not_after or ""),
        }
        if self.pin is None or self.configured is not None:
            return CertificateNotAllowedError(pinned=self.configured or "", **facts)
        return CertificateChangedError(
            pinned=self.pin.certificate.fingerprint,
            pinned_not_before=str(self.pin.certificate.not_before or ""),
            pinned_not_after=str(self.pin.certificate.not_after or ""),
            **facts,
        )
