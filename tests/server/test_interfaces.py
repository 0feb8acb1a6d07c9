import ipaddress
import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from smgw_proxy_addon.server.interfaces import local_interfaces

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


def test_the_loopback_interface_is_found() -> None:
    interfaces = {each.name: each for each in local_interfaces() or []}
    assert interfaces["lo"].up
    assert ipaddress.ip_interface("127.0.0.1/8") in interfaces["lo"].addresses


def test_it_tells_what_the_ip_program_tells(require: Callable[[str], None]) -> None:
    require("netns")  # stands for the program ip
    told = json.loads(subprocess.run(["ip", "-j", "address"], check=True, capture_output=True).stdout)
    expected = {
        each["ifname"]: {
            ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}") for address in each["addr_info"]
        }
        for each in told
    }
    found = {each.name: set(each.addresses) for each in local_interfaces() or []}
    assert found == expected
