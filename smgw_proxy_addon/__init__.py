"""A pinned, sparing, transparent proxy for German Smart Meter Gateways."""

__version__ = "1.0.0"
