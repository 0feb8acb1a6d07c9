"""Text from outside in a form that is safe to show."""


def plain(text: str) -> str:
    """Return a text from outside with a question mark for all that does not print, so that it moves no cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
