"""The options: what may be set, how it is checked, and the gateway's address."""
