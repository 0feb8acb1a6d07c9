"""The status page: whether it works, and if not, why and what to click.

Served on a port of its own, behind Home Assistant's ingress or on loopback. It shows the state of other rooms and
carries out the user's actions; it decides nothing about trust and opens no connection to the gateway.
"""
