"""A pinned, sparing, transparent proxy for German Smart Meter Gateways."""

__version__ = "0.1.0"
