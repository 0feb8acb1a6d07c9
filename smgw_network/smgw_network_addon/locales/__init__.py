"""Every sentence that a person reads on the page, in two languages."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from smgw_network_addon.locales import de, en

Language = Literal["en", "de"]
TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {"en": en.TEXTS, "de": de.TEXTS}


def choose_language(accepted: str) -> Language:
    """Return the first language of ``Accept-Language`` that there is; English if there is none."""
    found = re.search(r"\b(?:en|de)\b", accepted.lower())
    return "de" if found and found[0] == "de" else "en"
