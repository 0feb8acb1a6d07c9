"""On what was measured: the machine, its programs and how busy it was."""

import os
import platform
import re
import ssl
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from benchmarks.processes import ROOT, find

_VERSIONS: Final = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "wrk": "-v"}
"""The argument that makes each tell its version."""


def describe() -> str:
    """Return a Markdown list."""
    facts = {
        "Tree": _tree(),
        "Processor": f"{os.cpu_count()} cores, {_processor()}, {platform.machine()}",
        "Memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "System": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}, aiohttp {version('aiohttp')}",
        "Peers": ", ".join(_version(name) for name in _VERSIONS),
        "Load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    return "".join(f"- {name}: {fact}\n" for name, fact in facts.items())


def _tree() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.strip() or "unknown, not from git"


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def _version(name: str) -> str:
    program = find(name)
    if program is None:
        return f"{name} not installed"
    # nginx tells it on stderr, and wrk with the status of a failure.
    done = subprocess.run([program, _VERSIONS[name]], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+[\d.]*", done.stdout + done.stderr)
    return f"{name} {found[0] if found else '(unknown version)'}"
