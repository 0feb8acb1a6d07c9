"""The start inside the Home Assistant app: reads the Supervisor's options, drops root's rights."""

import re
from pathlib import Path
from typing import Final

from smgw_proxy_addon.config.options import OptionError, Options, from_file_text
from smgw_proxy_addon.program.privileges import PrivilegeError, User, check_entry
from smgw_proxy_addon.program.run import run

_SHARED_FILE: Final = re.compile(
    r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?_.+|gateways\.json|\.gateways\.json\.new", re.ASCII
)
"""The names of log files, with any earlier value of ``log_file``, and of what SMGW Network leaves beside them."""


def run_app(root: Path = Path("/"), user: str = "smgw") -> int:
    """Run the proxy with the options in ``data/options.json``, as ``user`` once root is not needed any more.

    ``root`` stands for ``/``. Raises OptionError and ``StartError``.
    """
    options = _options(root / "data/options.json")

    def become_unprivileged() -> str | None:
        no_log_files = None
        account = User.named(user)
        account.take_over(options.cert_dir, root / "data", lambda _name: True, 0o700)
        try:
            account.take_over(options.log_dir, root / "share", lambda name: bool(_SHARED_FILE.fullmatch(name)), 0o755)
        except PrivilegeError as error:
            no_log_files = f"No log files until the next start: {error}."  # the proxy works without them
        account.become()
        check_entry(options.cert_dir)
        return no_log_files

    return run(options, become_unprivileged, ingress=True)


def _options(path: Path) -> Options:
    try:
        return from_file_text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OptionError("", f"{path} cannot be read ({reason})", "the file that the Supervisor writes") from None
