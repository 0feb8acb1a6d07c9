"""What the gateway has said of the accounts, stored in a file beside the gateway's pin.

After a restart, an account that was refused must stay stopped, failed attempts stay counted, and an account that was
accepted keeps the attempts of a right password: after a power cut the gateway starts together with the proxy, and
closes connections for minutes.

Owns that file, ``TARGET.logins``. It must never hold a user name or a password, only a slow hash with a salt of its
own. A broken file must never stop an account: the gateway then sees two more logins, no more than before a first
start. A failed write is tried again until it succeeds; meanwhile a file that would do harm is removed, for example
one that stops an account that a person has let go on. Must never make the folder: a running proxy knows by its
absence that the pins are gone.
"""

import asyncio
import hashlib
import json
import logging
import secrets
from contextlib import suppress
from typing import Final

import voluptuous as vol

from smgw_proxy_addon.config.accounts import AccountOutcomes, LoginOutcomes
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
        "accounts": {str: vol.All(_ACCOUNT, lambda given: LoginOutcomes(**given))},
    },
    required=True,
)


class LoginStore:
    """Stores what the gateway said of the accounts, for the options' target.

    An account whose user name, password, target or ``digest_algorithm`` changed is another account.
    """

    def __init__(self, options: Options, files: Files | None = None) -> None:
        self._path = options.cert_dir / f"{options.target.name}.{SUFFIX}"
        self._draft = draft_of(self._path)
        what = (options.target.name, options.digest_algorithm)
        self._accounts = [json.dumps([*what, each.username, each.password]).encode() for each in options.accounts]
        self._salt = b""
        self._hashes: dict[int, str] = {}
        self._files = files or Files()
        self._on_disk: AccountOutcomes | None = {}
        """What the file holds of the accounts, None if it cannot be read."""
        self._former = False  # whether it also holds something of former accounts
        self._wanted: AccountOutcomes = {}
        self._failed = False  # the last change, which was logged
        self._wake = asyncio.Event()
        self._closing = False
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> AccountOutcomes:
        """Read what the gateway said when the proxy ran before. Raises nothing."""
        await asyncio.to_thread(self._load)
        self._wanted = self._on_disk or {}
        self._start_writing()
        return self._wanted

    def save(self, outcomes: AccountOutcomes) -> None:
        """Store these and no others; returns before they are written, at once if nothing is new."""
        if outcomes != self._wanted:
            self._wanted = outcomes
            self._start_writing()

    def _start_writing(self) -> None:
        self._wake.set()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait until it is written, or the last attempt fails; at most ``PATIENCE`` seconds."""
        self._closing = True
        self._wake.set()
        if self._writing:
            await asyncio.wait([self._writing], timeout=PATIENCE)

    async def _write(self) -> None:
        while self._failed or self._former or self._on_disk != self._wanted:
            self._wake.clear()
            closing = self._closing
            await asyncio.to_thread(self._store, self._wanted)
            if not self._failed:
                continue
            if closing:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._wake.wait()

    def _load(self) -> None:
        """Read the file, and drop former accounts from it. Must be run in executor."""
        with suppress(OSError):
            self._files.remove(self._draft)  # of a run that was killed
        try:
            self._on_disk = self._read()
            if self._former:
                self._store(self._on_disk)
        except _FAILURES as error:
            self._on_disk = None
            _LOGGER.warning(
                "%s cannot be read (%s), so what the gateway said of the logins is forgotten: one that it refused "
                "earlier is tried again, and the file is removed",
                self._path,
                cause_of(error),
            )

    def _read(self) -> AccountOutcomes:
        try:
            salt, outcomes = _decode(self._files.read(self._path))
        except FileNotFoundError:
            self._former = False
            return {}
        if salt != self._salt:
            self._hash(salt)
        self._former = not outcomes.keys() <= set(self._hashes.values())
        return {number: outcomes[each] for number, each in self._hashes.items() if each in outcomes}

    def _store(self, outcomes: AccountOutcomes) -> None:
        """Write the file, or remove it if there is nothing to store. Must be run in executor."""
        try:
            self._change(outcomes)
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
                self._on_disk = self._read()
            except _FAILURES:
                self._on_disk = None
            return
        if self._failed:
            _LOGGER.warning("%s can be changed again", self._path)
        self._failed = False
        self._on_disk, self._former = outcomes, False

    def _change(self, outcomes: AccountOutcomes) -> None:
        if not outcomes:
            self._remove()
            return
        data = self._encode(outcomes)
        try:
            self._files.put(self._path, data, draft=self._draft)
        except OSError:
            if self._on_disk is not None and not _misleads(self._on_disk, outcomes):
                raise
            self._remove()
            self._files.put(self._path, data, draft=self._draft)  # there may be room now

    def _remove(self) -> None:
        self._files.remove(self._path)
        self._files.sync_folder(self._path.parent)

    def _encode(self, outcomes: AccountOutcomes) -> bytes:
        if not self._hashes:
            self._hash(secrets.token_bytes(_SALT))
        accounts = {self._hashes[number]: each._asdict() for number, each in outcomes.items()}
        return json.dumps({"version": 1, "salt": self._salt.hex(), "accounts": accounts}).encode()

    def _hash(self, salt: bytes) -> None:
        # Slow on purpose (about 50 ms and 16 MB each): whoever has the file can try passwords on it.
        self._salt = salt
        self._hashes = {
            number: hashlib.scrypt(account, salt=salt, n=1 << 14, r=8, p=1, dklen=32).hex()
            for number, account in enumerate(self._accounts, start=1)
        }


def _decode(data: bytes) -> tuple[bytes, dict[str, LoginOutcomes]]:
    """Read the salt, and the outcomes of the accounts with these hashes. Raises ValueError if it is no such file."""
    try:
        document = _DOCUMENT(json.loads(data))
    except (ValueError, RecursionError, vol.Invalid):
        raise ValueError("not what the proxy writes") from None
    return document["salt"], document["accounts"]


def _misleads(said: AccountOutcomes, true: AccountOutcomes) -> bool:
    """Tell whether an account would have fewer attempts than it has, or those of an accepted one though refused."""
    return any(
        then.refusals > now.refusals
        or then.closed > now.closed
        or (then.taken and not (now.taken and not now.refusals))
        for then, now in ((then, true.get(number, LoginOutcomes())) for number, then in said.items())
    )
