"""Holds one TLS connection open and says when it opens and closes: ``python -m tests.network.hold HOST:PORT``."""

import socket
import ssl
import sys

host, _, port = sys.argv[1].partition(":")
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
try:
    with context.wrap_socket(socket.create_connection((host, int(port)), 10)) as connection:
        sys.stdout.write("open\n")
        sys.stdout.flush()
        connection.settimeout(60)
        connection.recv(1)
except OSError:
    pass
sys.stdout.write("closed\n")
