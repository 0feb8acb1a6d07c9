"""A stand-in for the Supervisor, as far as SMGW Network asks it: ``python -m tests.network.supervisor PORT``."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Tells the ingress port to who has the token."""

    def do_GET(self) -> None:
        """Answer ``/addons/self/info``."""
        known = self.path == "/addons/self/info" and self.headers["Authorization"] == "Bearer not-a-secret"
        body = json.dumps({"result": "ok", "data": {"ingress_port": int(sys.argv[1])}}).encode() if known else b"{}"
        self.send_response(200 if known else 403)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        """Write nothing."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.2", 80), Handler).serve_forever()
