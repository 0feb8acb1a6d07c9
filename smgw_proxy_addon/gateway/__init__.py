"""Towards the gateway: connections, the queue in front of them, and PPC's one session."""
