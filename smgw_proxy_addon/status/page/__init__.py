"""The status page: whether it works, and if not, why and what to click.

Served on a port of its own, behind Home Assistant's ingress or on loopback. It shows what others hold and passes a
person's decision on; it decides nothing about trust, and never opens a connection to the gateway.
"""
