"""The program's two files: what it added to the host (for a run after a crash), and the suggestion to the proxy.

Each lies in a folder that root opens before its rights are gone; no link is followed, as others can write to
``/share``. A file is replaced as a whole where the folder is ours, and overwritten where only the file can be.
"""

import asyncio
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from smgw_network_addon.addresses import Address
from smgw_network_addon.gateways import Gateway, Way
from smgw_network_addon.interfaces import Peering

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LARGEST: Final = 1 << 16
STATE: Final = "smgw-network.json"


class StoreError(Exception):
    """A file cannot be had; the text is one plain line."""


class Slot:
    """One file, opened once. ``owner`` (user and group id) is who writes it later; None: who opens it."""

    def __init__(self, path: Path, owner: tuple[int, int] | None, mode: int) -> None:
        """Open, or make, the folder and the file. Raises ``StoreError``."""
        self._name = path.name
        self._mode = mode
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = os.open(path.parent, _FOLDER)
            self._file = os.open(path.name, _FILE, mode, dir_fd=self._folder)
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise StoreError(f"{path} is no regular file")
            self._replace = True
            if owner:
                os.fchown(self._file, *owner)
                self._replace = self._own_folder(owner)
        except OSError as error:
            raise StoreError(f"{path} cannot be used: {error.strerror}") from None

    def lock(self) -> bool:
        """Keep other runs out of this folder; tell whether there is none."""
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def read(self) -> Mapping[str, Any]:
        """Read the file; empty for what is none of ours. Must be run in executor."""
        try:
            value = json.loads(os.pread(self._file, _LARGEST, 0))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def write(self, value: Mapping[str, Any]) -> None:
        """Write the file anew. Raises OSError. Must be run in executor."""
        data = (json.dumps(value, indent=2) + "\n").encode()
        if not self._replace:
            os.pwrite(self._file, data, 0)
            os.ftruncate(self._file, len(data))
            os.fsync(self._file)
            return
        draft = f".{self._name}.new"
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=self._folder)
        file = os.open(draft, _FILE | os.O_EXCL, self._mode, dir_fd=self._folder)
        try:
            os.write(file, data)
            os.fsync(file)
        except OSError:
            os.close(file)
            raise
        os.rename(draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.close(self._file)
        self._file = file

    def _own_folder(self, owner: tuple[int, int]) -> bool:
        """Tell whether the folder is the writer's; one that nobody else uses becomes it."""
        if os.fstat(self._folder).st_uid == owner[0]:
            return True
        if {each.name for each in os.scandir(self._folder)} <= {self._name, f".{self._name}.new"}:
            os.fchown(self._folder, *owner)
            return True
        return False


class State:
    """What this program has added, and the port of each gateway's relay."""

    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot
        self._lock = asyncio.Lock()
        self.left: list[Peering] = []
        self.ports: dict[str, int] = {}
        kept = slot.read() if slot else {}
        for each in _entries(kept.get("added")):
            with suppress(KeyError, ValueError):
                peering = Peering(str(each["interface"]), Address(each["address"]), Address(each["peer"]))
                self.left.append(peering)
        for each in _entries(kept.get("relays")):
            with suppress(KeyError, ValueError):
                self.ports[str(each["gateway"])] = int(each["port"])

    async def save(self, peerings: list[Peering]) -> None:
        """Write down what is ours from now on. A medium that is full is no reason to stop."""
        self.left = peerings
        added = [{"interface": p.interface, "address": str(p.local), "peer": str(p.gateway)} for p in peerings]
        relays = [{"gateway": name, "port": port} for name, port in self.ports.items()]
        if self._slot:
            async with self._lock:
                await asyncio.to_thread(self._slot.write, {"added": added, "relays": relays})


class Suggestion:
    """The file by which the proxy's page learns what was found."""

    def __init__(self, slot: Slot | None) -> None:
        self._slot = slot
        self._lock = asyncio.Lock()
        self._last: object = None

    async def publish(self, gateways: Iterable[Gateway]) -> None:
        """Write what can be used now, if that changed. Raises OSError."""
        entries = [each.described() for each in gateways if each.way is not Way.NONE and each.certificate]
        async with self._lock:
            if self._slot and entries != self._last:
                written = datetime.now(UTC).isoformat(timespec="seconds")
                await asyncio.to_thread(self._slot.write, {"version": 1, "written": written, "gateways": entries})
                self._last = entries


def _entries(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
