"""What SMGW Network leaves in the folder of all apps, for tests of the proxy's side."""

import json
from pathlib import Path
from typing import Any, Final

THEBEN: Final = {
    "target": "192.168.1.200",
    "host": "192.168.1.200",
    "interface": "end0",
    "way": "peer",
    "local": "192.168.1.250",
    "name": "ETHE0300186023.SMGW",
    "fingerprint": "ab" * 32,
    "maker": "Theben",
}
RELAYED: Final = {
    **THEBEN,
    "target": "172.30.32.1:18443",
    "host": "fe80::2",
    "way": "relay",
    "local": None,
    "name": "EEMH0012345678.SMGW",
    "fingerprint": "cd" * 32,
    "maker": "EMH",
}


def write(path: Path, *gateways: Any, **fields: object) -> Path:
    """Write the file as SMGW Network does."""
    document = {"version": 1, "written": "2026-11-28T12:00:00+00:00", "gateways": gateways, **fields}
    path.write_text(json.dumps(document))
    return path
