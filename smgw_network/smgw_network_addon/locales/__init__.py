"""Every sentence that a person reads on the page, in two languages."""

from collections.abc import Mapping
from typing import Final, Literal

from smgw_network_addon.locales import de, en

Language = Literal["en", "de"]
TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {"en": en.TEXTS, "de": de.TEXTS}


def choose_language(accepted: str | None) -> Language:
    """Return the language that a browser's ``Accept-Language`` prefers; English if it knows neither."""
    best: tuple[float, Language] = (0.0, "en")
    for part in (accepted or "").split(","):
        name, _, weight = part.strip().partition(";q=")
        for language in TEXTS:
            if name.lower().partition("-")[0] == language:
                best = max(best, (_number(weight), language), key=lambda each: each[0])
    return best[1]


def _number(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0.0
