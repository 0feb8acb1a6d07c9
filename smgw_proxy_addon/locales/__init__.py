"""All that a person reads, one subpackage for each language: for a translator, who needs nothing else of the proxy.

Owns the words only: the modules that ask for them own the codes and facts. Every language has the same modules, and
they hold the same keys.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Language = Literal["en", "de"]


def known(language: str) -> Language:
    """Return a language that there are words in; English stands for an unknown one."""
    return "de" if language == "de" else "en"


_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)( \d\d:\d\d)?(:\d\d)?(\.\d+)?([+-]\d\d:\d\d)?", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(text: str, language: Language) -> str:
    """Write a text that is a date as people do, without its seconds and its zone; leave every other as it is.

    The hour stays where it is all that follows the date: somebody rounded it for people.
    """
    found = _DATE.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= len(_MONTHS):
        return text
    date = f"{found[3]}.{found[2]}.{found[1]}"
    if language == "en":
        date = f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}"
    return date + (found[4] or "") if found[5] is None else date


@dataclass(frozen=True, slots=True)
class Explanation:
    """One error in words: plain text, in which a line may end."""

    title: str
    cause: str
    remedy: str


class Outcome(NamedTuple):
    """One outcome of the network diagnosis; the remedy is empty where there is nothing to do."""

    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What stands around the outcomes in a terminal: the states of a step, the remedy's heading, the last line."""

    ok: str
    warning: str
    failed: str
    skipped: str
    what_to_do: str
    good: str
    bad: str


@dataclass(frozen=True)
class Notice:
    """A notification's text; the message may be Markdown."""

    title: str
    message: str
