"""The demo: starts a simulated gateway and the proxy in front of it, says what to try, stops both on Ctrl-C.

Owns two processes and what is printed about them. What they keep (the gateway's key, pins, logs) lies in `.demo/`,
so that a second demo meets the certificate that the first one pinned. Holds no logic of the proxy.
"""

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

STATE: Final = Path(".demo")
USER: Final = "demo"
PASSWORD: Final = "smart-meter"  # noqa: S105 - of a made-up gateway on this computer
PROXY_PORT: Final = 8080
GATEWAY_PORT: Final = 8443
STATUS_PORT: Final = 8099
START_TIMEOUT: Final = 30.0
"""Seconds until the simulator must listen; a Raspberry Pi needs some of them."""
STOP_TIMEOUT: Final = 6.0
"""Seconds that a program has to stop: the proxy gives running requests 4 of them."""

_PPC_CGI: Final = "/cgi-bin/hanservice.cgi"
_PPC_METER: Final = "41f3a8ed992e8ee9da39a3084a387ac3"
_THEBEN_CALL: Final = (
    '{"method":"readings","usage-point-id":"01005e318021.taf7-1.sm","database":"origin","last-reading":"true"}'
)


def readings(vendor: str, proxy: str) -> str:
    """Return the shell command that reads the meter of a vendor's gateway through the proxy at a base URL."""
    curl = ["curl", "-sS", "--digest", "-u", f"{USER}:{PASSWORD}"]
    match vendor:
        case "theben":
            url = f"{proxy}/smgw/m2m/{USER}.sm/json"
            return shlex.join([*curl, "-H", "Content-Type: application/json", "-d", _THEBEN_CALL, url])
        case "emh":
            return shlex.join([*curl, f"{proxy}/json/metering/origin/1emh0012345678/extended"])
        case "sagemcom":
            headers = ["-H", "Request-ID: 1", "-H", "Device-ID: EDNT0012345678", "-H", "Transport-Version: 1.0"]
            return shlex.join([*curl, "--compressed", *headers, f"{proxy}/smgw/hgp/readings"])
    # PPC knows one session at a time: the second request logs out, for the next client.
    form = ["-d", "action=showMeterProfile", "-d", f"mid={_PPC_METER}"]
    url = f"{proxy}{_PPC_CGI}"
    return shlex.join([*curl, "-b", "", *form, url, "--next", *curl[1:], "-b", "", "-d", "action=logout", url])


def is_free(port: int) -> bool:
    """Say whether a program could listen at a TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed one lingers
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def free_port(preferred: int) -> int:
    """Return the preferred TCP port, or any free one, and say so."""
    if is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = int(probe.getsockname()[1])
    print(f"Port {preferred} is taken: using {port}.", flush=True)
    return port


@contextmanager
def running(module: Sequence[str], output: TextIO | int) -> Iterator[subprocess.Popen[str]]:
    """Run one of the project's modules with its arguments while the block runs."""
    # A session of its own: Ctrl-C must reach this program alone, which then stops them in order.
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_gateway(process: subprocess.Popen[str], port: int, log: str) -> None:
    """Return when the simulator listens. Raises SystemExit if it does not."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # a port that opens wakes nobody; bounded by the deadline
    raise SystemExit(f"The simulator does not listen at port {port} (see {log}).")


def demonstrate(vendor: str, proxy_port: int, further: Sequence[str]) -> None:
    """Run simulator and proxy until the proxy ends or the person stops the demo."""
    gateway_port, status_port = free_port(GATEWAY_PORT), free_port(STATUS_PORT)
    state = STATE / vendor
    state.mkdir(parents=True, exist_ok=True)
    gateway = ["simulator", "--vendor", vendor, "--port", str(gateway_port), "--state-dir", str(state / "gateway")]
    gateway += ["--user", USER, "--password", PASSWORD]
    proxy = ["smgw_proxy_addon", "run", "--target", f"127.0.0.1:{gateway_port}", "--port", str(proxy_port)]
    proxy += ["--cert-dir", str(state / "certs"), "--log-dir", str(state / "logs")]
    proxy += ["--status-port", str(status_port), *further]
    base = f"http://127.0.0.1:{proxy_port}"
    with (state / "simulator.log").open("a", encoding="utf-8") as log, running(gateway, log) as simulator:
        wait_for_gateway(simulator, gateway_port, log.name)
        with running(proxy, subprocess.PIPE) as front:
            for line in front.stdout or ():
                print(line, end="", flush=True)
                if line.endswith(" Ready\n"):
                    print(
                        f"\nA simulated {vendor} gateway (https://127.0.0.1:{gateway_port})"
                        " and the proxy in front of it.\n\n"
                        f"  Browser:   {base}/   (user {USER}, password {PASSWORD})\n"
                        f"  Status:    http://127.0.0.1:{status_port}/\n\n"
                        f"  Readings:  {readings(vendor, base)}\n\n"
                        f"  Pins, logs and the gateway's key: {state}/   Stop: Ctrl-C\n",
                        flush=True,
                    )
    raise SystemExit("The proxy ended.")


def main(arguments: Sequence[str]) -> None:
    """Run the demo, or, with a target, the proxy alone in place of this program."""
    # No shell is involved (S606): the arguments are the person's own, for the person's own program.
    if any(each.partition("=")[0] in {"--target", "-target"} for each in arguments):
        os.execv(sys.executable, [sys.executable, "-m", "smgw_proxy_addon", "run", *arguments])  # noqa: S606
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="A simulated gateway and the proxy in front of it; with --target the proxy alone.",
        epilog="Further options go to the proxy: see `.venv/bin/smgw-proxy run --help`.",
        allow_abbrev=False,
    )
    parser.add_argument("--vendor", choices=("theben", "ppc", "emh", "sagemcom"), default="theben")
    parser.add_argument("--port", "-port", type=int, help=f"of the proxy ({PROXY_PORT}, or a free one)")
    options, further = parser.parse_known_args(arguments)
    if options.port and not is_free(options.port):
        parser.exit(1, f"Port {options.port} is taken: choose another with --port.\n")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first one otherwise
        signal.signal(number, signal.default_int_handler)
    try:
        demonstrate(options.vendor, options.port or free_port(PROXY_PORT), further)
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main(sys.argv[1:])
