"""What a target raises when something that should always hold does not."""


class BrokenPromiseError(Exception):
    """What should always hold does not."""


def promise(holds: object, what: str) -> None:
    """Raise unless it ``holds``; unlike ``assert``, also under ``python -O``."""
    if not holds:
        raise BrokenPromiseError(what)
