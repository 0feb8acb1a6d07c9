"""The program from its start to its end: what is made, what runs, and what is taken away when it stops."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final

from smgw_network_addon.addresses import Address
from smgw_network_addon.examine import Examiner
from smgw_network_addon.gateways import Gateway, Trouble, Way
from smgw_network_addon.handshake import client_context
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.netlink import Netlink, PermissionMissingError
from smgw_network_addon.options import Options
from smgw_network_addon.registry import Registry
from smgw_network_addon.search import Search
from smgw_network_addon.store import Store
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)
_ANSWERS_ARRIVE: Final = 1.0


@dataclass(frozen=True)
class Program:
    """All parts, joined."""

    options: Options
    registry: Registry
    examiner: Examiner

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong as a whole; None while something is found, or may still be."""
        keeper, search, only = self.registry.keeper, self.registry.search, self.options.interface
        if not keeper.permitted:
            return Trouble.NO_PERMISSION
        if only and keeper.snapshot.named(only) is None:
            return Trouble.NO_INTERFACE
        if not keeper.snapshot.usable(only):
            return Trouble.NO_CARRIER
        if self.registry.listed or search.active or not search.asked_once:
            return None
        return Trouble.ADDRESS_TAKEN if self.examiner.taken else Trouble.NOTHING_ANSWERS


Page = Callable[[Program], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _joined(options: Options, state: Store, suggestion: Store) -> AsyncIterator[Program]:
    """Make all parts; at the end, take away what they added to the host."""
    async with Netlink.open() as netlink:
        wires = Wires()
        keeper = Keeper(options, netlink, wires, state)
        registry = Registry(wires, keeper, Search(options, wires, keeper), client_context(), suggestion)
        try:
            yield Program(options, registry, Examiner(options, registry))
        finally:
            await registry.stop()
            wires.close()


async def run(options: Options, state: Store, suggestion: Store, page: Page | None = None) -> None:
    """Find gateways and keep them reachable until SIGTERM or SIGINT; ``page`` shows what is done."""
    left = list(_left(state))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _joined(options, state, suggestion) as program, page(program) if page else nullcontext():
        registry, examiner = program.registry, program.examiner
        try:
            await registry.keeper.look()
            await examiner.take_over(left)
        except PermissionMissingError:
            _LOGGER.warning("No permission to change addresses: CAP_NET_ADMIN and CAP_NET_RAW are needed")
        search = registry.search.run(lambda: registry.any_served)
        await _until(stop.wait(), registry.keeper.run(), examiner.run(), registry.run(), search)
    _LOGGER.info("Stopped: no address for a gateway is left")


async def find(options: Options) -> list[Gateway]:
    """Search once, and leave the host as it was. Raises ``PermissionMissingError``."""
    async with _joined(options, Store(), Store()) as program:
        registry = program.registry

        async def once() -> None:
            await registry.search.ask()
            await registry.search.sweep()
            await asyncio.sleep(_ANSWERS_ARRIVE)
            await registry.search.candidates.join()

        await registry.keeper.look()
        await _until(once(), registry.keeper.run(), program.examiner.run())
        return registry.listed


def _left(state: Store) -> Iterator[Gateway]:
    """Yield what an earlier run has added."""
    for each in state.read("added"):
        with suppress(KeyError, ValueError):
            yield Gateway(Address(each["peer"]), str(each["interface"]), Way.PEER, local=Address(each["address"]))


async def _until(*work: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
