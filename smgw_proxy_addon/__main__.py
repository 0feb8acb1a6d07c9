"""The program's first lines: tell OpenSSL what to read, then hand over to the command line."""

import os
import sys
from pathlib import Path

# OpenSSL reads it once, when ssl or hashlib is first imported: nothing that imports them may come before.
os.environ["OPENSSL_CONF"] = str(Path(__file__).with_name("openssl.cnf"))
# Nothing here trusts a public authority. aiohttp would load all that the system knows: 2 MB and 20 ms.
os.environ["SSL_CERT_FILE"] = os.devnull


def main() -> int:
    """Run the program; returns its exit code."""
    try:
        from smgw_proxy_addon.program.cli import run_command  # noqa: PLC0415 - it imports ssl

        return run_command(sys.argv[1:])
    except KeyboardInterrupt:
        return 0  # before the program could choose how to stop


if __name__ == "__main__":
    sys.exit(main())
