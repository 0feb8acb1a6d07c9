"""Fuzz one target: `python -m fuzz TARGET [libFuzzer's arguments and folders, or files to try again]`."""

import sys

import atheris

with atheris.instrument_imports(include=["smgw_proxy_addon", "tlslite"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Run the target that the command line names; the program ends with it."""
    if not sys.argv[1:] or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz {{{','.join(TARGETS)}}} [arguments of libFuzzer]")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


main()
