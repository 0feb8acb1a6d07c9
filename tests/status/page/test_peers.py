"""Which addresses may open the status page: real ones, in a network namespace."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Every address is one of the namespace's loopback device; the peer is what a connection is bound to.
PROGRAM = """
import asyncio, sys, tempfile
from pathlib import Path
from tests.status_rig import status_for

async def ask(port, peer):
    reader, writer = await asyncio.open_connection("10.99.0.1", port, local_addr=(peer, 0))
    writer.write(b"GET /health HTTP/1.1\\r\\nHost: any.example\\r\\nConnection: close\\r\\n\\r\\n")
    head = await reader.readline()
    writer.close()
    return int(head.split()[1])

async def main():
    for ingress in (True, False):
        folder = Path(tempfile.mkdtemp())
        async with status_for("127.0.0.1:1", folder, ingress=ingress, host="0.0.0.0") as status:
            print(ingress, *[await ask(status.port, peer) for peer in ("172.30.32.2", "172.30.32.3", "10.99.0.1")])

asyncio.run(main())
"""


@pytest.mark.timeout(60)
async def test_only_the_supervisor_comes_in_from_outside(require: Callable[[str], None]) -> None:
    require("netns")
    script = "ip link set lo up && " + " && ".join(
        f"ip addr add {address}/32 dev lo" for address in ("172.30.32.2", "172.30.32.3", "10.99.0.1")
    )
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "sh", "-c", f'{script} && exec "$0" -c "$1"', sys.executable, PROGRAM),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    output, _ = await process.communicate()
    # Behind the ingress any name counts: it is the user's own for Home Assistant.
    assert output.decode().split() == ["True", "200", "403", "403", "False", "403", "403", "403"]
