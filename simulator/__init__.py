"""Simulated Smart Meter Gateways, for the demo, the tests and the benchmarks; never part of the image."""

from simulator.certificates import CertificateOptions, ClientCertificates, Identity
from simulator.faults import FaultKind
from simulator.gateway import Simulator
from simulator.messages import Received

__all__ = ["CertificateOptions", "ClientCertificates", "FaultKind", "Identity", "Received", "Simulator"]
