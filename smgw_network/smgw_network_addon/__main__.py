"""The program's first lines: tell OpenSSL what to read, then hand over to the command line."""

import os
import sys
from pathlib import Path

# OpenSSL reads it once, when ssl is first imported: nothing that imports it may come before. It offers the brainpool
# curves of BSI TR-03116-3, which a stock OpenSSL does not.
os.environ["OPENSSL_CONF"] = str(Path(__file__).with_name("openssl.cnf"))
# No public authority is trusted here. aiohttp would load all that the system knows: 2 MB and 20 ms.
os.environ["SSL_CERT_FILE"] = os.devnull


def main() -> int:
    """Run the program; returns its exit code."""
    from smgw_network_addon.cli import run_command  # noqa: PLC0415 - it imports ssl

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
