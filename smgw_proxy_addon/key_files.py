"""Reads a certificate with its key from PEM files, and names what is wrong with them in one plain line.

Never asks for a pass phrase: nobody sits at the terminal of a service.
"""

import os
import ssl
from pathlib import Path
from typing import NoReturn


class KeyFilesError(Exception):
    """A certificate or key cannot be used; the text is one plain line with the remedy."""


class NoRightToReadError(KeyFilesError):
    """A file is there and may not be read: after the start root's rights are gone."""


class BrokenKeyFilesError(KeyFilesError):
    """The files are missing or hold the wrong thing."""


def load_key_files(context: ssl.SSLContext, certfile: Path, keyfile: Path) -> None:
    """Have ``context`` show the certificate. Raises KeyFilesError. Must be run in executor."""
    certificate, key = read_key_file(certfile), read_key_file(keyfile)

    def no_pass_phrase() -> NoReturn:
        raise BrokenKeyFilesError(f"{keyfile} is encrypted; store the key without a pass phrase")

    try:
        context.load_cert_chain(certfile, keyfile, password=no_pass_phrase)
    except OSError as error:  # ssl.SSLError is one
        raise BrokenKeyFilesError(_problem(error, (certfile, certificate), (keyfile, key))) from None


def read_key_file(path: Path) -> bytes:
    """Return what is in a file. Raises KeyFilesError. Must be run in executor."""
    try:
        if path.exists() and not path.is_file():
            raise BrokenKeyFilesError(f"{path} is not a file; give the name of a file in PEM form")
        return path.read_bytes()
    except FileNotFoundError:
        raise BrokenKeyFilesError(f"{path} does not exist; check its name") from None
    except OSError as error:
        there = os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder may not be entered
        kind = NoRightToReadError if there else KeyFilesError
        raise kind(
            f"{path} cannot be read ({error.strerror}); make it readable for the user that the proxy runs as"
        ) from None


def _problem(error: OSError, certfile: tuple[Path, bytes], keyfile: tuple[Path, bytes]) -> str:
    reason = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "one of them is damaged"
    if reason == "KEY_VALUES_MISMATCH":
        return f"{keyfile[0]} is not the key of {certfile[0]}; use the two files that belong together"
    if b"-----BEGIN CERTIFICATE-----" not in certfile[1]:
        return f"{certfile[0]} holds no certificate in PEM form; give the file with the certificate"
    if b" PRIVATE KEY-----" not in keyfile[1]:
        return f"{keyfile[0]} holds no key in PEM form; give the file with the private key"
    words = reason.replace("_", " ").lower()
    return f"{certfile[0]} with {keyfile[0]} cannot be used ({words}); use another certificate"
