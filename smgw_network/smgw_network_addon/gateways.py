"""What is known of each gateway, as the page, the log and the suggestion to the proxy tell it. Pure."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from smgw_network_addon.addresses import BRIDGE_HOST, Address, Assigned, LinkLocal, Network
from smgw_network_addon.handshake import Certificate

_LAST_STEPS: Final = 12


class Way(StrEnum):
    """How apps reach a gateway."""

    DIRECT = "direct"
    """By the home network: nothing is needed."""
    PEER = "peer"
    """By an address of the host for this one peer."""
    RELAY = "relay"
    """By a relay on the Supervisor's bridge: link-local, or the home network is too wide."""
    NONE = "none"


class Trouble(StrEnum):
    """What is wrong; each has one sentence for people (``locales``)."""

    ADDRESS_TAKEN = "address_taken"
    AT_HOME = "at_home"
    """A device of the home network has the same address: it would be cut off."""
    SAME_ADDRESS = "same_address"
    """Another gateway has the same address on another interface."""
    NOT_A_GATEWAY = "not_a_gateway"
    NO_BRIDGE = "no_bridge"
    NO_CARRIER = "no_carrier"
    NO_INTERFACE = "no_interface"
    NO_PERMISSION = "no_permission"
    NOTHING_ANSWERS = "nothing_answers"
    WAITING = "waiting"
    """The interface is about to get an address of its own, which has to be the first."""


class Step(StrEnum):
    """What was done."""

    FOUND = "found"
    ADDED = "added"
    LOST = "lost"
    PUT_BACK = "put_back"
    CONFLICT = "conflict"
    REMOVED = "removed"


@dataclass(eq=False)
class Gateway:
    """One gateway, or somebody who may be one as long as it is not ``listed``."""

    address: Address | LinkLocal
    interface: str
    way: Way = Way.NONE
    certificate: Certificate | None = None
    local: Address | None = None
    """The host's address for it."""
    port: int | None = None
    """Of the relay."""
    since: datetime | None = None
    """When the present way was set up."""
    trouble: Trouble | None = None
    steps: "deque[tuple[datetime, Step]]" = field(default_factory=lambda: deque(maxlen=_LAST_STEPS))
    listed: bool = False
    present: bool = False
    """Whether ``local`` was in its place at the last look, and whether it has ever been."""
    was_present: bool = False
    conflict: bool = False
    """``local`` has to be given up: somebody else has it."""
    missed: int = 0
    looks: int = 0
    checked: float = 0.0

    @property
    def assigned(self) -> Assigned | None:
        """What ``local`` is in the kernel's list."""
        if self.local is None or isinstance(self.address, LinkLocal):
            return None
        return Assigned(self.local, Network(self.address))

    @property
    def reached(self) -> bool:
        """Whether apps can reach it now, as far as is known."""
        return self.way is not Way.NONE and self.trouble is None

    @property
    def target(self) -> str:
        """What the proxy has to be given."""
        return f"{BRIDGE_HOST}:{self.port}" if self.way is Way.RELAY and self.port else self.host

    @property
    def host(self) -> str:
        """The gateway's own name, whichever way it is reached: for the pin, and for the Host header."""
        return str(self.address).partition("%")[0]

    def note(self, step: Step) -> None:
        """Remember what was done."""
        now = datetime.now(UTC)
        self.steps.appendleft((now, step))
        if step in (Step.FOUND, Step.ADDED, Step.PUT_BACK):
            self.since = now

    def described(self) -> dict[str, Any]:
        """Return what the proxy, or a program that asked, is told."""
        certificate = self.certificate
        return {
            "target": self.target,
            "host": self.host,
            "interface": self.interface,
            "way": str(self.way),
            "local": str(self.local) if self.local else None,
            "name": certificate.name if certificate else None,
            "fingerprint": certificate.fingerprint if certificate else None,
            "maker": certificate.maker or None if certificate else None,
        }
