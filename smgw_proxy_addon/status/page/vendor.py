"""Which make a gateway is, from what it answered or from its certificate's name. Pure."""

import re
from enum import Enum
from typing import Final


class Vendor(Enum):
    """A make of gateway, by the name that people know."""

    THEBEN = "Theben"
    PPC = "PPC"
    EMH = "EMH"
    SAGEMCOM = "Sagemcom"


_PATHS: Final = (
    (re.compile(r"/smgw/m2m(?![^/?#])"), Vendor.THEBEN),
    (re.compile(r"/cgi-bin/hanservice\.cgi(?![^/?#])"), Vendor.PPC),
    (re.compile(r"/json/metering(?![^/?#])"), Vendor.EMH),
    (re.compile(r"/smgw/hgp(?![^/?#])"), Vendor.SAGEMCOM),
)
_USER_PATH: Final = re.compile(r"/smgw/m2m/[\w.~%-]+", re.ASCII)
# A device id begins with E and the maker's three letters in the register of the FLAG association; DNT is Dr. Neuhaus.
_SUBJECT: Final = re.compile(r"CN=E(THE|PPC|EMH|DNT)\d", re.IGNORECASE)
_MAKERS: Final = {"THE": Vendor.THEBEN, "PPC": Vendor.PPC, "EMH": Vendor.EMH, "DNT": Vendor.SAGEMCOM}


def from_answer(target: str, status: int) -> Vendor | None:
    """Tell the make from a target that the gateway itself answered with ``status``.

    A refusal proves nothing: a gateway may ask for the login before it looks at the path.
    """
    if not _found(status):
        return None
    return next((vendor for path, vendor in _PATHS if path.match(target)), None)


def from_subject(subject: str) -> Vendor | None:
    """Tell the make from the subject of the certificate (RFC 4514)."""
    found = _SUBJECT.search(subject)
    return _MAKERS[found[1].upper()] if found else None


def find_user_path(target: str, status: int) -> str | None:
    """Return Theben's path of the user who logged in, such as ``/smgw/m2m/ETHE0300186023.sm``."""
    found = _USER_PATH.match(target)
    return found[0] if found and _found(status) else None


def _found(status: int) -> bool:
    return 200 <= status < 400  # noqa: PLR2004 - HTTP's successes and redirections
