"""Login once: clients log in at the proxy, and the proxy logs in at the gateway."""
