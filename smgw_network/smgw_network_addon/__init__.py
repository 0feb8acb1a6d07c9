"""SMGW Network: finds a gateway in a foreign subnet and gives the host one address for it."""

__version__ = "1.0.0"
