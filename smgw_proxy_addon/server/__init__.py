"""Towards clients: connections, requests and answers on the wire, and their limits."""
