"""A neighbour that does not behave: ``python -m tests.network.noise INTERFACE answer|announce|flood …``.

``announce ADDRESS [TIMES]`` says, every half second, that an address is its own.

Sends on the one interface that it is given, in a namespace of a test; a flood ends after 30 seconds.
"""

import itertools
import random
import socket
import struct
import sys
import time
from typing import Final

ARP: Final = 0x0806
RATE: Final = 10_000
SECONDS: Final = 30.0
_LAYOUT: Final = struct.Struct("!HHBBH6s4s6s4s")
_HEAD: Final = (1, 0x0800, 6, 4)
_BATCH: Final = 100
_DIFFERENT: Final = 5000


def packet(operation: int, mac: bytes, sender: str, target_mac: bytes, target: str) -> bytes:
    """Return an ARP packet."""
    return _LAYOUT.pack(*_HEAD, operation, mac, socket.inet_aton(sender), target_mac, socket.inet_aton(target))


def say(line: str) -> None:
    """Write a line for the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Neighbour:
    """Sends and receives ARP on one interface."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ARP))
        self.socket.bind((interface, ARP))
        self.mac: bytes = self.socket.getsockname()[4]

    def send(self, data: bytes, to: bytes = b"\xff" * 6) -> None:
        """Send a packet."""
        self.socket.sendto(data, (self.interface, ARP, 0, 1, to))

    def answer(self) -> None:
        """Claim every address that a probe asks for, until killed."""
        while True:
            data, _ = self.socket.recvfrom(64)
            *_, operation, mac, sender, _, target = _LAYOUT.unpack_from(data)
            if operation == 1 and sender == bytes(4) and mac != self.mac:
                self.send(packet(2, self.mac, socket.inet_ntoa(target), mac, "0.0.0.0"), mac)

    def flood(self, kind: str, address: str) -> None:
        """Send 10 000 packets a second, and say each second how many they were."""
        end = time.monotonic() + SECONDS
        packets = itertools.cycle([self._noise(kind, address) for _ in range(_DIFFERENT)])
        count, second = 0, time.monotonic()
        while time.monotonic() < end:
            for _ in range(_BATCH):
                self.send(next(packets))
            count += _BATCH
            ahead = second + count / RATE - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            if count >= RATE:
                say(f"{count / (time.monotonic() - second):.0f}")
                count, second = 0, time.monotonic()

    def _noise(self, kind: str, address: str) -> bytes:
        mac = b"\x02" + random.randbytes(5)
        other = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        match kind:
            case "ask":
                return packet(1, mac, other, bytes(6), "192.168.178.20")
            case "announce":
                return packet(1, mac, address, bytes(6), address)
        return packet(2, mac, other, b"\xff" * 6, "0.0.0.0")


def main() -> None:
    """Run one kind of noise."""
    interface, kind, *rest = sys.argv[1:]
    neighbour = Neighbour(interface)
    say("ready")
    if kind == "answer":
        neighbour.answer()
    elif kind == "announce":
        address, *times = rest
        for _ in range(int(*times or "1")):
            neighbour.send(packet(1, neighbour.mac, address, bytes(6), address))
            time.sleep(0.5 if times else 0.0)
    else:
        neighbour.flood(*rest)


if __name__ == "__main__":
    main()
