"""The demo of SMGW Network: a house in network namespaces, from a foreign subnet to the first reading.

The house is the one of the tests: a switch, the Home Assistant host, an app on its bridge behind MASQUERADE, and
gateways that answer only sources inside their own /24. Nothing outside of the namespaces is touched.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.network import house
from tests.network.house import APP, PASSWORD, USER, House, eventually

_CALL: Final = '{"method":"user-info"}'


def demonstrate(made: House, address: str) -> None:
    """Show each step, and how long it took."""
    print("The house: Home Assistant at 192.168.178.20 behind a switch, an app at 172.30.33.5 on its bridge,")
    print(f"and a gateway at {address} that answers nobody outside its own subnet.\n")
    made.host("192.168.178.20/24")
    made.plug("router", "192.168.178.1/24")
    made.gateway(address)
    print(f"  Does the app reach the gateway?             {_word(made.reaches(address))}")
    began = time.monotonic()
    network = made.network()
    eventually(made.suggested, 120, network.log)
    [found] = made.suggested()
    print(f"  SMGW Network found it after                 {time.monotonic() - began:.1f} s")
    print(f"    {found['maker']} gateway {found['name']} on {found['interface']}, by: {found['way']}")
    print(f"    the host's addresses now:                 {', '.join(made.addresses())}")
    target = str(found["target"])
    print(f"  Does the app reach {target} now? {_word(made.reaches(target))}")
    folders = ["--cert-dir", str(made.folder / "certs"), "--log-dir", str(made.folder / "logs")]
    proxy = made.start("app", ["smgw_proxy_addon", "run", "--target", target, "--port", "8080", *folders])
    proxy.waits_for(" Ready\n")
    url = f"http://{APP}:8080/smgw/m2m/{USER}.sm/json"
    answer = made.at("hahost", f"curl -sS --digest -u {USER}:{PASSWORD} -d {_CALL} {url}")
    print(f"  The first reading through SMGW Proxy:       {answer[:60]}…")
    network.stop()
    print(f"  SMGW Network has stopped; addresses:        {', '.join(made.addresses())}")


def _word(reached: bool) -> str:
    return "yes" if reached else "no"


def main() -> None:
    """Run the demo, which ends by itself."""
    parser = argparse.ArgumentParser(prog="script/demo --network", description=main.__doc__)
    parser.add_argument("--address", default="192.168.100.77", help="of the gateway (default: %(default)s)")
    address = parser.parse_args().address
    if os.geteuid() != 0:
        sys.exit("script/demo --network: needs root, for network namespaces")
    if missing := [each for each in ("ip", "iptables", "curl") if shutil.which(each) is None]:
        sys.exit(f"script/demo --network: not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder, house.house(Path(folder)) as made:
        demonstrate(made, address)


if __name__ == "__main__":
    main()
