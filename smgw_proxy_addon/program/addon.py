"""The start inside the Home Assistant app: reads the Supervisor's options, drops root's rights."""

import logging
import re
from pathlib import Path
from typing import Final

from smgw_proxy_addon.config.options import OptionError, Options, from_file_text
from smgw_proxy_addon.program.privileges import PrivilegeError, User
from smgw_proxy_addon.program.run import run
from smgw_proxy_addon.server.listeners import StartError

_LOGGER: Final = logging.getLogger(__name__)

_LOG_FILE: Final = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?_.+", re.ASCII)
"""The names of log files, with any earlier value of ``log_file``."""


def run_app(root: Path = Path("/"), user: str = "smgw") -> int:
    """Run the proxy with the options in ``data/options.json``, as ``user`` once root is not needed any more.

    ``root`` stands for ``/``. Raises OptionError and ``StartError``.
    """
    options = _options(root / "data/options.json")

    def become_unprivileged() -> None:
        try:
            account = User.named(user)
            account.take_over(options.cert_dir, root / "data", lambda _name: True, 0o700)
        except PrivilegeError as error:
            raise StartError(str(error)) from None
        try:
            account.take_over(options.log_dir, root / "share", lambda name: bool(_LOG_FILE.fullmatch(name)), 0o755)
        except PrivilegeError as error:
            # The proxy works without log files.
            _LOGGER.warning("No log files: %s", error)
        account.become()

    return run(options, become_unprivileged, ingress=True)


def _options(path: Path) -> Options:
    try:
        return from_file_text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OptionError("", f"{path} cannot be read ({reason})", "the file that the Supervisor writes") from None
