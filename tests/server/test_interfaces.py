import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

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


@pytest.fixture
def namespace(require: Callable[[str], None]) -> Iterator[str]:
    """Make a network namespace with an interface ``home``."""
    require("netns")
    name = f"smgw-{os.getpid()}-routes"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "add", "home", "type", "veth", "peer", "name", "far"], check=True)
        for end in ("home", "far"):
            subprocess.run(["ip", "-n", name, "link", "set", end, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_only_what_a_router_says_to_be_on_the_link_is_found(namespace: str) -> None:
    for route in (
        "2001:db8:2::/64 dev home proto ra",
        "2001:db8:3::/64 dev home proto static",
        "2001:db8:4::/64 via fe80::1 dev home proto ra",
        "unreachable 2001:db8:5::/64 proto ra",
        "default via fe80::1 dev home proto ra",
    ):
        subprocess.run(["ip", "-n", namespace, "-6", "route", "add", *route.split()], check=True)
    code = (
        "from smgw_proxy_addon.server.interfaces import local_interfaces\n"
        "for each in local_interfaces(): print(each.name, *each.on_link)"
    )
    told = subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "home 2001:db8:2::/64" in told.stdout.splitlines()


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
