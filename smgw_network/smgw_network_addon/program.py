"""The program from its start to its end: what is made, what runs, and what is taken away when it stops."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from smgw_network_addon.examine import Examiner
from smgw_network_addon.gateways import Gateway, Trouble
from smgw_network_addon.handshake import client_context
from smgw_network_addon.keeper import Keeper
from smgw_network_addon.netlink import Netlink, PermissionMissingError
from smgw_network_addon.options import Options
from smgw_network_addon.registry import Registry
from smgw_network_addon.search import Search
from smgw_network_addon.store import State, Suggestion
from smgw_network_addon.wire import Wires

_LOGGER: Final = logging.getLogger(__name__)
_ANSWERS_ARRIVE: Final = 1.0


@dataclass(frozen=True)
class Program:
    """All parts, joined."""

    options: Options
    keeper: Keeper
    search: Search
    registry: Registry
    examiner: Examiner

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong as a whole; None while something is found, or may still be."""
        snapshot = self.keeper.snapshot
        if not self.keeper.permitted:
            return Trouble.NO_PERMISSION
        if self.options.interface and snapshot.named(self.options.interface) is None:
            return Trouble.NO_INTERFACE
        if not snapshot.usable(self.options.interface):
            return Trouble.NO_CARRIER
        if self.registry.gateways or not self.search.asked_once:
            return None
        if self.examiner.taken:
            return Trouble.ADDRESS_TAKEN
        return None if self.search.active else Trouble.NOTHING_ANSWERS

    async def work(self) -> None:
        """Search, examine and keep until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in (self.keeper, self.examiner, self.registry):
                tasks.create_task(each.run())
            tasks.create_task(self.search.run(lambda: self.registry.any_served))


Page = Callable[[Program], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _joined(options: Options, state: State, suggestion: Suggestion) -> AsyncIterator[Program]:
    """Make all parts; at the end, take away what they added to the host."""
    async with Netlink.open() as netlink:
        wires, context = Wires(), client_context()
        keeper = Keeper(netlink, wires, options.interface, options.address, state.save)

        async def publish(gateways: Iterable[Gateway]) -> None:
            try:
                await suggestion.publish(gateways)
                await state.save(list(keeper.peerings.values()))
            except OSError as error:
                _LOGGER.warning("What was found cannot be written: %s", error)

        search = Search(options, netlink, wires, keeper)
        registry = Registry(wires, keeper, search, context, state.ports, publish)
        examiner = Examiner(options, wires, keeper, search, registry, context)
        try:
            yield Program(options, keeper, search, registry, examiner)
        finally:
            await registry.stop()
            wires.close()


async def run(options: Options, state: State, suggestion: Suggestion, page: Page | None = None) -> None:
    """Find gateways and keep them reachable until SIGTERM or SIGINT; ``page`` shows what is done."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _joined(options, state, suggestion) as program, page(program) if page else nullcontext():
        try:
            await program.keeper.look()
            await program.examiner.take_over(list(state.left))
        except PermissionMissingError:
            _LOGGER.warning("No permission to change addresses: CAP_NET_ADMIN and CAP_NET_RAW are needed")
        await _until(stop.wait(), program.work())
    _LOGGER.info("Stopped: no address for a gateway is left")


async def find(options: Options) -> list[Gateway]:
    """Search once, and leave the host as it was. Raises ``PermissionMissingError``."""
    async with _joined(options, State(None), Suggestion(None)) as program:

        async def once() -> None:
            await program.search.ask()
            await program.search.sweep()
            await asyncio.sleep(_ANSWERS_ARRIVE)
            await program.search.candidates.join()

        async def work() -> None:
            await asyncio.gather(program.keeper.run(), program.examiner.run())

        await program.keeper.look()
        await _until(once(), work())
        return list(program.registry.gateways.values())


async def _until(end: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """Run both until one ends; the other one is cancelled."""
    tasks = [asyncio.create_task(end), asyncio.create_task(work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
