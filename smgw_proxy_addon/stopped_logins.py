"""Which accounts the gateway has refused, kept through a restart in a file beside the gateway's pin.

Owns that file, ``TARGET.stopped``. It must never hold a user name or a password, only a slow hash with a salt of its
own, and whatever is wrong with it must never stop an account: the gateway then sees two more logins, no more than
before a first start. What cannot be written is tried again until it can, so that the file does not stop an account
later that a person has let go on. It must never make the folder: its absence tells a running proxy that the pins are
gone.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Collection
from contextlib import suppress
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


class StoppedLogins:
    """Remembers stopped accounts, by their number from 1, for the options' target.

    An account with another user name, password, target or ``digest_algorithm`` is another one.
    """

    def __init__(self, options: Options, files: Files | None = None) -> None:
        self._path = options.cert_dir / f"{options.target.name}.stopped"
        what = (options.target.name, options.digest_algorithm)
        self._accounts = [json.dumps([*what, each.username, each.password]).encode() for each in options.accounts]
        self._files = files or Files()
        self._kept: frozenset[int] | None = frozenset()
        """What is in the file, None if it should be something else and could not be changed."""
        self._wanted: frozenset[int] = frozenset()
        self._told = False  # that it cannot be changed
        self._hurry = asyncio.Event()
        self._closing = False
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> frozenset[int]:
        """Give the accounts that were stopped when the proxy ran before. Raises nothing."""
        self._wanted, current = await asyncio.to_thread(self._load)
        self._kept = self._wanted if current else None
        if not current:
            self.keep(self._wanted)
        return self._wanted

    def keep(self, stopped: Collection[int]) -> None:
        """Remember these accounts and no others; returns before that is written."""
        self._wanted = frozenset(stopped)
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

    def _load(self) -> tuple[frozenset[int], bool]:
        """Read the file, and drop from it what is no account any more; tell whether the file is like that now.

        Must be run in executor.
        """
        try:
            salt, hashes = _decoded(self._files.read(self._path))
            found = frozenset(
                number for number, account in enumerate(self._accounts, start=1) if _hashed(account, salt) in hashes
            )
        except FileNotFoundError:
            return frozenset(), True
        except (OSError, ValueError) as error:
            _LOGGER.warning(
                "%s cannot be read (%s), so a login that was refused earlier is tried again, and the file is removed",
                self._path,
                _problem(error),
            )
            return frozenset(), False
        return found, len(found) == len(hashes) or self._store(found)

    def _store(self, stopped: frozenset[int]) -> bool:
        """Write the file, or remove it if there is nothing to remember; tell whether that was done.

        Must be run in executor.
        """
        try:
            if stopped:
                salt = secrets.token_bytes(_SALT)
                hashes = [_hashed(self._accounts[number - 1], salt) for number in sorted(stopped)]
                data = json.dumps({"version": _VERSION, "salt": salt.hex(), "refused": hashes})
                self._files.put(self._path, data.encode(), draft=self._path.with_name(f".{self._path.name}.new"))
            else:
                self._files.remove(self._path)
                self._files.sync_folder(self._path.parent)
        except (OSError, ValueError) as error:
            if not self._told:
                _LOGGER.warning(
                    "%s cannot be changed (%s), so the next start does not know which logins the gateway refused; "
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


def _decoded(data: bytes) -> tuple[bytes, list[str]]:
    """Read salt and hashes. Raises ValueError if it is no such file."""
    try:
        content = json.loads(data)
        salt, hashes = bytes.fromhex(content["salt"]), content["refused"]
        ours = content["version"] == _VERSION and len(salt) == _SALT and isinstance(hashes, list)
    except (ValueError, TypeError, KeyError, RecursionError):
        ours = False
    if not ours:
        raise ValueError("not what the proxy writes")
    return salt, hashes


def _problem(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
