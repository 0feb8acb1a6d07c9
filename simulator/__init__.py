"""Simulated Smart Meter Gateways, for the demo, the tests and the benchmarks.

The Python API is ``simulator.gateway.Simulator``; the program is ``python -m simulator``. Nothing is imported
here, so that the program can choose its OpenSSL configuration before ``ssl`` is loaded.
"""
