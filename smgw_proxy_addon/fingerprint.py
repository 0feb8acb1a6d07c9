"""A certificate's fingerprint, as read from and written for people."""

import re
from typing import Final

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
# "sha256:" as many tools write it, "sha256 Fingerprint=" as openssl does.
_FINGERPRINT_PREFIX: Final = re.compile(r"^sha-?256(\s+fingerprint)?\s*[:=]")


def normalise_fingerprint(text: str) -> str:
    """Return 64 lower-case digits; colons, spaces, upper case and a ``sha256:`` before them are allowed.

    Raises ValueError with a text for people that does not repeat the input.
    """
    digits = _FINGERPRINT_PREFIX.sub("", text.strip().lower())
    digits = re.sub(r"[\s:]", "", digits)
    if not _FINGERPRINT.fullmatch(digits):
        hint = " (40 digits are a SHA-1 fingerprint)" if len(digits) == 40 else ""  # noqa: PLR2004 - said there
        raise ValueError(f"a fingerprint is a SHA-256 in 64 hexadecimal digits{hint}")
    return digits


def grouped(fingerprint: str) -> str:
    """Return a fingerprint in groups of four digits."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))
