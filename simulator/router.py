"""Which part answers a request: the test targets, the login, or the vendor."""

from dataclasses import dataclass

from simulator import endpoints
from simulator.login import Login
from simulator.messages import Received, Response
from simulator.vendor import FILES, Vendor, static_file


@dataclass(kw_only=True)
class Router:
    """Answers a recorded request."""

    vendor: Vendor
    login: Login
    protect_all: bool = False
    """Every target needs a login, and an unknown one answers 200 instead of 404."""
    closes_after_challenge: bool = False
    """Closes the connection after each 401."""
    next_nonces: bool = False
    """Hands out the next nonce with each answer (``Authentication-Info``)."""
    needs_length: bool = False
    """Answers 411 to a body in chunks."""

    def answer(self, request: Received) -> Response | None:
        """Return the answer, or None to close the connection without one."""
        response = self._answer(request)
        if response and request.authorized and self.next_nonces:
            nonce = self.login.challenge().nonce.encode()
            response.headers.append((b"Authentication-Info", b'qop=auth, nextnonce="%b"' % nonce))
        return response

    def _answer(self, request: Received) -> Response | None:
        for_tests = request.path.startswith(endpoints.PREFIX)
        if self.needs_length and request.header(b"transfer-encoding") is not None:
            refusal: Response | None = Response(411, close=True)
        else:
            refusal = None if for_tests else self.vendor.refuse(request)
        if refusal:
            return refusal
        owned = self.vendor.owns(request.path) or request.path in FILES
        if self.protect_all or owned:
            if request.login in ("wrong", "other-uri") and self.vendor.silent:
                return None
            if not request.authorized:
                return self.ask_for_login(stale=request.login in ("stale", "replayed"))
        if for_tests:
            return endpoints.answer(request)
        if owned:
            return static_file(request.path) or self.vendor.answer(request)
        return Response.json({"target": request.target.decode("latin-1")}, 200 if self.protect_all else 404)

    def ask_for_login(self, *, stale: bool = False) -> Response:
        """Answer 401 with a new challenge."""
        header = self.login.challenge(stale=stale).header().encode("utf-8")
        headers = [(b"WWW-Authenticate", header), (b"Content-Type", b"text/html")]
        body = b"<html><body>401 Unauthorized</body></html>"
        return Response(401, headers, body, close=self.closes_after_challenge)
