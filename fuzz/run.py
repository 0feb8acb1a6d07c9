"""Runs the targets, as many at a time as there are cores, each for its share of the seconds. Says what they tried."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fuzz.targets import TARGETS

ROOT: Final = Path(__file__).parent.parent
CORPUS: Final = ROOT / "fuzz" / "corpus"
WORDS: Final = ROOT / "fuzz" / "http.dict"
SPEAKS_HTTP: Final = frozenset({"front_door", "gateway", "rewrite"})
LEARNT: Final = ROOT / "artifacts" / "fuzz"
SECONDS: Final = 60
LONGEST_INPUT: Final = 2048
HANG: Final = 10
"""Seconds for one input."""
MEMORY: Final = 1024
"""Megabytes."""
START: Final = 120
"""Seconds that a target may need besides its share: imports, the inputs learnt before."""
_EXECUTED: Final = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Fuzz for `SECONDS` the `TARGET`s (all, unless named); return the exit code."""
    seconds = int(arguments[0]) if arguments and arguments[0].isdigit() else SECONDS
    names = arguments[1:] or list(TARGETS)
    if (arguments and not arguments[0].isdigit()) or not TARGETS.keys() >= set(names):
        print(f"usage: script/fuzz [SECONDS [{'|'.join(TARGETS)}]…]", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        passed = list(cores.map(lambda name: _fuzz(name, max(1, seconds // len(names))), names))
    failed = [name for name, well in zip(names, passed, strict=True) if not well]
    if failed:
        print(f"script/fuzz: failed: {', '.join(failed)} (see above)", file=sys.stderr)
    return bool(failed)


def _fuzz(name: str, seconds: int) -> bool:
    learnt = LEARNT / name
    learnt.mkdir(parents=True, exist_ok=True)
    before = set(learnt.glob("*-*"))
    command = [sys.executable, "-m", "fuzz", name, f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}"]
    command += [f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}", "-print_final_stats=1", f"-artifact_prefix={learnt}/"]
    if name in SPEAKS_HTTP:
        command.append(f"-dict={WORDS}")
    if "CI" in os.environ:
        command.append("-seed=1")
    try:
        done = subprocess.run(
            [*command, str(learnt), str(CORPUS / name)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds + START,
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: hangs", flush=True)
        return False
    output = done.stdout.decode("utf-8", "replace")
    executed = _EXECUTED.search(output)
    # Without a number it never came to the first input.
    passed = done.returncode == 0 and executed is not None
    lines = [f"{name}: {executed[1] if executed else 'no'} inputs in {seconds} s{'' if passed else ', FAILED'}"]
    if not passed:
        found = sorted(set(learnt.glob("*-*")) - before)
        lines += [output[-5000:]]
        lines += [f"To see it again: .venv/bin/python -m fuzz {name} {each.relative_to(ROOT)}" for each in found]
    print("\n".join(lines), flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
