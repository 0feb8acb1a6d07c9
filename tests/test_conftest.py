"""The event loop's guard must catch what it is there for, and ``require`` must not skip what is demanded."""

import asyncio
import time
from collections.abc import Callable

import pytest
from blockbuster import BlockingError

import smgw_proxy_addon

Block = Callable[[], None]


@pytest.fixture
def block() -> Block:
    """Return a function that sleeps and passes for the package's: the guard goes by how the file's name begins."""
    code = compile("def block(): time.sleep(0)", f"{smgw_proxy_addon.__path__[0]}.planted", "exec")
    names: dict[str, object] = {"time": time}
    exec(code, names)
    planted = names["block"]
    assert callable(planted)
    return planted


async def test_a_package_that_blocks_the_loop_fails_the_test(block: Block) -> None:
    with pytest.raises(BlockingError):
        block()


async def test_a_thread_may_block(block: Block) -> None:
    await asyncio.to_thread(block)


async def test_a_test_may_block() -> None:
    time.sleep(0)  # noqa: ASYNC251 - the guard must leave calls from outside the package alone


@pytest.mark.may_block("shows the way out")
async def test_the_marker_lifts_the_guard(block: Block) -> None:
    block()


@pytest.mark.parametrize(
    ("demand", "outcome", "message"),
    [
        ("", pytest.skip.Exception, "curl: not installed: curl"),
        ("netns", pytest.skip.Exception, "curl: not installed: curl"),
        ("netns,curl", pytest.fail.Exception, "SMGW_REQUIRE demands curl: not installed: curl"),
        ("crul", pytest.fail.Exception, "SMGW_REQUIRE names the unknown crul"),
    ],
)
def test_what_is_missing_is_skipped_unless_demanded(
    demand: str,
    outcome: type[BaseException],
    message: str,
    require: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("SMGW_REQUIRE", demand)
    with pytest.raises(outcome, match=message):
        require("curl")
