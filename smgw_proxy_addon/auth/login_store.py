"""What the gateway has said of the accounts, kept through a restart in a file beside the gateway's pin.

An account that it refused must stay stopped, and one that it took keeps the chances of a right password: after a
power cut the gateway starts together with the proxy, and closes connections for minutes. Chances that are used up
stay so, however often the proxy is started. Owns that file, ``TARGET.logins``. It must never hold a user name or a
password, only a slow hash with a salt of its own. Whatever is wrong with it must never stop an account: the gateway
then sees two more logins, no more than before a first start. What cannot be written is tried again until it can, and
until then the file rather goes than does harm, for example by stopping an account that a person has let go on. It
must never make the folder: its absence tells a running proxy that the pins are gone.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from contextlib import suppress
from typing import Final

import voluptuous as vol

from smgw_proxy_addon.config.accounts import Past, Pasts
from smgw_proxy_addon.config.options import Options
from smgw_proxy_addon.files import Files, cause_of, draft_of

_LOGGER: Final = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds that the file may take to be written when the proxy stops."""

RETRY: Final = 30.0
"""Seconds after which a change that could not be written is tried again."""

SUFFIX: Final = "logins"
"""What the file's name ends in; people are told to remove it."""

_FAILURES: Final = (OSError, ValueError, MemoryError)
_SALT: Final = 16
_COUNT: Final = vol.All(int, vol.Range(min=0))
_ACCOUNT: Final = vol.Schema({"taken": bool, "refusals": _COUNT, "closed": _COUNT}, required=True)
_DOCUMENT: Final = vol.Schema(
    {
        "version": 1,
        "salt": vol.All(str, bytes.fromhex, vol.Length(_SALT, _SALT)),
        "accounts": {str: vol.All(_ACCOUNT, lambda past: Past(**past))},
    },
    required=True,
)


class LoginMemory:
    """Remembers what the gateway said of the accounts, for the options' target.

    An account with another user name, password, target or ``digest_algorithm`` is another one.
    """

    def __init__(self, options: Options, files: Files | None = None) -> None:
        self._path = options.cert_dir / f"{options.target.name}.{SUFFIX}"
        self._draft = draft_of(self._path)
        what = (options.target.name, options.digest_algorithm)
        self._accounts = [json.dumps([*what, each.username, each.password]).encode() for each in options.accounts]
        self._salt = b""
        self._hashes: dict[int, str] = {}
        self._files = files or Files()
        self._kept: Pasts | None = {}
        """What the file says of the accounts, None if that cannot be read."""
        self._former = False  # whether it says something of former accounts, too
        self._wanted: Pasts = {}
        self._failed = False  # the last change, which was told
        self._hurry = asyncio.Event()
        self._closing = False
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> Pasts:
        """Give what the gateway said when the proxy ran before. Raises nothing."""
        await asyncio.to_thread(self._load)
        self._wanted = self._kept or {}
        self._begin()
        return self._wanted

    def keep(self, pasts: Pasts) -> None:
        """Remember these and no others; returns before that is written, at once if nothing is new."""
        if pasts != self._wanted:
            self._wanted = pasts
            self._begin()

    def _begin(self) -> None:
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
        while self._failed or self._former or self._kept != self._wanted:
            self._hurry.clear()
            closing = self._closing
            await asyncio.to_thread(self._store, self._wanted)
            if not self._failed:
                continue
            if closing:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._hurry.wait()

    def _load(self) -> None:
        """Read what the file says, and drop former accounts from it. Must be run in executor."""
        with suppress(OSError):
            self._files.remove(self._draft)  # of a run that was killed
        try:
            self._kept = self._read()
            if self._former:
                self._store(self._kept)
        except _FAILURES as error:
            self._kept = None
            _LOGGER.warning(
                "%s cannot be read (%s), so what the gateway said of the logins is forgotten: one that it refused "
                "earlier is tried again, and the file is removed",
                self._path,
                cause_of(error),
            )

    def _read(self) -> Pasts:
        try:
            salt, pasts = _decoded(self._files.read(self._path))
        except FileNotFoundError:
            self._former = False
            return {}
        if salt != self._salt:
            self._hash(salt)
        self._former = not pasts.keys() <= set(self._hashes.values())
        return {number: pasts[each] for number, each in self._hashes.items() if each in pasts}

    def _store(self, pasts: Pasts) -> None:
        """Write the file, or remove it if there is nothing to remember. Must be run in executor."""
        try:
            self._change(pasts)
        except _FAILURES as error:
            if not self._failed:
                _LOGGER.warning(
                    "%s cannot be changed (%s), so the next start knows nothing, or something out of date, of what "
                    "the gateway said of the logins; make its folder writable for the proxy, with some space left "
                    "and nothing else of that name",
                    self._path,
                    cause_of(error),
                )
            self._failed = True
            try:
                self._kept = self._read()
            except _FAILURES:
                self._kept = None
            return
        if self._failed:
            _LOGGER.warning("%s can be changed again", self._path)
        self._failed = False
        self._kept, self._former = pasts, False

    def _change(self, pasts: Pasts) -> None:
        if not pasts:
            self._remove()
            return
        data = self._encoded(pasts)
        try:
            self._files.put(self._path, data, draft=self._draft)
        except OSError:
            if self._kept is not None and not _misleads(self._kept, pasts):
                raise
            self._remove()
            self._files.put(self._path, data, draft=self._draft)  # there may be room now

    def _remove(self) -> None:
        self._files.remove(self._path)
        self._files.sync_folder(self._path.parent)

    def _encoded(self, pasts: Pasts) -> bytes:
        if not self._hashes:
            self._hash(secrets.token_bytes(_SALT))
        accounts = {self._hashes[number]: past._asdict() for number, past in pasts.items()}
        return json.dumps({"version": 1, "salt": self._salt.hex(), "accounts": accounts}).encode()

    def _hash(self, salt: bytes) -> None:
        # Slow (about 50 ms and 16 MB each): whoever has the file can try passwords out on it.
        self._salt = salt
        self._hashes = {
            number: hashlib.scrypt(account, salt=salt, n=1 << 14, r=8, p=1, dklen=32).hex()
            for number, account in enumerate(self._accounts, start=1)
        }


def _decoded(data: bytes) -> tuple[bytes, dict[str, Past]]:
    """Read the salt, and what is said of the accounts with these hashes. Raises ValueError if it is no such file."""
    try:
        document = _DOCUMENT(json.loads(data))
    except (ValueError, RecursionError, vol.Invalid):
        raise ValueError("not what the proxy writes") from None
    return document["salt"], document["accounts"]


def _misleads(said: Pasts, true: Pasts) -> bool:
    """Whether an account is said to have fewer chances than it has, or those of a right password when refused."""
    return any(
        past.refusals > now.refusals
        or past.closed > now.closed
        or (past.taken and not (now.taken and not now.refusals))
        for past, now in ((past, true.get(number, Past())) for number, past in said.items())
    )
