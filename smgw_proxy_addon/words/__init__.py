"""All that a person reads, one subpackage for each language: for a translator, who needs nothing else of the proxy.

Owns the words only: the modules that ask for them own the codes and facts. Every language has the same modules, and
they hold the same keys.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Language = Literal["en", "de"]


def known(language: str) -> Language:
    """Return a language that there are words in; English stands for an unknown one."""
    return "de" if language == "de" else "en"


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
