import ipaddress
import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from smgw_proxy_addon.server.interfaces import Interface, local_interfaces, local_names

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


def test_local_names_hold_every_address_once() -> None:
    texts = {"eth0": ("192.168.1.2/25", "10.11.120.10/24", "fe80::1/64", "fd00::2/64"), "br0": ("fd00::2/64",)}
    interfaces = [
        Interface(name, True, tuple(map(ipaddress.ip_interface, addresses))) for name, addresses in texts.items()
    ]
    localhost, _, *addresses = local_names(lambda: interfaces)
    assert localhost == "localhost"
    assert addresses == ["192.168.1.2", "10.11.120.10", "fe80::1%eth0", "fd00::2"]


def test_local_names_where_the_system_does_not_tell() -> None:
    assert len(local_names(lambda: None)) <= 2


def test_local_names_of_this_computer() -> None:
    names = local_names()
    assert "127.0.0.1" in names
    assert len(names) == len(set(names))
