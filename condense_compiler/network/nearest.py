"""Hints for names that do not exist."""

import difflib
from collections.abc import Sequence

_MOST_SHOWN = 8


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what to add to the message about an unknown name: the nearest that exist."""
    close = [f"'{found}'" for found in difflib.get_close_matches(name, known, n=3)]
    if close:
        return f"; did you mean {' or '.join(close)}?"
    if not known:
        return "; there are none"
    rest = f" and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
    return f"; there are {', '.join(known[:_MOST_SHOWN])}{rest}"
