"""The proxy as its own target: refused before it starts."""

import ipaddress
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from smgw_proxy_addon.config.options import OptionError, from_command_line
from smgw_proxy_addon.config.target import read_target, with_port
from smgw_proxy_addon.server.interfaces import Interface
from smgw_proxy_addon.server.listeners import Listener, check_target, open_listeners

INTERFACES = [
    Interface("end0", up=True, addresses=tuple(map(ipaddress.ip_interface, ("192.168.1.5/24", "fe80::5%end0/64"))))
]


@contextmanager
def listening(*bind: str) -> Iterator[Listener]:
    (listener,) = open_listeners(from_command_line({"port": "0", "bind": bind}))
    with closing(listener.socket):
        yield listener


@pytest.mark.parametrize(
    ("bind", "host", "own"),
    [
        ((), "127.0.0.1", True),
        ((), "::1", True),
        ((), "192.168.1.5", True),
        ((), "fe80::5%end0", True),
        ((), "192.168.1.6", False),
        ((), "gateway.local", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.1",), "127.0.0.2", False),
        (("127.0.0.1",), "192.168.1.5", False),
        (("0.0.0.0",), "192.168.1.5", True),
        (("0.0.0.0",), "::1", False),
    ],
)
def test_a_target_that_is_a_listener_is_refused(bind: tuple[str, ...], host: str, own: bool) -> None:
    with listening(*bind) as listener:
        other = read_target(with_port(host, listener.port % 65535 + 1))
        check_target(other, [listener], lambda: INTERFACES)
        target = read_target(with_port(host, listener.port))
        if not own:
            check_target(target, [listener], lambda: INTERFACES)
            return
        for each in (target, read_target(f"10.11.120.2 via {with_port(host, listener.port)}")):
            with pytest.raises(OptionError, match="this proxy itself listens"):
                check_target(each, [listener], lambda: INTERFACES)


def test_without_knowledge_of_interfaces_loopback_is_still_this_computer() -> None:
    with listening() as listener, pytest.raises(OptionError):
        check_target(read_target(f"127.0.0.1:{listener.port}"), [listener], lambda: None)
