"""Simulated Smart Meter Gateways, for the demo, the tests and the benchmarks; never part of the image."""

from simulator.certificates import CertificateOptions, Identity
from simulator.faults import FaultKind
from simulator.gateway import Simulator
from simulator.messages import Received

__all__ = ["CertificateOptions", "FaultKind", "Identity", "Received", "Simulator"]
