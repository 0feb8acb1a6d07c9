"""A device that is no gateway: accepts connections at port 443 and says so; or counts ARP requests by the second.

``python -m tests.network.plain ADDRESS`` or ``… plain count INTERFACE``, until killed.
"""

import socket
import sys
import time

from tests.network.noise import ARP, say


def accept(address: str) -> None:
    """Accept and close connections."""
    with socket.create_server((address, 443)) as listening:
        say("ready")
        while True:
            connection, _ = listening.accept()
            say("connection")
            connection.recv(1000)
            connection.close()


def count(interface: str) -> None:
    """Say each second how many ARP packets came that a probe or an announcement may be."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ARP))
    receiver.bind((interface, ARP))
    say("ready")
    while True:
        end, seen = time.monotonic() + 1, 0
        while (left := end - time.monotonic()) > 0:
            receiver.settimeout(left)
            try:
                data = receiver.recv(64)
            except TimeoutError:
                break
            seen += data[14:18] == bytes(4)
        say(str(seen))


if __name__ == "__main__":
    count(sys.argv[2]) if sys.argv[1] == "count" else accept(sys.argv[1])
