"""Where clients come in: the bound sockets, and the certificate of the HTTPS one."""

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from smgw_proxy_addon.config.options import OptionError, Options
from smgw_proxy_addon.config.target import Address, Target, with_port
from smgw_proxy_addon.key_files import KeyFilesError
from smgw_proxy_addon.server.certificate import ListenerCertificate, ensure_self_signed
from smgw_proxy_addon.server.interfaces import Interface, local_interfaces, local_names


class StartError(Exception):
    """The proxy cannot start; the text is one plain line."""


class Listener(NamedTuple):
    """A bound socket, for HTTPS if ``secure``."""

    socket: socket.socket
    secure: bool

    @property
    def port(self) -> int:
        """The port, also when any free one was asked for."""
        return int(self.socket.getsockname()[1])

    def takes(self, address: Address) -> bool:
        """Tell whether connections to this address of the computer arrive here."""
        bound = ipaddress.ip_address(self.socket.getsockname()[0].partition("%")[0])
        everywhere = bound.is_unspecified and (bound.version == 6 or address.version == 4)  # noqa: PLR2004
        return everywhere or bound == address

    @property
    def url(self) -> str:
        """The address for the log."""
        host = self.socket.getsockname()[0]
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{with_port(host, self.port)}"

    def refuse(self) -> None:
        """Refuse connections until it listens again: nobody waits for an answer that does not come."""
        with suppress(OSError):  # only Linux can
            self.socket.shutdown(socket.SHUT_RDWR)


def open_listeners(options: Options) -> list[Listener]:
    """Bind every address of the options. Raises ``StartError``."""
    listeners = [Listener(each, secure=False) for each in _bind(options.bind, options.port)]
    if options.https_port is not None:
        listeners += [Listener(each, secure=True) for each in _bind(options.bind, options.https_port)]
    return listeners


def check_target(
    target: Target,
    listeners: Sequence[Listener],
    interfaces: Callable[[], list[Interface] | None] = local_interfaces,
) -> None:
    """Refuse a target that is one of the listeners: requests would run in a circle. Raises OptionError.

    A name is not resolved, and a port that a container publishes is not known here: of these, the first handshake
    tells. Must be run in executor.
    """
    endpoint = target.endpoint
    address = endpoint.address
    if address is None:
        return
    own = address.is_loopback or any(at.ip == address for each in interfaces() or () for at in each.addresses)
    if own and any(each.port == endpoint.port and each.takes(address) for each in listeners):
        raise OptionError("target", f'"{endpoint.name}" is where this proxy itself listens', "the gateway's address")


def open_status_listeners(options: Options, *, ingress: bool) -> list[socket.socket]:
    """Bind the status page's port, if any: on loopback, for the ingress everywhere. Raises ``StartError``."""
    if options.status_port is None:
        return []
    return list(_bind(() if ingress else ("127.0.0.1",), options.status_port))


def user_certificate(options: Options) -> ListenerCertificate | None:
    """Load the certificate that the user brings, if any. Raises OptionError: another start would not help."""
    if options.https_port is None or not (options.certfile and options.keyfile):
        return None
    try:
        return ListenerCertificate(options.certfile, options.keyfile)
    except KeyFilesError as error:
        raise OptionError(
            "certfile", str(error), "a certificate with its unencrypted key, both in PEM form"
        ) from None


def own_certificate(options: Options) -> ListenerCertificate | None:
    """Load the certificate that the proxy made for itself, or make it; none without HTTPS.

    Raises KeyFilesError. Must be run in executor.
    """
    if options.https_port is None:
        return None
    return ListenerCertificate(*ensure_self_signed(options.cert_dir, local_names()))


def _bind(addresses: tuple[str, ...], port: int) -> Iterator[socket.socket]:
    for address in addresses or (None,):
        try:
            yield _bind_all(port) if address is None else _bind_one(address, port)
        except OSError as error:
            at = f"port {port}" if address is None else f"address {address}, port {port}"
            raise StartError(f"cannot listen at {at}: {_bind_problem(error)}") from None


def _bind_one(address: str, port: int) -> socket.socket:
    # As bytes: for a text, Python loads its codec for international names, 0.3 MB in 2 ms.
    family, *_, socket_address = socket.getaddrinfo(address.encode(), port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(socket_address, family=family)


def _bind_all(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            # Where IPv6 is switched off in the kernel, the socket can be made but not bound.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("0.0.0.0", port))  # noqa: S104 - all addresses are what the user asks for


def _bind_problem(error: OSError) -> str:
    problems = {
        "EADDRINUSE": "another program uses it already; stop that one, or choose another port",
        "EACCES": "not allowed; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        "EADDRNOTAVAIL": "this computer does not have that address",
    }
    return problems.get(errno.errorcode.get(error.errno or 0, ""), error.strerror or str(error))
