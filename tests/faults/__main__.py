"""``python -m tests.faults [mode]``: play every row and print the table of ``docs/reliability.md``."""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from simulator.certificates import CertificateOptions, make_identity
from tests.faults import ROWS
from tests.faults.scene import Mode, play


def main(modes: list[Mode]) -> None:
    """Print one line for each row; a cell holds what the client got, and the milliseconds of the way back."""
    logging.lastResort = None
    identity = make_identity(CertificateOptions())
    cells = "".join(f" {mode.value} | back after |" for mode in modes)
    sys.stdout.write(f"| fault |{cells}\n|---|{'---|---:|' * len(modes)}\n")
    for row in ROWS:
        line = f"| {row.name} |"
        for mode in modes:
            if mode not in row.modes:
                line += " - | - |"
                continue
            with tempfile.TemporaryDirectory() as folder:
                outcome = asyncio.run(play(row, mode, Path(folder), identity))
            line += f" {outcome.got} | {outcome.recovery * 1000:.0f} ms |"
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main([Mode(value) for value in sys.argv[1:]] or list(Mode))
