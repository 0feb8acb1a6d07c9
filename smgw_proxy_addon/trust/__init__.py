"""The pinned certificate: the decision, its storage, and the check inside the TLS handshake."""
