"""What the gateway has said of the accounts, kept through a restart in a file beside the gateway's pin.

An account that it refused must stay stopped, and one that it took keeps the chances of a right password: after a
power cut the gateway starts together with the proxy, and closes connections for minutes. Owns that file,
``TARGET.logins``. It must never hold a user name or a password, only a slow hash with a salt of its own, and whatever
is wrong with it must never stop an account: the gateway then sees two more logins, no more than before a first start.
What cannot be written is tried again until it can, so that the file does not stop an account later that a person has
let go on. It must never make the folder: its absence tells a running proxy that the pins are gone.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final

from smgw_proxy_addon.files import Files
from smgw_proxy_addon.options import Options

_LOGGER: Final = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds that the file may take to be written when the proxy stops."""

RETRY: Final = 30.0
"""Seconds after which a change that could not be written is tried again."""

_VERSION: Final = 1
_SALT: Final = 16


class Verdict(StrEnum):
    """What the gateway has said of an account: refused for good, or let in with the password that it still has."""

    REFUSED = "refused"
    TAKEN = "taken"


Verdicts = Mapping[int, Verdict]
"""Those of the accounts of which it has said something, by their numbers from 1."""


class LoginMemory:
    """Remembers the verdicts on the accounts, for the options' target.

    An account with another user name, password, target or ``digest_algorithm`` is another one.
    """

    def __init__(self, options: Options, files: Files | None = None) -> None:
        self._path = options.cert_dir / f"{options.target.name}.logins"
        what = (options.target.name, options.digest_algorithm)
        self._accounts = [json.dumps([*what, each.username, each.password]).encode() for each in options.accounts]
        self._files = files or Files()
        self._kept: Verdicts | None = {}
        """What is in the file, None if it should be something else and could not be changed."""
        self._wanted: Verdicts = {}
        self._told = False  # that it cannot be changed
        self._hurry = asyncio.Event()
        self._closing = False
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> Verdicts:
        """Give what the gateway said when the proxy ran before. Raises nothing."""
        self._wanted, current = await asyncio.to_thread(self._load)
        self._kept = self._wanted if current else None
        if not current:
            self.keep(self._wanted)
        return self._wanted

    def keep(self, verdicts: Verdicts) -> None:
        """Remember these and no others; returns before that is written."""
        self._wanted = verdicts
        self._hurry.set()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait until it is written, or cannot be for the last time, but not for a medium that hangs."""
        self._closing = True
        self._hurry.set()
        if self._writing:
            await asyncio.wait([self._writing], timeout=PATIENCE)

    async def _write(self) -> None:
        while self._kept != (wanted := self._wanted):
            self._hurry.clear()
            closing = self._closing
            self._kept = wanted if await asyncio.to_thread(self._store, wanted) else None
            if self._kept is None:
                if closing:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY):
                        await self._hurry.wait()

    def _load(self) -> tuple[Verdicts, bool]:
        """Read the file, and drop from it what is no account any more; tell whether the file is like that now.

        Must be run in executor.
        """
        try:
            salt, verdicts = _decoded(self._files.read(self._path))
        except FileNotFoundError:
            return {}, True
        except (OSError, ValueError) as error:
            _LOGGER.warning(
                "%s cannot be read (%s), so a login that was refused earlier is tried again, and the file is removed",
                self._path,
                _problem(error),
            )
            return {}, False
        hashes = {number: _hashed(account, salt) for number, account in enumerate(self._accounts, start=1)}
        found = {number: verdicts[each] for number, each in hashes.items() if each in verdicts}
        return found, len(found) == len(verdicts) or self._store(found)

    def _store(self, verdicts: Verdicts) -> bool:
        """Write the file, or remove it if there is nothing to remember; tell whether that was done.

        Must be run in executor.
        """
        try:
            if verdicts:
                salt = secrets.token_bytes(_SALT)
                hashes = {_hashed(self._accounts[number - 1], salt): each for number, each in verdicts.items()}
                data = json.dumps({"version": _VERSION, "salt": salt.hex(), "accounts": hashes})
                self._files.put(self._path, data.encode(), draft=self._path.with_name(f".{self._path.name}.new"))
            else:
                self._files.remove(self._path)
                self._files.sync_folder(self._path.parent)
        except (OSError, ValueError) as error:
            if not self._told:
                _LOGGER.warning(
                    "%s cannot be changed (%s), so the next start does not know what the gateway said of the logins; "
                    "make its folder writable for the proxy, with some space left",
                    self._path,
                    _problem(error),
                )
            self._told = True
            return False
        if self._told:
            _LOGGER.warning("%s can be changed again", self._path)
        self._told = False
        return True


def _hashed(account: bytes, salt: bytes) -> str:
    # Slow (about 50 ms and 16 MB), because the file tells whoever has it which password is the refused one.
    return hashlib.scrypt(account, salt=salt, n=1 << 14, r=8, p=1, dklen=32).hex()


def _decoded(data: bytes) -> tuple[bytes, dict[str, Verdict]]:
    """Read the salt, and the verdicts on the accounts with these hashes. Raises ValueError if it is no such file."""
    try:
        content = json.loads(data)
        salt = bytes.fromhex(content["salt"])
        verdicts = {account: Verdict(each) for account, each in content["accounts"].items()}
        ours = content["version"] == _VERSION and len(salt) == _SALT
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        ours = False
    if not ours:
        raise ValueError("not what the proxy writes")
    return salt, verdicts


def _problem(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
