"""The certificate that clients of the HTTPS listener see: the user's own, or one made once and kept.

Owns the files ``listener.crt`` and ``listener.key`` beside the pins and the server side's TLS context. Knows
nothing about the gateway.
"""

import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smgw_proxy_addon.files import Files, remedy_for, stamp
from smgw_proxy_addon.key_files import BrokenKeyFilesError, KeyFilesError, load_key_files, read_key_file

_LOGGER: Final = logging.getLogger(__name__)


class ListenerCertificate:
    """A certificate with its key, read again when the files change.

    Must be made in executor. Raises KeyFilesError.
    """

    context: ssl.SSLContext
    """For the listener; stays the same object."""

    def __init__(self, certfile: Path, keyfile: Path) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._seen = self._signature()
        self._newest = self.context = _load(certfile, keyfile)
        self._shown = {_first_certificate(certfile)}
        self.context.sni_callback = self._show_newest

    def reload_if_changed(self) -> bool:
        """Read the files again if they have changed, and tell whether clients see a new certificate from now on.

        Raises KeyFilesError once per change if they cannot be used: the old certificate stays.
        Must be run in executor.
        """
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        self._newest = _load(self._certfile, self._keyfile)
        self._shown.add(_first_certificate(self._certfile))
        return True

    def shows(self, der: bytes) -> bool:
        """Tell whether this is a certificate that clients see or have seen: then its owner is this proxy."""
        return bool(der) and der in self._shown

    def _show_newest(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        # Called in every handshake, also without SNI. Loading into the listener's own context instead could leave
        # it with a certificate and a key that do not match, if the files change at that moment.
        connection.context = self._newest

    def _signature(self) -> list[tuple[int, ...]]:
        return [stamp(path) for path in (self._certfile, self._keyfile)]


def ensure_self_signed(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Return certificate and key of our own in ``folder``, made if there are none or if they are of no use.

    A broken pair is made again, since nobody else made it; one that may not be read is an error. ``names`` are DNS
    names and addresses, as ``local_names`` gives them. Raises KeyFilesError. Must be run in executor.
    """
    certfile, keyfile = folder / "listener.crt", folder / "listener.key"
    try:
        _load(certfile, keyfile)
    except BrokenKeyFilesError as error:
        broken = str(error) if certfile.exists() or keyfile.exists() else None
    else:
        return certfile, keyfile
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        from smgw_proxy_addon.server import self_signed  # noqa: PLC0415 - 10 MB, for the first start alone

        certificate, key = self_signed.make(names)
        # A stop between the two leaves a pair that does not match, which is made again at the next start.
        for path, data in ((keyfile, key), (certfile, certificate)):
            # No lock: two proxies may make the certificate of one folder at once.
            Files().put(path, data, draft=path.with_name(f".{path.name}.{os.getpid()}"))
    except OSError as error:
        raise KeyFilesError(
            f"The certificate of the HTTPS listener cannot be stored in {folder}: {error.strerror}; "
            f"{remedy_for(error)}"
        ) from error
    if broken:
        _LOGGER.warning("The certificate of the HTTPS listener is made again: %s", broken)
    _LOGGER.info("Made the certificate of the HTTPS listener, %s, for %s", certfile, ", ".join(names))
    return certfile, keyfile


def _load(certfile: Path, keyfile: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load_key_files(context, certfile, keyfile)
    return context


def _first_certificate(certfile: Path) -> bytes:
    """Return the one that a server shows as its own; those of the chain follow it."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = read_key_file(certfile).decode("latin-1")
    try:
        return ssl.PEM_cert_to_DER_cert(begin + text.partition(begin)[2].partition(end)[0] + end)
    except ValueError:
        return b""  # OpenSSL reads more spellings of PEM than Python does
