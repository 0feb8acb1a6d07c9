"""The accounts: gateway logins of the proxy itself, how they are read, and what the gateway has answered to them.

No name or password is ever shown: an error names an entry by its position. Pure: no file is opened.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import voluptuous as vol

_UNWRITABLE: Final = frozenset({"Cc", "Cs"})
"""Unicode categories: control characters, surrogates."""


@dataclass(frozen=True, slots=True)
class Account:
    """A login at the gateway, and of clients at the proxy; never shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)


class LoginOutcomes(NamedTuple):
    """What the gateway has said of an account with its present password.

    ``taken``: it has let it in. ``refusals`` of the password, and connections ``closed`` instead of an answer to it,
    are counted since then.
    """

    taken: bool = False
    refusals: int = 0
    closed: int = 0


AccountOutcomes = Mapping[int, LoginOutcomes]
"""Those of the accounts of which the gateway has said something, by their numbers from 1."""


def read_accounts(value: object) -> tuple[Account, ...]:
    """Read a list of user names with their passwords. Raises ``vol.Invalid``."""
    if not isinstance(value, list | tuple):
        raise vol.Invalid("not a list")
    accounts = [_read_account(entry, position) for position, entry in enumerate(value, start=1)]
    names = [account.username for account in accounts]
    for position, name in enumerate(names, start=1):
        if name in names[: position - 1]:
            raise vol.Invalid(f"entry {position} has the user name of an earlier entry")
    return tuple(accounts)


def _read_account(entry: object, position: int) -> Account:
    """Read one account; the error does not hold its values."""
    if not isinstance(entry, Mapping) or set(entry) != {"username", "password"}:
        raise vol.Invalid(f'entry {position} is not a "username" with a "password" and nothing else')
    username, password = entry["username"], entry["password"]
    for what, text in (("user name", username), ("password", password)):
        if not isinstance(text, str):
            raise vol.Invalid(f"the {what} of entry {position} is not a text")
        if not text.strip():
            raise vol.Invalid(f"the {what} of entry {position} is empty")
        if any(unicodedata.category(letter) in _UNWRITABLE for letter in text):
            raise vol.Invalid(f"the {what} of entry {position} holds characters that cannot be printed")
    if ":" in username:  # RFC 7616 section 3.4.2
        raise vol.Invalid(f"the user name of entry {position} holds a colon")
    return Account(username, password)
