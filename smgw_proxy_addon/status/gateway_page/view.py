"""What the status page knows of the gateway's page without loading what serves it."""

from dataclasses import dataclass
from typing import Final

from smgw_proxy_addon.status.gateway_page.jars import Jar
from smgw_proxy_addon.status.gateway_page.users import Refusal

PATH: Final = "/gateway/"
"""The gateway's pages are below it, behind the key of a jar."""
COOKIE: Final = "smgw_gateway"
"""It holds the jar's secret."""


@dataclass(frozen=True)
class View:
    """What the tab shows: the jar of this browser, or why it has none. Neither: there are no accounts."""

    jar: Jar | None = None
    refusal: Refusal | None = None
