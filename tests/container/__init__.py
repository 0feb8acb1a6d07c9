"""The image, from the real Dockerfile on a stand-in for the base, run as the Supervisor runs it."""
