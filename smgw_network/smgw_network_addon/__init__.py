"""SMGW Network: finds a gateway in a foreign subnet and gives the host one address for it."""

__version__ = "0.1.0"
