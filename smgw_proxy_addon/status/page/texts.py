"""The words of the status page in one language, and the times and numbers among them."""

from datetime import datetime
from typing import Final

from smgw_proxy_addon.locales import Language, format_date
from smgw_proxy_addon.locales.de import status as german
from smgw_proxy_addon.locales.en import status as english

_WORDS: Final = {"en": english.WORDS, "de": german.WORDS}


class Texts:
    """The words of one language, and its way to write times. Times are shown in the proxy's own zone."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._words = _WORDS[language]

    def __call__(self, key: str, **facts: object) -> str:
        """Return the words for a key. Raises KeyError for a missing one."""
        return self._words[key].format_map(facts)

    def get(self, key: str, **facts: object) -> str:
        """Return the words for a key, or an empty text."""
        return self._words.get(key, "").format_map(facts)

    def date(self, when: datetime | None) -> str:
        """Write a day."""
        if when is None:
            return self("unknown")
        return format_date(f"{when.astimezone():%Y-%m-%d}", self.language)

    def moment(self, when: datetime | None) -> str:
        """Write a day and a time."""
        return self("unknown") if when is None else f"{self.date(when)}, {when.astimezone():%H:%M}"

    def clock(self, when: datetime) -> str:
        """Write a time of day with seconds."""
        return f"{when.astimezone():%H:%M:%S}"

    def number(self, value: float) -> str:
        """Write a number with one digit after the point."""
        text = f"{value:.1f}"
        return text.replace(".", ",") if self.language == "de" else text

    def seconds(self, value: float) -> str:
        """Write a short time: milliseconds below one second."""
        return f"{value * 1000:.0f} ms" if round(value, 3) < 1 else f"{self.number(value)} s"

    def span(self, seconds: float) -> str:
        """Write a time as people say it: 40 s, 12 min, 3 h, 2 days."""
        for unit, key in ((86400, "days"), (3600, "hours"), (60, "minutes")):
            if seconds >= unit:
                count = int(seconds // unit)
                one = self.get(f"span.{key}.one") if count == 1 else ""
                return one or self(f"span.{key}", count=count)
        return self("span.seconds", count=int(max(0, seconds)))
