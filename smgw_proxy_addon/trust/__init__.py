"""The pinned certificate: the decision, its file, and the running proxy's copy of it."""
