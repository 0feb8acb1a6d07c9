"""All texts that a person reads, one subpackage for each language.

Every language has the same modules, and they hold the same keys. Codes and facts are owned by the modules that use
the texts.
"""

import re
from typing import Final, Literal, NamedTuple

Language = Literal["en", "de"]


def pick_language(language: str) -> Language:
    """Return ``language`` if there are texts in it, else English."""
    return "de" if language == "de" else "en"


_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)( \d\d:\d\d)?(:\d\d)?(\.\d+)?([+-]\d\d:\d\d)?", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(text: str, language: Language) -> str:
    """Write a text that is an ISO 8601 date as people do; leave every other text as it is.

    A time of day is kept only without seconds: such a time was rounded for people.
    """
    found = _DATE.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= len(_MONTHS):
        return text
    date = f"{found[3]}.{found[2]}.{found[1]}"
    if language == "en":
        date = f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}"
    return date + (found[4] or "") if found[5] is None else date


class Explanation(NamedTuple):
    """One error in words: plain text, in which a line may end."""

    title: str
    cause: str
    remedy: str


class Outcome(NamedTuple):
    """One outcome of the network diagnosis; the remedy is empty where there is nothing to do."""

    sentence: str
    remedy: str = ""


class Report(NamedTuple):
    """What stands around the outcomes in a terminal: the states of a step, the remedy's heading, the last line."""

    ok: str
    warning: str
    failed: str
    skipped: str
    what_to_do: str
    good: str
    bad: str


class Notice(NamedTuple):
    """A notification's text; the message may be Markdown."""

    title: str
    message: str
